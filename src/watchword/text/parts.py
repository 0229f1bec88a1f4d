"""One word's pronunciation: from the lexicon, else from its parts, its ending or its letters, else from the G2P."""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Literal

from watchword.text.lexicon import Lexicon, Phonemes
from watchword.text.phonemes import is_vowel

Source = Literal["given", "lexicon", "compound", "letters", "g2p"]

_MAX_PRONUNCIATIONS = 4
_HISSES = ("S", "Z", "SH", "CH", "ZH", "JH")
_VOICELESS = ("P", "T", "K", "F", "TH")
# The lexicon holds many rare names: shorter parts than this make false compounds, unless they are listed below.
_SHORTEST_PART = 4
_SHORT_PARTS_WORDS = """
    air all app art bag bar bat bay bed bee big bin bit bot box boy bus buy cab cam cap car cat cut dad day dog dot
    dry ear egg eye fan fit fly fox fun gas guy gym hat hey hot hub ice ink jam jet job key kid kit lab lap law leg
    lip log low man map max mic mix mom net new off oil old one out own pad pan pay pen pet pie pin pit pod pop pot
    pro pub red rob run sea sky sun tab tag tap tax tea tek tie tip toe top toy tub two van way web win zip
"""
_SHORT_PARTS = frozenset(_SHORT_PARTS_WORDS.split())
_LETTER_PARTS = ("gpt", "sql", "html", "llm", "tv", "hd", "vr", "fm", "dj", "pc", "js")


class Parts:
    """Pronounces single normalised words with a lexicon and, last, a network."""

    def __init__(self, lexicon: Lexicon, network: Callable[[str], Phonemes]) -> None:
        self._lexicon = lexicon
        self._network = network

    def pronounce(self, word: str) -> tuple[tuple[Phonemes, ...], Source]:
        """All pronunciations of a lower-case word (a–z, apostrophes, hyphens; "a." is the letter), and their source."""
        if found := self._known(word):
            return found, "lexicon"
        if "-" in word:
            return self._hyphened(word)
        if word.endswith("'s"):
            stems, source = self.pronounce(word[:-2])
            return tuple(map(_add_s, stems)), source
        plain = re.sub("[^a-z]", "", word)
        if not re.search("[aeiouy]", plain):
            return (self._letters(plain),), "letters"
        if found := self._known(plain) or next(self._inflected(plain), ()):
            return found, "compound"
        if found := self._compound(plain):
            return (found,), "compound"
        return (self._network(plain) or self._letters(plain),), "g2p"

    def _known(self, word: str) -> tuple[Phonemes, ...]:
        # A letter by itself is read by its name; only "a" is above all a word.
        if len(word) == 1 and word != "a":
            word += "."
        return self._lexicon.get(word)

    def _letters(self, letters: str) -> Phonemes:
        return tuple(itertools.chain.from_iterable(self._lexicon.get(f"{letter}.")[0] for letter in letters))

    def _hyphened(self, word: str) -> tuple[tuple[Phonemes, ...], Source]:
        if found := self._known(word.replace("-", "")):
            return found, "lexicon"
        choices, sources = zip(*(self.pronounce(part) for part in word.split("-") if part.strip("'")), strict=True)
        joined = (tuple(itertools.chain.from_iterable(choice)) for choice in itertools.product(*choices))
        return tuple(itertools.islice(joined, _MAX_PRONUNCIATIONS)), "g2p" if "g2p" in sources else "compound"

    def _inflected(self, word: str) -> Iterator[tuple[Phonemes, ...]]:
        """Known stems with an English ending (-s, -ed, -ing, -er, -ly) that may have cost an e or doubled a letter."""
        for ending, add in _ENDINGS.items():
            stem = word.removesuffix(ending)
            if stem == word or len(stem) < 3:
                continue
            undoubled = stem[:-1] if stem[-1] == stem[-2] and ending in ("ed", "ing", "er") else ""
            mute_e = f"{stem}e" if ending in ("ed", "ing", "er") else ""
            for whole in (f"{stem}y",) if ending in ("ies", "ied") else (stem, mute_e, undoubled):
                if whole and (found := self._known(whole)):
                    yield tuple(map(add, found))
        if word.endswith("in") and (found := self._known(f"{word}g")):  # runnin'
            yield tuple((*phonemes[:-1], "N") for phonemes in found)

    def _compound(self, word: str) -> Phonemes | None:
        """Two known words, or more, written as one (smartlock): the split whose shorter part is longest."""
        cuts = sorted(range(3, len(word) - 1), key=lambda cut: -min(cut, len(word) - cut))
        for cut in cuts:
            head, tail = word[:cut], word[cut:]
            if self._is_part(head) and (tail in _LETTER_PARTS or (self._is_part(tail))):
                second = self._letters(tail) if tail in _LETTER_PARTS else _weakened(self._known(tail)[0])
                return self._known(head)[0] + second
        for cut in cuts:
            if (
                self._is_part(word[:cut])
                and len(word) - cut >= 2 * _SHORTEST_PART
                and (rest := self._compound(word[cut:]))
            ):
                return self._known(word[:cut])[0] + rest
        return None

    def _is_part(self, word: str) -> bool:
        return bool((len(word) >= _SHORTEST_PART or word in _SHORT_PARTS) and self._known(word))


def _add_s(phonemes: Phonemes) -> Phonemes:
    last = phonemes[-1]
    return (*phonemes, "IH0", "Z") if last in _HISSES else (*phonemes, "S" if last in _VOICELESS else "Z")


def _add_ed(phonemes: Phonemes) -> Phonemes:
    last = phonemes[-1]
    return (
        (*phonemes, "IH0", "D")
        if last in ("T", "D")
        else (*phonemes, "T" if last in (*_VOICELESS, "S", "SH", "CH") else "D")
    )


def _adding(*ending: str) -> Callable[[Phonemes], Phonemes]:
    return lambda phonemes: (*phonemes, *ending)


_ENDINGS: dict[str, Callable[[Phonemes], Phonemes]] = {
    "ies": _add_s,
    "s": _add_s,
    "es": _add_s,
    "ied": _add_ed,
    "ed": _add_ed,
    "ing": _adding("IH0", "NG"),
    "ings": _adding("IH0", "NG", "Z"),
    "er": _adding("ER0"),
    "ers": _adding("ER0", "Z"),
    "ly": _adding("L", "IY0"),
}


def _weakened(phonemes: Phonemes) -> Phonemes:
    """The second part of a compound keeps its vowels; its main stress becomes secondary."""
    return tuple(symbol[:-1] + "2" if is_vowel(symbol) and symbol[-1] == "1" else symbol for symbol in phonemes)
