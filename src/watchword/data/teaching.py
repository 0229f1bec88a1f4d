"""What a recogniser hears in a store's recordings, kept beside the store: values that frames can be taught to tell."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from watchword.audio import HOP_SAMPLES
from watchword.data.store import Store, StoreError

STEP = 320
"""Samples from one row of values to the next: 20 ms."""
FRAMES = STEP // HOP_SAMPLES
PER_DEVIATION = 32
"""A standard deviation of a value is so many units of its 8 bits."""
VALUES_FILE, INDEX_FILE = "values.bin", "index.json"


def rows_of(store: Store) -> NDArray[np.int64]:
    """At which row of values each utterance begins, and behind the last one: [utterances + 1]."""
    return np.concatenate([[0], np.cumsum(store.utterances["samples"].astype(np.int64) // STEP)])


class Teaching:
    """Values of a whole store, [rows, dim] of 8 bits, opened read-only; made by `watchword prepare teach`.

    Raises StoreError where the folder holds none, or those of another store."""

    def __init__(self, folder: str | Path, store: Store) -> None:
        folder = Path(folder)
        try:
            index = json.loads((folder / INDEX_FILE).read_text())
            self.dim, self.teacher = int(index["dim"]), str(index["teacher"])
            values = np.memmap(folder / VALUES_FILE, np.int8, "r")
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(
                f"{folder}: no teaching here ({error}); make it with `watchword prepare teach {store.folder}`"
            ) from None
        self._first = rows_of(store)
        if len(values) != self._first[-1] * self.dim:
            raise StoreError(
                f"{folder}: is of another store than {store.folder}; make it again with `watchword prepare teach`"
            )
        self._values = values.reshape(-1, self.dim)

    def of(self, sources: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """Looks up what was heard: `sources` has for each row of a batch [frames, 2] an utterance and a sample in it.

        Returns values [n, dim] and their places [n, 2], row and frame: every second frame has one, but for those
        without an utterance (-1) and those beyond its last value."""
        places, rows = [], []
        for row, source in enumerate(sources):
            utterance, sample = source[::FRAMES].T
            first, last = self._first[utterance], self._first[utterance + 1]
            at = first + (sample + STEP // 2) // STEP
            known = np.flatnonzero((utterance >= 0) & (at < last))
            rows.append(at[known])
            places.append(np.stack([np.full(len(known), row), FRAMES * known], axis=1))
        return np.asarray(self._values[np.concatenate(rows)]), np.concatenate(places)
