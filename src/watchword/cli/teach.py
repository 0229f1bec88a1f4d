"""The command `watchword prepare teach`."""

from pathlib import Path
from typing import Annotated

import typer


def teach(
    store: Annotated[Path, typer.Argument(help="The folder from `watchword pack`.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder to write, for data.teaching.", show_default=False)
    ],
    whisper: Annotated[
        Path | None,
        typer.Option(
            help="A folder with a Whisper model converted by CTranslate2 (model.bin).", show_default="Whisper base"
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0 is four, or as many as there are cores.")] = 0,
) -> None:
    """Let Whisper's encoder listen to a store, and keep what it says every 20 ms, to teach frames by it.

    An interrupted call goes on where it stopped.
    """
    from watchword.audio import SAMPLE_RATE
    from watchword.cli.prepare import resumable
    from watchword.cli.progress import progress_bar
    from watchword.data.store import Store
    from watchword.prepare.teach import WhisperEncoder
    from watchword.prepare.teach import teach as listen

    opened = Store(store)
    encoder = WhisperEncoder(whisper, threads)
    with resumable(), progress_bar("listening") as progress:
        listen(opened, out, encoder, progress=progress)
    hours = float(opened.utterances["samples"].sum()) / SAMPLE_RATE / 3600
    typer.echo(f"{out}: {encoder.name} heard {len(opened.utterances)} utterances, {hours:.2f} hours")
