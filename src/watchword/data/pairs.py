"""The other texts that a clip is compared with in training: for each match one at random, and one that sounds near."""

from collections.abc import Sequence

import numpy as np

from watchword.data.store import StoreError
from watchword.text.distance import Phrases, edit_distances

_STREAM = 7  # a stream of chance of its own: what a step's crops draw changes nothing here


class PairSampler:
    """Draws two other texts for each row of a batch; all follows from (seed, step, labels of the whole batch).

    `phonemes` holds each label's ids, as a store does. Raises StoreError where all texts sound alike."""

    def __init__(self, phonemes: Sequence[np.ndarray], seed: int) -> None:
        self._phonemes, self._seed = phonemes, seed
        unlike = (label for label, ids in enumerate(phonemes) if not np.array_equal(ids, phonemes[0]))
        # Whatever a text sounds like, one of these two sounds unlike it.
        self._two = [0, next(unlike, 0)]
        if self._two == [0, 0]:
            raise StoreError("data.store: all its texts sound alike; a model that compares pairs needs two that do not")

    def draw(self, labels: np.ndarray, step: int) -> np.ndarray:
        """Draws for labels [n] the labels of other texts of the batch, [n, 2]: the first by chance, the second of those
        with the smallest edit distance in phonemes, two different ones where the batch has them.

        Texts that sound alike are no others; where all of a batch do, one from outside helps out."""
        rng = np.random.default_rng((self._seed, step, _STREAM))
        distinct, place = np.unique(labels, return_inverse=True)
        candidates, distances = distinct, self._distances(distinct, distinct)
        if not distances.any(axis=1).all():
            candidates = np.union1d(distinct, self._two)
            distances = self._distances(distinct, candidates)
        distances = distances[place]
        # Chance decides among equally near ones, and among all for the other draw.
        shuffled = np.where(distances > 0, rng.random(distances.shape), np.inf)
        near = np.argmin(distances + shuffled, axis=1)
        shuffled[np.arange(len(labels)), near] += 1.0  # drawn again only where no other is left
        return candidates[np.column_stack([np.argmin(shuffled, axis=1), near])]

    def _distances(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        return edit_distances(*(Phrases.of([self._phonemes[label] for label in labels]) for labels in (some, others)))
