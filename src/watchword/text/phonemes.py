"""The phoneme set and its ids: 70 ARPABET symbols with stress, and their conversion from and to IPA."""

import unicodedata
from collections.abc import Iterable, Sequence

PAD = 0
UNK = 1

_VOWEL_TO_IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "EH": "ɛ", "ER": "ɝ", "EY": "eɪ", "IH": "ɪ",
    "IY": "i", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "u",
}  # fmt: skip
_CONSONANT_TO_IPA = {
    "B": "b", "CH": "tʃ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "dʒ", "K": "k", "L": "l",
    "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w",
    "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
_VOWELS = tuple(_VOWEL_TO_IPA)
_CONSONANTS = tuple(_CONSONANT_TO_IPA)

# The symbols of the g2p_en network, in its order; its bare "UW" is kept so that ids equal those of its users.
PHONEMES: tuple[str, ...] = ("<pad>", "<unk>", *sorted([*(v + s for v in _VOWELS for s in "012"), *_CONSONANTS, "UW"]))
_IDS = {phoneme: number for number, phoneme in enumerate(PHONEMES)}

# Other spellings that people and dictionaries use; British vowels go to their nearest ARPABET; a final 0 marks schwas.
_OTHER_IPA = {
    "ə": "AH0", "ɐ": "AH", "ɚ": "ER0", "əɹ": "ER0", "ər": "ER0", "ɜɹ": "ER", "ɜr": "ER", "ɝɹ": "ER", "ɝr": "ER",
    "ɜ": "ER", "ɞ": "ER", "e": "EH", "a": "AA", "ɒ": "AA", "o": "OW", "ɵ": "UH", "əʊ": "OW", "ɔi": "OY", "oi": "OY",
    "oɪ": "OY", "ɔj": "OY", "ai": "AY", "aj": "AY", "ɑɪ": "AY", "au": "AW", "aw": "AW", "ɑʊ": "AW", "ei": "EY",
    "ej": "EY", "ou": "OW", "ow": "OW", "ɨ": "IH", "ᵻ": "IH", "ʉ": "UW", "y": "UW", "ɪə": "IH R", "eə": "EH R",
    "ɛə": "EH R", "ʊə": "UH R", "g": "G", "r": "R", "ɾ": "D", "ɻ": "R", "ʁ": "R", "ɫ": "L", "ʧ": "CH", "ʤ": "JH",
    "x": "K", "ʔ": "T", "ʍ": "W", "ɱ": "M", "ɲ": "N Y", "β": "V", "ɣ": "G", "m̩": "AH0 M", "n̩": "AH0 N",
    "l̩": "AH0 L", "ɫ̩": "AH0 L", "ɹ̩": "ER0", "r̩": "ER0",
}  # fmt: skip
_FROM_IPA = {ipa: name for name, ipa in (*_VOWEL_TO_IPA.items(), *_CONSONANT_TO_IPA.items())} | _OTHER_IPA
_LONGEST = max(map(len, _FROM_IPA))
_IPA_VOWELS = frozenset(ipa[0] for ipa, name in _FROM_IPA.items() if name.rstrip("0") in _VOWELS)
_STRESS_MARKS = {"ˈ": "1", "'": "1", "ˌ": "2"}
_SKIPPED_MARKS = frozenset(".-‿ʰʲʷ˞ˑ˘\u0303\u032f\u031a\u032a\u0325\u032c")
_DROPPED_MARKS = str.maketrans("", "", "ː()\u0361\u035c")
# English syllables may open with these consonant groups: to_ipa puts the stress mark before them.
_ONSETS = frozenset(
    f"{first} {second}"
    for firsts, seconds in (
        ("P B K G F", "L"),
        ("P B T D K G F TH SH", "R"),
        ("T D K G S", "W"),
        ("P B K F HH M V", "Y"),
        ("S", "L P T K M N"),
    )
    for first in firsts.split()
    for second in seconds.split()
) | {"S P L", "S P R", "S P Y", "S T R", "S K R", "S K W", "S K Y"}


class PhonemeError(ValueError):
    """A pronunciation holds a symbol that is no phoneme; the message shows it and says what is allowed."""


def is_vowel(phoneme: str) -> bool:
    """Says whether an ARPABET symbol, with or without stress, is a vowel."""
    return phoneme.rstrip("012") in _VOWELS


def ids_without_stress() -> tuple[int, ...]:
    """For each id, that of the same phoneme whatever its stress, the lowest: 39 phonemes in place of 70.

    >>> ids = ids_without_stress()
    >>> ids[encode(["OW2"])[0]] == ids[encode(["OW0"])[0]], len(set(ids[2:]))
    (True, 39)
    """
    lowest: dict[str, int] = {}
    return tuple(lowest.setdefault(phoneme.rstrip("012"), number) for number, phoneme in enumerate(PHONEMES))


def encode(phonemes: Sequence[str]) -> list[int]:
    """Turns ARPABET symbols with stress into ids; raises PhonemeError for an unknown one.

    >>> encode(["N", "OW1", "V", "AH0"])
    [46, 49, 67, 8]
    """
    try:
        return [_IDS[phoneme] for phoneme in phonemes]
    except KeyError as missing:
        raise PhonemeError(f"phonemes: unknown phoneme {missing.args[0]!r}; the set is {_listing()}") from None


def decode(ids: Iterable[int]) -> list[str]:
    """Turns ids into ARPABET symbols, the inverse of encode; raises PhonemeError for an id outside the set."""
    symbols = []
    for number in ids:
        if not 0 <= int(number) < len(PHONEMES):
            raise PhonemeError(f"phonemes: no phoneme has the id {int(number)}; ids run from 0 to {len(PHONEMES) - 1}")
        symbols.append(PHONEMES[int(number)])
    return symbols


def from_arpabet(text: str) -> tuple[str, ...]:
    """Reads ARPABET that a person typed: any case, stress digits optional (first vowel 1, the others 0).

    >>> from_arpabet("n ow v ah")
    ('N', 'OW1', 'V', 'AH0')
    """
    symbols = text.upper().split()
    if not symbols:
        raise PhonemeError(f"phonemes: empty pronunciation {{{text}}}; write ARPABET such as {{N OW1 V AH0}}")
    has_stress = any(symbol[-1].isdigit() for symbol in symbols)
    phonemes: list[str] = []
    for symbol in symbols:
        if symbol in _VOWELS:
            first = not has_stress and not any(map(is_vowel, phonemes))
            phonemes.append(symbol + ("1" if first else "0"))
        elif symbol in _IDS and not symbol.startswith("<"):
            phonemes.append(symbol)
        else:
            raise PhonemeError(f"phonemes: unknown phoneme {symbol!r} in {{{text.strip()}}}; the set is {_listing()}")
    return tuple(phonemes)


def from_ipa(ipa: str) -> tuple[str, ...]:
    """Reads IPA: ˈ and ˌ stress the next vowel, other vowels get 0; raises PhonemeError at an unknown symbol.

    >>> from_ipa("ˈnoʊvə")
    ('N', 'OW1', 'V', 'AH0')
    """
    text = unicodedata.normalize("NFD", ipa).translate(_DROPPED_MARKS)
    phonemes: list[str] = []
    stress, place = "0", 0
    while place < len(text):
        if text[place] in _STRESS_MARKS:
            stress = _STRESS_MARKS[text[place]]
        elif symbol := _ipa_symbol(text, place):
            for name in _FROM_IPA[symbol].split():
                vowel = name.removesuffix("0") in _VOWELS
                phonemes.append(name.removesuffix("0") + stress if vowel else name)
                stress = "0" if vowel else stress
            place += len(symbol) - 1
        elif not (text[place].isspace() or text[place] in _SKIPPED_MARKS):
            shown = f"{text[place]!r} in /{ipa.strip()[:40]}/"
            raise PhonemeError(f"phonemes: unknown IPA symbol {shown}; write English IPA, as /ˈnoʊvə/")
        place += 1
    if not phonemes:
        raise PhonemeError(f"phonemes: empty pronunciation /{ipa}/; write IPA, as /ˈnoʊvə/")
    return tuple(phonemes)


def to_ipa(phonemes: Sequence[str]) -> str:
    """Writes ARPABET as IPA, stress marks before syllables; from_ipa gives the same phonemes back (bare UW as UW0).

    >>> to_ipa(["T", "AH0", "M", "EY1", "T", "OW2"])
    'təˈmeɪˌtoʊ'
    """
    encode(phonemes)
    marks = {_onset(phonemes, place): symbol[-1] for place, symbol in enumerate(phonemes) if symbol[-1] in "12"}
    symbols = [_symbol_ipa(symbol) for symbol in phonemes]
    written = ""
    for place, symbol in enumerate(symbols):
        if place in marks:
            written += "ˈ" if marks[place] == "1" else "ˌ"
        elif place and _ipa_symbol("".join(symbols[place - 1 :]), 0) != symbols[place - 1]:
            written += "."  # parts T from SH, which would be read as CH
        written += symbol
    return written


def _ipa_symbol(text: str, place: int) -> str:
    """The longest known IPA symbol at a place of a text, or nothing; əɹ is one sound only when no vowel follows."""
    for size in range(min(_LONGEST, len(text) - place), 0, -1):
        symbol = text[place : place + size]
        if symbol in _FROM_IPA and not (
            symbol in ("əɹ", "ər") and text[place + size : place + size + 1] in _IPA_VOWELS
        ):
            return symbol
    return ""


def _symbol_ipa(symbol: str) -> str:
    name = symbol.rstrip("012")
    if symbol in ("AH0", "ER0"):
        return "ə" if name == "AH" else "ɚ"
    return _VOWEL_TO_IPA.get(name) or _CONSONANT_TO_IPA[name]


def _onset(phonemes: Sequence[str], vowel: int) -> int:
    """Where the syllable of a vowel starts: the longest consonant group before it that English allows."""
    start = vowel
    while start > 0 and not is_vowel(phonemes[start - 1]):
        group = " ".join(phonemes[start - 1 : vowel])
        if group not in _ONSETS and (start < vowel or group == "NG"):
            break
        start -= 1
    # A word's first consonants always belong to its first syllable.
    return start if any(map(is_vowel, phonemes[:start])) else 0


def _listing() -> str:
    return " ".join((*_VOWELS, *_CONSONANTS)) + ", vowels with stress 0, 1 or 2"
