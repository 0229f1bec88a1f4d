"""Pronunciations compared: homophones, and the nearest phrases by phoneme edit distance.

Stress digits are removed first, as LibriPhrase does; distances run over phonemes, not over the letters of their names.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from watchword.text.phonemes import PhonemeError
from watchword.text.pronounce import Pronouncer
from watchword.text.words import TextError

Phonemes: TypeAlias = tuple[str, ...]

MAX_VARIANTS = 16


def strip_stress(phonemes: Sequence[str]) -> Phonemes:
    """The phonemes without their stress digits.

    >>> strip_stress(("N", "OW1"))
    ('N', 'OW')
    """
    return tuple(phoneme.rstrip("012") for phoneme in phonemes)


class Pronunciations:
    """Stress-free pronunciations of phrases, each word looked up once."""

    def __init__(self, pronouncer: Pronouncer) -> None:
        self._pronouncer = pronouncer
        self._words: dict[str, tuple[Phonemes, ...]] = {}

    def of(self, text: str) -> tuple[Phonemes, ...]:
        """The distinct pronunciations of a phrase, the first first; empty if it has a word that nobody can speak."""
        variants = [self._of_word(word) for word in text.split()]
        if not variants or not all(variants):
            return ()
        combined = itertools.islice(itertools.product(*variants), MAX_VARIANTS)
        return tuple(dict.fromkeys(tuple(itertools.chain(*parts)) for parts in combined))

    def _of_word(self, word: str) -> tuple[Phonemes, ...]:
        if word not in self._words:
            try:
                # Only plain spellings: braces and slashes in a transcript are marks of its own, never a pronunciation.
                found = () if re.search(r"[{}/|]", word) else self._pronouncer.variants(word)
            except (TextError, PhonemeError):
                found = ()
            self._words[word] = tuple(dict.fromkeys(strip_stress(variant) for variant in found))
        return self._words[word]


class Homophones:
    """For each of a list of phrases: which of the others share a pronunciation with it (itself included)."""

    def __init__(self, variants: Sequence[Sequence[Phonemes]]) -> None:
        self._variants = variants
        self._sharing: defaultdict[Phonemes, list[int]] = defaultdict(list)
        for index, phrase in enumerate(variants):
            for variant in phrase:
                self._sharing[variant].append(index)

    def of(self, index: int) -> set[int]:
        """Indices of the phrases that sound like phrase `index`, itself included."""
        return {index, *(other for variant in self._variants[index] for other in self._sharing[variant])}


class NearestPhrases:
    """Exact nearest neighbours by phoneme edit distance: one phrase against all at once, 1 ms among 7,000."""

    def __init__(self, phrases: Sequence[Phonemes]) -> None:
        ids = {phoneme: number for number, phoneme in enumerate(sorted(set(itertools.chain(*phrases))))}
        self._phrases = [np.array([ids[phoneme] for phoneme in phrase], dtype=np.int8) for phrase in phrases]
        self._lengths = np.array([len(phrase) for phrase in phrases])
        self._padded = np.full((int(self._lengths.max(initial=1)), len(phrases)), -1, dtype=np.int8)
        for column, phrase in enumerate(self._phrases):
            self._padded[: len(phrase), column] = phrase

    def of(self, index: int, num: int, excluded: set[int]) -> list[int]:
        """The `num` phrases nearest to phrase `index`, at a distance above 0 and not `excluded`, of ties the first."""
        distances = edit_distances(self._phrases[index], self._padded, self._lengths)
        distances[list(excluded)] = 0
        order = np.argsort(distances, kind="stable")
        return order[distances[order] > 0][:num].tolist()


def edit_distances(
    phrase: NDArray[np.int8], others: NDArray[np.int8], lengths: NDArray[np.integer]
) -> NDArray[np.integer]:
    """Levenshtein distances of one phrase [p] to many, `others[longest, n]` (columns padded with -1, `lengths[n]`)."""
    longest, num = others.shape
    # One byte a cell is 4x as fast; only absurdly long phrases need two.
    cell = np.int8 if longest + len(phrase) < 127 else np.int16
    one = cell(1)
    column = np.repeat(np.arange(longest + 1, dtype=cell)[:, None], num, axis=1)
    for place, phoneme in enumerate(phrase, start=1):
        best = np.empty_like(column)
        best[0] = place
        np.minimum(column[1:] + one, column[:-1] + (others != phoneme), out=best[1:])
        # Insertions go down the column; a loop over rows, as np.minimum.accumulate is 10x slower than np.minimum.
        for row in range(1, longest + 1):
            np.minimum(best[row], best[row - 1] + one, out=best[row])
        column = best
    return column[lengths, np.arange(num)]
