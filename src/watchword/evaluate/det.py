"""Curves of misses against false alarms: a picture, and the same as a table of numbers."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from watchword.evaluate.sources import BenchmarkError

Curve = Sequence[tuple[float, float, float]]
"""Points (alarms an hour and keyword, share missed, threshold), strictest first, as `Sweep.curve` gives them."""

LEAST_RATE, MOST_RATE = 0.02, 100.0


def write_curves(path: Path, curves: Mapping[str, Curve]) -> None:
    """Writes curves as tab-separated numbers: the curve's name, alarms an hour and keyword, miss, threshold."""
    lines = ["curve\talarms_per_hour\tmiss\tthreshold"]
    lines += [f"{name}\t{r:.5g}\t{m:.5f}\t{t:.6g}" for name, curve in curves.items() for r, m, t in curve]
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def draw_curves(path: Path, curves: Mapping[str, Curve]) -> None:
    """Draws curves into a picture (PNG or SVG, by the suffix): see `draw_panels`."""
    draw_panels(path, {"": curves})


def draw_panels(path: Path, panels: Mapping[str, Mapping[str, Curve]]) -> None:
    """Draws curves side by side, a panel for each title: false alarms on a logarithmic axis, misses in per cent.

    A curve that has no false alarm yet begins at the left edge. Curves of one name look alike in all panels.
    Raises BenchmarkError for another suffix, or where the picture cannot be written."""
    if path.suffix not in (".png", ".svg"):
        raise BenchmarkError(f"{path}: a picture is written as .png or .svg; name it so")
    # Without pyplot nothing asks for a screen, and nothing is kept between calls.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.2 + 4.2 * len(panels), 4.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    for number, (title, curves) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), number)
        for name, curve in curves.items():
            rates = [max(rate, LEAST_RATE) for rate, _, _ in curve]
            misses = [100 * miss for _, miss, _ in curve]
            place = names.index(name)
            # A step: between two thresholds nothing changes.
            (line,) = axes.step(rates, misses, where="post", label=name, linewidth=1.6, color=f"C{place % 10}")
            line.set_linestyle("-" if place % 2 == 0 else "--")
        axes.set_xscale("log")
        axes.set_xlim(LEAST_RATE, MOST_RATE)
        axes.set_ylim(0, 100)
        axes.set_xlabel("false alarms an hour and keyword")
        axes.set_ylabel("missed, %" if number == 1 else "")
        axes.grid(True, which="major", linewidth=0.6, alpha=0.6)
        axes.set_title(title, fontsize=11)
        if number == len(panels) and curves:
            axes.legend(fontsize=8, loc="upper right" if len(panels) == 1 else "best")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": None} if path.suffix == ".png" else {"Date": None})
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
