"""The aligner on speech whose times are known; interruption, and what is kept of it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from watchword.audio import SAMPLE_RATE, write
from watchword.bundle import Bundle
from watchword.cli import main
from watchword.data.segment import Segment, Timed, read_segments, write_segments
from watchword.prepare.align import ALIGNER, Aligner, align_segments
from watchword.prepare.model_aligner import ModelAligner

SENTENCES = (
    "please turn on the kitchen lights",
    "the weather tomorrow will be cold and windy",
    "call my mother before dinner",
    "open the window and close the door",
)


@pytest.fixture(scope="module")
def aligner():
    return Aligner()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, flite):
    """Four sentences as segments of wav files."""
    folder = tmp_path_factory.mktemp("sentences")
    segments = []
    for number, text in enumerate(SENTENCES):
        samples, _ = flite(text, folder / "spoken.wav")
        write(folder / f"{number}.wav", samples)
        segments.append(Segment(str(folder / f"{number}.wav"), text, 0.0, -1.0, "slt", "made"))
    return segments


@pytest.mark.parametrize("open_aligner", [Aligner, lambda: ModelAligner(Bundle.load())], ids=["sphinx", "bundle"])
def test_words_start_where_they_were_put(open_aligner, words_apart):
    aligner = open_aligner()
    samples, truth = words_apart("mountain computer seven telephone banana")
    found = aligner.align(samples, "mountain computer seven telephone banana")
    assert not isinstance(found, str), found
    assert [word.text for word in found.words] == [word.text for word in truth]
    assert max(abs(w.start_seconds - t.start_seconds) for w, t in zip(found.words, truth, strict=True)) < 0.08
    assert max(abs(w.end_seconds - t.end_seconds) for w, t in zip(found.words, truth, strict=True)) < 0.15


@pytest.mark.parametrize("text", SENTENCES)
def test_phones_agree_with_the_voice_that_spoke(aligner, flite, tmp_path, text):
    """flite states the phones that it spoke: each word's first one starts near the aligned word."""
    samples, spoken = flite(text, tmp_path / "spoken.wav")
    found = aligner.align(samples, text)
    assert not isinstance(found, str), found
    assert [word.text for word in found.words] == text.split()
    assert found.words[0].start_seconds >= 0
    assert found.words[-1].end_seconds <= len(samples) / SAMPLE_RATE
    assert all(a.end_seconds <= b.start_seconds for a, b in zip(found.words, found.words[1:], strict=False))
    starts = np.array([phone.start_seconds for phone in spoken])
    off = [np.abs(starts - word.start_seconds).min() for word in found.words]
    assert np.mean(off) < 0.03
    assert max(off) < 0.08


def test_phones_fill_their_words_and_carry_stress(aligner, flite, tmp_path):
    samples, _ = flite("banana telephone", tmp_path / "spoken.wav")
    found = aligner.align(samples, "banana telephone")
    assert not isinstance(found, str), found
    inside = [
        [p.text for p in found.phones if word.start_seconds <= p.start_seconds < word.end_seconds and p.text != "SIL"]
        for word in found.words
    ]
    assert inside == [["B", "AH0", "N", "AE1", "N", "AH0"], ["T", "EH1", "L", "AH0", "F", "OW2", "N"]]


def test_words_outside_of_the_dictionary(aligner, words_apart):
    samples, truth = words_apart("brandywine kubernetes")
    found = aligner.align(samples, "Brandywine Kubernetes")
    assert not isinstance(found, str), found
    assert abs(found.words[1].start_seconds - truth[1].start_seconds) < 0.08


def test_another_text_is_rejected(aligner, flite, tmp_path):
    samples, _ = flite("stop", tmp_path / "spoken.wav")
    assert isinstance(aligner.align(samples, "encyclopaedias are extraordinarily complicated documents"), str)
    assert isinstance(aligner.align(np.zeros(SAMPLE_RATE, np.float32)[:400], "stop"), str)


