"""Laws of phoneme alignment, against every alignment there is."""

import itertools

import numpy as np
import pytest

from watchword.runtime.alignment import CLASSES, align, classes_of, phoneme_costs
from watchword.text.phonemes import PHONEMES

OUTSIDE = 0.7


def every_alignment(costs, ids, outside):
    """The least total over all borders, and the alignment that has it, by trying all."""
    frames, size = len(costs), len(ids)
    best = (np.inf, None)
    for borders in itertools.combinations(range(frames + 1), size + 1):
        if min(b - a for a, b in itertools.pairwise(borders)) < 2:
            continue
        parts = [costs[a:b, i] for (a, b), i in zip(itertools.pairwise(borders), ids, strict=True)]
        total = sum(part.sum() for part in parts) + outside * (frames - borders[-1] + borders[0])
        if total < best[0]:
            best = (total, (borders[0], borders[-1], float(np.mean([part.mean() for part in parts]))))
    return best[1]


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_best_of_all_alignments(seed):
    rng = np.random.default_rng(seed)
    windows = [rng.exponential(1.0, (frames, 5)).astype(np.float32) for frames in (11, 6, 9, 12)]
    phonemes = [rng.integers(0, 5, size) for size in (3, 3, 1, 4)]
    for found, costs, ids in zip(align(windows, phonemes, OUTSIDE), windows, phonemes, strict=True):
        first, end, cost = every_alignment(costs.astype(np.float64), ids, OUTSIDE)
        assert (found.first, found.end) == (first, end)
        assert found.cost == pytest.approx(cost, abs=1e-5)


def test_what_stands_beside_a_window_changes_nothing():
    rng = np.random.default_rng(1)
    windows = [rng.exponential(1.0, (frames, 40)).astype(np.float32) for frames in rng.integers(20, 90, 150)]
    phonemes = [rng.integers(0, 40, size) for size in rng.integers(1, 10, 150)]
    together = align(windows, phonemes, OUTSIDE)
    for number in (0, 63, 64, 149):
        assert align([windows[number]], [phonemes[number]], OUTSIDE) == [together[number]]


def test_a_window_too_short_has_none():
    costs = np.zeros((5, 3), np.float32)
    assert align([costs, costs], [np.array([0, 1, 2]), np.array([0, 1])], OUTSIDE)[0] is None
    assert align([], [], OUTSIDE) == []


def test_a_word_is_found_where_its_phonemes_are_likely():
    ids = [PHONEMES.index(p) for p in ("N", "OW1", "V", "AH0")]
    spoken = [0] * 12 + [ids[0]] * 5 + [ids[1]] * 9 + [ids[2]] * 4 + [ids[3]] * 7 + [0] * 10
    posteriors = np.full((len(spoken), len(PHONEMES)), 1e-4)
    posteriors[np.arange(len(spoken)), spoken] = 1.0
    costs = phoneme_costs(np.log(posteriors / posteriors.sum(1, keepdims=True)).astype(np.float32))
    assert costs.min() == 0.0
    right, wrong = align(
        [costs, costs], [classes_of(["N", "OW0", "V", "AH1"]), classes_of(["N", "IY1", "V", "AH0"])], OUTSIDE
    )
    assert (right.first, right.end) == (12, 37)
    assert right.cost == pytest.approx(0.0, abs=1e-5)
    assert wrong.cost > 1.0


def test_stress_does_not_tell_classes_apart():
    assert CLASSES[PHONEMES.index("AH0")] == CLASSES[PHONEMES.index("AH1")] == CLASSES[PHONEMES.index("AH2")]
    assert len(set(CLASSES.tolist())) == 41  # 39 phonemes, padding (silence in frames) and unknown
