"""A run as it lies on disk: its recipe, and its model as a checkpoint has it."""

from pathlib import Path
from typing import Any, NamedTuple

from watchword.model.baselines import build_model
from watchword.model.baselines.pair_model import PairModel
from watchword.model.keyword_model import KeywordModel
from watchword.train.checkpoint import load_checkpoint, newest_checkpoint
from watchword.train.recipe import Recipe


class RunError(ValueError):
    """A folder is no run, or cannot give what is asked of it; the message says what to do instead."""


class Run(NamedTuple):
    """What a run's folder holds, the model in evaluation mode with its weights loaded."""

    recipe: Recipe
    model: KeywordModel | PairModel
    state: dict[str, Any]
    """The checkpoint: `step`, `model`, `spent` …"""


def read_run(run: Path) -> Recipe:
    """Reads the recipe of a run. Raises RunError where the folder is no run, or one of another Watchword."""
    path = run / "recipe.json"
    try:
        return Recipe.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{run}: no run here; make one with watchword train") from None
    except ValueError as error:
        raise RunError(f"{path}: not a recipe that this Watchword knows ({str(error).splitlines()[0]})") from None


def load_run(run: Path, checkpoint: Path | None = None) -> Run:
    """Loads the model of a run from its newest checkpoint, or from the one named.

    Raises RunError as `read_run` does, and where there is no checkpoint or one of another model; CheckpointError where
    it is damaged."""
    recipe = read_run(run)
    path = checkpoint or newest_checkpoint(run)
    if path is None:
        raise RunError(f"{run}: has no checkpoint yet; train it with watchword train")
    state = load_checkpoint(path)
    model = build_model(recipe.model)
    try:
        model.load_state_dict(state["model"])
    except (RuntimeError, KeyError):
        raise RunError(f"{path}: is no checkpoint of {run}'s recipe; name one of its own") from None
    return Run(recipe, model.eval(), state)
