"""Recipes: what a file may say, what extends and overrides do, and which sentence a mistake gets."""

import json
import tomllib
from pathlib import Path

import pytest

from watchword.data.augment import AugmentConfig
from watchword.data.class_sampler import BatchConfig
from watchword.train.recipe import Recipe, RecipeError, Term, build_term, load_recipe, resolve, same_experiment

RECIPES = Path(__file__).parents[2] / "recipes"


def written(folder: Path, text: str, name: str = "my.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_of_the_project_is_valid_and_named_by_its_file(path: Path) -> None:
    assert load_recipe(path).name == path.stem


def test_base_states_every_key_at_the_constructors_default() -> None:
    base = load_recipe(RECIPES / "base.toml").model_dump()
    bare = Recipe.model_validate({"name": "base", "data": {"store": "store"}}).model_dump()
    for table in ("model", "train"):
        assert base[table] == bare[table], table


def test_base_states_every_key_of_what_is_off_by_default() -> None:
    """Surroundings and distortions that a recipe does not know are off, so that it stays what it was."""
    with (RECIPES / "base.toml").open("rb") as file:
        stated = tomllib.load(file)
    assert set(stated["batch"]) == set(BatchConfig.model_fields)
    assert set(stated["augment"]) == set(AugmentConfig.model_fields)


def test_extends_lays_tables_over_each_other(tmp_path: Path) -> None:
    written(tmp_path, 'name = "a"\n[data]\nstore = "s"\n[train]\nsteps = 5\nclip_norm = 2.0\n', "a.toml")
    recipe = load_recipe(written(tmp_path, 'extends = "a.toml"\nname = "b"\n[train]\nsteps = 7\n'))
    assert (recipe.name, recipe.train.steps, recipe.train.clip_norm, recipe.data.store) == ("b", 7, 2.0, "s")


def test_a_term_of_another_name_replaces_the_whole_term(tmp_path: Path) -> None:
    written(
        tmp_path,
        'name = "a"\n[data]\nstore = "s"\n[objective.keyword]\nname = "sphereface2"\nkind = "C"\nweight = 3.0\n',
        "a.toml",
    )
    same = load_recipe(written(tmp_path, 'extends = "a.toml"\n[objective.keyword]\nkind = "A"\n')).objective.keyword
    other = load_recipe(written(tmp_path, 'extends = "a.toml"\n[objective.keyword]\nname = "triplet"\n'))
    assert same == Term.model_validate({"name": "sphereface2", "kind": "A", "weight": 3.0})
    assert other.objective.keyword == Term(name="triplet")


def test_false_switches_a_term_or_a_path_off(tmp_path: Path) -> None:
    off = written(tmp_path, f'extends = "{RECIPES}/base.toml"\n[data]\nnoise = false\n[objective]\nadversary = false\n')
    recipe = load_recipe(off, ["objective.keyword=false", "batch.in_context=false"])
    assert recipe.objective.adversary is None
    assert recipe.objective.keyword is None
    assert recipe.data.noise is None
    assert recipe.objective.relational is not None
    assert recipe.batch.in_context is False


def test_overrides_read_toml_values_and_bare_words(tmp_path: Path) -> None:
    path = RECIPES / "base.toml"
    recipe = load_recipe(
        path, ["train.steps=9", "train.schedule=cosine", "batch.before=[0.2, 0.3]", "objective.keyword.margin=0.3"]
    )
    assert recipe.train.steps == 9
    assert recipe.train.schedule == "cosine"
    assert recipe.batch.before == (0.2, 0.3)
    assert recipe.objective.keyword is not None
    assert recipe.objective.keyword.arguments()["margin"] == 0.3


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("train.step=3", "train: unknown key 'step'; did you mean 'steps'?"),
        ("model.acoustic.chanels=3", "model.acoustic: unknown key 'chanels'; did you mean 'channels'?"),
        ("trian.steps=3", "recipe: unknown key 'trian'; did you mean 'train'?"),
        ("data.synthesis={texts=['a'], clips=1, engines={piper=1}, sed=1}", "unknown key 'sed'; did you mean 'seed'?"),
        ("train.steps=none", "train.steps: Input should be a valid integer"),
        ("train.steps=0", "train.steps: Input should be greater than or equal to 1"),
        ("train.steps", "write key.path=value"),
        ("name.x=1", "'name' is a value, not a table"),
    ],
)
def test_mistakes_are_named_with_what_to_write_instead(override: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as raised:
        load_recipe(RECIPES / "base.toml", [override])
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_files_that_are_no_recipes_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe(tmp_path / "absent.toml")
    with pytest.raises(RecipeError, match="not a TOML file"):
        load_recipe(written(tmp_path, "name = "))
    with pytest.raises(RecipeError, match="extends itself"):
        load_recipe(written(tmp_path, 'extends = "my.toml"'))


def test_a_losss_constructor_is_its_schema() -> None:
    class Loss:
        def __init__(self, margin: float, num_classes: int) -> None:
            if margin < 0:
                raise ValueError("margin must not be below 0")
            self.given = (margin, num_classes)

    registry: dict[str, type] = {"mine": Loss}
    built = build_term(Term.model_validate({"name": "mine", "margin": 0.5}), registry, "keyword", num_classes=3, dim=8)
    assert built.given == (0.5, 3)
    for term, sentence in (
        ({"name": "mime"}, "objective.keyword.name: 'mime'; did you mean 'mine'?"),
        ({"name": "mine", "margn": 1}, "objective.keyword: unknown key 'margn'; did you mean 'margin'?"),
        ({"name": "mine", "margin": -1}, "objective.keyword: margin must not be below 0"),
    ):
        with pytest.raises(RecipeError) as raised:
            build_term(Term.model_validate(term), registry, "keyword", num_classes=3, dim=8)
        assert sentence in str(raised.value)


def test_relative_paths_start_at_the_work_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHWORD_WORK", "/folder")
    monkeypatch.setenv("WATCHWORD_DATA", "/corpora")
    assert resolve("store") == Path("/folder/store")
    assert resolve("$WATCHWORD_DATA/noise") == Path("/corpora/noise")
    assert resolve("/elsewhere") == Path("/elsewhere")
    monkeypatch.delenv("WATCHWORD_WORK")
    assert resolve("store") == Path("store")


def test_an_experiment_is_the_same_whatever_is_logged_saved_or_not_yet_known() -> None:
    recipe = load_recipe(RECIPES / "base.toml")
    stated = recipe.model_dump_json()
    other = load_recipe(RECIPES / "base.toml", ["train.log_every=3", "train.workers=2", "train.checkpoint_every=9"])
    assert same_experiment(stated, other.model_dump_json())
    older = json.loads(stated)
    del older["data"]["synthesis"]  # a key that an older Watchword did not write
    assert same_experiment(json.dumps(older), stated)
    for override in ("train.steps=9", "seed=2", "objective.adversary=false", "objective.keyword.margin=0.1"):
        assert not same_experiment(stated, load_recipe(RECIPES / "base.toml", [override]).model_dump_json()), override
    older["model"]["unheard_of"] = 1
    assert not same_experiment(json.dumps(older), stated)
