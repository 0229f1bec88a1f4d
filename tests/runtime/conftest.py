"""Sound for the runtime's tests."""

import numpy as np
import pytest

from watchword import Spotter
from watchword.audio import SAMPLE_RATE, num_frames, span_frames
from watchword.runtime.encoder import Encoder


def make_sound(seconds, seed=0):
    """Noise in which loudness and colour change every 0.05–0.3 s, a little as in speech: float32 [samples]."""
    rng, pieces, left = np.random.default_rng(seed), [], round(seconds * SAMPLE_RATE)
    while left > 0:
        size = min(left, int(rng.integers(800, 4800)))
        time = np.arange(size) / SAMPLE_RATE
        tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in rng.uniform(100, 4000, 3))
        pieces.append(rng.uniform(0.0, 0.1) * tones + 0.01 * rng.standard_normal(size))
        left -= size
    return np.concatenate(pieces).astype(np.float32)


@pytest.fixture(scope="session")
def sound():
    """8 s of sound."""
    return make_sound(8.0)


@pytest.fixture
def taught_spotter(monkeypatch):
    """Makes a spotter whose keyword "word" is what a stretch of a sound sounds like: `(bundle, sound, start, end)`.

    So it is known where the best span lies, though the weights are random."""

    def teach(bundle, sound, start, end):
        first, last = span_frames(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE), num_frames(len(sound)))

        def variants(encoder, text):
            rows = encoder.rows(np.pad(sound, encoder.silence_samples))
            starts = np.array([first + encoder.silence_frames])
            return (round((end - start) / 0.08),), encoder.embed_spans(rows, starts, last - first)

        monkeypatch.setattr(Encoder, "_text_variants", variants)
        return Spotter(["word"], bundle, -1.0)

    return teach
