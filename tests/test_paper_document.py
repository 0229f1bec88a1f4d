"""docs/paper.md is true: every equation's place exists, every open point has its recipes, its sums are right."""

import importlib
import re
from pathlib import Path

import pytest

from watchword.train.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
ABLATION = ROOT / "recipes" / "paper" / "ablation"
PLACES = re.findall(r"^\| .+ \| .+ \| `([\w/]+\.py)` \| (`.+`) \|$", PAGE, re.MULTILINE)
POINTS = re.findall(r"^### (\d)\. .+?\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("file", "names"), PLACES, ids=[f"{file} {names}" for file, names in PLACES])
def test_every_equation_is_where_the_page_says(file: str, names: str) -> None:
    found = importlib.import_module("watchword." + file.removesuffix(".py").replace("/", "."))
    for name in re.findall(r"`([\w.]+)`", names):
        thing = found
        for part in name.split("."):
            thing = getattr(thing, part)
        assert getattr(thing, "__module__", found.__name__) == found.__name__


def test_the_table_names_the_five_equations() -> None:
    assert len(PLACES) > 25
    assert {f"Eq. {number}" for number in range(1, 6)} <= set(re.findall(r"^\| (Eq\. \d) \|", PAGE, re.MULTILINE))


def test_every_open_point_has_a_default_its_recipes_and_a_place_for_what_came_out() -> None:
    assert [number for number, _ in POINTS] == list("1234567")
    named: list[str] = []
    for number, text in POINTS:
        assert all(f"\n{part}" in text for part in ("Open: ", "Default: ", "Ablation, in the row ")), number
        ((row, ablation),) = re.findall(r"^Ablation, in the row `(\w+)`(.+?)\n\n", text, re.MULTILINE | re.DOTALL)
        assert (ABLATION.parent / f"{row}.toml").exists()
        recipes = [name for name in re.findall(r"`(\w+)`", ablation) if (ABLATION / f"{name}.toml").exists()]
        for name in recipes:
            assert f'"../{row}.toml"' in (ABLATION / f"{name}.toml").read_text(encoding="utf-8")
        named += recipes
        assert re.search(rf"^(<!-- outcome {number}: .+ -->|Found: )", text, re.MULTILINE), number
    assert sorted(named) == sorted(path.stem for path in ABLATION.glob("*.toml"))


def test_the_defaults_are_those_of_the_base_recipe() -> None:
    base = load_recipe(ROOT / "recipes" / "base.toml")
    objective = base.objective
    assert objective.phoneme is not None
    assert objective.relational is not None
    assert objective.keyword is not None
    assert objective.phoneme.arguments()["adaptive"] == "boxed"
    assert [objective.relational.arguments()[key] for key in ("distance", "angle", "prototype")] == [1, 2, 1]
    assert objective.keyword.arguments()["kind"] == "C"
    assert base.model.attention_projection == "qk"
    assert base.model.textual.hidden_per_direction == 256
    assert objective.phoneme_stress


def test_the_relative_figures_are_right() -> None:
    def over_baseline(value: float) -> str:
        return f"{100 * (value - 75.10) / 75.10:.2f} %"

    assert [over_baseline(value) for value in (85.54, 81.41, 86.23, 90.24)] == [
        "13.90 %", "8.40 %", "14.82 %", "20.16 %",
    ]  # fmt: skip
    assert all(over_baseline(value) in PAGE for value in (85.54, 81.41, 86.23, 90.24))
