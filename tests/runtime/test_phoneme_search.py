"""The search by phonemes equals a plain dynamic programme over one keyword; places are divided as well as can be."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from watchword.runtime.phoneme_search import PER_NAT, PhonemeSearch, ages, gains
from watchword.runtime.verify import segment

OUTSIDE = 1.0


def costs_of(frames, seed=0, classes=6):
    rng = np.random.default_rng(seed)
    # Multiples of the search's unit, so that both sides add up the same numbers.
    return (rng.integers(0, 3 * PER_NAT, (frames, classes)) / PER_NAT).astype(np.float32)


def plain(costs, phonemes, outside=OUTSIDE):
    """For each end (exclusive): the least total of costs less outside costs over all beginnings and divisions."""
    frames, size = len(costs), len(phonemes)
    own = costs[:, phonemes] - outside
    best = np.full(frames + 1, np.inf)
    for start in range(frames):
        # total[n, t]: phonemes 0..n over frames start..t, the last of them for two frames or more.
        total = np.full((size, frames), np.inf)
        for n in range(size):
            for t in range(start, frames):
                for began in range(start, t):
                    before = 0.0 if n == 0 and began == start else np.inf
                    if n and began > start:
                        before = total[n - 1, began - 1]
                    total[n, t] = min(total[n, t], before + own[began : t + 1, n].sum())
        best[1:] = np.minimum(best[1:], total[-1])
    return best[1:]


def searched(costs, keywords, cuts=(), longest=500, first=0):
    search = PhonemeSearch(OUTSIDE)
    search.add([np.array(k) for k in keywords], [longest] * len(keywords))
    search.begin_at(first)
    return np.concatenate([search.feed(piece) for piece in np.split(costs, list(cuts))])


@pytest.mark.parametrize("phonemes", [[2], [0, 3], [1, 1, 4]])
def test_equals_the_plain_programme(phonemes):
    costs = costs_of(24)
    found = searched(costs, [[5], phonemes, [2, 4]])[:, 1]
    expected = plain(costs, phonemes)
    reached = np.isfinite(expected)
    assert reached.sum() == 24 - 2 * len(phonemes) + 1
    np.testing.assert_allclose(gains(found)[reached] / PER_NAT, -expected[reached], atol=1e-5)
    assert (gains(found)[~reached] < -1000).all()


def test_a_path_brings_its_beginning():
    costs = np.full((60, 4), 3.0, np.float32)
    costs[20:26, 1] = costs[26:33, 2] = 0.0
    for first in (0, 50, 1000, 5555):  # frames are counted modulo 1024
        found = searched(costs, [[1, 2]], first=first)[:, 0]
        end = int(gains(found).argmax()) + 1
        assert end == 33
        assert end - int(ages(found[end - 1], first + end)) == 20
        assert gains(found)[end - 1] == 13 * PER_NAT


def test_pieces_do_not_matter():
    costs = costs_of(400, seed=3)
    keywords = [[1, 2, 3], [4], [0, 5, 0, 5]]
    whole = searched(costs, keywords)
    for cuts in ([1], [64, 65, 70], range(0, 400, 7)):
        assert np.array_equal(searched(costs, keywords, cuts), whole)


def test_keywords_do_not_disturb_each_other_and_may_come_and_go():
    costs = costs_of(300, seed=4)
    alone = searched(costs, [[1, 2, 3]])[:, 0]
    search = PhonemeSearch(OUTSIDE)
    search.add([np.array([4, 4]), np.array([1, 2, 3])], [500, 500])
    head = search.feed(costs[:100])[:, 1]
    search.add([np.array([2, 0])], [500])
    middle = search.feed(costs[100:200])
    search.keep(np.array([False, True, True]))
    tail = search.feed(costs[200:])
    assert np.array_equal(np.concatenate([head, middle[:, 1], tail[:, 0]]), alone)
    late = searched(costs[100:], [[2, 0]], first=100)[:, 0]
    assert np.array_equal(np.concatenate([middle[:, 2], tail[:, 1]]), late)


def test_a_hum_is_forgotten_and_numbers_stay_bounded():
    costs = np.zeros((5000, 2), np.float32)  # everything fits, for ever
    found = searched(costs, [[0, 1]], longest=200)[:, 0]
    reached = gains(found) > -1000 * PER_NAT
    assert reached.sum() > 4500
    assert ages(found, np.arange(1, 5001))[reached].max() <= 200 + 64
    assert gains(found).max() <= (200 + 64) * PER_NAT
    assert gains(found)[-64:].max() > 100 * PER_NAT


@pytest.mark.parametrize(("frames", "phonemes"), [(2, 1), (9, 1), (6, 3), (11, 3), (12, 4)])
def test_division_is_the_best_of_all(frames, phonemes):
    costs = costs_of(frames, seed=frames, classes=phonemes)
    bounds = segment(costs)

    def total(bounds):
        return sum(costs[a:b, n].sum() for n, (a, b) in enumerate(pairwise(bounds)))

    every = [(0, *inner, frames) for inner in combinations(range(1, frames), phonemes - 1)]
    allowed = [bounds for bounds in every if np.diff(bounds).min() >= 2]
    assert bounds in allowed
    assert total(bounds) == pytest.approx(min(map(total, allowed)), abs=1e-4)


def test_too_few_frames_cannot_be_divided():
    with pytest.raises(ValueError, match="5 frames are too few for 3 phonemes"):
        segment(np.zeros((5, 3), np.float32))
