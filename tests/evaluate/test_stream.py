"""The streaming evaluation: the same by any number of processes, taken up where it was left, and as a command."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile

from watchword.audio import SAMPLE_RATE
from watchword.cli import main
from watchword.data.segment import write_segments
from watchword.evaluate.sources import BenchmarkError
from watchword.evaluate.stream import hear, sweeps
from watchword.evaluate.stream_audio import Renderer
from watchword.evaluate.stream_plan import plan_speech
from watchword.evaluate.stream_scoring import Found


@dataclass(frozen=True)
class Loudest:
    """A search that finds every keyword where the recording is loudest; so what it heard shows in what it found."""

    fails_after: int = 1000

    def __call__(self, keywords):
        calls = [0]

        def search(audio):
            calls[0] += 1
            if calls[0] > self.fails_after:
                raise KeyboardInterrupt
            place = int(np.argmax(np.abs(audio))) / SAMPLE_RATE
            return [Found(k, float(np.abs(audio).max()), place, place + 0.5, place + 1.0) for k in keywords]

        return search


@pytest.fixture(scope="module")
def plan(spoken_segments):
    plan = plan_speech(spoken_segments, seed=0, hours=0.05, num_keywords=3, least=3)
    assert len(plan.recordings) == 1
    return plan


@pytest.fixture(scope="module")
def render(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    soundfile.write(folder / "n.wav", 0.1 * np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE), SAMPLE_RATE)
    return Renderer(0, folder)


def without_cost(heard):
    return [one._replace(cpu_seconds=0.0) for one in heard]


def test_processes_hear_what_one_hears(plan, render):
    conditions = ("clean", "0 dB", "room")
    alone = hear(plan, conditions, Loudest(), render)
    assert [(one.condition, one.recording) for one in alone] == [(c, "speech 0") for c in conditions]
    assert without_cost(hear(plan, conditions, Loudest(), render, jobs=2)) == without_cost(alone)
    assert {name: sweep.hours for name, sweep in sweeps(plan, alone).items()} == dict.fromkeys(conditions, plan.hours)


def test_an_interrupted_run_goes_on_and_equals_an_unbroken_one(plan, render, tmp_path):
    conditions, keep = ("clean", "10 dB", "room"), tmp_path / "kept.jsonl"
    unbroken = hear(plan, conditions, Loudest(), render)
    with pytest.raises(KeyboardInterrupt):
        hear(plan, conditions, Loudest(fails_after=2), render, keep=keep)
    assert len(keep.read_text().splitlines()) == 2
    keep.write_bytes(keep.read_bytes()[:-7])
    told = []
    resumed = hear(plan, conditions, Loudest(), render, keep=keep, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert without_cost(resumed) == without_cost(unbroken)
    assert hear(plan, conditions, Loudest(fails_after=0), render, keep=keep) == resumed


def test_what_others_found_is_refused(plan, render, tmp_path, spoken_segments):
    keep = tmp_path / "kept.jsonl"
    hear(plan, ("clean",), Loudest(), render, keep=keep)
    other = plan_speech(spoken_segments, seed=1, hours=0.05, num_keywords=3, least=3)
    with pytest.raises(BenchmarkError, match="was made with recordings"):
        hear(other, ("clean",), Loudest(), render, keep=keep)
    keep.write_text("a shopping list\n")
    with pytest.raises(BenchmarkError, match="line 1: not what a search found"):
        hear(plan, ("clean",), Loudest(), render, keep=keep)
    assert keep.read_text() == "a shopping list\n"


def test_the_command_measures_a_bundle(local_bundle, spoken_segments, render, tmp_path, capsys):
    manifest = tmp_path / "made.segments.jsonl"
    write_segments(manifest, spoken_segments)
    out, det = tmp_path / "report.json", tmp_path / "det.png"
    command = ["evaluate", str(local_bundle.path), "-b", "stream", "--data", str(manifest), "--hours", "0.02"]
    command += [
        "--keywords",
        "2",
        "--said",
        "3",
        "--condition",
        "clean",
        "--condition",
        "5 dB",
        "--noise",
        str(render.noise),
    ]
    command += ["--jobs", "1", "--trials", str(tmp_path / "lists"), "--out", str(out), "--det", str(det)]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert "one threshold for all keywords" in shown.out
    assert "left out: spoken commands" in shown.err
    report = json.loads(out.read_text())
    assert [result["corpus"] for result in report["results"]] == ["speech, clean", "speech, 5 dB"]
    for result in report["results"]:
        assert result["hours"] == pytest.approx(0.02, abs=0.005)
        figures = result["figures"]
        assert set(figures) >= {"miss at 0.1 FA/h", "miss at 10 FA/h", "miss at 1 FA/h, own thresholds"}
        assert all(0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1 for figure in figures.values())
        listed = tmp_path / "lists" / result["trials_file"]
        assert result["trials_sha256"][:12] in listed.name
        assert listed.exists()
    assert set(report["stream"]) == {"speech, clean", "speech, 5 dB"}
    assert report["stream"]["speech, clean"]["common"][0]["alarms_per_hour"] == 0.1
    assert det.stat().st_size > 5000
    assert det.with_suffix(".tsv").read_text().startswith("curve\t")
    assert not list((tmp_path / "lists").glob("*.found.jsonl")), "what an interrupted run needs is not left behind"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--condition", "windy"], "no condition 'windy'"),
        (["--condition", "0 dB"], "name a folder of it by --noise"),
        (["--split", "holdout", "--condition", "clean"], "holdout"),
        (["-b", "wsj-protocol"], "stream is measured by itself"),
        (["--keywords", "400", "--condition", "clean"], "ask for fewer"),
    ],
)
def test_wrong_options_are_one_sentence(local_bundle, spoken_segments, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.delenv("WATCHWORD_DATA", raising=False)
    manifest = tmp_path / "made.segments.jsonl"
    write_segments(manifest, spoken_segments)
    assert main(["evaluate", str(local_bundle.path), "-b", "stream", "--data", str(manifest), *options]) == 2
    err = capsys.readouterr().err.strip()
    assert message in err
    assert len(err.splitlines()) == 1
