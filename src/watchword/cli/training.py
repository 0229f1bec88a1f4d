"""How a training run is shown: a live panel on a terminal, a line now and then elsewhere; TensorBoard if installed."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from watchword.train.recipe import Recipe

SECONDS_BETWEEN_LINES = 20.0
_MEASURES = ("norm", "learning_rate", "scales", "crops", "spans", "audio_seconds", "wall_seconds", "cpu_seconds")
"""What a record holds beside `step`, `of` and the terms of the objective."""

Report = Callable[[dict[str, Any]], None]


@contextmanager
def training_report(recipe: Recipe, run: Path) -> Iterator[Report]:
    """Yields the function that training gives its records to."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        shown = _live(recipe, run, stack) if sys.stderr.isatty() else _lines()
        board = _tensorboard(run, stack)

        def report(record: dict[str, Any]) -> None:
            shown(record)
            if board:
                board(record)

        yield report


def terms_of(record: dict[str, Any]) -> dict[str, float]:
    """The objective's terms in a record of a step."""
    return {key: value for key, value in record.items() if key not in ("step", "of", *_MEASURES)}


def in_words(record: dict[str, Any]) -> str:
    """One line of text for a record.

    >>> in_words({"step": 500, "validation": {"ap": 0.91234, "easy_eer": 0.0512}})
    'step 500: validation ap 0.912, easy_eer 0.0512'
    >>> in_words({"step": 10, "of": 400, "relational": 3.25, "norm": 1.5, "learning_rate": 0.0001, "wall_seconds": 4.0})
    'step 10 of 400: relational 3.25, learning rate 0.0001'
    """
    if "note" in record:
        return str(record["note"])
    if "validation" in record:
        return f"step {record['step']}: validation {_figures(record['validation'])}"
    rate = f"learning rate {record['learning_rate']:.3g}"
    return f"step {record['step']} of {record['of']}: {_figures(terms_of(record))}, {rate}"


def _figures(values: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.3g}" for key, value in values.items())


def _lines() -> Report:
    """A line on standard error at the start, at the end, every 20 seconds, and for whatever is no mere step."""
    last = [float("-inf")]

    def report(record: dict[str, Any]) -> None:
        step = "of" in record
        if step and record["step"] < record["of"] and time.monotonic() - last[0] < SECONDS_BETWEEN_LINES:
            return
        if step:
            last[0] = time.monotonic()
        print(in_words(record), file=sys.stderr, flush=True)

    return report


def _live(recipe: Recipe, run: Path, stack: Any) -> Report:
    """A bar with the time left, above the newest terms, the learning rate and the last validation."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Table

    console = Console(stderr=True)
    bar = Progress(
        TextColumn(recipe.name), BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False), console=console,
    )  # fmt: skip
    task = bar.add_task(recipe.name, total=recipe.train.steps)
    live = stack.enter_context(Live(bar, console=console, refresh_per_second=4))
    begun: list[int] = []
    newest: dict[str, Any] = {}
    validated: dict[str, Any] = {}

    def table() -> Table:
        grid = Table.grid(padding=(0, 2))
        for name, value in terms_of(newest).items():
            grid.add_row(name, f"{value:.4g}")
        if newest:
            grid.add_row("learning rate", f"{newest['learning_rate']:.3g}")
            grid.add_row("gradient norm", f"{newest['norm']:.3g}")
            grid.add_row("audio a step", f"{newest['audio_seconds']:.0f} s in {newest['crops']} rows")
        if validated:
            grid.add_row(f"validation at {validated['step']}", _figures(validated["validation"]))
        grid.add_row("run", str(run))
        return grid

    def report(record: dict[str, Any]) -> None:
        if "note" in record:
            live.console.print(record["note"])
        elif "validation" in record:
            validated.update(record)
            live.console.print(in_words(record))
        else:
            newest.clear()
            newest.update(record)
        if not begun:
            # Time is estimated from this session's steps alone, not from those before a resume.
            begun.append(record["step"])
            bar.reset(task, completed=record["step"])
        bar.update(task, completed=record["step"])
        live.update(Group(bar, table()))

    return report


def _tensorboard(run: Path, stack: Any) -> Report | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    writer = SummaryWriter(str(run / "tensorboard"))
    stack.callback(writer.close)

    def report(record: dict[str, Any]) -> None:
        if "validation" in record:
            values = {f"validation/{key}": value for key, value in record["validation"].items()}
        elif "note" in record:
            values = {}
        else:
            values = {f"terms/{key}": value for key, value in terms_of(record).items()}
            values |= {key: record[key] for key in ("learning_rate", "norm")}
        for name, value in values.items():
            writer.add_scalar(name, value, record["step"])

    return report
