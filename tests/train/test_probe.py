"""The modality probe finds what is there, and nothing where nothing is; `watchword probe` prints it."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from watchword.cli import main
from watchword.data.segment import Segment, Timed, write_segments
from watchword.data.store import Store
from watchword.model.baselines import build_model
from watchword.train.checkpoint import save_checkpoint
from watchword.train.probe import Level, embed_words, probe, spoken_words
from watchword.train.recipe import Recipe, load_recipe
from watchword.train.runs import RunError, load_run
from watchword.train.scoring import embed_clips


def rows(seed: int, count: int = 400, dim: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dim))


WORDS = np.arange(400) // 4
SAID = """
quiet river runs under old stone bridge and little children play there with their red kite until evening comes when
mother calls them home for bread soup warm milk then father tells another story about a brave sailor who crossed the
wide ocean alone in winter storm before his ship went down near green islands
"""


def test_modalities_that_a_plane_parts_are_told_apart() -> None:
    away = np.eye(16)[3] * 6
    found = probe("utterance", Level(rows(0) + away, rows(1) - away, WORDS))
    assert found.accuracy > 0.99
    assert found.accuracy - 0.02 < found.low <= found.accuracy <= found.high <= 1
    assert (found.rows, found.keywords) == (400, 50)


def test_lengths_of_rows_tell_nothing() -> None:
    assert probe("utterance", Level(rows(0), rows(0) * 9, WORDS)).accuracy == 0.5


def test_the_same_rows_on_both_sides_cannot_be_told_apart() -> None:
    assert probe("phoneme", Level(rows(0), rows(0), WORDS)).accuracy == 0.5
    alike = probe("phoneme", Level(rows(0), rows(1), WORDS))
    assert alike.low < 0.5 < alike.high
    assert alike.accuracy == pytest.approx(0.5, abs=0.08)
    assert alike == probe("phoneme", Level(rows(0), rows(1), WORDS))


def test_what_is_learned_of_words_alone_does_not_count() -> None:
    """A row that gives its word away, but not its modality, is told rightly only where that word was fitted to."""
    names = rows(2, count=100, dim=200)
    sides = np.where(np.arange(100) % 2, 1.0, -1.0)[:, None] * names
    assert probe("utterance", Level(sides, -sides, np.arange(100))).accuracy < 0.7


def test_too_few_keywords_are_refused() -> None:
    with pytest.raises(RunError, match="3 keywords with embeddings, and two halves need 4"):
        probe("utterance", Level(rows(0, 6), rows(1, 6), np.arange(6) // 2))


def untrained(recipe: Recipe, run: Path) -> Path:
    run.mkdir(parents=True, exist_ok=True)
    (run / "recipe.json").write_text(recipe.model_dump_json())
    save_checkpoint(run, 7, {"model": build_model(recipe.model).state_dict(), "step": 7})
    return run


def test_the_command_probes_both_levels_of_a_run(
    small_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = untrained(load_recipe(small_recipe), tmp_path / "run")
    assert main(["probe", str(run), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["level"] for line in lines] == ["phoneme", "utterance"]
    for line in lines:
        # Nothing has brought the two together yet.
        assert line["accuracy"] > 0.9
        assert 0 <= line["low"] <= line["accuracy"] <= line["high"] <= 1
        assert line["keywords"] == 5
    assert lines[0]["rows"] > lines[1]["rows"] >= 10
    assert main(["probe", str(run)]) == 0
    said = capsys.readouterr().out
    assert f"{run}: step 7; 50 % is chance" in said
    assert f"{lines[1]['accuracy']:.1%}" in said


@pytest.mark.parametrize(("context", "kind"), [("local", "adml"), ("utterance", "adml"), ("utterance", "cmcd")])
def test_words_are_embedded_as_they_are_scored(context: str, kind: str, small_recipe: Path) -> None:
    recipe = load_recipe(small_recipe, [f"model.acoustic.context={context}", f"model.kind={kind}"])
    words, model = spoken_words(recipe, 20), build_model(recipe.model)
    assert len(words) == 20
    levels = embed_words(model, words)
    assert len(levels["phoneme"].audio) == sum(len(word.phonemes) for word in words)
    assert set(levels) == ({"phoneme", "utterance"} if kind == "adml" else {"phoneme"})
    if kind == "adml":
        by_length = sorted(words, key=lambda word: len(word.audio))
        clips = embed_clips(model, [word.audio for word in by_length])
        np.testing.assert_allclose(levels["utterance"].audio, clips, atol=1e-5)


def test_words_of_held_out_speakers_are_taken_where_the_recipe_names_them(
    small_recipe: Path, tone_store: Store, tmp_path: Path, spoken_validation: Path
) -> None:
    held = load_recipe(small_recipe, [f"data.validation={spoken_validation}"])
    words = spoken_words(held, 1000)
    assert len({word.label for word in words}) > 50
    assert len(words) <= held.data.validation_segments * 2
    few = spoken_words(held, 30)
    assert len(few) == 30
    assert [word.phonemes for word in few] == [word.phonemes for word in spoken_words(held, 30)]
    assert max(word.label for word in spoken_words(load_recipe(small_recipe), 50)) < len(tone_store.texts)


@pytest.fixture
def spoken_validation(tmp_path: Path) -> Path:
    """Sentences of noise by one speaker, with times of 60 different words."""
    said = SAID.split()
    segments = []
    for start in range(0, len(said), 10):
        words = said[start : start + 10]
        path = tmp_path / f"{start}.wav"
        noise = np.random.default_rng(start).standard_normal(len(words) * 6400) * 0.05
        soundfile.write(path, noise, 16_000)
        timed = tuple(Timed(word, 0.4 * place, 0.4 * place + 0.35) for place, word in enumerate(words))
        times = (0.0, 0.4 * len(words))
        segments += [Segment(str(path), " ".join(words), *times, "held out", "noise", words=timed)]
    write_segments(tmp_path / "held.segments.jsonl", segments)
    return tmp_path / "held.segments.jsonl"


def test_what_is_no_run_gets_one_sentence(
    small_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", str(tmp_path / "nowhere")]) == 2
    assert "no run here" in capsys.readouterr().err
    recipe = load_recipe(small_recipe)
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    assert main(["probe", str(tmp_path)]) == 2
    assert "has no checkpoint yet" in capsys.readouterr().err
    run = untrained(recipe, tmp_path / "run")
    assert load_run(run).state["step"] == 7
    (run / "checkpoints" / "00000007.pt").write_bytes(b"PK")
    assert main(["probe", str(run)]) == 2
    said = capsys.readouterr().err
    assert "damaged checkpoint" in said
    assert said.count("\n") == 1
