"""The command `watchword train`: carries a recipe out, showing how it goes; stopped, it goes on where it was."""

import signal
from pathlib import Path
from typing import Annotated, NoReturn

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/tiny.toml.", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="Settings to change, such as train.steps=1000.", show_default=False
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the run; runs/NAME below WATCHWORD_WORK, or here, if not given.", show_default=False
        ),
    ] = None,
) -> None:
    """Train what a recipe describes. The same command goes on with a run that was stopped, as if it never had been."""
    from watchword.train.recipe import RecipeError, load_recipe, resolve

    try:
        loaded = load_recipe(recipe, overrides or ())
    except RecipeError as error:
        _fail(str(error))
    folder = run or resolve(f"runs/{loaded.name}")
    again = "run the same command again to go on as if it had not been stopped"

    from watchword.cli.progress import progress_bar
    from watchword.cli.training import training_report
    from watchword.data.segment import SegmentError
    from watchword.data.store import StoreError
    from watchword.evaluate.trials import TrialError
    from watchword.prepare.voices import VoiceError
    from watchword.train.checkpoint import CheckpointError
    from watchword.train.material import prepare_material

    old = signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as by Ctrl-C, ending all processes
    try:
        if loaded.data.synthesis and not (resolve(loaded.data.store) / "index.json").exists():
            typer.echo(f"train: no store at {resolve(loaded.data.store)} yet: speaking and packing it first", err=True)
        prepare_material(loaded, progress_bar)
        from watchword.train.experiment import Experiment
        from watchword.train.loop import claim
        from watchword.train.loop import train as carry_out

        claim(folder, loaded)  # before minutes go into what would be refused
        experiment = Experiment(loaded)
        with training_report(loaded, folder) as report:
            finished = carry_out(experiment, folder, report=report)
    except KeyboardInterrupt:
        typer.echo(f"train: stopped; {again}", err=True)
        raise typer.Exit(130) from None
    except (RecipeError, StoreError, SegmentError, TrialError, VoiceError, CheckpointError) as error:
        _fail(str(error))
    except FloatingPointError as error:
        _fail(f"{error}")
    finally:
        signal.signal(signal.SIGTERM, old)
    if not finished:
        typer.echo(f"train: stopped and saved in {folder}; {again}", err=True)
        raise typer.Exit(130)
    typer.echo(f"{folder}: trained for {loaded.train.steps} steps; next: watchword export {folder} BUNDLE")


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"train: {sentence}", err=True)
    raise typer.Exit(2)
