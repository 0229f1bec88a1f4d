"""Pronunciations compared: homophones, and the nearest phrases by phoneme edit distance.

Stress digits are removed first, as LibriPhrase does; distances run over phonemes, not over the letters of their names.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from watchword.text.distance import Phrases, edit_distances
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
        self._phrases = [np.array([ids[phoneme] for phoneme in phrase], dtype=np.int16) for phrase in phrases]
        self._all = Phrases.of(self._phrases)

    def of(self, index: int, num: int, excluded: set[int]) -> list[int]:
        """The `num` phrases nearest to phrase `index`, at a distance above 0 and not `excluded`, of ties the first."""
        distances = edit_distances(Phrases.of([self._phrases[index]]), self._all)[0]
        distances[list(excluded)] = 0
        order = np.argsort(distances, kind="stable")
        return order[distances[order] > 0][:num].tolist()
