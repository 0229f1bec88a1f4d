"""The paper's tables: rows and published figures are the paper's, and results are told apart from stale ones."""

import json
from pathlib import Path

import pytest

from watchword.evaluate.table_results import (
    Record,
    append_result,
    find,
    read_results,
    values_hash,
)
from watchword.evaluate.table_text import as_json, markdown
from watchword.evaluate.tables import TableError, find_recipes, read_tables, recipe_changes
from watchword.recipe_file import read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
# Typed from the paper (Table 2 in its consistent reading): AP on WSJ in per cent.
AVERAGE_PRECISION = {
    "1": {
        "rp": 75.10,
        "rp_proxy_bd": 83.72,
        "rp_proxy_ms": 84.32,
        "rp_clat": 83.59,
        "rp_asyp": 84.42,
        "rp_asyp_adams": 85.54,
    },
    "2": {
        "rp": 75.10,
        "rp_mal_utt": 81.41,
        "rp_asyp_adams": 85.54,
        "mal_phn": 86.12,
        "mal_both": 86.23,
        "cmcd": 46.17,
        "cmcd_mal": 49.60,
        "phonmatchnet": 69.97,
        "phonmatchnet_mal": 72.45,
    },
    "3": {"mal_both": 86.23, "triplet": 86.25, "aam": 87.44, "adml_sf2": 90.24},
}
# EER easy, EER hard, AUC easy, AUC hard.
LIBRIPHRASE = {
    "cmcd": (4.20, 25.94, 99.12, 81.14),
    "phonmatchnet": (2.33, 24.11, 99.70, 83.39),
    "rp": (1.54, 22.45, 99.84, 85.31),
    "adml_sf2": (1.33, 20.09, 99.86, 88.71),
}
# Which families of losses each row has.
UTTERANCE = frozenset({"relational", "point_to_point"})
MATCHING = UTTERANCE | {"phoneme", "monotonic"}
FAMILIES = {
    "rp": UTTERANCE,
    "rp_mal_utt": UTTERANCE | {"adversary"},
    "rp_proxy_bd": MATCHING,
    "rp_proxy_ms": MATCHING,
    "rp_clat": MATCHING,
    "rp_asyp": MATCHING,
    "rp_asyp_adams": MATCHING,
    "mal_phn": MATCHING | {"adversary"},
    "mal_both": MATCHING | {"adversary"},
    "triplet": MATCHING | {"adversary", "keyword"},
    "aam": MATCHING | {"adversary", "keyword"},
    "adml_sf2": MATCHING | {"adversary", "keyword"},
}


@pytest.fixture(scope="module")
def tables():
    return read_tables(RECIPES)


@pytest.fixture
def folder(tmp_path):
    """A recipes folder with one table of two rows and one small scale."""
    paper = tmp_path / "paper"
    (paper / "scale").mkdir(parents=True)
    (tmp_path / "base.toml").write_text(
        'name = "base"\n[train]\nsteps = 100\nlearning_rate = 1e-4\nschedule = "halving"\nthreads = 0\n'
        "[batch]\nclasses = 250\nutterances_per_class = 2\n[augment]\nroom = 0.4\n"
        '[objective.keyword]\nname = "sphereface2"\nmargin = 0.2\n'
    )
    (paper / "one.toml").write_text('extends = "../base.toml"\nname = "one"\nobjective = { keyword = false }\n')
    (paper / "two.toml").write_text('extends = "../base.toml"\nname = "two"\n')
    (paper / "scale" / "small.toml").write_text("[train]\nsteps = 3\n[batch]\nclasses = 4\n[augment]\nroom = 0.1\n")
    (paper / "tables.toml").write_text(
        '[paper]\ndata = "much speech"\n[tables.1]\ntitle = "Losses"\nnotes = ["A note."]\n'
        'columns = [{ name = "AP", benchmark = "wsj", figure = "ap" }]\n'
        'rows = [{ name = "One", recipe = "one", published = { AP = 75.1 } },\n'
        '        { name = "Two", recipe = "two", published = { AP = 80.0 } }]\n'
        '[scales.small]\nwsj = { benchmark = "wsj-protocol" }\n[scales.paper]\nwsj = { benchmark = "wsj" }\n'
    )
    return tmp_path


def record(tables, recipe, seed, ap, trials="a" * 64, scale="small", date="2026-11-25"):
    return Record(
        scale=scale,
        recipe=recipe,
        seed=seed,
        benchmark="wsj",
        measured_by="wsj-protocol",
        corpus="made",
        figures={"ap": {"value": ap, "low": ap - 0.1, "high": ap + 0.1}},
        counts={"trials": 510, "clips": 10, "speakers": 3},
        trials_sha256=trials,
        steps=3,
        wall_seconds=360.0,
        cpu_seconds=300.0,
        date=date,
        watchword="0",
        recipe_sha256=values_hash(tables.values(recipe, scale)),
        data={"hours": 2.5, "recordings": 40, "speakers": 6, "texts": 30, "corpora": ["made"]},
    )


