"""The command `watchword train`: carries a recipe out, showing how it goes; stopped, it goes on where it was."""

import os
import signal
from contextlib import nullcontext
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
        # Two names: torchrun takes --run for a beginning of one of its own options, and refuses it.
        typer.Option(
            "--run",
            "--run-folder",
            help="The folder of the run; runs/NAME below WATCHWORD_WORK, or here, if not given.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train what a recipe describes. The same command goes on with a run that was stopped, as if it never had been."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        # PyTorch would warn at the first step that all parameters are used. At another some losses may have no rows.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from watchword.train.recipe import RecipeError, load_recipe, resolve

    try:
        loaded = load_recipe(recipe, overrides or ())
    except RecipeError as error:
        _fail(str(error))
    folder = run or resolve(f"runs/{loaded.name}")
    again = "run the same command again to go on as if it had not been stopped"

    from watchword.cli.progress import progress_bar
    from watchword.cli.training import training_report
    from watchword.data.class_sampler import BatchError
    from watchword.data.segment import SegmentError
    from watchword.data.store import StoreError
    from watchword.evaluate.trials import TrialError
    from watchword.prepare.voices import VoiceError
    from watchword.train.checkpoint import CheckpointError
    from watchword.train.distributed import RanksError, is_loss_of_a_rank, joined_ranks
    from watchword.train.material import prepare_material
    from watchword.train.precision import choose_device

    old = signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as by Ctrl-C, ending all processes
    try:
        with joined_ranks(choose_device(loaded.train.device)) as ranks:
            if ranks.first:
                store = resolve(loaded.data.store)
                if loaded.data.synthesis and not (store / "index.json").exists():
                    typer.echo(f"train: no store at {store} yet: speaking and packing it first", err=True)
                prepare_material(loaded, progress_bar)
            ranks.wait()
            from watchword.train.experiment import Experiment
            from watchword.train.loop import train as carry_out
            from watchword.train.runbook import claim

            if ranks.first:
                claim(folder, loaded)  # before minutes go into what would be refused
            experiment = Experiment(loaded, ranks)
            with training_report(loaded, folder) if ranks.first else nullcontext() as report:
                finished = carry_out(experiment, folder, report=report)
    except KeyboardInterrupt:
        _say(f"stopped; {again}")
        raise typer.Exit(130) from None
    except (RecipeError, StoreError, SegmentError, TrialError, VoiceError, CheckpointError, BatchError) as error:
        _fail(str(error))
    except (FloatingPointError, RanksError) as error:
        _fail(f"{error}")
    except RuntimeError as error:
        if not is_loss_of_a_rank(error):
            raise
        _fail(f"another rank is gone; unless torchrun starts all of them again (--max-restarts), {again}")
    finally:
        signal.signal(signal.SIGTERM, old)
    if not finished:
        if ranks.first:
            _say(f"stopped and saved in {folder}; {again}")
        raise typer.Exit(130)
    if ranks.first:
        typer.echo(f"{folder}: trained for {loaded.train.steps} steps; next: watchword export {folder} BUNDLE")


def _say(sentence: str) -> None:
    rank = os.environ.get("RANK", "0")
    typer.echo(f"train: {sentence}" if rank == "0" else f"train: rank {rank}: {sentence}", err=True)


def _fail(sentence: str) -> NoReturn:
    _say(sentence)
    raise typer.Exit(2)
