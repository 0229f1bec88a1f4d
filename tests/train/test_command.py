"""`watchword train` and what it says: one sentence and status 2 for each mistake, and the way on for a finished run."""

import json
from pathlib import Path

import pytest

from watchword.cli import main
from watchword.cli.training import in_words, training_report
from watchword.train.material import prepare_material
from watchword.train.recipe import Recipe, RecipeError, load_recipe


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train.epoch=3"], "train: unknown key 'epoch'; known are"),
        (["train.step=3"], "train: unknown key 'step'; did you mean 'steps'?"),
        (["objective.keyword.margn=1"], "objective.keyword: unknown key 'margn'; did you mean 'margin'?"),
        (["objective.keyword.name=sphreface2"], "'sphreface2'; did you mean 'sphereface2'?"),
        (["objective.phoneme.adaptive=boxd"], "boxd"),
        (["data.store=nowhere"], "nowhere: no whole store here"),
        (["data.validation=nowhere.jsonl", "train.steps=1"], "nowhere.jsonl: cannot be read"),
        (["data.synthesis={texts=['yes'], clips=1, engines={pipr=1}}", "data.store=nowhere"], "no engine 'pipr'"),
        (["train.init_from=nowhere.pt"], "nowhere.pt: no such checkpoint"),
    ],
)
def test_a_mistake_gets_one_sentence_and_status_2(
    arguments: list[str],
    sentence: str,
    small_recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WATCHWORD_WORK", str(tmp_path))
    assert main(["train", str(small_recipe), *arguments, "--run", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert sentence in said
    assert said.startswith("train: ")


def test_a_run_lies_below_the_work_folder_and_is_finished_once(
    small_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WATCHWORD_WORK", str(tmp_path))
    for _ in range(2):
        assert main(["train", str(small_recipe), "train.steps=2"]) == 0
        assert f"watchword export {tmp_path / 'runs' / 'small'} BUNDLE" in capsys.readouterr().out
    run = tmp_path / "runs" / "small"
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if "of" in record] == [1, 2]
    stated = Recipe.model_validate_json((run / "recipe.json").read_text())
    assert stated == load_recipe(small_recipe, ["train.steps=2"])
    assert main(["train", str(small_recipe), "train.steps=3"]) == 2
    assert "holds a run of another recipe" in capsys.readouterr().err


def test_lines_off_a_terminal_are_few(small_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with training_report(load_recipe(small_recipe), tmp_path) as report:
        report({"step": 0, "note": "going on from step 0"})
        for step in range(1, 13):
            report({"step": step, "of": 12, "keyword": 1.5, "norm": 2.0, "learning_rate": 0.001})
            if step == 6:
                report({"step": 6, "validation": {"ap": 0.5}})
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "going on from step 0",
        "step 1 of 12: keyword 1.5, learning rate 0.001",
        "step 6: validation ap 0.5",
        "step 12 of 12: keyword 1.5, learning rate 0.001",
    ]
    assert in_words({"step": 6, "validation": {"ap": 0.5}}) == said[2]


def test_clips_spoken_for_other_settings_are_not_taken(small_recipe: Path, tmp_path: Path) -> None:
    def recipe(text: str) -> Recipe:
        spoken = f"data.synthesis={{texts=['{text}'], clips=1, engines={{espeak=1}}}}"
        return load_recipe(small_recipe, [f"data.store={tmp_path / 'store'}", spoken])

    mark = tmp_path / "store.spoken" / "synthesis.json"
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "index.json").write_text("{}")  # a store that is there is not made again
    assert not prepare_material(recipe("yes"), lambda title: pytest.fail(title))
    assert json.loads(mark.read_text())["texts"] == ["yes"]
    with pytest.raises(RecipeError, match="spoken for other settings"):
        prepare_material(recipe("no"), lambda title: pytest.fail(title))
