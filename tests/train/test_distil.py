"""A smaller model learns from a larger one: what it begins with, what teaches it, and what stays as it is."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from watchword.export.card import run_card
from watchword.train.experiment import Experiment
from watchword.train.loop import train
from watchword.train.recipe import RecipeError, load_recipe
from watchword.train.step import Step

TEACHES = ["objective.teacher={name = 'teacher_distance'}", "model.mask_bins=0", "model.mask_frames=0"]


@pytest.fixture(scope="module")
def larger(small_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("larger") / "run"
    train(Experiment(load_recipe(small_recipe)), run, stop_at=3)
    return run / "checkpoints" / "00000003.pt"


@pytest.fixture
def build(small_recipe: Path, larger: Path) -> Callable[..., Experiment]:
    def build(*overrides: str) -> Experiment:
        return Experiment(load_recipe(small_recipe, [f"train.distil_from='{larger}'", *TEACHES, *overrides]))

    return build


def terms(experiment: Experiment, *, learning: bool = False) -> dict[str, float]:
    step = Step(experiment.model, experiment.objective, 1, larger=experiment.larger)
    step.train(learning)
    total, found = step(experiment.maker(0), 0)
    if learning:
        total.backward()
    return found


def test_one_of_the_same_size_begins_with_all_and_has_nothing_to_learn(build: Callable[..., Experiment]) -> None:
    found = terms(build())
    assert found["teacher"] == found["teacher_embeddings"] == 0


def test_a_smaller_one_begins_with_what_fits_and_learns_the_rest(build: Callable[..., Experiment]) -> None:
    experiment = build("model.acoustic.channels=8", "model.acoustic.scale=2", "model.textual.embedding=8")
    assert experiment.larger is not None
    own, theirs = experiment.model.state_dict(), experiment.larger.state_dict()
    torch.testing.assert_close(own["acoustic.output.weight"], theirs["acoustic.output.weight"])
    assert own["textual.embed.weight"].shape != theirs["textual.embed.weight"].shape
    found = terms(experiment, learning=True)
    assert found["teacher"] > 0.1
    assert found["teacher_embeddings"] > 0.1
    for part in (experiment.model.acoustic, experiment.model.textual):
        assert any(weight.grad is not None and weight.grad.abs().max() > 0 for weight in part.parameters())


def test_one_that_goes_on_keeps_what_it_has(build: Callable[..., Experiment]) -> None:
    experiment = build("train.distil_start=false")
    assert experiment.larger is not None
    own, theirs = experiment.model.state_dict(), experiment.larger.state_dict()
    assert not torch.equal(own["acoustic.output.weight"], theirs["acoustic.output.weight"])
    assert terms(experiment)["teacher"] > 0.1


def test_the_larger_model_can_hear_the_sound_before_it_was_distorted(build: Callable[..., Experiment]) -> None:
    """Of the same weights, hearing what is clean, it says what this model says of clean audio, and of no other."""
    loud = ["augment.share=1.0", "augment.noise=1.0", "augment.noise_snr_db=[-10.0,-5.0]"]
    experiment = build(*loud, "train.distil_clean=true")
    batch = experiment.maker(0)
    assert batch.clean is not None
    assert batch.clean.shape == batch.audio.shape
    assert not torch.equal(batch.clean, batch.audio)
    assert terms(experiment)["teacher"] > 0.01
    step = Step(experiment.model, experiment.objective, 1, larger=experiment.larger)
    step.train(False)
    undistorted = step(batch._replace(audio=batch.clean), 0)[1]
    assert undistorted["teacher"] == undistorted["teacher_embeddings"] == 0
    assert terms(build(*loud))["teacher"] == 0


def test_the_larger_model_stays_as_it_is(build: Callable[..., Experiment], tmp_path: Path) -> None:
    experiment = build("model.acoustic.channels=8", "model.acoustic.scale=2", "train.steps=3")
    assert experiment.larger is not None
    before = {name: value.clone() for name, value in experiment.larger.state_dict().items()}
    assert train(experiment, tmp_path / "run")
    torch.testing.assert_close(experiment.larger.state_dict(), before, rtol=0, atol=0)
    assert not experiment.larger.training
    state = {"step": 3, "spent": {}, "model": {}}
    card = run_card(experiment.recipe, state, tmp_path / "run", experiment.store)
    assert card["training"]["distilled_from"] == experiment.recipe.train.distil_from


def test_embeddings_of_another_length_cannot_be_learned(build: Callable[..., Experiment]) -> None:
    with pytest.raises(RecipeError, match="has no embeddings of 8 values"):
        build("model.acoustic.dim=8", "model.textual.dim=8")
