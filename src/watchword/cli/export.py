"""The command `watchword export`: turns a training run into a bundle, proves it, and says what 8 bits lose."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)],
    bundle: Annotated[Path, typer.Argument(help="The folder of the new bundle.", show_default=False)],
    checkpoint: Annotated[
        Path | None, typer.Option(help="The checkpoint to take.", show_default="the run's newest")
    ] = None,
    average_with: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint to average its weights with; may be repeated.", show_default=False),
    ] = None,
    int8: Annotated[
        bool, typer.Option(help="Also quantise the acoustic model to 8 bits, and keep that if it loses little.")
    ] = True,
    compact: Annotated[
        bool, typer.Option("--compact", help="Store all weights in 8 bits; what is computed with them stays in floats.")
    ] = False,
    pronunciations: Annotated[
        bool, typer.Option(help="Give the bundle a lexicon of its own; without one, that of the package is taken.")
    ] = True,
    scan: Annotated[
        list[str] | None,
        typer.Option(
            help="A setting of the search for the card, as clip_weight=0.1; may be repeated.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there already.")] = False,
) -> None:
    """Export a run as a bundle, proved equal to torch. It appears whole or not at all."""
    from watchword.export import export as export_run

    def tell(step: str) -> None:
        typer.echo(f"export: {step}", err=True)

    made = export_run(
        run,
        bundle,
        checkpoint=checkpoint,
        average_with=average_with or (),
        quantised=int8,
        compact=compact,
        pronounces=pronunciations,
        scan=dict(_setting(given) for given in scan or ()),
        force=force,
        tell=tell,
    )
    card = made.card
    rows = [f"{name:16} {listed['bytes'] / 1e6:7.2f} MB" for name, listed in card["files"].items()]
    total = sum(listed["bytes"] for listed in card["files"].values()) / 1e6
    typer.echo("\n".join([*rows, f"{'all':16} {total:7.2f} MB"]))
    worst = ", ".join(f"{name} {value:.1e}" for name, value in card["parity"].items())
    typer.echo(f"onnxruntime against torch, largest differences: {worst}")
    for name, figures in card["metrics"].items():
        typer.echo(f"{name.replace('_', ' ')}: " + ", ".join(f"{k} {v:g}" for k, v in figures.items()))
    if "int8" in card["acoustic"]:
        found = card["acoustic"]["int8"]
        lost = ", ".join(f"{name} {value:+.2f}" for name, value in found["loss_points"].items())
        typer.echo(
            f"8 bits: {'kept' if found['kept'] else 'dropped'}; points lost: {lost or 'not measured'}; cosine of clips "
            f"{found['cosine_median']:.4f}, lowest {found['cosine_lowest']:.4f}; {found['times_faster']:.1f}× as fast"
        )
    typer.echo(
        f"{made.path}: runs {made.acoustic_file}, threshold {made.threshold:.3f}, step {card['training']['steps']}"
    )


def _setting(given: str) -> tuple[str, Any]:
    """Reads KEY=VALUE, the value as JSON has it."""
    key, sign, value = given.partition("=")
    try:
        if not sign:
            raise ValueError
        return key.strip(), json.loads(value)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is not KEY=VALUE, such as clip_weight=0.1", param_hint="--scan") from None
