"""How well texts fit a clip that holds nothing else: their phonemes, with silence around them, must fill all of it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from watchword.runtime.alignment import CLASSES

SILENCE = int(CLASSES[0])
"""The class of frames in which nothing is said."""
_FAR = 1e9


def fill(costs: NDArray[np.float32], phonemes: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
    """What each text costs in a clip of costs [frames, classes] that it must fill: [texts, 2] nats.

    The phoneme classes of a text come in order, each for two frames or more, with silence before and after them or not;
    of all ways to do so the cheapest counts. It costs, first, the mean over its frames, silence included, so that what
    else is said in the clip counts against it; and second the mean over its phonemes of their means, so that a long
    vowel does not hide a wrong consonant. Infinite where the clip is too short for it."""
    num, sizes = len(phonemes), np.array([len(ids) for ids in phonemes], np.int64)
    if not num:
        return np.empty((0, 2), np.float32)
    frames, states = len(costs), 2 * int(sizes.max()) + 2
    # Silence; two states a phoneme, its first frame and the others; silence behind the last phoneme of each text.
    classes = np.full((num, states), SILENCE, np.int64)
    spoken = np.zeros((num, states), bool)
    for row, ids in enumerate(phonemes):
        classes[row, 1 : 2 * len(ids) + 1] = np.repeat(ids, 2)
        spoken[row, 1 : 2 * len(ids) + 1] = True
    begins = spoken & (np.arange(states) % 2 == 1)
    total = np.full((num, states), _FAR, np.float32)
    summed, done = (np.zeros((num, states), np.float32) for _ in range(2))
    count = np.ones((num, states), np.float32)
    for frame in range(frames):
        emitted = costs[frame][classes]
        if not frame:
            total[:, :2], summed[:, :2] = emitted[:, :2], emitted[:, :2]
            continue
        staying = np.where(begins, _FAR, total)
        coming = _from_before(total, _FAR)
        moves = coming < staying
        total = np.minimum(np.where(moves, coming, staying) + emitted, _FAR)
        # What is over when a state is entered: a phoneme where a phoneme or the last silence begins, else nothing.
        over = done + np.where(spoken, summed / count, 0.0).astype(np.float32)
        fresh = moves & (begins | ~spoken)
        done = np.where(fresh, _from_before(over, 0.0), np.where(moves, _from_before(done, 0.0), done))
        kept, counted = (np.where(moves, _from_before(part, 0.0), part) for part in (summed, count))
        summed = np.where(fresh, 0.0, kept) + emitted
        count = np.where(fresh, 0.0, counted) + np.float32(1.0)
    rows, last = np.arange(num), 2 * sizes
    over = done + np.where(spoken, summed / count, 0.0)
    inside = total[rows, last] <= total[rows, last + 1]
    place = np.where(inside, last, last + 1)
    least = total[rows, place]
    found = np.stack([least / max(frames, 1), over[rows, place] / np.maximum(sizes, 1)], axis=1)
    return np.where(least[:, None] < _FAR / 2, found, np.inf).astype(np.float32)


def _from_before(values: NDArray[np.float32], first: float) -> NDArray[np.float32]:
    """Each state's value as seen from the state after it; `first` comes in front."""
    return np.concatenate([np.full((len(values), 1), first, values.dtype), values[:, :-1]], axis=1)
