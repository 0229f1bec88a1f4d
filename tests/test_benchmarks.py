"""What the benchmarks compute by themselves: CTC by adding up every alignment, and peaks of an engine's score."""

import importlib
import itertools
from pathlib import Path

import numpy as np
import pytest

from watchword.text.phonemes import PHONEMES

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
BLANK = len(PHONEMES)


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def read(labels):
    """What a sequence of labels says: repeats joined, blanks left out."""
    return [label for label, _ in itertools.groupby(labels) if label != BLANK]


@pytest.mark.parametrize("said", [("AA1",), ("AA1", "B"), ("B", "AA1", "B"), ("B", "B")])
def test_ctc_adds_up_every_alignment(benchmark, said):
    ctc_costs = benchmark("clip_opponents").ctc_costs
    frames, wanted = 5, [PHONEMES.index(phoneme) for phoneme in said]
    costs = np.random.default_rng(0).uniform(0, 4, (frames, BLANK + 1))
    labels = sorted({*wanted, BLANK})

    def sums(first, last):
        ways = itertools.product(labels, repeat=last - first)
        return [sum(costs[first + n, x] for n, x in enumerate(way)) for way in ways if read(way) == wanted]

    def cost(**how):
        return ctc_costs(costs, [("ZH",) * 2, said], **how)[1]

    whole = sums(0, frames)
    assert cost(free_ends=False, all_paths=True) == pytest.approx(-np.logaddexp.reduce([-c for c in whole]))
    assert cost(free_ends=False, all_paths=False) == pytest.approx(min(whole))
    within = [c for first in range(frames) for last in range(first + 1, frames + 1) for c in sums(first, last)]
    assert cost(free_ends=True, all_paths=False) == pytest.approx(min(within))


def test_a_text_that_is_longer_than_the_clip_costs_infinitely_much(benchmark):
    costs = benchmark("clip_opponents").ctc_costs(np.zeros((2, BLANK + 1)), [("AA1", "B", "K")], free_ends=False,
                                                  all_paths=True)  # fmt: skip
    assert costs[0] == np.inf


def test_peaks_are_apart_and_the_first_of_equals(benchmark):
    points = [(1.0, 0.5), (1.5, 0.9), (1.6, 0.9), (3.4, 0.8), (3.6, 0.7), (9.0, 0.01)]
    found = benchmark("fixed_words").peaks("alexa", points, 0.1)
    assert [(one.end_seconds, one.score) for one in found] == [(1.5, 0.9), (3.6, 0.7)]


@pytest.mark.parametrize("seed", range(4))
def test_spikes_lie_where_the_cheapest_alignment_has_them(benchmark, seed):
    spikes = benchmark("alignments").spikes
    said, sizes, frames = ["AA1", "B", "B"], [2, 1], 6
    ids = [PHONEMES.index(phoneme) for phoneme in said]
    costs = np.random.default_rng(seed).uniform(0, 4, (frames, BLANK + 1))
    labels = sorted({*ids, BLANK})
    ways = [way for way in itertools.product(labels, repeat=frames) if read(way) == ids]
    best = min(ways, key=lambda way: sum(costs[step, label] for step, label in enumerate(way)))
    runs = [(label, list(steps)) for label, steps in itertools.groupby(range(frames), key=best.__getitem__)]
    times = [[0.02 * (step + 0.5) for step in steps] for label, steps in runs if label != BLANK]
    heard = spikes(costs, sizes, ids)
    np.testing.assert_allclose(heard, [np.mean(times[0] + times[1]), np.mean(times[2])])


def test_too_few_steps_for_a_text_have_no_spikes(benchmark):
    assert benchmark("alignments").spikes(np.zeros((1, BLANK + 1)), [1, 1, 1], [3, 4, 5]) is None
