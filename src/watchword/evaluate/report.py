"""Reports of an evaluation: JSON on disk, a table for people, and the figures on a bundle's card."""

import datetime
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from watchword import __version__
from watchword.bundle import bundle_hash
from watchword.evaluate.benchmarks import Result
from watchword.evaluate.metrics import Figure

FORMAT = 1
CARD = "card.json"


class ReportError(ValueError):
    """A report or card that cannot be read, or that belong to different bundles."""


def build_report(bundle: Path, results: Sequence[Result], command: str) -> dict[str, Any]:
    """The report of a bundle's results as JSON: figures are fractions with the ends of their 95 % interval."""
    card = _read_json(bundle / CARD)
    known = ("name", "version", "context", "precision")
    return {
        "format": FORMAT,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": command,
        "watchword": __version__,
        "bundle": {"sha256": bundle_hash(bundle), **{key: card[key] for key in known if key in card}},
        "results": [_result(result) for result in results],
    }


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Writes a report whole or not at all. Raises ReportError if the place cannot be written."""
    _write_json(path, report)


def read_report(path: Path) -> dict[str, Any]:
    """Reads a report. Raises ReportError for anything else."""
    report = _read_json(path)
    if report.get("format") != FORMAT or not isinstance(report.get("results"), list):
        raise ReportError(f"{path}: not a report of format {FORMAT}; give a file that `watchword evaluate --out` wrote")
    return report


def merge_into_card(card_path: Path, report: dict[str, Any]) -> None:
    """Writes a report's figures on the card of the bundle that it measured, under `metrics`, "benchmark/corpus".

    Raises ReportError if the report was made with another bundle than the card's.
    """
    found, measured = bundle_hash(card_path.parent), report["bundle"]["sha256"]
    if found != measured:
        raise ReportError(
            f"{card_path}: the report measured bundle {measured[:12]}, this one is {found[:12]}; evaluate this bundle"
        )
    card = _read_json(card_path)
    metrics = card.setdefault("metrics", {})
    for result in report["results"]:
        kept = {key: result[key] for key in ("figures", "counts", "hours", "trials_sha256")}
        metrics[f"{result['benchmark']}/{result['corpus']}"] = {
            **kept,
            "date": report["date"],
            "command": report["command"],
        }
    _write_json(card_path, card)


def report_tables(results: Sequence[Result]) -> Iterator[Table]:
    """One table for people a result: figures in per cent with their 95 % intervals over speakers."""
    for result in results:
        counts = result.counts
        size = f"{counts['trials']:,} trials, {counts['speakers']:,} speakers, {result.hours:.2f} h"
        table = Table(
            "figure", "%", "95 % interval", title=f"{result.benchmark}, {result.corpus}: {size}", min_width=60
        )
        for name, figure in result.figures.items():
            table.add_row(name, *percent(figure))
        yield table


def percent(figure: Figure) -> tuple[str, str]:
    """A figure and its interval in per cent.

    >>> percent(Figure(0.5, 0.45, 0.56))
    ('50.00', '45.00 – 56.00')
    """
    if figure.low is None or figure.high is None:
        return f"{100 * figure.value:.2f}", "one speaker"
    return f"{100 * figure.value:.2f}", f"{100 * figure.low:.2f} – {100 * figure.high:.2f}"


def _result(result: Result) -> dict[str, Any]:
    return {
        "benchmark": result.benchmark,
        "corpus": result.corpus,
        "figures": {name: figure.as_dict() for name, figure in result.figures.items()},
        "counts": result.counts,
        "hours": round(result.hours, 4),
        "trials_sha256": result.trials_sha256,
        "trials_file": result.trials_file,
        "settings": asdict(result.settings),
        "seconds": round(result.seconds, 1),
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(table, dict):
        raise ReportError(f"{path}: not a JSON object")
    return table


def _write_json(path: Path, table: dict[str, Any]) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(table, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise ReportError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    finally:
        unfinished.unlink(missing_ok=True)


__all__ = [
    "ReportError",
    "build_report",
    "bundle_hash",
    "merge_into_card",
    "percent",
    "read_report",
    "report_tables",
    "write_report",
]
