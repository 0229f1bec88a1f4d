"""The command `watchword probe`: tries to tell a run's audio embeddings from its text embeddings."""

from pathlib import Path
from typing import Annotated

import typer


def probe(
    run: Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)],
    checkpoint: Annotated[
        Path | None, typer.Option(help="The checkpoint to take.", show_default="the run's newest")
    ] = None,
    words: Annotated[int, typer.Option(min=8, help="Spoken words to embed, at most.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Decides which words, and which half is fitted to.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a level.")] = False,
) -> None:
    """Fit a linear classifier that tells audio from text to half of the keywords, and try it on the other half.

    50 % is a model that keeps modality to itself, which is what the adversary is for. The words are those of the
    recipe's held-out speakers, or of its store where it names none.
    """
    from watchword.cli.progress import progress_bar
    from watchword.train.probe import probe_run

    with progress_bar("embedding") as progress:
        step, found = probe_run(run, checkpoint=checkpoint, num_words=words, seed=seed, progress=progress)
    if json:
        for level in found:
            typer.echo(level.to_json())
        return
    typer.echo("level       told rightly (95 %)     rows   keywords")
    for level in found:
        told = f"{level.accuracy:6.1%} ({level.low:.1%}-{level.high:.1%})"
        typer.echo(f"{level.level:10}  {told:22} {level.rows:6}   {level.keywords:8}")
    typer.echo(f"{run}: step {step}; 50 % is chance")
