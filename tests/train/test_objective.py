"""The objective: a weighted sum of named terms, each of which can be switched off, and the optimiser's groups."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from watchword.data.augment import Augmenter
from watchword.data.batches import BatchMaker
from watchword.data.store import Store
from watchword.loss.adams import BOX
from watchword.loss.pairwise import AsymmetricProxy
from watchword.model.keyword_model import KeywordModel
from watchword.model.matcher import Match
from watchword.text.phonemes import PHONEMES, encode
from watchword.train.objective import Objective, parameter_groups
from watchword.train.recipe import Recipe, load_recipe

PLACES = ("relational", "point_to_point", "phoneme", "monotonic", "keyword", "adversary", "frame")
TERMS = {*PLACES, "adversary_phoneme", "adversary_utterance"} - {"adversary"}


@pytest.fixture
def recipe(small_recipe: Path) -> Recipe:
    # All classes, all angles: no chance inside the losses.
    whole = ("objective.keyword.sampled=0", "objective.relational.vertices=0", "objective.relational.ends=0")
    return load_recipe(small_recipe, whole)


def build(recipe: Recipe, store: Store) -> tuple[KeywordModel, Objective]:
    torch.manual_seed(0)
    return KeywordModel(recipe.model), Objective(recipe.objective, len(store.texts), recipe.model.acoustic.dim)


def match_of(model: KeywordModel, recipe: Recipe, store: Store) -> Match:
    batch = BatchMaker(store, Augmenter(recipe.augment), recipe.batch, recipe.seed)(0)
    return model.eval()(**batch.model_inputs())


def changed(recipe: Recipe, **terms: object) -> Recipe:
    return recipe.model_copy(update={"objective": recipe.objective.model_copy(update=terms)})


def test_every_term_is_logged_by_name_and_the_total_is_their_weighted_sum(recipe: Recipe, tone_store: Store) -> None:
    model, objective = build(recipe, tone_store)
    total, logged = objective(match_of(model, recipe, tone_store))
    assert set(logged) == TERMS
    weight = {name: objective.weights["adversary" if name.startswith("adversary") else name] for name in logged}
    offset = {name: float(objective.losses[name].last_offset) for name in ("point_to_point", "phoneme")}
    expected = sum(weight[name] * (value + offset.get(name, 0.0)) for name, value in logged.items())
    assert offset["phoneme"] > 50  # the constant that is not logged
    assert float(total.detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("place", PLACES)
def test_switching_a_term_off_removes_exactly_it(place: str, recipe: Recipe, tone_store: Store) -> None:
    model, objective = build(recipe, tone_store)
    match = match_of(model, recipe, tone_store)
    fewer = Objective(changed(recipe, **{place: None}).objective, len(tone_store.texts), 16)
    for name, loss in fewer.losses.items():
        loss.load_state_dict(objective.losses[name].state_dict())
    total, logged = objective(match)
    rest, left = fewer(match)
    assert set(logged) - set(left) == {name for name in logged if name.startswith(place)}
    assert left == {name: logged[name] for name in left}
    removed = sum(logged[name] for name in set(logged) - set(left))
    removed += float(getattr(objective.losses[place], "last_offset", 0.0))
    assert float((total - rest).detach()) == pytest.approx(objective.weights[place] * removed, rel=1e-4, abs=1e-4)


def test_a_weight_scales_its_terms_gradient(recipe: Recipe, tone_store: Store) -> None:
    gradients = []
    for weight in (1.0, 3.0):
        assert recipe.objective.monotonic is not None
        term = recipe.objective.monotonic.model_copy(update={"weight": weight})
        alone = changed(recipe, **{**dict.fromkeys(PLACES), "monotonic": term})
        model, objective = build(alone, tone_store)
        total, logged = objective(match_of(model, recipe, tone_store))
        total.backward()
        assert float(total.detach()) == pytest.approx(weight * logged["monotonic"])
        assert model.attention.query.weight.grad is not None
        gradients.append(model.attention.query.weight.grad)
    torch.testing.assert_close(gradients[1], 3 * gradients[0])


def test_a_weight_of_zero_builds_no_loss(recipe: Recipe, tone_store: Store) -> None:
    assert recipe.objective.keyword is not None
    none = changed(recipe, keyword=recipe.objective.keyword.model_copy(update={"weight": 0.0}))
    _, objective = build(none, tone_store)
    assert "keyword" not in objective.losses


def test_the_keyword_classifier_keeps_to_the_most_frequent_classes(recipe: Recipe, tone_store: Store) -> None:
    model, objective = build(changed(recipe, keyword_classes=3), tone_store)
    assert objective.losses["keyword"].classes.shape[0] == 3
    match = match_of(model, recipe, tone_store)
    assert (match.labels >= 3).any()
    _, logged = objective(match)
    known = match.labels < 3
    if known.any():
        alone = objective.losses["keyword"](match.audio[known], match.labels[known])
        assert logged["keyword"] == pytest.approx(float(alone.detach()), rel=1e-6)
    else:
        assert "keyword" not in logged


def test_the_phoneme_loss_may_be_told_phonemes_without_stress(recipe: Recipe, tone_store: Store) -> None:
    model, objective = build(changed(recipe, phoneme_stress=False), tone_store)
    match = match_of(model, recipe, tone_store)
    said, plain = encode(["AH0", "B", "AH1", "UW", "UW2", "AH2"]), [0, 1, 0, 2, 2, 0]
    turns = torch.arange(len(match.phoneme_labels)) % len(said)
    match, labels = replace(match, phoneme_labels=torch.tensor(said)[turns]), torch.tensor(plain)[turns]
    alone = AsymmetricProxy()
    _, logged = objective(match)
    expected = alone(match.phoneme_audio, match.phoneme_text, labels) - alone.last_offset
    assert logged["phoneme"] == pytest.approx(float(expected.detach()), abs=1e-4)
    assert len(objective.phoneme_class[2:].unique()) == 39
    stressed = build(recipe, tone_store)[1]
    assert torch.equal(stressed.phoneme_class, torch.arange(len(PHONEMES)))


def test_every_parameter_is_in_exactly_one_group(recipe: Recipe, tone_store: Store) -> None:
    model, objective = build(recipe, tone_store)
    groups = parameter_groups(model, objective, 1e-3, 1e-4, 100.0)
    grouped = [id(p) for group in groups for p in group["params"]]  # pyright: ignore[reportGeneralTypeIssues]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in (*model.parameters(), *objective.parameters())}


def test_groups_treat_norms_scales_and_the_bias_as_they_need(recipe: Recipe, tone_store: Store) -> None:
    model, objective = build(recipe, tone_store)
    of = {
        id(parameter): group
        for group in parameter_groups(model, objective, 1e-3, 1e-4, 100.0)
        for parameter in group["params"]  # pyright: ignore[reportGeneralTypeIssues]
    }
    norm, weight = model.acoustic.entry_norm.weight, model.acoustic.entry.weight
    assert (of[id(weight)]["weight_decay"], of[id(weight)]["clip"]) == (1e-4, True)
    assert (of[id(norm)]["weight_decay"], of[id(norm)]["clip"]) == (0.0, True)
    for parameter in objective.losses["phoneme"].parameters():
        assert (of[id(parameter)]["weight_decay"], of[id(parameter)]["clip"]) == (0.0, False)
    bias = objective.losses["keyword"].bias
    assert of[id(bias)]["lr"] == pytest.approx(0.1)
    assert of[id(objective.losses["keyword"].classes)]["lr"] == 1e-3


def test_the_scales_are_in_the_box_after_a_step_that_would_leave_it(recipe: Recipe, tone_store: Store) -> None:
    model, objective = build(recipe, tone_store)
    scales = objective.losses["phoneme"].scales
    optimizer = torch.optim.AdamW(parameter_groups(model, objective, 50.0, 0.0, 1.0))  # pyright: ignore[reportArgumentType]
    before = scales.margin.detach().clone()
    objective.train()
    match = match_of(model, recipe, tone_store)
    objective(match)[0].backward()
    optimizer.step()
    assert not BOX["pull_scale"][0] <= float(scales.pull_scale.detach().max()) <= BOX["pull_scale"][1]
    objective.after_step()
    for name, (low, high) in BOX.items():
        values = getattr(scales, name).detach()
        assert low - 1e-6 <= float(values.min()) <= float(values.max()) <= high + 1e-6
    absent = torch.ones(len(before), dtype=torch.bool)
    absent[match.phoneme_labels] = False
    assert absent.any()
    assert torch.equal(scales.margin.detach()[absent], before[absent])
    assert not torch.equal(scales.margin.detach()[~absent], before[~absent])


def test_the_scales_are_told_where_they_learn(recipe: Recipe, tone_store: Store) -> None:
    _, objective = build(recipe, tone_store)
    with torch.no_grad():
        objective.losses["phoneme"].scales.push_scale[3] = 7.0
    told = objective.scales()
    assert set(told) == {"phoneme"}  # AsyP over words has fixed ones
    assert told["phoneme"]["push_scale_max"] == 7.0
    assert told["phoneme"]["push_scale_min"] == 1.5
    assert told["phoneme"]["margin_mean"] == 0.01
    assert told["phoneme"]["held"] == 0


def test_the_adversary_is_served_its_gradient_whole_and_the_encoders_theirs_reversed(
    recipe: Recipe, tone_store: Store
) -> None:
    gradients: list[tuple[torch.Tensor, torch.Tensor]] = []
    for strength in (0.1, 0.2):
        assert recipe.objective.adversary is not None
        term = recipe.objective.adversary.model_copy(update={"strength": strength})
        alone = changed(recipe, **{**dict.fromkeys(PLACES), "adversary": term})
        model, objective = build(alone, tone_store)
        objective.set_progress(1.0)
        total, _ = objective(match_of(model, recipe, tone_store))
        total.backward()
        encoder = model.textual.output.weight.grad
        assert encoder is not None
        gradients.append((encoder, objective.losses["adversary"].classifier.output.weight.grad))
    torch.testing.assert_close(gradients[1][0], 2 * gradients[0][0])
    torch.testing.assert_close(gradients[1][1], gradients[0][1])
    # The encoder's own step makes the modality harder to tell.
    model, objective = build(alone, tone_store)
    objective.set_progress(1.0)
    total, _ = objective(match_of(model, recipe, tone_store))
    with torch.no_grad():
        model.textual.output.weight -= 0.05 * gradients[0][0] / gradients[0][0].norm()
    worse, _ = objective(match_of(model, recipe, tone_store))
    assert float(worse.detach()) > float(total.detach())


def test_progress_reaches_the_margin_and_the_ramp(recipe: Recipe, tone_store: Store) -> None:
    _, objective = build(recipe, tone_store)
    objective.set_progress(0.0)
    assert objective.losses["adversary"].rho == 0.0
    start = objective.losses["keyword"].margin
    objective.set_progress(0.6)
    assert objective.losses["adversary"].rho == 1.0
    assert objective.losses["keyword"].margin > start == 0.0


def test_a_frame_term_without_a_frame_head_says_what_it_needs(recipe: Recipe, tone_store: Store) -> None:
    headless = recipe.model_copy(update={"model": recipe.model.model_copy(update={"frame_head": False})})
    model, objective = build(headless, tone_store)
    assert isinstance(objective, nn.Module)
    with pytest.raises(ValueError, match=r"model\.frame_head = true"):
        objective(match_of(model, headless, tone_store))
