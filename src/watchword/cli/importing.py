"""How commands write the manifest of a corpus, and what they say of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from watchword.data.segment import Segment


def import_segments(out: Path, segments: "Iterable[Segment]", lacking: Sequence[str] = ()) -> None:
    """Writes an importer's segments, with a running count, and says what was found.

    `lacking` says, once all are read, which were left out. Raises SegmentError where there is nothing to write."""
    from watchword.cli.progress import progress_bar
    from watchword.data.segment import SegmentError, write_segments

    found: Counter[str] = Counter()

    def counted() -> "Iterator[Segment]":
        for segment in segments:
            found["all"] += 1
            found["words"] += bool(segment.words)
            found["phones"] += bool(segment.phones)
            progress(found["all"], None)
            yield segment
        if not found["all"]:
            raise SegmentError(f"{out}: not written, since no speech was found")

    with progress_bar("reading") as progress:
        write_segments(out, counted())
    typer.echo(f"{out}: {found['all']} segments, {found['words']} with word times, {found['phones']} with phones")
    if found["words"] < found["all"]:
        typer.echo(f"for the times of the rest: watchword prepare align {out} --out ALIGNED.jsonl", err=True)
    tell_lacking(lacking)


def tell_lacking(lacking: Sequence[str]) -> None:
    """Says on standard error how many lines of a corpus were left out, and which was the first."""
    if lacking:
        typer.echo(f"{len(lacking)} left out, since their audio is not there; the first: {lacking[0]}", err=True)
