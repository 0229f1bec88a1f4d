"""Spans that carry no text of the batch: parts of words, what straddles two words, stretches without speech."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from watchword.audio import SAMPLE_RATE
from watchword.text.distance import Phrases, edit_distances
from watchword.text.phonemes import ids_without_stress

SHARES = (0.35, 0.75)
"""How much of a word its part has. A span that learns its word is never jittered by more than a quarter of it."""
LEAST_SAMPLES = SAMPLE_RATE // 10
"""What a part has, and what it lacks, at least: 100 ms, more than borders are jittered by."""
WITHOUT_STRESS = np.array(ids_without_stress())


class Negative(NamedTuple):
    """A span of a crop, in samples, and what it must not match: the word `label` that it was cut from (-1: none).

    `phones` are those that it covers, without stress, so that it is not pushed from a text that it does say; () where
    nothing is said, None where that is unknown."""

    label: int
    start: int
    end: int
    phones: tuple[int, ...] | None

    def moved(self, shift: int, rate: float = 1.0) -> "Negative":
        """Returns it moved by some samples, then played `rate` times as fast."""
        return self._replace(start=round((self.start + shift) / rate), end=round((self.end + shift) / rate))


def part_of(label: int, start: int, end: int, phones: np.ndarray, rng: np.random.Generator) -> Negative | None:
    """The first or last part of a word [start, end), cut where one phone ends and the next begins, or anywhere where no
    `phones` (id, start, end) of the recording are known; None where the word has no such place."""
    if len(phones):
        cuts = np.unique(_covered(phones, start, end)["start"][1:].astype(np.int64))
    else:
        cuts = np.array([round(start + rng.uniform(*SHARES) * (end - start))])
    least = max(LEAST_SAMPLES, round(SHARES[0] * (end - start)))
    most = min(end - start - LEAST_SAMPLES, round(SHARES[1] * (end - start)))
    # (start, end) of every part that is neither too much nor too little of the word.
    parts = [(start, int(cut)) for cut in cuts if least <= cut - start <= most]
    parts += [(int(cut), end) for cut in cuts if least <= end - cut <= most]
    if not parts:
        return None
    first, last = parts[int(rng.integers(len(parts)))]
    return Negative(label, first, last, said(phones, first, last) if len(phones) else None)


def straddling(
    label: int,
    word: tuple[int, int],
    neighbour: tuple[int, int],
    phones: np.ndarray,
    rng: np.random.Generator,
) -> Negative:
    """A span over the border of a word and its neighbour, of either order: the near half of the neighbour, and the
    word's own near half or the whole word."""
    whole = rng.random() < 0.5
    cuts = [_middle(*span, phones, rng) for span in (word, neighbour)]
    if neighbour[0] >= word[0]:
        first, last = (word[0] if whole else cuts[0]), cuts[1]
    else:
        first, last = cuts[1], (word[1] if whole else cuts[0])
    return Negative(label, first, last, said(phones, first, last) if len(phones) else None)


def said(phones: np.ndarray, start: int, end: int) -> tuple[int, ...]:
    """The phones, without stress, whose middle lies in [start, end)."""
    return tuple(WITHOUT_STRESS[_covered(phones, start, end)["id"]].tolist())


def pushed_from(
    negatives: Sequence[Negative], labels: np.ndarray, extra: Sequence[np.ndarray], texts: Sequence[np.ndarray]
) -> np.ndarray:
    """Which texts each of m negatives is pushed from, bool [m, n + k]: those of `labels` [n], then k `extra` ones.

    `texts` has each label's phoneme ids. A negative is pushed from the word it was cut from, and from whatever lies
    further from its phones than a quarter of them, or one; nothing said is pushed from all texts, and where phones are
    unknown the word alone counts."""
    distinct, place = np.unique(labels, return_inverse=True)
    allowed = np.zeros((len(negatives), len(distinct) + len(extra)), bool)
    known = [row for row, negative in enumerate(negatives) if negative.phones is not None]
    if known:
        heard = [np.array(negatives[row].phones, np.int64) for row in known]
        written = [WITHOUT_STRESS[ids] for ids in (*(texts[label] for label in distinct), *extra)]
        near = np.array([max(1, len(ids) // 4) if len(ids) else -1 for ids in heard])
        allowed[known] = edit_distances(Phrases.of(heard), Phrases.of(written)) > near[:, None]
    for row, negative in enumerate(negatives):
        allowed[row, : len(distinct)] |= distinct == negative.label
    columns = np.concatenate([place, len(distinct) + np.arange(len(extra))]).astype(np.int64)
    return allowed[:, columns]


def _covered(phones: np.ndarray, start: int, end: int) -> np.ndarray:
    middle = (phones["start"].astype(np.int64) + phones["end"]) // 2
    return phones[(phones["id"] > 0) & (middle >= start) & (middle < end)]


def _middle(start: int, end: int, phones: np.ndarray, rng: np.random.Generator) -> int:
    """Where phones meet next to somewhere about the middle of a word; there itself where none do."""
    wanted = start + rng.uniform(0.4, 0.6) * (end - start)
    cuts = _covered(phones, start, end)["start"].astype(np.int64)[1:]
    cuts = cuts[(cuts >= start + 0.25 * (end - start)) & (cuts <= end - 0.25 * (end - start))]
    return int(cuts[np.argmin(np.abs(cuts - wanted))]) if len(cuts) else round(wanted)
