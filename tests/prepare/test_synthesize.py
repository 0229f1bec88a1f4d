"""Synthesised corpora: resumed equals unbroken, faults of one text and of an engine, the rejection step."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from watchword.audio import read
from watchword.cli import main
from watchword.data.segment import Timed, read_segments
from watchword.prepare import synthesize as synthesize_module
from watchword.prepare.synthesize import SynthesisPlan, clip_choice, gather, synthesize
from watchword.prepare.voices import ENGINES, LICENCES, SpeechError, Spoken, VoiceError

TEXTS = ("lights off", "hey robot", "banana", "forty two", "open sesame")


@pytest.fixture
def engine(monkeypatch):
    """Makes an engine known by a name."""

    def add(name, speak):
        monkeypatch.setitem(ENGINES, name, lambda voice_folder="": speak)
        monkeypatch.setitem(LICENCES, name, "CC0")

    return add


def hum(text, rng):
    return Spoken(0.1 * rng.standard_normal(8000).astype(np.float32), 16000, f"hum:{rng.integers(9)}")


def plan_of(*shares, clips=10, reject_above=None, texts=TEXTS):
    return SynthesisPlan(texts, clips, shares, reject_above=reject_above)


def test_every_text_once_before_any_again():
    plan = plan_of(("flite", 1.0), clips=15)
    laps = [[clip_choice(plan, lap * 5 + place)[0] for place in range(5)] for lap in range(3)]
    assert all(sorted(lap) == sorted(TEXTS) for lap in laps)
    assert laps[0] != laps[1]


def test_engines_have_their_shares():
    plan = plan_of(("flite", 3.0), ("espeak", 1.0))
    counts = Counter(clip_choice(plan, clip)[1] for clip in range(2000))
    assert counts["espeak"] / 2000 == pytest.approx(0.25, abs=0.03)


def test_more_clips_extend_a_corpus_and_keep_what_is_there(tmp_path, engine):
    engine("hum", hum)
    synthesize(plan_of(("hum", 1.0), clips=4), tmp_path, jobs=1)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.opus")}
    synthesize(plan_of(("hum", 1.0), clips=9), tmp_path, jobs=1)
    assert len(list(read_segments(tmp_path / "segments.jsonl"))) == 9
    assert {path: path.stat().st_mtime_ns for path in first} == first
    synthesize(plan_of(("hum", 1.0), clips=2), tmp_path, jobs=1)
    assert len(list(read_segments(tmp_path / "segments.jsonl"))) == 2


def test_what_is_there_can_be_gathered_before_all_is_spoken(tmp_path, engine):
    engine("hum", hum)
    synthesize(plan_of(("hum", 1.0), clips=4), tmp_path, jobs=1)
    (tmp_path / "segments.jsonl").unlink()
    with next((tmp_path / "parts").glob("*.jsonl")).open("a") as part:
        part.write('{"clip": 4, "audio": "clips/00')  # another call is at it
    assert len(list(read_segments(gather(plan_of(("hum", 1.0), clips=9), tmp_path)))) == 4
    with pytest.raises(VoiceError, match="another plan"):
        gather(plan_of(("hum", 1.0), texts=("other",)), tmp_path)


def test_clips_of_several_texts_extend_to_the_same(tmp_path, engine):
    engine("hum", hum)
    plan = SynthesisPlan(TEXTS, 30, (("hum", 1.0),), reject_above=None, carriers=("say {}", "{} or {}"))
    synthesize(SynthesisPlan(**{**plan.__dict__, "clips": 7}), tmp_path / "one", jobs=1)
    whole, grown = (synthesize(plan, tmp_path / name, jobs=1) for name in ("two", "one"))
    assert whole.read_bytes() == grown.read_bytes()
    with pytest.raises(VoiceError, match=r"another plan \(its carriers"):
        synthesize(SynthesisPlan(**{**plan.__dict__, "carriers": ("say {}", "{} and {}")}), tmp_path / "one", jobs=1)
    with pytest.raises(VoiceError, match="synthesize: no carrier has 2 of the places"):
        synthesize(SynthesisPlan(**{**plan.__dict__, "carriers": ("say {}",)}), tmp_path / "three", jobs=1)


def test_times_move_with_what_is_trimmed_away(tmp_path, engine):
    """A voice that says where its two bursts are: the manifest has them where they are in the clip."""
    places = ((1.0, 1.3), (1.5, 2.1))

    def bursts(text, rng):
        samples = 1e-4 * rng.standard_normal(72000).astype(np.float32)
        for start, end in places:
            samples[int(start * 24000) : int(end * 24000)] *= 3000
        words = tuple(Timed(word, *span) for word, span in zip(("lights", "off"), places, strict=True))
        phones = (Timed("SIL", 0.0, 1.0), Timed("L", 1.0, 1.3), Timed("SIL", 1.3, 1.5), Timed("AO1", 1.5, 2.1),
                  Timed("SIL", 2.1, 3.0))  # fmt: skip
        return Spoken(samples, 24000, "bursts", words, phones)

    engine("bursts", bursts)
    manifest = synthesize(plan_of(("bursts", 1.0), clips=3, texts=("lights off",)), tmp_path, jobs=1)
    for segment in read_segments(manifest):
        samples = read(segment.audio)
        assert [word.text for word in segment.words] == ["lights", "off"]
        assert [phone.text for phone in segment.phones] == ["SIL", "L", "SIL", "AO1", "SIL"]
        assert segment.phones[0].start_seconds == 0
        assert segment.phones[-1].end_seconds == pytest.approx(segment.end_seconds, abs=1e-3)
        assert segment.end_seconds == pytest.approx(1.1 + 2 * 0.08, abs=0.03)
        for word in segment.words:
            start, end = (round(at * 16000) for at in word.span)
            inside, before = samples[start + 80 : end - 80], samples[max(start - 480, 0) : start - 160]
            assert np.abs(inside).mean() > 100 * np.abs(before).mean()


def test_the_recogniser_is_asked_about_a_share(tmp_path, engine, monkeypatch):
    engine("hum", hum)
    asked = []
    monkeypatch.setattr(synthesize_module, "hama_listener", lambda: lambda samples: asked.append(1) or [])
    for share, low, high in ((0.0, 0, 0), (0.5, 20, 40), (1.0, 60, 60)):
        asked.clear()
        plan = SynthesisPlan(TEXTS, 60, (("hum", 1.0),), check_share=share)
        kept = list(read_segments(synthesize(plan, tmp_path / str(share), jobs=1)))
        assert low <= len(asked) <= high
        assert len(kept) == 60 - len(asked)  # it hears nothing, and so refuses whatever it is asked about


def test_another_plan_is_refused_but_voices_may_move(tmp_path, engine):
    engine("hum", hum)
    plan = plan_of(("hum", 1.0), clips=2)
    synthesize(plan, tmp_path, jobs=1)
    synthesize(SynthesisPlan(**{**plan.__dict__, "voice_folder": "/elsewhere"}), tmp_path, jobs=1)
    for changed in ({"seed": 2}, {"texts": ("other", *TEXTS[1:])}, {"reject_above": 0.3}):
        with pytest.raises(VoiceError, match=f"another plan .its {next(iter(changed))}"):
            synthesize(SynthesisPlan(**{**plan.__dict__, **changed}), tmp_path, jobs=1)


def test_a_plan_stated_before_texts_were_hashed_goes_on(tmp_path, engine):
    engine("hum", hum)
    plan = plan_of(("hum", 1.0), clips=2)
    synthesize(plan, tmp_path, jobs=1)
    stated = json.loads((tmp_path / "plan.json").read_text())
    del stated["texts_sha256"]
    (tmp_path / "plan.json").write_text(json.dumps(stated | {"voice_folder": "/voices"}))
    synthesize(plan, tmp_path, jobs=1)
    assert json.loads((tmp_path / "plan.json").read_text())["texts_sha256"]


def test_an_engine_that_fails_on_one_text_loses_that_clip_alone(tmp_path, engine):
    def choosy(text, rng):
        if text == "banana":
            raise SpeechError("no fruit")
        return hum(text, rng)

    engine("choosy", choosy)
    synthesize(plan_of(("choosy", 1.0), clips=10), tmp_path, jobs=1)
    assert Counter(s.text for s in read_segments(tmp_path / "segments.jsonl")) == {t: 2 for t in TEXTS if t != "banana"}
    rejected = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert [record["rejected"] for record in rejected] == ["not spoken: no fruit"] * 2
    engine("choosy", hum)  # whatever was wrong has passed
    synthesize(plan_of(("choosy", 1.0), clips=10), tmp_path, jobs=1)
    assert len(list(read_segments(tmp_path / "segments.jsonl"))) == 10


def test_an_engine_that_never_speaks_ends_everything(tmp_path, engine):
    def mute(text, rng):
        raise SpeechError("no voice today")

    engine("mute", mute)
    with pytest.raises(VoiceError, match="mute spoke none of its first 10 texts; not spoken: no voice today"):
        synthesize(plan_of(("mute", 1.0), clips=50), tmp_path, jobs=1)


def test_silence_and_unspeakable_text_are_rejected(tmp_path, engine):
    engine("silent", lambda text, rng: Spoken(np.zeros(8000, np.float32), 16000, "silent"))
    engine("empty", lambda text, rng: Spoken(np.zeros(0, np.float32), 16000, "empty"))
    synthesize(plan_of(("silent", 0.5), ("empty", 0.5), clips=8, texts=("hello", "☃")), tmp_path, jobs=1)
    assert list(read_segments(tmp_path / "segments.jsonl")) == []
    reasons = {json.loads(line)["rejected"][:13] for line in (tmp_path / "rejected.jsonl").read_text().splitlines()}
    assert reasons == {"nothing was s", "not speakable"}


def test_the_rejection_step_drops_a_clip_of_another_text(tmp_path, engine, fast_engine):
    """One voice reads what it is given, the other always says something else."""
    speak = ENGINES[fast_engine]("")
    engine("honest", speak)
    engine("liar", lambda text, rng: speak("constitutional amendments", rng))
    plan = plan_of(("honest", 0.5), ("liar", 0.5), clips=12, reject_above=0.5)
    synthesize(plan, tmp_path, jobs=1)
    kept = Counter(segment.corpus for segment in read_segments(tmp_path / "segments.jsonl"))
    drawn = Counter(clip_choice(plan, clip)[1] for clip in range(12))
    assert min(drawn.values()) >= 4
    assert kept["synthesis:liar"] == 0
    assert kept["synthesis:honest"] >= 0.7 * drawn["honest"]


def test_a_missing_engine_is_told_at_once(tmp_path, monkeypatch, capsys):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS))
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["prepare", "synthesize", str(texts), "--out", str(tmp_path / "out"), "--no-reject", "--engine"]
    assert main([*arguments, "flite"]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("speaking: ")]
    assert told == ["voices: flite is not installed; apt-get install flite"]
    assert not list(tmp_path.rglob("*.opus"))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--engine", "siri"], "no engine 'siri'; there are kokoro, kokoro_accented, piper, flite"),
        (["--engine", "flite:much"], "'flite:much' is not NAME or NAME:SHARE"),
        (["--engine", "kokoro", "--no-reject"], "no English Kokoro voices|kokoro-onnx"),
    ],
)
def test_wrong_arguments(tmp_path, capsys, arguments, complaint):
    texts = tmp_path / "texts.txt"
    texts.write_text("hello\n")
    assert main(["prepare", "synthesize", str(texts), "--out", str(tmp_path / "out"), *arguments]) == 2
    told = capsys.readouterr().err
    assert any(part in told for part in complaint.split("|"))


def test_an_unspeakable_text_is_named_by_line(tmp_path, capsys):
    texts = tmp_path / "texts.txt"
    texts.write_text("hello\n\n☃\n")
    assert main(["prepare", "synthesize", str(texts), "--out", str(tmp_path / "out")]) == 2
    assert f"{texts}, line 3: " in capsys.readouterr().err


def test_an_empty_file_of_carriers(tmp_path, capsys):
    texts, carriers = tmp_path / "texts.txt", tmp_path / "carriers.txt"
    texts.write_text("hello\n")
    carriers.write_text("\n")
    arguments = ["prepare", "synthesize", str(texts), "--out", str(tmp_path / "out"), "--carriers", str(carriers)]
    assert main(arguments) == 2
    assert f"{carriers}: is empty; give sentences with {{}}" in capsys.readouterr().err


def test_a_clip_says_as_many_utterances_as_the_plan_asks_for():
    alone = SynthesisPlan(TEXTS, 12, (("flite", 1.0),), carriers=("turn the {} up", "both {} and {}"))
    together = replace(alone, clips=4, utterances=3)
    each = [clip_choice(alone, clip)[0] for clip in range(12)]
    assert [clip_choice(together, clip)[0] for clip in range(4)] == [", ".join(each[n : n + 3]) for n in (0, 3, 6, 9)]


@pytest.fixture
def fast_engine():
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed")
    return "flite"


def command(texts, out, clips, jobs=1):
    """Speaks with flite alone, whose clips follow exactly from the plan."""
    given = [
        str(texts),
        "--out",
        str(out),
        "--clips",
        str(clips),
        "--engine",
        "flite",
        "--no-reject",
        "--jobs",
        str(jobs),
    ]
    return [sys.executable, "-m", "watchword", "prepare", "synthesize", *given]


def finished(folder):
    return sum(part.read_bytes().count(b"\n") for part in (folder / "parts").glob("*.jsonl"))


def test_killed_and_resumed_equals_unbroken(tmp_path, fast_engine):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS))
    clips, whole, out = 16, tmp_path / "whole", tmp_path / "out"
    subprocess.run(command(texts, whole, clips), check=True, capture_output=True)
    process = subprocess.Popen(command(texts, out, clips), stderr=subprocess.DEVNULL, start_new_session=True)
    while finished(out) < 3:
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    spoken = finished(out)
    assert spoken < clips
    assert not (out / "segments.jsonl").exists()
    subprocess.run(command(texts, out, clips), check=True, capture_output=True)
    assert finished(out) == clips  # none was spoken twice
    assert (out / "segments.jsonl").read_bytes() == (whole / "segments.jsonl").read_bytes()
    for mine, theirs in zip(
        read_segments(out / "segments.jsonl"), read_segments(whole / "segments.jsonl"), strict=True
    ):
        assert np.array_equal(read(mine.audio), read(theirs.audio))


def children_of(parent):
    """Yields the number and the command line of each child process."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"PPid:\t{parent}\n" in (folder / "status").read_text():
                yield int(folder.name), (folder / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue


def test_a_killed_worker_ends_the_call_with_one_sentence(tmp_path, fast_engine):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS))
    process = subprocess.Popen(command(texts, tmp_path / "out", 5000, jobs=2), stderr=subprocess.PIPE, text=True)
    while finished(tmp_path / "out") < 4:
        assert process.poll() is None
        time.sleep(0.01)
    victim = next(child for child in children_of(process.pid) if "--multiprocessing-fork" in child[1])[0]
    os.kill(victim, signal.SIGKILL)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert told.splitlines()[-1].startswith("synthesize: a worker process was killed (exit status -9")


def test_a_full_disk_while_speaking(tmp_path, engine):
    """No clip that was written in part is taken for whole, and the next call with room speaks what is missing."""
    engine("hum", hum)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            synthesize(plan_of(("hum", 1.0)), tmp_path, jobs=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.rglob("*.opus"))
    assert not (tmp_path / "segments.jsonl").exists()
    synthesize(plan_of(("hum", 1.0)), tmp_path, jobs=1)
    segments = list(read_segments(tmp_path / "segments.jsonl"))
    assert len(segments) == 10
    assert all(len(read(segment.audio)) == pytest.approx(8000, abs=400) for segment in segments)
    assert not list(tmp_path.rglob("*.tmp"))
