"""The search by phonemes: where each of many keywords may just have ended, and where it then began, frame by frame."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# A path is one int32: its cost in 1/32 nats, and in the low bits the frame at which it began, modulo 1024. The smaller
# of two such numbers is the cheaper path and brings its beginning along; and sums are exact, however audio is cut.
PER_NAT = 32
_BITS = 10
_WRAP = 1 << _BITS
FAR = np.int32(1 << 29)
FORGET_EVERY = 64
LONGEST_FRAMES = _WRAP - 3 * FORGET_EVERY
# Frames whose costs are laid out for all states at a time: more would leave the cache.
_AT_ONCE = 32


def gains(paths: NDArray[np.int32]) -> NDArray[np.int32]:
    """What paths cost less than being outside would have, in 1/32 nats."""
    return -(paths >> _BITS)


def ages(paths: NDArray[np.integer] | np.integer, end: int | NDArray[np.int64]) -> NDArray[np.integer]:
    """How many frames long paths are that end before frame `end`."""
    return (end - paths) & (_WRAP - 1)


class PhonemeSearch:
    """One stream's dynamic programme over all pronunciations side by side.

    Phonemes come in order, each for two frames or more: the first frame of a phoneme is one state, the others are the
    second. A path may begin at any frame, and one that outgrows its pronunciation's longest is forgotten. A frame costs
    what its phoneme does, less `outside_cost`: so of two paths the one that explains more frames well wins."""

    def __init__(self, outside_cost: float) -> None:
        self._outside = round(outside_cost * PER_NAT)
        self._frame = 0
        # A slot for each phoneme, and one before each pronunciation, where its paths begin.
        self._classes = np.empty(0, np.int64)
        self._longest = np.empty(0, np.int32)
        self._entrances = np.empty(0, np.int64)
        self._exits = np.empty(0, np.int64)
        self._first = np.empty(0, np.int32)  # paths in the first frame of a phoneme
        self._rest = np.empty(0, np.int32)  # paths in a later one

    def begin_at(self, frame: int) -> None:
        """Says which frame of the recording comes next, and forgets what was before it."""
        self._frame = frame
        self._first[:], self._rest[:] = FAR, FAR
        self._rest[self._entrances] = frame & (_WRAP - 1)

    def add(self, phonemes: Sequence[NDArray[np.int64]], longest: Sequence[int]) -> None:
        """Adds pronunciations, each its phonemes' classes, with the most frames that they last: heard from the next
        frame on."""
        sizes = np.array([len(classes) + 1 for classes in phonemes], np.int64)
        entrances = len(self._classes) + np.cumsum(sizes) - sizes
        self._entrances = np.concatenate([self._entrances, entrances])
        self._exits = np.concatenate([self._exits, entrances + sizes - 1])
        # The class after all others is that of the slots before pronunciations.
        self._classes = np.concatenate([self._classes, *(piece for one in phonemes for piece in ([-1], one))])
        self._longest = np.append(self._longest, np.repeat(np.array(longest, np.int32), sizes))
        grown = np.full(int(sizes.sum()), FAR)
        self._first, self._rest = np.append(self._first, grown), np.append(self._rest, grown)
        self._rest[entrances] = self._frame & (_WRAP - 1)

    def keep(self, wanted: NDArray[np.bool_]) -> None:
        """Forgets the pronunciations that are not `wanted` [pronunciations]."""
        sizes = self._exits - self._entrances + 1
        slots, sizes = np.repeat(wanted, sizes), sizes[wanted]
        self._exits = np.cumsum(sizes) - 1
        self._entrances = self._exits - sizes + 1
        self._classes, self._longest, self._first, self._rest = (
            array[slots] for array in (self._classes, self._longest, self._first, self._rest)
        )

    def feed(self, costs: NDArray[np.float32]) -> NDArray[np.int32]:
        """Takes the phoneme costs of the next frames [frames, classes], in nats; returns the best path of each
        pronunciation that ends with each frame: [frames, pronunciations], see `gains` and `ages`."""
        found = np.full((len(costs), len(self._exits)), FAR)
        if not found.size:
            self._frame += len(costs)
            return found
        whole = (np.rint(costs * PER_NAT).astype(np.int32) - self._outside) << _BITS
        whole = np.concatenate([whole, np.zeros((len(whole), 1), np.int32)], axis=1)
        for at in range(0, len(whole), _AT_ONCE):
            self._feed(np.take(whole[at : at + _AT_ONCE], self._classes, axis=1, mode="wrap"), found[at:])
        return found

    def _feed(self, emitted: NDArray[np.int32], found: NDArray[np.int32]) -> None:
        first, rest, spare = self._first, self._rest, np.empty_like(self._rest)
        for row, now in enumerate(emitted):
            if self._frame % FORGET_EVERY == 0:
                for paths in (first, rest):
                    paths[ages(paths, self._frame) > self._longest] = FAR
                rest[self._entrances] = self._frame & (_WRAP - 1)
            self._frame += 1
            np.minimum(first, rest, out=spare)
            spare += now
            np.add(rest[:-1], now[1:], out=first[1:])
            spare[self._entrances] = self._frame & (_WRAP - 1)
            rest, spare = spare, rest
            np.take(rest, self._exits, out=found[row])
        self._rest = rest
