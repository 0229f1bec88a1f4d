"""Fixtures of the data tests: a small aligned corpus of noise."""

from dataclasses import replace

import numpy as np
import pytest

from watchword.audio import SAMPLE_RATE, write
from watchword.data.segment import Segment, Timed


@pytest.fixture
def make_segment(tmp_path):
    """Makes a segment of noise, a word every `took` seconds after 0.5 s, `gap` seconds of silence between words."""
    rng = np.random.default_rng(3)

    def make(text, name="noise", took=0.4, gap=0.0, timed=True, start=0.0, **rest):
        words, place = [], start + 0.5
        for word in text.split():
            words.append(Timed(word, round(place, 3), round(place + took, 3)))
            place += took + gap
        end = place + 0.5
        audio = tmp_path / f"{name}.wav"
        if not audio.exists():
            write(audio, 0.1 * rng.standard_normal(round(end * SAMPLE_RATE)).astype(np.float32))
        segment = Segment(str(audio), text, start, end, words=tuple(words) if timed else ())
        return replace(segment, **rest)

    return make
