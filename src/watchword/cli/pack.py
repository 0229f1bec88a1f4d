"""The command `watchword pack`: cuts words and phrases out of manifests into the store that training reads."""

from pathlib import Path
from typing import Annotated

import typer


def pack(
    out: Annotated[Path, typer.Argument(help="The folder of the new store.", show_default=False)],
    manifests: Annotated[list[Path], typer.Argument(help="One or more segments.jsonl.", show_default=False)],
    split: Annotated[str, typer.Option(help="The split to take; `all` takes every one.")] = "train",
    without_speaker: Annotated[
        list[str] | None, typer.Option(help="A speaker to leave out, for validation; may be repeated.")
    ] = None,
    holdout: Annotated[
        Path | None,
        typer.Option(help="A list of words, one a line, that must never be labelled (for zero-shot tests)."),
    ] = None,
    phrase_words: Annotated[int, typer.Option(min=1, help="The longest phrase to cut out, in words.")] = 4,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 is one a core.")] = 0,
) -> None:
    """Pack aligned manifests into a store.

    An interrupted call goes on where it stopped; the store appears whole or not at all.
    """
    from watchword.cli.progress import progress_bar
    from watchword.data.segment import SegmentError, numbered_lines, read_segments
    from watchword.data.store import PackConfig, StoreError
    from watchword.data.store import pack as pack_store

    try:
        lines = numbered_lines(holdout) if holdout else ()
        words = frozenset(word for _, line in lines for word in line.lower().split())
        left_out = set(without_speaker or ())
        segments = [
            segment
            for manifest in manifests
            for segment in read_segments(manifest)
            if split in ("all", segment.split) and segment.speaker not in left_out
        ]
        with progress_bar("packing") as progress:
            store = pack_store(segments, out, PackConfig(phrase_words, words), workers=workers, progress=progress)
    except (SegmentError, StoreError, OSError) as error:
        typer.echo(f"pack: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo("interrupted; run the same command again to go on", err=True)
        raise
    hours = sum(source["hours"] for source in store.sources)
    typer.echo(
        f"{out}: {hours:.1f} hours, {len(store.utterances)} utterances of {len(store.speakers)} speakers, "
        f"{len(store.items)} words and phrases of {len(store.texts)} classes"
    )
    skipped = (out / "skipped.tsv").read_bytes().count(b"\n")
    if skipped:
        typer.echo(f"{skipped} segments could not be used; see {out / 'skipped.tsv'}", err=True)
