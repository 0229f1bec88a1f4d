"""Edit distances of whole lists equal the textbook's recursion, pair by pair."""

import functools

import numpy as np

from watchword.text.distance import Phrases, edit_distances


def naive(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    @functools.cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        changed = distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(changed, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(one), len(other))


def test_distances_equal_the_recursion() -> None:
    rng = np.random.default_rng(0)
    some = [rng.integers(0, 4, size) for size in (0, 1, 3, 7, 12)]
    others = [rng.integers(0, 4, size) for size in (5, 0, 9, 1, 12, 2)]
    expected = [[naive(tuple(a.tolist()), tuple(b.tolist())) for b in others] for a in some]
    assert edit_distances(Phrases.of(some), Phrases.of(others)).tolist() == expected
    assert edit_distances(Phrases.of(others), Phrases.of(some)).T.tolist() == expected
    assert edit_distances(Phrases.of(some), Phrases.of([])).shape == (5, 0)


def test_distances_of_very_long_phrases() -> None:
    one, other = (Phrases.of([np.full(120, number)]) for number in range(2))
    assert edit_distances(one, other).tolist() == [[120]]
