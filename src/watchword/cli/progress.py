"""A progress bar with an estimate, on standard error; silent where that is no terminal, but for a line at the end."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yields a function of (done, all) that moves the bar; `all` is None where it is not known."""
    if not sys.stderr.isatty():
        last = [-1]

        def lines(done: int, total: int | None) -> None:
            step = done // 10000 if total is None else 10 * done // max(total, 1)
            if step > last[0] and (step or total is not None):
                last[0] = step
                print(f"{what}: {done}" + ("" if total is None else f" of {total}"), file=sys.stderr, flush=True)

        yield lines
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
