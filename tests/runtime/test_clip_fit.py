"""Laws of filling a clip with a text's phonemes, against every way to do so."""

import itertools

import numpy as np
import pytest

from watchword.runtime.clip_fit import SILENCE, fill


def every_way(costs, ids):
    """The cheapest way by trying all: its mean over frames, and over phonemes of their means."""
    frames, size = len(costs), len(ids)
    best = (np.inf, np.inf, np.inf)
    for borders in itertools.combinations(range(frames + 1), size + 1):
        if min(b - a for a, b in itertools.pairwise(borders)) < 2:
            continue
        parts = [costs[a:b, i] for (a, b), i in zip(itertools.pairwise(borders), ids, strict=True)]
        silent = np.concatenate([costs[: borders[0], SILENCE], costs[borders[-1] :, SILENCE]])
        total = sum(part.sum() for part in parts) + silent.sum()
        best = min(best, (total, total / frames, float(np.mean([part.mean() for part in parts]))))
    return best[1:]


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_best_of_all_ways(seed):
    rng = np.random.default_rng(seed)
    costs = rng.exponential(1.0, (11, 40)).astype(np.float32)
    phonemes = [rng.integers(1, 40, size) for size in (3, 1, 4, 5, 2)]
    found = fill(costs, phonemes)
    for row, ids in zip(found, phonemes, strict=True):
        assert row == pytest.approx(every_way(costs.astype(np.float64), ids), abs=1e-5)


def test_texts_beside_it_change_nothing_and_a_clip_too_short_fits_none():
    rng = np.random.default_rng(1)
    costs = rng.exponential(1.0, (9, 40)).astype(np.float32)
    phonemes = [rng.integers(1, 40, size) for size in (2, 5, 1, 4)]
    together = fill(costs, phonemes)
    np.testing.assert_array_equal(together, np.concatenate([fill(costs, [ids]) for ids in phonemes]))
    assert np.isinf(together[1]).all()
    assert np.isfinite(together[[0, 2, 3]]).all()
    assert fill(costs, []).shape == (0, 2)


def test_what_else_is_said_counts_and_silence_does_not():
    said = [3, 3, 3, 7, 7, 7, 7]
    clip = [SILENCE] * 4 + said + [SILENCE] * 5
    sure = np.full((len(clip), 40), 6.0, np.float32)
    sure[np.arange(len(clip)), clip] = 0.0
    assert fill(sure, [np.array([3, 7])])[0].tolist() == [0.0, 0.0]
    longer = sure.copy()
    longer[-3:, SILENCE], longer[-3:, 9] = 6.0, 0.0  # another phoneme behind it
    frame_cost, phoneme_cost = fill(longer, [np.array([3, 7])])[0]
    assert frame_cost == pytest.approx(18 / 16)
    assert phoneme_cost == 0.0