def add(tables, recipe, seed, ap, **other):
    append_result(tables.results, record(tables, recipe, seed, ap, **other), tables.values(recipe, "small"))


def printed(folder):
    tables = read_tables(folder)
    table = tables.table("1")
    found = find(tables, read_results(tables.results), "small", [row.recipe for row in table.rows])
    return markdown(tables, table, "small", found)


@pytest.mark.parametrize("number", AVERAGE_PRECISION)
def test_published_average_precision_is_the_papers(tables, number):
    rows = tables.table(number).rows
    assert {row.recipe: row.published for row in rows} == {
        recipe: {"AP": value} for recipe, value in AVERAGE_PRECISION[number].items()
    }


def test_published_libriphrase_is_the_papers(tables):
    names = ("EER LP_E", "EER LP_H", "AUC LP_E", "AUC LP_H")
    assert {row.recipe: tuple(row.published[name] for name in names) for row in tables.table("4").rows} == LIBRIPHRASE


def test_the_papers_relative_gains_follow_but_for_the_slip(tables):
    published = {row.recipe: row.published["AP"] for n in "123" for row in tables.table(n).rows}

    def gain(recipe):
        return round(100 * (published[recipe] / published["rp"] - 1), 2)

    assert (gain("mal_both"), gain("adml_sf2")) == (14.82, 20.16)
    assert (gain("rp_mal_utt"), gain("rp_asyp_adams")) == (8.40, 13.90)


def test_every_row_has_a_recipe_that_loads_at_every_scale(tables):
    from watchword.train.recipe import load_recipe

    recipes = {row.recipe for table in tables.tables.values() for row in table.rows}
    assert len(recipes) >= 16
    for recipe in recipes:
        for scale in tables.measures:
            assert load_recipe(tables.recipe(recipe), over=tables.scale(scale)).name == recipe


def test_every_column_is_measured_at_every_scale(tables):
    from watchword.evaluate.benchmarks import BENCHMARKS

    for scale, measures in tables.measures.items():
        assert {measure.benchmark for measure in measures.values()} <= set(BENCHMARKS), scale
        for table in tables.tables.values():
            assert {column.benchmark for column in table.columns} <= set(measures), (scale, table.number)


@pytest.mark.parametrize("scale", ["paper", "small"])
@pytest.mark.parametrize("recipe", FAMILIES)
def test_rows_have_the_losses_that_the_paper_says(tables, recipe, scale):
    objective = read_recipe(tables.recipe(recipe), over=tables.scale(scale))["objective"]
    assert {key for key, value in objective.items() if isinstance(value, dict)} == FAMILIES[recipe]
    levels = {"rp_mal_utt": ["utterance"], "mal_phn": ["phoneme"]}.get(recipe, ["phoneme", "utterance"])
    assert objective["adversary_levels"] == levels
    if "phoneme" in objective:
        assert objective["phoneme"]["weight"] == 0.1


def test_rows_are_short():
    for path in (RECIPES / "paper").glob("*.toml"):
        if path.name != "tables.toml":
            lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
            assert len(lines) <= 10, path.name


def test_without_results_the_published_figures_stand_alone(folder):
    text = printed(folder)
    assert "| One | 75.10 | – | 0 |  |  |" in text
    assert "A note." in text
    assert "3 steps of 4 words × 2, learning rate 0.0001 (halving)" in text
    assert "The paper: much speech; 100 steps of 250 words × 2" in text
    assert "`augment.room` 0.1 (0.4)" in text


def test_ours_stand_beside_published_as_mean_and_spread_over_seeds(folder):
    tables = read_tables(folder)
    for seed, ap in ((1, 0.5), (2, 0.54), (3, 0.46)):
        add(tables, "one", seed, ap)
    add(tables, "two", 1, 0.6, date="2026-12-01")
    text = printed(folder)
    assert "| One | 75.10 | 50.00 ± 4.00 | 3 | 0.10 | 2026-11-25 |" in text
    assert "| Two | 80.00 | 60.00 | 1 | 0.10 | 2026-12-01 |" in text
    assert "Trained on 2.5 hours of speech (made): 40 recordings by 6 speakers, 30 words and phrases" in text
    assert "wsj-protocol on made: 510 trials, 10 clips by 3 speakers (list aaaaaaaaaaaa)" in text
    assert "†" not in text
    rows = as_json(tables, tables.table("1"), "small", find(tables, read_results(tables.results), "small", ["one"]))
    assert rows["rows"][0]["ours"] == {"AP": {"by_seed": {"1": 50.0, "2": 54.0, "3": 46.0}}}


