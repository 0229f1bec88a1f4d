"""Phoneme alignment: where a keyword's phonemes lie, frame by frame, and how well they fit there."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from watchword.text.phonemes import PHONEMES, encode

_BARE = [phoneme.rstrip("012") for phoneme in PHONEMES]
_NAMES = sorted(set(_BARE))
CLASSES = np.array([_NAMES.index(name) for name in _BARE])
"""The class of each phoneme id: stress is dropped, since it hardly shows in single frames."""
_LOWEST = 1e-6
_FAR = np.float32(1e9)
_AT_ONCE = 64


class Alignment(NamedTuple):
    """Frames `first` to `end` (exclusive) of a window hold the keyword, whose phonemes cost so much on average."""

    first: int
    end: int
    cost: float


def phoneme_costs(log_posteriors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turns log-posteriors [frames, phonemes] into costs [frames, classes]: by how many nats each class is less likely
    than the likeliest of that frame; 0 for that one."""
    merged = np.zeros((len(log_posteriors), len(_NAMES)), np.float32)
    posteriors = np.exp(log_posteriors)
    for phoneme, place in enumerate(CLASSES.tolist()):
        merged[:, place] += posteriors[:, phoneme]
    logs = np.log(merged + _LOWEST)
    return logs.max(axis=1, keepdims=True, initial=-np.inf) - logs


def classes_of(phonemes: Sequence[str]) -> NDArray[np.int64]:
    """The classes of ARPABET symbols."""
    return CLASSES[encode(phonemes)]


def align(
    windows: Sequence[NDArray[np.float32]], phonemes: Sequence[NDArray[np.int64]], outside_cost: float
) -> list[Alignment | None]:
    """Lays each sequence of phoneme classes into its window of costs [frames, classes], at the least total cost.

    Phonemes come in order, each for two frames or more; a frame before the first or after the last costs
    `outside_cost`. None where a window is too short. The cost reported is the mean over phonemes of their mean over
    frames, so that a long vowel does not hide a wrong consonant."""
    found: list[Alignment | None] = []
    for at in range(0, len(windows), _AT_ONCE):
        found += _align(windows[at : at + _AT_ONCE], phonemes[at : at + _AT_ONCE], outside_cost)
    return found


def _align(
    windows: Sequence[NDArray[np.float32]], phonemes: Sequence[NDArray[np.int64]], outside_cost: float
) -> list[Alignment | None]:
    """One dynamic programme over all windows side by side. A phoneme has two states: its first frame, and the others.

    The state before the keyword is column 0, the one after it the last; what is needed of a path (where the keyword
    began and ended, the costs so far) travels along with it, so that nothing has to be traced back."""
    num, longest = len(windows), max(map(len, windows))
    states = 2 * np.array([len(ids) for ids in phonemes])
    width = int(states.max())
    emitted = np.full((longest, num, width), _FAR, np.float32)
    for row, (costs, ids) in enumerate(zip(windows, phonemes, strict=True)):
        emitted[: len(costs), row, : 2 * len(ids)] = np.repeat(costs[:, ids], 2, axis=1)
    rows, last = np.arange(num), states - 1
    enters = np.arange(width) % 2 == 0  # the first frame of a phoneme
    total = np.full((num, width), _FAR, np.float32)
    began, count = (np.zeros((num, width), np.int64) for _ in range(2))
    summed, done = (np.zeros((num, width), np.float32) for _ in range(2))
    after = np.full(num, _FAR, np.float32)
    after_began, after_end = (np.zeros(num, np.int64) for _ in range(2))
    after_cost = np.zeros(num, np.float32)
    result: list[Alignment | None] = [None] * num
    sizes = np.array([len(costs) for costs in windows])
    for frame in range(longest):
        mean = summed / np.maximum(count, 1)
        # Leave the last phoneme, or stay after it.
        left = total[rows, last]
        leaves = left < after
        after_began = np.where(leaves, began[rows, last], after_began)
        after_end = np.where(leaves, frame, after_end)
        after_cost = np.where(leaves, done[rows, last] + mean[rows, last], after_cost)
        after = np.minimum(left, after) + np.float32(outside_cost)
        before = np.full((num, 1), frame * outside_cost, np.float32)
        coming = np.concatenate([before, total[:, :-1]], axis=1)
        staying = np.where(enters, _FAR, total)
        moves = coming < staying
        total = np.minimum(np.where(moves, coming, staying) + emitted[frame], _FAR)

        fresh = moves & enters
        began = np.where(moves, _shifted(began, frame), began)
        done = np.where(fresh, _shifted(done + mean), np.where(moves, _shifted(done), done))
        summed = np.where(fresh, 0.0, np.where(moves, _shifted(summed), summed)) + np.minimum(emitted[frame], 1e3)
        count = np.where(fresh, 0, np.where(moves, _shifted(count), count)) + 1
        for row in np.flatnonzero(sizes == frame + 1):
            inside, outside, size = total[row, last[row]], after[row], len(phonemes[int(row)])
            if min(inside, outside) >= _FAR:
                continue
            if inside <= outside:
                place = last[row]
                cost = done[row, place] + summed[row, place] / count[row, place]
                result[row] = Alignment(int(began[row, place]), frame + 1, float(cost) / size)
            else:
                result[row] = Alignment(int(after_began[row]), int(after_end[row]), float(after_cost[row]) / size)
    return result


def _shifted(values: NDArray, first: float = 0.0) -> NDArray:
    """Each state's value as seen from the state after it; `first` comes in front."""
    return np.concatenate([np.full((len(values), 1), first, values.dtype), values[:, :-1]], axis=1)
