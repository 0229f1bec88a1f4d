"""The command `watchword table`: it prints without torch, and runs, stops and goes on with what is finished kept."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from watchword.cli import main
from watchword.data.segment import Segment, Timed, write_segments
from watchword.evaluate.table_results import read_results

RECIPES = Path(__file__).parents[2] / "recipes"
TABLES = """
[paper]
data = "much speech"
[tables.1]
title = "Two losses"
columns = [{ name = "AUC", benchmark = "phrases", figure = "easy_auc" }]
rows = [
  { name = "RP loss", recipe = "rp", published = { AUC = 75.10 } },
  { name = "RP + clat", recipe = "rp_clat", published = { AUC = 83.59 } },
]
[scales.tiny]
phrases = { benchmark = "libriphrase-style", corpus = "tones", size = 40 }
"""
SCALE = """
[model.acoustic]
channels = 16
scale = 4
squeeze = 8
dim = 16
attention = 8
[model.textual]
embedding = 16
hidden_per_direction = 8
dim = 16
[data]
store = "STORE"
noise = false
[batch]
classes = 4
[objective.relational]
vertices = 8
ends = 8
[train]
steps = STEPS
learning_rate = 1e-3
warmup_steps = 2
checkpoint_every = 4
log_every = 1
threads = 1
"""
STEPS = 14


@pytest.fixture(scope="module")
def spoken(tone_store, tmp_path_factory):
    """A manifest of the tones: every second utterance of the split test."""
    segments = []
    for number in range(len(tone_store.utterances)):
        said = [item for item in tone_store.items if item["utterance"] == number and item["num_words"] == 1]
        words = [(tone_store.texts[item["label"]], item["start"] / 16000, item["end"] / 16000) for item in said]
        timed = tuple(Timed(text, float(start), float(end)) for text, start, end in sorted(words, key=lambda w: w[1]))
        audio, text = str(tone_store.folder.parent / f"{number}.wav"), " ".join(word.text for word in timed)
        end = timed[-1].end_seconds
        segments.append(Segment(audio, text, 0.0, end, f"s{number}", "tones", ("test", "train")[number % 2], "", timed))
    path = tmp_path_factory.mktemp("manifests") / "tones.segments.jsonl"
    write_segments(path, segments)
    return path


@pytest.fixture
def recipes(tone_store, tmp_path, monkeypatch):
    """The project's own recipes, with a table of two rows at a scale of a few steps."""
    monkeypatch.setenv("WATCHWORD_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "recipes"
    shutil.copytree(RECIPES, folder)
    (folder / "paper" / "results.jsonl").unlink(missing_ok=True)
    (folder / "paper" / "tables.toml").write_text(TABLES)
    scale = SCALE.replace("STORE", str(tone_store.folder)).replace("STEPS", str(STEPS))
    (folder / "paper" / "scale" / "tiny.toml").write_text(scale)
    return folder


def table(recipes, *options):
    return main(["table", "1", "--scale", "tiny", "--recipes", str(recipes), *map(str, options)])


def log(run):
    lines = (run / "log.jsonl").read_text().splitlines() if (run / "log.jsonl").exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def interrupt_at(run, step, stopped):
    """Sends SIGINT to this process when a run has logged a step."""
    while not stopped.is_set():
        if any(record.get("step", 0) >= step and "of" in record for record in log(run)):
            os.kill(os.getpid(), signal.SIGINT)
            return
        time.sleep(0.005)


def test_two_rows_are_run_stopped_and_finished_and_nothing_is_done_twice(recipes, spoken, tmp_path, capsys):
    runs = tmp_path / "work" / "runs" / "tables" / "tiny"
    options = ("--run", "--seeds", 1, "--data", spoken)
    stopped = threading.Event()
    watcher = threading.Thread(target=interrupt_at, args=(runs / "rp_clat-seed1", 3, stopped))
    watcher.start()
    try:
        assert table(recipes, *options) == 130
    finally:
        stopped.set()
        watcher.join()
    assert "stopped; run the same command again to go on" in capsys.readouterr().err
    results = recipes / "paper" / "results.jsonl"
    (first,) = read_results(results).records
    assert (first.recipe, first.seed, first.steps, first.corpus) == ("rp", 1, STEPS, "tones")
    trained = (runs / "rp-seed1" / "log.jsonl").read_bytes()

    assert table(recipes, *options) == 0
    out, err = capsys.readouterr()
    assert "rp, seed 1" not in err
    assert any("going on from step" in record.get("note", "") for record in log(runs / "rp_clat-seed1"))
    assert [record["step"] for record in log(runs / "rp_clat-seed1") if "of" in record] == list(range(1, STEPS + 1))
    assert (runs / "rp-seed1" / "log.jsonl").read_bytes() == trained
    records = read_results(results).records
    assert [record.recipe for record in records] == ["rp", "rp_clat"]
    assert records[0] == first
    for record, published in zip(records, ("75.10", "83.59"), strict=True):
        assert f"| {published} | {100 * (record.figures['easy_auc']['value'] or 0):.2f} | 1 |" in out

    before = results.read_bytes()
    assert table(recipes, *options) == 0
    assert table(recipes, *options, "--seeds", 2, "--no-train") == 0
    assert f"rp, seed 2: not trained to its end in {runs / 'rp-seed2'}" in capsys.readouterr().err
    assert not (runs / "rp-seed2").exists()
    assert results.read_bytes() == before

    recipe = recipes / "paper" / "rp_clat.toml"
    recipe.write_text(recipe.read_text().replace("temperature = 0.07", "temperature = 0.2"))
    capsys.readouterr()
    assert table(recipes) == 0
    assert "† recipe changed since: objective.phoneme.temperature." in capsys.readouterr().out
    assert table(recipes, *options) == 0
    out, err = capsys.readouterr()
    assert "set aside as rp_clat-seed1.old1" in err
    assert (runs / "rp_clat-seed1.old1" / "log.jsonl").exists()
    assert "†" not in out
    assert [record.recipe for record in read_results(results).records] == ["rp", "rp_clat", "rp_clat"]


def test_a_row_that_another_process_holds_is_left_to_it(recipes, spoken, tmp_path, capsys):
    fcntl = pytest.importorskip("fcntl")
    runs = tmp_path / "work" / "runs" / "tables" / "tiny"
    runs.mkdir(parents=True)
    with (runs / "rp-seed1.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert table(recipes, "--run", "--seeds", 1, "--rows", "rp", "--data", spoken) == 0
    assert "rp, seed 1: left to the process that is at it" in capsys.readouterr().err
    assert not (runs / "rp-seed1").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["table"], "name one table, 1 to 4, or --ablations"),
        (["table", "1", "--ablations"], "name one table, 1 to 4, or --ablations"),
        (["table", "7"], "no table '7'; there are 1, 2, 3, 4"),
        (["table", "1", "--scale", "huge"], "no scale 'huge'"),
        (["table", "1", "--recipes", "nowhere"], "no paper/tables.toml in nowhere; name a clone's recipes folder"),
        (["table", "1", "--run", "--rows", "cmcd"], "no row 'cmcd'; the rows' recipes are rp, rp_proxy_bd"),
    ],
)
def test_mistakes_get_one_sentence(arguments, sentence, capsys, monkeypatch):
    monkeypatch.chdir(RECIPES.parent)
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert len(err.strip().splitlines()) == 1


def test_data_of_another_corpus_is_refused_before_anything_is_trained(recipes, spoken, tmp_path, capsys):
    other = spoken.with_name("else.segments.jsonl")
    other.write_bytes(spoken.read_bytes())
    assert table(recipes, "--run", "--data", other) == 2
    assert "phrases is measured on tones, and there is only else" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_printing_needs_neither_torch_nor_scikit_learn():
    program = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {"torch", "sklearn", "scipy", "onnxruntime"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from watchword.cli import main
sys.exit(main(["table", "1"]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=RECIPES.parent
    )
    assert ended.returncode == 0, ended.stderr
    assert "| RP loss | 75.10 |" in ended.stdout
