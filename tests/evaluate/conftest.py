"""Fixtures of the evaluation tests: a small aligned corpus, with and without audio."""

import itertools

import numpy as np
import pytest

from watchword.audio import SAMPLE_RATE, write
from watchword.data.segment import Segment, Timed

TEXT = """
the a to too two see sea quiet river runs under old stone bridge and little children play there with
their red kite until evening comes when mother calls them home for bread soup warm milk then father
tells another story about a brave sailor who crossed the wide ocean alone in winter storm knight
night write right one won
"""


def make_corpus(folder, num_sentences, with_audio=False):
    """Sentences of eight words by eight speakers, four of split train and four of test; a word lasts 0.3 or 0.55 s."""
    rng, vocabulary = np.random.default_rng(7), TEXT.split()
    segments = []
    for number in range(num_sentences):
        words = [vocabulary[index] for index in rng.integers(len(vocabulary), size=8)]
        seconds = rng.choice([0.3, 0.55], size=len(words)).tolist()
        ends = list(itertools.accumulate(seconds))
        timed = tuple(Timed(word, end - took, end) for word, took, end in zip(words, seconds, ends, strict=True))
        audio, speaker = folder / f"{number}.wav", number % 8
        if with_audio:
            write(audio, 0.1 * rng.standard_normal(round(ends[-1] * SAMPLE_RATE)).astype(np.float32))
        split = "test" if speaker >= 4 else "train"
        segments.append(Segment(str(audio), " ".join(words), 0.0, ends[-1], f"s{speaker}", "made", split, "", timed))
    return segments


@pytest.fixture(scope="session")
def segments(tmp_path_factory):
    """320 sentences, no audio on disk."""
    return make_corpus(tmp_path_factory.mktemp("corpus"), 320)


@pytest.fixture(scope="session")
def spoken_segments(tmp_path_factory):
    """64 sentences whose audio (noise) is on disk."""
    return make_corpus(tmp_path_factory.mktemp("spoken"), 64, with_audio=True)
