"""The command `watchword evaluate`: a whole run with a stand-in scorer, and one sentence for whatever is missing."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from watchword.cli.evaluate import evaluate
from watchword.data.segment import write_segments

APP = typer.Typer()
APP.command()(evaluate)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    for name in ("WATCHWORD_DATA", "WATCHWORD_WORK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A folder that passes for a bundle; clips are scored by their loudness, texts by their length."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "card.json").write_text('{"format": 1, "name": "stand-in"}')

    def scorer(clips, texts):
        return np.array([[clip.std() * len(text) for text in texts] for clip in clips])

    monkeypatch.setattr("watchword.evaluate.through_runtime.load_scorer", lambda path, aligned: (path, scorer))
    return folder


def run(*arguments):
    return CliRunner().invoke(APP, [str(argument) for argument in arguments])


def refused(result, message):
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_benchmarks_on_a_manifest(bundle, spoken_segments, tmp_path):
    manifest = tmp_path / "made.segments.jsonl"
    write_segments(manifest, spoken_segments)
    options = ("--data", tmp_path, "--size", 40, "--resamples", 20)
    result = run(bundle, "-b", "libriphrase-style", *options, "--out", tmp_path / "report.json")
    assert result.exit_code == 0, result.stderr
    assert "hard_eer" in result.stdout
    assert "--benchmark libriphrase-style" in result.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    (measured,) = report["results"]
    assert (measured["corpus"], measured["counts"]["speakers"]) == ("made", 4)
    assert "metrics" not in json.loads((bundle / "card.json").read_text())
    (written,) = (tmp_path / "cache" / "watchword" / "trials").iterdir()
    assert written.name == measured["trials_file"]
    assert measured["trials_sha256"][:12] in written.name


def test_trials_folder_of_ones_own_and_the_same_list_again(bundle, spoken_segments, tmp_path):
    manifest = tmp_path / "made.segments.jsonl"
    write_segments(manifest, spoken_segments)
    for name in ("one", "two"):
        card = ("--card",) if name == "two" else ()
        options = ("--data", manifest, "--size", 8, "--resamples", 5, "--trials", tmp_path / "lists")
        assert run(bundle, "-b", "libriphrase-style", *options, *card, "--out", tmp_path / name).exit_code == 0
    one, two = (json.loads((tmp_path / name).read_text())["results"][0] for name in ("one", "two"))
    assert one["trials_sha256"] == two["trials_sha256"]
    assert one["figures"] == two["figures"]
    on_card = json.loads((bundle / "card.json").read_text())["metrics"]["libriphrase-style/made"]
    assert on_card["figures"] == two["figures"]
    assert len(list((tmp_path / "lists").iterdir())) == 1


def test_all_leaves_out_what_has_no_data(bundle, spoken_segments, tmp_path, monkeypatch):
    folder = tmp_path / "speech_commands_v2_test"
    folder.mkdir()
    rows = [
        f"{segment.audio}\t{text}\t{segment.speaker}\t0.5"
        for segment, text in zip(spoken_segments[:2], ["yes", "no"], strict=True)
    ]
    (folder / "manifest.tsv").write_text("\n".join(["path\ttext\tspeaker\tseconds", *rows]) + "\n")
    monkeypatch.setenv("WATCHWORD_DATA", str(tmp_path))
    result = run(bundle, "--resamples", 5)
    assert result.exit_code == 0, result.stderr
    assert "top1" in result.stdout
    assert "left out: wsj-protocol: no data found" in result.stderr


def test_missing_data_says_what_is_needed(bundle):
    refused(run(bundle, "-b", "speech-commands"), "set WATCHWORD_DATA to the folder above speech_commands_v2_test")
    refused(run(bundle, "-b", "wsj-protocol"), "run `watchword prepare align` first")
    refused(run(bundle), "no data found (neither WATCHWORD_DATA nor --data is set)")


def test_missing_manifest_is_named(bundle, tmp_path):
    refused(run(bundle, "-b", "wsj-protocol", "--data", tmp_path / "none.jsonl"), "none.jsonl: cannot be read")


def test_manifest_without_word_times_is_sent_to_align(bundle, tmp_path):
    manifest = tmp_path / "bare.jsonl"
    manifest.write_text('{"audio": "a.wav", "text": "a", "split": "test"}\n')
    refused(run(bundle, "-b", "wsj-protocol", "--data", manifest), "no word times in split 'test'")


def test_line_that_is_not_json_is_named_by_number(bundle, tmp_path):
    manifest = tmp_path / "bad.jsonl"
    manifest.write_text('{"audio": "a.wav", "text": "a"}\nnot json\n')
    refused(run(bundle, "-b", "wsj-protocol", "--data", manifest), "line 2")


def test_unknown_benchmark_lists_the_known(bundle):
    refused(run(bundle, "-b", "wsjay"), "no benchmark 'wsjay'; choose all or one of wsj-protocol")
