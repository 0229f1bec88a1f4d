"""Pronunciations of any English text: given by a person, from the lexicon, from its parts, or from the neural G2P."""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from watchword.text.g2p import GraphemeToPhoneme
from watchword.text.lexicon import Lexicon
from watchword.text.phonemes import PhonemeError, from_arpabet, from_ipa, is_vowel
from watchword.text.words import TextError, normalise

Phonemes = tuple[str, ...]
Source = Literal["given", "lexicon", "compound", "letters", "g2p"]

LEXICON_FILE = "lexicon.txt.xz"
G2P_FILE = "g2p.npz"
EXTRA_FILE = "extra.txt"
MAX_VARIANTS = 4
_DATA = Path(__file__).parent / "data"
_SHORTEST_PART = 3
_GIVEN = re.compile(r"\{(?P<arpabet>[^{}]*)\}|(?<![^\s|])/(?P<ipa>[^/|]*)/(?![^\s|.,!?])")
_WEAK_VOWEL_ENDS = ("S", "Z", "SH", "CH", "ZH", "JH")
_VOICELESS = ("P", "T", "K", "F", "TH")


@dataclass(frozen=True)
class Spoken:
    """A word of a text, its pronunciations with the most usual first, and where they come from."""

    word: str
    pronunciations: tuple[Phonemes, ...]
    source: Source


