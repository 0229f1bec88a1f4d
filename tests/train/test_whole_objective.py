"""Model and objective together: padding changes no term, the smallest words give finite gradients, clipping passes the
scales by."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from watchword.model.baselines import build_model
from watchword.train.checkpoint import load_checkpoint
from watchword.train.experiment import Experiment
from watchword.train.loop import train
from watchword.train.objective import Objective
from watchword.train.recipe import Recipe, load_recipe

WHOLE = ("objective.keyword.sampled=0", "objective.relational.vertices=0", "objective.relational.ends=0")
PAIRS = ("model.acoustic.context=utterance", "model.frame_head=false", "objective.frame=false",
         "objective.relational=false", "objective.point_to_point=false", "objective.keyword=false",
         "objective.phoneme=false", 'objective.adversary_levels=["phoneme"]',
         "objective.verification={name='match'}")  # fmt: skip
KINDS = {
    "local": ("model.acoustic.context=local",),
    "utterance": ("model.acoustic.context=utterance",),
    "cmcd": (*PAIRS, "model.kind=cmcd"),
    "phonmatchnet": (*PAIRS, "model.kind=phonmatchnet", "objective.verification_phoneme={name='match'}"),
}
LABELS = torch.tensor([4, 3, 4, 7, 0])
PHONEMES = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0], [5, 6, 7, 8], [11, 0, 0, 0], [6, 6, 7, 0]])


def batch(extra_frames: int = 0, extra_tokens: int = 0, pairs: bool = False) -> dict[str, Tensor]:
    """Two crops, five spans of four words; padded by more where asked."""

    def widened(x: Tensor, by: int, value: int = 0) -> Tensor:
        return torch.nn.functional.pad(x, (0, by), value=value)

    generator = torch.Generator().manual_seed(1)
    audio, phones = torch.randn(2, 8000, generator=generator) * 0.1, torch.randint(0, 72, (2, 48), generator=generator)
    audio[1, 6000:], phones[1, 36:] = 0, -1
    given = {
        "audio": widened(audio, extra_frames * 160),
        "audio_lengths": torch.tensor([8000, 6000]),
        "spans": torch.tensor([[0, 3, 20], [0, 20, 48], [1, 0, 9], [1, 20, 21], [1, 5, 34]]),
        "labels": LABELS,
        "phonemes": widened(PHONEMES, extra_tokens),
        "phoneme_lengths": (PHONEMES > 0).sum(1),
        "frame_phonemes": widened(phones, extra_frames, -1),
    }
    if pairs:
        rows = torch.tensor([[1, 3], [0, 4], [3, 4], [1, 0], [2, 3]])
        others = {"other_labels": LABELS[rows], "other_lengths": given["phoneme_lengths"][rows]}
        given |= {**others, "others": widened(PHONEMES[rows], extra_tokens)}
    return given


def built(small_recipe: Path, *overrides: str) -> tuple[Recipe, Any, Objective]:
    recipe = load_recipe(small_recipe, [*WHOLE, *overrides])
    torch.manual_seed(0)
    model, objective = build_model(recipe.model), Objective(recipe.objective, 8, recipe.model.acoustic.dim)
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm1d) and part.running_mean is not None and part.running_var is not None:
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 2)
    objective.set_progress(0.5)
    return recipe, model, objective


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_no_term(kind: str, small_recipe: Path) -> None:
    _, model, objective = built(small_recipe, *KINDS[kind])
    model.eval()
    pairs = kind not in ("local", "utterance")
    alone, terms = objective(model(**batch(pairs=pairs)))
    padded, same = objective(model(**batch(37, 5, pairs)))
    wanted = {"monotonic", "adversary_phoneme", "verification"} if pairs else {"relational", "phoneme", "keyword"}
    assert wanted <= set(terms)
    assert same == pytest.approx(terms, abs=1e-5)
    # Eq. 2 holds a constant of some hundreds, of which float32 keeps five figures.
    assert float(padded.detach()) == pytest.approx(float(alone.detach()), rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])
def test_words_of_one_phoneme_seen_once_have_finite_gradients(kind: str, bfloat16: bool, small_recipe: Path) -> None:
    _, model, objective = built(small_recipe, *KINDS[kind])
    given = batch(pairs=kind not in ("local", "utterance"))
    given["labels"], given["phonemes"] = torch.arange(5), torch.tensor([[5], [9], [12], [11], [6]])
    given["phoneme_lengths"] = torch.ones(5, dtype=torch.int64)
    given["spans"] = torch.tensor([[0, 3, 4], [0, 20, 48], [1, 0, 9], [1, 20, 21], [1, 5, 34]])
    if "others" in given:
        rows = torch.tensor([[1, 3], [0, 4], [3, 4], [1, 0], [2, 3]])
        given |= {"other_labels": rows, "others": given["phonemes"][rows], "other_lengths": torch.ones_like(rows)}
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        match = model.train()(**given)
    total, _ = objective(match)
    total.backward()
    learned = [p.grad for p in (*model.parameters(), *objective.parameters()) if p.grad is not None]
    assert len(learned) > 20
    assert all(gradient.isfinite().all() for gradient in learned)


def test_clipping_passes_the_scales_by(small_recipe: Path, tmp_path: Path) -> None:
    """AdaMS's first gradients are about 10⁴: clipped with the rest, they would leave the rest with nothing."""
    found = []
    for most in ("1e-3", "1e9"):
        recipe = load_recipe(small_recipe, ["train.steps=1", f"train.clip_norm={most}"])
        experiment = Experiment(recipe)
        scales = {id(p) for p in experiment.objective.losses["phoneme"].parameters()}
        listed = [(p, group["clip"]) for group in experiment.optimizer.param_groups for p in group["params"]]
        assert train(experiment, tmp_path / most)
        state = load_checkpoint(tmp_path / most / "checkpoints" / "00000001.pt")["optimizer"]["state"]
        means = [state[number]["exp_avg"] for number in range(len(listed))]  # of the gradients, as they came
        found.append((
            torch.cat([mean for mean, (p, _) in zip(means, listed, strict=True) if id(p) in scales]),
            torch.cat([mean.flatten() for mean, (_, clip) in zip(means, listed, strict=True) if clip]).norm(),
        ))  # fmt: skip
    (clipped_scales, clipped_rest), (whole_scales, whole_rest) = found
    assert torch.equal(clipped_scales, whole_scales)
    assert clipped_scales.abs().max() > 10
    assert clipped_rest < 1e-3 < whole_rest
