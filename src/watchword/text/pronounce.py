"""Pronunciations of any English text: given by a person, else from the lexicon, from a word's parts or from the G2P."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from watchword.text.g2p import GraphemeToPhoneme
from watchword.text.lexicon import Lexicon, Phonemes
from watchword.text.parts import Parts, Source
from watchword.text.phonemes import PhonemeError, from_arpabet, from_ipa, is_vowel
from watchword.text.words import TextError, normalise

LEXICON_FILE = "lexicon.txt.xz"
G2P_FILE = "g2p.npz"
MAX_VARIANTS = 4
_DATA = Path(__file__).parent / "data"
_GIVEN = re.compile(r"\{(?P<arpabet>[^{}]*)\}|(?<!\S)/(?P<ipa>[^/]*)/(?![^\s.,;:!?])")
_UNCLOSED = re.compile(r"[{}]|(?<!\S)/\S")
_SPEAKABLE_MARKS = re.compile(r"[\w&+@%=$€£#°]")


@dataclass(frozen=True)
class Spoken:
    """A word of a text, its pronunciations with the most usual first, and where they come from."""

    word: str
    pronunciations: tuple[Phonemes, ...]
    source: Source


class Pronouncer:
    """Turns text into phonemes with the lexicon and the G2P network of a folder: a bundle's, or the package's own.

    Both files are read when first needed. Raises FileNotFoundError for a folder that lacks one of them.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = Path(directory) if directory is not None else _DATA
        for name in (LEXICON_FILE, G2P_FILE):
            if not (self.directory / name).is_file():
                raise FileNotFoundError(
                    f"text: {self.directory} has no {name}; pass a bundle's folder, or none for the package's own"
                )
        self._cache: dict[str, Spoken] = {}

    @cached_property
    def _parts(self) -> Parts:
        network = lru_cache(maxsize=1)(lambda: GraphemeToPhoneme(self.directory / G2P_FILE))
        return Parts(Lexicon(self.directory / LEXICON_FILE), lambda word: network()(word))

    def words(self, text: str) -> list[tuple[str, Phonemes]]:
        """Each word of a text with its first pronunciation; of alternatives parted by | the first one is read.

        >>> default_pronouncer().words("2nd floor")
        [('second', ('S', 'EH1', 'K', 'AH0', 'N', 'D')), ('floor', ('F', 'L', 'AO1', 'R'))]
        """
        return [(spoken.word, spoken.pronunciations[0]) for spoken in self.alternatives(text)[0]]

    def variants(self, text: str) -> list[Phonemes]:
        """The ways to say a whole text, the most usual first, as ARPABET with stress.

        At most four, unless the text itself gives more alternatives; those that differ only in stress count once.
        Raises TextError or PhonemeError, both ValueErrors, for a text that cannot be spoken.

        >>> default_pronouncer().variants("hey {N OW V AH}")
        [('HH', 'EY1', 'N', 'OW1', 'V', 'AH0')]
        """
        rankings = [_combinations(spoken) for spoken in self.alternatives(text)]
        kept: dict[tuple[str, ...], Phonemes] = {}
        for first in (next(ranking) for ranking in rankings):
            kept.setdefault(_unstressed(first), first)
        for other in itertools.islice(itertools.chain(*rankings), 50):
            if len(kept) >= MAX_VARIANTS:
                break
            kept.setdefault(_unstressed(other), other)
        return list(kept.values())

    def alternatives(self, text: str) -> list[list[Spoken]]:
        """The words of each alternative that | separates, with all their pronunciations and their sources."""
        parts = text.split("|")
        if len(parts) > 1 and not all(part.strip() for part in parts):
            raise TextError(
                f"text: an alternative is empty in {text.strip()[:60]!r}; write something on both sides of |"
            )
        return [list(self._read(part)) for part in parts]

    def _read(self, text: str) -> Iterator[Spoken]:
        """Goes through the pronunciations that a person gave and the plain text between them."""
        place = 0
        for given in _GIVEN.finditer(text):
            yield from self._plain(text[place : given.start()], required=False)
            yield _given(given)
            place = given.end()
        yield from self._plain(text[place:], required=place == 0)

    def _plain(self, text: str, required: bool) -> Iterator[Spoken]:
        if lost := _UNCLOSED.search(text):
            shown = text[lost.start() :].strip()[:40]
            if lost[0][0] == "/":
                raise TextError(f"text: no closing slash after {shown!r}; write IPA between two slashes, as /ˈnoʊvə/")
            if lost[0] == "{":
                raise TextError(
                    f"text: no closing brace after {shown!r}; write ARPABET between braces, as {{N OW1 V AH0}}"
                )
            raise TextError(
                f"text: no opening brace before {text[: lost.end()].strip()[-40:]!r}; write ARPABET as {{N OW1 V AH0}}"
            )
        if required or _SPEAKABLE_MARKS.search(text):
            yield from map(self._spoken, normalise(text))

    def _spoken(self, word: str) -> Spoken:
        if word not in self._cache:
            self._cache[word] = Spoken(word, *self._parts.pronounce(word))
        return self._cache[word]


def _given(match: re.Match[str]) -> Spoken:
    """A pronunciation in braces or slashes; IPA without any stress mark gets one on its first full vowel."""
    if match["arpabet"] is not None:
        return Spoken(match[0], (from_arpabet(match["arpabet"]),), "given")
    phonemes = from_ipa(match["ipa"])
    if not any(symbol[-1] in "12" for symbol in phonemes):
        first = next((place for place, symbol in enumerate(phonemes) if is_vowel(symbol) and symbol != "AH0"), None)
        phonemes = tuple(symbol[:-1] + "1" if place == first else symbol for place, symbol in enumerate(phonemes))
    return Spoken(match[0], (phonemes,), "given")


def _combinations(spoken: Sequence[Spoken]) -> Iterator[Phonemes]:
    """The ways to combine words' pronunciations: all first ones, then one changed (in long words first), then two …"""
    changes = [(rank, place) for place, word in enumerate(spoken) for rank in range(1, len(word.pronunciations))]
    changes.sort(key=lambda change: (change[0], -len(spoken[change[1]].word)))
    for size in range(len(spoken) + 1):
        for chosen in itertools.combinations(changes, size):
            ranks = {place: rank for rank, place in chosen}
            if len(ranks) == size:
                yield tuple(
                    itertools.chain.from_iterable(
                        word.pronunciations[ranks.get(place, 0)] for place, word in enumerate(spoken)
                    )
                )


def _unstressed(phonemes: Phonemes) -> tuple[str, ...]:
    return tuple(symbol.rstrip("012") for symbol in phonemes)


@lru_cache(maxsize=1)
def default_pronouncer() -> Pronouncer:
    """The pronouncer with the package's own lexicon and network, loaded once."""
    return Pronouncer()


__all__ = ["G2P_FILE", "LEXICON_FILE", "PhonemeError", "Pronouncer", "Spoken", "TextError", "default_pronouncer"]