class Pronouncer:
    """Turns text into phonemes with the lexicon and the G2P network of a folder (a bundle's, or the package's own)."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = Path(directory) if directory is not None else _DATA
        for name in (LEXICON_FILE, G2P_FILE):
            if not (self.directory / name).is_file():
                raise FileNotFoundError(f"text: {self.directory} holds no {name}; a bundle needs {LEXICON_FILE} and {G2P_FILE}")
        self._word = lru_cache(maxsize=100_000)(self._spoken)

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon(self.directory / LEXICON_FILE)

    @cached_property
    def _network(self) -> GraphemeToPhoneme:
        return GraphemeToPhoneme(self.directory / G2P_FILE)

    def words(self, text: str) -> list[tuple[str, Phonemes]]:
        """Each word of a text with its first pronunciation; of alternatives written with | only the first is read."""
        return [(spoken.word, spoken.pronunciations[0]) for spoken in self.alternatives(text)[0]]

    def variants(self, text: str) -> list[Phonemes]:
        """The ways to say a whole text, the most usual first: ARPABET with stress, at most four unless more are given.

        Raises TextError or PhonemeError, both ValueErrors, for a text that cannot be spoken.
        """
        ranked = [list(_combinations(spoken)) for spoken in self.alternatives(text)]
        firsts = [options[0] for options in ranked]
        others = [option for options in ranked for option in options[1:]]
        kept: dict[Phonemes, Phonemes] = {}
        for number, option in enumerate([*firsts, *others]):
            if number < len(firsts) or len(kept) < MAX_VARIANTS:
                kept.setdefault(tuple(phoneme.rstrip("012") for phoneme in option), option)
        return list(kept.values())

    def alternatives(self, text: str) -> list[list[Spoken]]:
        """The words of each alternative that | separates, with all their pronunciations and their sources."""
        return [list(self._read(part, text)) for part in text.split("|")]

    def _read(self, part: str, text: str) -> Iterator[Spoken]:
        if not part.strip() and "|" in text:
            raise TextError(f"text: an alternative is empty in {text.strip()!r}; write something on both sides of |")
        place, any_given = 0, False
        for given in _GIVEN.finditer(part):
            yield from self._plain(part[place : given.start()], required=False)
            yield _given(given)
            place, any_given = given.end(), True
        yield from self._plain(part[place:], required=not any_given)

    def _plain(self, text: str, required: bool) -> Iterator[Spoken]:
        if lost := re.search(r"[{}]|(?<!\S)/\S*", text):
            mark = lost[0][0]
            closing = "open and close ARPABET with braces, as {N OW1 V AH0}" if mark != "/" else "close IPA with a second slash, as /ˈnoʊvə/"
            raise TextError(f"text: unclosed {mark!r} at {text[lost.start() :].strip()[:40]!r}; {closing}")
        if required or re.search(r"\w", text):
            yield from map(self._word, normalise(text))

    def _spoken(self, word: str) -> Spoken:
        """A word by itself: whole, hyphen parts, possessive or plural, letters, compound, network."""
        if found := self._known(word):
            return Spoken(word, found, "lexicon")
        if "-" in word:
            parts = [self._word(part) for part in word.split("-") if part.strip("'")]
            joined = tuple(itertools.chain.from_iterable(part.pronunciations[0] for part in parts))
            return Spoken(word, (joined,), "g2p" if any(part.source == "g2p" for part in parts) else "compound")
        if word.endswith("'s") and (stem := self._word(word[:-2])):
            return Spoken(word, tuple(add_s(phonemes) for phonemes in stem.pronunciations), stem.source)
        plain = word.replace("'", "")
        if not re.search(r"[aeiouy]", plain):
            letters = itertools.chain.from_iterable(self._lexicon.get(f"{letter}.")[0] for letter in plain)
            return Spoken(word, (tuple(letters),), "letters")
        for suffix, add in _SUFFIXES.items():
            stem = word[: -len(suffix)]
            if word.endswith(suffix) and len(stem) > 2 and (found := self._known(stem)):
                return Spoken(word, tuple(map(add, found)), "compound")
        if parts := self._compound(plain):
            return Spoken(word, (parts,), "compound")
        return Spoken(word, (self._network(plain),), "g2p")

    def _known(self, word: str) -> tuple[Phonemes, ...]:
        return self._extra.get(word) or self._lexicon.get(word) or self._lexicon.get(f"{word}." if len(word) == 1 else word.replace("-", ""))

    @cached_property
    def _extra(self) -> dict[str, tuple[Phonemes, ...]]:
        lines = (self.directory / EXTRA_FILE).read_text(encoding="utf-8").splitlines() if (self.directory / EXTRA_FILE).is_file() else ()
        entries = (line.partition(" ") for line in lines if line and not line.startswith("#"))
        return {word: tuple(tuple(variant.split()) for variant in rest.split("|")) for word, _, rest in entries}

    def _compound(self, word: str) -> Phonemes | None:
        """Two known words written as one (smartlock): the split whose shorter part is longest."""
        splits = range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1)
        for cut in sorted(splits, key=lambda cut: -min(cut, len(word) - cut)):
            head, tail = self._known(word[:cut]), self._known(word[cut:])
            if head and tail:
                return head[0] + _weaken(tail[0])
        return None


def add_s(phonemes: Phonemes) -> Phonemes:
    """Adds the plural or possessive s: IH0 Z after hisses, S after voiceless sounds, Z after the others."""
    last = phonemes[-1]
    if last in _WEAK_VOWEL_ENDS:
        return (*phonemes, "IH0", "Z")
    return (*phonemes, "S" if last in _VOICELESS else "Z")


def _add_ed(phonemes: Phonemes) -> Phonemes:
    last = phonemes[-1]
    if last in ("T", "D"):
        return (*phonemes, "IH0", "D")
    return (*phonemes, "T" if last in (*_VOICELESS, "S", "SH", "CH") else "D")


_SUFFIXES: dict[str, Callable[[Phonemes], Phonemes]] = {
    "s": add_s,
    "es": add_s,
    "ed": _add_ed,
    "ing": lambda phonemes: (*phonemes, "IH0", "NG"),
}


def _weaken(phonemes: Phonemes) -> Phonemes:
    """The second part of a compound keeps its vowels, its main stress becomes secondary."""
    return tuple(symbol[:-1] + "2" if is_vowel(symbol) and symbol[-1] == "1" else symbol for symbol in phonemes)


def _given(match: re.Match[str]) -> Spoken:
    """A pronunciation in braces or slashes; IPA without any stress mark gets one on its first full vowel."""
    if match["arpabet"] is not None:
        return Spoken(match[0], (from_arpabet(match["arpabet"]),), "given")
    phonemes = from_ipa(match["ipa"])
    if not any(symbol[-1] in "12" for symbol in phonemes):
        first = next((place for place, symbol in enumerate(phonemes) if is_vowel(symbol) and symbol != "AH0"), None)
        phonemes = tuple(symbol[:-1] + "1" if place == first else symbol for place, symbol in enumerate(phonemes))
    return Spoken(match[0], (phonemes,), "given")


def _combinations(spoken: list[Spoken]) -> Iterator[Phonemes]:
    """All ways to combine the words' pronunciations, fewest unusual ones first, longer words varied before shorter ones."""
    choices = [range(min(len(word.pronunciations), MAX_VARIANTS)) for word in spoken]
    many = itertools.islice(itertools.product(*choices), 4096)
    weight = [1 / (1 + len(word.word)) for word in spoken]
    ranked = sorted(many, key=lambda pick: (sum(pick), sum(w * p for w, p in zip(weight, pick, strict=True))))
    for pick in ranked:
        yield tuple(itertools.chain.from_iterable(word.pronunciations[p] for word, p in zip(spoken, pick, strict=True)))


@lru_cache(maxsize=1)
def default_pronouncer() -> Pronouncer:
    """The pronouncer of the package's own lexicon and network, loaded once."""
    return Pronouncer()


__all__ = ["PhonemeError", "Pronouncer", "Spoken", "TextError", "default_pronouncer"]
