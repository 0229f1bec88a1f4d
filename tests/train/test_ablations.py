"""Every ablation of the paper's open points is a recipe that changes what it says, and no more, and can be built."""

from pathlib import Path
from typing import Any

import pytest
import torch

from watchword.model.baselines import build_model
from watchword.train.objective import Objective, parameter_groups
from watchword.train.recipe import load_recipe

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "recipes" / "paper"
ABLATIONS = sorted((PAPER / "ablation").glob("*.toml"))
SCALES = [(), *([path] for path in sorted((PAPER / "scale").glob("*.toml")))]
# What each changes in the row that it extends.
CHANGES = {
    "p2p_proxy_ms": {"objective.point_to_point.name"},
    "rpl_cross": {f"objective.{key}" for key in ("point_to_point", "relational.name", "relational.distance",
                                                 "relational.angle", "relational.prototype")},
    "angle_0": {"objective.relational.angle"},
    "angle_20": {"objective.relational.angle"},
    "adams_raw": {"objective.phoneme.adaptive"},
    "adams_normalised": {"objective.phoneme.adaptive"},
    "mm_guided": {"objective.monotonic.kind"},
    "mm_kl": {"objective.monotonic.kind"},
    "mm_none": {"objective.monotonic"},
    "sf2_bias_zero": {"objective.keyword.first_bias"},
    "sf2_type_a": {"objective.keyword.kind", "objective.keyword.margin"},
    "adversary_raw": {"objective.adversary.normalise"},
    "adversary_no_ramp": {"objective.adversary.ramp"},
    "adversary_raw_no_ramp": {"objective.adversary.normalise", "objective.adversary.ramp"},
    "text_128": {"model.textual.hidden_per_direction", "model.textual.token_projection"},
    "attention_none": {"model.attention_projection"},
    "attention_qkv": {"model.attention_projection"},
    "stress_stripped": {"objective.phoneme_stress"},
}  # fmt: skip


def differing(one: Any, other: Any, place: str = "") -> set[str]:
    """Where two tables differ; one that is off differs as a whole."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            found
            for key in one.keys() | other.keys()
            for found in differing(one.get(key), other.get(key), f"{place}.{key}".strip("."))
        }
    return set() if one == other else {place}


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_an_ablation_changes_what_it_says_and_no_more(path: Path) -> None:
    recipe = load_recipe(path)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    assert recipe.name == path.stem
    assert 3 <= len(lines) <= 6
    (parent,) = (line.split('"')[1] for line in lines if line.startswith("extends"))
    row = load_recipe(path.parent / parent)
    changed = differing(recipe.model_dump(mode="json"), row.model_dump(mode="json"))
    assert changed == {"name", *CHANGES[path.stem]}


def test_the_list_of_ablations_is_whole() -> None:
    assert {path.stem for path in ABLATIONS} == set(CHANGES)


@pytest.mark.parametrize("over", SCALES, ids=lambda over: over[0].stem if over else "paper")
@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_an_ablation_can_be_built_at_every_scale(path: Path, over: list[Path]) -> None:
    small = ["model.acoustic.channels=16", "model.acoustic.squeeze=8", "model.acoustic.attention=8"]
    recipe = load_recipe(path, small, over)
    with torch.device("meta"):
        model = build_model(recipe.model)
    objective = Objective(recipe.objective, 30, recipe.model.acoustic.dim)
    groups = parameter_groups(model, objective, 1e-3, 1e-4, 100.0)
    assert sum(len(group["params"]) for group in groups) == len([*model.parameters(), *objective.parameters()])  # pyright: ignore[reportArgumentType]
