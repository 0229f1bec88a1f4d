"""Recipes as files: what a scale laid over them changes, and what it may not."""

from pathlib import Path

import pytest

from watchword.recipe_file import RecipeError, read_recipe

ROW = """
name = "row"
[train]
steps = 100
[objective.keyword]
name = "triplet"
margin = 0.5
"""


@pytest.fixture
def row(tmp_path: Path) -> Path:
    path = tmp_path / "row.toml"
    path.write_text(ROW)
    return path


def laid(row: Path, scale: str, *overrides: str) -> dict:
    path = row.with_name("scale.toml")
    path.write_text(scale)
    return read_recipe(row, overrides, over=[path])


def test_a_scale_changes_values_and_adds_tables(row: Path) -> None:
    table = laid(row, "[train]\nsteps = 3\nthreads = 1\n[batch]\nclasses = 4\n")
    assert table["train"] == {"steps": 3, "threads": 1}
    assert table["batch"] == {"classes": 4}
    assert table["name"] == "row"


def test_a_scale_never_switches_a_loss_on(row: Path) -> None:
    table = laid(row, "[objective.keyword]\nmargin = 0.1\n[objective.adversary]\nstrength = 0.01\n")
    assert table["objective"] == {"keyword": {"name": "triplet", "margin": 0.1}}


def test_a_scale_for_another_loss_of_the_family_does_not_count(row: Path) -> None:
    wanted = '[objective.keyword]\nname = "sphereface2"\nsampled = 500\n'
    assert laid(row, wanted)["objective"] == {"keyword": {"name": "triplet", "margin": 0.5}}
    wanted = '[objective.keyword]\nname = "triplet"\nmargin = 0.2\n'
    assert laid(row, wanted)["objective"]["keyword"]["margin"] == 0.2


def test_a_scale_may_speak_of_several_losses_of_a_family(row: Path) -> None:
    wanted = '[[objective.keyword]]\nname = "sphereface2"\nweight = 0.1\n'
    assert laid(row, wanted)["objective"] == {"keyword": {"name": "triplet", "margin": 0.5}}
    wanted += '[[objective.keyword]]\nname = "triplet"\nweight = 0.5\n[[objective.adversary]]\nname = "x"\n'
    assert laid(row, wanted)["objective"] == {"keyword": {"name": "triplet", "margin": 0.5, "weight": 0.5}}


def test_overrides_come_last_and_scales_extend(row: Path) -> None:
    row.with_name("larger.toml").write_text("[train]\nsteps = 7\nclip_norm = 2.0\n")
    table = laid(row, 'extends = "larger.toml"\n[train]\nsteps = 8\n', "train.steps=9")
    assert table["train"] == {"steps": 9, "clip_norm": 2.0}


@pytest.mark.parametrize(
    ("scale", "sentence"),
    [
        ("[objective]\nkeyword = false\n", "objective.keyword = false; a scale switches no loss off"),
        ('name = "small"\n', "'name' belongs in a recipe"),
        ("seed = 3\n", "'seed' belongs in a recipe"),
    ],
)
def test_what_would_change_the_rows_is_refused(row: Path, scale: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as raised:
        laid(row, scale)
    assert "scale.toml" in str(raised.value)
    assert sentence in str(raised.value)