def test_a_later_line_of_the_same_seed_replaces_the_earlier(folder):
    tables = read_tables(folder)
    add(tables, "one", 1, 0.5)
    add(tables, "one", 1, 0.7)
    assert "| One | 75.10 | 70.00 | 1 |" in printed(folder)


def test_a_recipe_that_changed_makes_its_results_stale(folder):
    tables = read_tables(folder)
    add(tables, "one", 1, 0.5)
    add(tables, "two", 1, 0.6)
    scale = folder / "paper" / "scale" / "small.toml"
    scale.write_text(scale.read_text() + '[objective.keyword]\nname = "sphereface2"\nmargin = 0.1\n')
    text = printed(folder)
    assert "| One | 75.10 | 50.00 | 1 |" in text
    assert "| Two | 80.00 | 60.00† | 1 |" in text
    assert "† recipe changed since: objective.keyword.margin." in text
    assert find(tables, read_results(tables.results), "small", ["two"])["two", "wsj"].fresh_seeds == set()


def test_fresh_seeds_alone_count_beside_stale_ones(folder):
    tables = read_tables(folder)
    add(tables, "one", 1, 0.5)
    base = folder / "base.toml"
    base.write_text(base.read_text().replace('schedule = "halving"', 'schedule = "cosine"'))
    add(tables, "one", 2, 0.6)
    assert "| One | 75.10 | 60.00 | 1 |" in printed(folder)


def test_results_by_other_trials_are_stale(folder):
    tables = read_tables(folder)
    add(tables, "one", 1, 0.5)
    add(tables, "two", 1, 0.6, trials="b" * 64)
    text = printed(folder)
    assert "| One | 75.10 | 50.00† | 1 |" in text
    assert "† measured by other trials than the newest results." in text
    assert "| Two | 80.00 | 60.00 | 1 |" in text


def test_only_what_a_recipe_itself_says_makes_it_another():
    base = {"train.steps": 5, "train.new": 0, "objective.keyword.name": "triplet", "objective.keyword.margin": 0.5}
    recorded = {"train.steps": 5}
    assert recipe_changes(recorded, {"train.steps": 5, "train.new": 0}, base) == []
    assert recipe_changes(recorded, {"train.steps": 5, "train.new": 1}, base) == ["train.new"]
    assert recipe_changes(recorded, {"train.steps": 6}, base) == ["train.steps"]
    assert recipe_changes(recorded, {}, base) == ["train.steps"]
    with_loss = {"train.steps": 5, "objective.keyword.name": "triplet", "objective.keyword.margin": 0.5}
    assert recipe_changes(recorded, with_loss, base) == ["objective.keyword.margin", "objective.keyword.name"]


def test_a_line_cut_short_is_left_out_and_the_next_result_stands_apart_from_it(folder):
    tables = read_tables(folder)
    add(tables, "one", 1, 0.5)
    with tables.results.open("a") as file:
        file.write('{"scale": "small", "reci')
    assert len(read_results(tables.results).records) == 1
    add(tables, "one", 2, 0.6)
    assert [record.seed for record in read_results(tables.results).records] == [1, 2]
    lines = tables.results.read_text().split("\n")
    tables.results.write_text("\n".join(["not json", *lines]))
    with pytest.raises(TableError, match=r"results\.jsonl, line 1: no result"):
        read_results(tables.results)


def test_results_are_lines_with_each_recipe_once(folder):
    tables = read_tables(folder)
    for seed in (1, 2):
        add(tables, "one", seed, 0.5)
    lines = [json.loads(line) for line in tables.results.read_text().splitlines()]
    assert [sorted(line)[0] for line in lines] == ["recipe", "benchmark", "benchmark"]
    assert lines[0]["values"]["train.steps"] == 3
    assert "seed" not in lines[0]["values"]
    assert "train.threads" not in lines[0]["values"]


def test_ablations_stand_below_the_row_that_they_change(folder):
    (folder / "paper" / "ablation").mkdir()
    for name, extends in (("raw", "../two.toml"), ("wide", "../one.toml"), ("narrow", "../one.toml")):
        text = f'# Tried {name}.\nextends = "{extends}"\nname = "{name}"\n[train]\nsteps = 4\n'
        (folder / "paper" / "ablation" / f"{name}.toml").write_text(text)
    table = read_tables(folder).table("ablations")
    assert [row.recipe for row in table.rows] == ["one", "narrow", "wide", "two", "raw"]
    assert [row.name for row in table.rows][:2] == ["**one**", "narrow: Tried narrow"]


def test_a_folder_without_tables_is_refused_with_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(TableError, match="name a clone's recipes folder"):
        find_recipes(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert (find_recipes(None) / "paper" / "tables.toml").samefile(RECIPES / "paper" / "tables.toml")


def test_unknown_scale_lists_the_known(folder):
    with pytest.raises(TableError, match=r"no scale 'smal'.*small, paper"):
        read_tables(folder).scale("smal")
