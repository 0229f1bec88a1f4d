"""Fixtures of the preparation tests: speech whose times are known, spoken by the voices that are there."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile
import soxr

from watchword.audio import SAMPLE_RATE
from watchword.data.segment import Timed
from watchword.prepare.synthesize import trim


@pytest.fixture(scope="session")
def flite():
    """Speaks with flite and returns 16 kHz samples with the phones that it says it spoke."""
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed")

    def speak(text, path):
        done = subprocess.run(
            ["flite", "-voice", "slt", "-psdur", "-t", text, "-o", str(path)],
            check=True,
            capture_output=True,
            text=True,
        )
        samples, rate = soundfile.read(path, dtype="float32")
        phones, place = [], 0.0
        for pair in done.stdout.split():
            name, end = pair.split(":")
            phones.append(Timed(name, place, float(end)))
            place = float(end)
        return soxr.resample(samples, rate, SAMPLE_RATE), phones

    return speak


@pytest.fixture(scope="session")
def words_apart(flite, tmp_path_factory):
    """Words spoken one by one and set half a second apart: the samples, and where each word truly lies."""

    def make(text):
        path = tmp_path_factory.mktemp("words") / "word.wav"
        silence = 0.001 * np.random.default_rng(0).standard_normal(SAMPLE_RATE // 2).astype(np.float32)
        pieces, truth, place = [silence], [], 0.5
        for word in text.split():
            samples = trim(flite(word, path)[0], margin_seconds=0.0)
            pieces += [samples, silence]
            truth.append(Timed(word, place, place + len(samples) / SAMPLE_RATE))
            place = truth[-1].end_seconds + 0.5
        return np.concatenate(pieces), truth

    return make