def test_segments_are_placed_in_the_whole_file(tmp_path, flite):
    samples, _ = flite("good morning", tmp_path / "spoken.wav")
    write(tmp_path / "long.wav", np.concatenate([np.zeros(3 * SAMPLE_RATE, np.float32), samples]))
    end = 3 + len(samples) / SAMPLE_RATE
    done = Segment("/nowhere.wav", "done", 0.0, 1.0, words=(Timed("done", 0.1, 0.9),))
    lost = Segment(str(tmp_path / "none.wav"), "lost", 0.0, 1.0)
    segments = [Segment(str(tmp_path / "long.wav"), "good morning", 3.0, end, corpus="c"), done, lost]
    outcomes = align_segments(segments, tmp_path / "out.jsonl", jobs=1)
    assert outcomes == {"c: aligned": 1, ": already aligned": 1, ": rejected": 1}
    aligned, passed = read_segments(tmp_path / "out.jsonl")
    assert 3.0 <= aligned.words[0].start_seconds < aligned.words[1].end_seconds <= end + 0.01
    assert passed == done
    assert (tmp_path / "out.jsonl.rejected.tsv").read_text().split("\t")[:2] == [lost.audio, "lost"]


def test_rejections_of_an_older_aligner_are_tried_again(tmp_path, corpus):
    parts = tmp_path / "out.jsonl.parts"
    parts.mkdir()
    key = f"{corpus[0].audio}|0.000|{corpus[0].text}"
    (parts / "1-0.jsonl").write_text(json.dumps({"key": key, "rejected": "does not align"}) + "\n")
    kept = {"key": f"{corpus[1].audio}|0.000|{corpus[1].text}", "rejected": "by hand", "aligner": ALIGNER}
    (parts / "1-1.jsonl").write_text(json.dumps(kept) + "\n")
    assert align_segments(corpus[:2], tmp_path / "out.jsonl", jobs=1) == {"made: aligned": 1, "made: rejected": 1}


def test_a_killed_call_goes_on_where_it_stopped(tmp_path, corpus):
    write_segments(tmp_path / "in.jsonl", corpus)
    whole = tmp_path / "whole.jsonl"
    assert main(["prepare", "align", str(tmp_path / "in.jsonl"), "--out", str(whole), "--jobs", "1"]) == 0
    out = tmp_path / "out.jsonl"
    words = [sys.executable, "-m", "watchword", "prepare", "align", str(tmp_path / "in.jsonl"), "--out", str(out)]
    process = subprocess.Popen([*words, "--jobs", "1"], stderr=subprocess.DEVNULL, start_new_session=True)
    parts = tmp_path / "out.jsonl.parts"
    while not any(part.stat().st_size for part in parts.glob("*.jsonl")):
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    (part,) = parts.glob("*.jsonl")
    kept = part.read_bytes()
    with part.open("ab") as file:
        file.write(b'{"key": "cut sho')  # as a kill may leave it
    outcomes = align_segments(read_segments(tmp_path / "in.jsonl"), out, jobs=1)
    assert outcomes == {"made: aligned": 4}
    assert out.read_bytes() == whole.read_bytes()
    lines = [line for path in parts.glob("*.jsonl") for line in path.read_bytes().splitlines(keepends=True)]
    assert part.read_bytes().startswith(kept)
    assert len(lines) == 4 + 1  # each segment once, and the line cut short


def test_folders_and_faults_on_the_command_line(tmp_path, flite, capsys):
    folder = tmp_path / "c"
    folder.mkdir()
    samples, _ = flite("good morning", tmp_path / "spoken.wav")
    write(folder / "a.wav", samples)
    seconds = len(samples) / SAMPLE_RATE
    table = f"path\ttext\tspeaker\tseconds\tcorpus\tsplit\nc/a.wav\tgood morning\tslt\t{seconds}\tc\ttrain\n"
    (folder / "manifest.tsv").write_text(table)
    out = tmp_path / "out.jsonl"
    assert main(["prepare", "align", str(folder), "--out", str(out), "--licence", "CC0", "--jobs", "1"]) == 0
    assert "c: aligned: 1" in capsys.readouterr().out
    assert next(read_segments(out)).licence == "CC0"
    assert main(["prepare", "align", str(out), "--out", str(out)]) == 2
    assert "both read and written" in capsys.readouterr().err
    assert main(["prepare", "align", str(tmp_path / "none.jsonl"), "--out", str(out)]) == 2
    assert "none.jsonl: cannot be read" in capsys.readouterr().err
