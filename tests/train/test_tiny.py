"""recipes/tiny.toml, whole: what it trained on is found by `watchword spot` in renderings that it never heard."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from watchword.audio import SAMPLE_RATE, write
from watchword.data.store import trim_silence
from watchword.prepare.voices import ENGINES
from watchword.train.recipe import load_recipe

TINY = Path(__file__).parents[2] / "recipes" / "tiny.toml"
STRANGERS = (
    "window",
    "guitar",
    "seven",
    "breakfast",
    "river",
    "holiday",
    "bicycle",
    "where are you",
    "what time is it",
)
"""Said in the recording beside the trained words, and never trained on."""

THRESHOLD = "0.8"


class Said(NamedTuple):
    """A text and its place in the recording, in seconds."""

    text: str
    start: float
    end: float


def watchword(folder: Path, *arguments: str) -> str:
    """Runs the command line in a process of its own, work folder `folder`; returns its standard output."""
    code = "import sys; from watchword.cli import main; sys.exit(main())"
    found = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "WATCHWORD_WORK": str(folder)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def record(path: Path, texts: list[str], engine: str, seed: int) -> list[Said]:
    """Writes a recording in which an engine says the texts in random order, a pause between; returns where."""
    speak, rng = ENGINES[engine](""), np.random.default_rng(seed)
    pieces, said, at = [np.zeros(SAMPLE_RATE // 2, np.float32)], [], SAMPLE_RATE // 2
    for number in rng.permutation(len(texts)):
        spoken = speak(texts[number], rng)
        samples = soxr.resample(spoken.samples.astype(np.float32), spoken.sample_rate, SAMPLE_RATE)
        first, last = trim_silence(samples)
        samples = 0.3 * samples[first:last] / np.abs(samples).max()
        pause = np.zeros(int(rng.uniform(0.2, 0.8) * SAMPLE_RATE), np.float32)
        said.append(Said(texts[number], at / SAMPLE_RATE, (at + len(samples)) / SAMPLE_RATE))
        pieces += [samples, pause]
        at += len(samples) + len(pause)
    audio = np.concatenate(pieces)
    write(path, (audio + 1e-3 * rng.standard_normal(len(audio))).astype(np.float32))
    return said


def test_tiny_trains_exports_and_finds_its_words_in_unseen_renderings(tmp_path: Path) -> None:
    out = watchword(tmp_path, "train", str(TINY))
    run = tmp_path / "runs" / "tiny"
    assert f"watchword export {run} BUNDLE" in out
    watchword(tmp_path, "export", str(run), str(tmp_path / "bundle"))
    recipe = load_recipe(TINY)
    assert recipe.data.synthesis is not None
    trained = list(recipe.data.synthesis.texts)
    for engine in recipe.data.synthesis.engines:
        path = tmp_path / f"{engine}.wav"
        said = record(path, [*trained, *STRANGERS], engine, seed=4242)  # training drew from (seed 1, clip)
        options = ("--bundle", str(tmp_path / "bundle"), "--threshold", THRESHOLD, "--json")
        found = watchword(tmp_path, "spot", *options, *trained, str(path))
        hits = [json.loads(line) for line in found.splitlines()]
        right = {
            place.text
            for place in said
            for hit in hits
            if hit["keyword"] == place.text
            and abs(hit["start"] - place.start) < 0.3
            and abs(hit["end"] - place.end) < 0.3
        }
        wrong = [
            hit
            for hit in hits
            if not any(p.text == hit["keyword"] and hit["start"] < p.end and p.start < hit["end"] for p in said)
        ]
        assert len(right) >= 0.75 * len(trained), (engine, sorted(set(trained) - right))
        # 24 keywords for each of 33 texts that are said: 792 chances.
        assert len(wrong) <= 0.02 * len(trained) * len(said), (
            engine,
            [(hit["keyword"], hit["score"], hit["start"]) for hit in wrong],
        )
