"""The phoneme set and its ids: 70 ARPABET symbols with stress, and their conversion from and to IPA."""

from collections.abc import Iterable, Sequence

PAD = 0
UNK = 1

_VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
_CONSONANTS = ("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH")

# The symbols of the g2p_en network, in its order; its bare "UW" is kept so that ids equal those of its users.
PHONEMES: tuple[str, ...] = ("<pad>", "<unk>", *sorted([*(v + s for v in _VOWELS for s in "012"), *_CONSONANTS, "UW"]))
_IDS = {phoneme: number for number, phoneme in enumerate(PHONEMES)}

_VOWEL_TO_IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "EH": "ɛ", "ER": "ɝ", "EY": "eɪ", "IH": "ɪ",
    "IY": "i", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "u",
}  # fmt: skip
_CONSONANT_TO_IPA = {
    "B": "b", "CH": "tʃ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "dʒ", "K": "k", "L": "l", "M": "m",
    "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j",
    "Z": "z", "ZH": "ʒ",
}  # fmt: skip
# Spellings of IPA that people and dictionaries use besides the ones written here; British vowels go to their nearest ARPABET.
_OTHER_IPA = {
    "ə": "AH0", "ɐ": "AH", "ɚ": "ER0", "ɜɹ": "ER", "ɜr": "ER", "ɜ": "ER", "ɞ": "ER", "e": "EH", "a": "AA", "ɒ": "AA",
    "o": "OW", "əʊ": "OW", "ɔi": "OY", "oi": "OY", "oɪ": "OY", "ɔj": "OY", "ai": "AY", "aj": "AY", "ɑɪ": "AY", "au": "AW",
    "aw": "AW", "ɑʊ": "AW", "ei": "EY", "ej": "EY", "ou": "OW", "ow": "OW", "ɨ": "IH", "ᵻ": "IH", "ʉ": "UW", "y": "UW",
    "ɪə": "IH R", "eə": "EH R", "ɛə": "EH R", "ʊə": "UH R", "g": "G", "r": "R", "ɾ": "D", "ɻ": "R", "ʁ": "R", "ɫ": "L",
    "ʧ": "CH", "ʤ": "JH", "ʦ": "T S", "x": "K", "ʔ": "T", "ʍ": "W", "ɱ": "M", "ɲ": "N Y", "β": "V", "ɣ": "G",
    "m̩": "AH0 M", "n̩": "AH0 N", "l̩": "AH0 L", "ɹ̩": "ER0", "r̩": "ER0",
}  # fmt: skip
_FROM_IPA = {ipa: name for name, ipa in (*_VOWEL_TO_IPA.items(), *_CONSONANT_TO_IPA.items())} | _OTHER_IPA
_LONGEST = max(map(len, _FROM_IPA))
_SILENT_MARKS = "ː ˑ ˘ . ‿ ͡ ͜ ʰ ʲ ʷ ˞ ̃ ̯ ̚ ̪ ̥ ̬ ( ) -".replace(" ", "")
# English syllables start with these consonant groups (after an optional S): the stress mark goes before them.
_ONSETS = {
    "P L", "P R", "P Y", "B L", "B R", "B Y", "T R", "T W", "D R", "D W", "K L", "K R", "K W", "K Y", "G L", "G R", "G W",
    "F L", "F R", "F Y", "TH R", "SH R", "HH Y", "M Y", "V Y", "S L", "S W", "S P", "S T", "S K", "S M", "S N", "S P L",
    "S P R", "S P Y", "S T R", "S K R", "S K W", "S K Y",
}  # fmt: skip


class PhonemeError(ValueError):
    """A pronunciation holds a symbol that is no phoneme; the message shows it and says what is allowed."""


def is_vowel(phoneme: str) -> bool:
    """Says whether an ARPABET symbol, with or without stress, is a vowel."""
    return phoneme.rstrip("012") in _VOWEL_TO_IPA


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
        if symbol in _VOWEL_TO_IPA:
            first = not has_stress and not any(map(is_vowel, phonemes))
            phonemes.append(symbol + ("1" if first else "0"))
        elif symbol in _IDS and not symbol.startswith("<"):
            phonemes.append(symbol)
        else:
            raise PhonemeError(f"phonemes: unknown phoneme {symbol!r} in {{{text.strip()}}}; the set is {_listing()}")
    return tuple(phonemes)


def from_ipa(ipa: str) -> tuple[str, ...]:
    """Reads IPA: ˈ and ˌ stress the next vowel, vowels without a mark get 0; raises PhonemeError at an unknown symbol.

    >>> from_ipa("ˈnoʊvə")
    ('N', 'OW1', 'V', 'AH0')
    """
    phonemes: list[str] = []
    stress, place = "0", 0
    ipa = ipa.replace("͡", "").replace("͜", "").replace("ː", "")
    while place < len(ipa):
        letter = ipa[place]
        if letter in "ˈ'ˌ":
            stress = "2" if letter == "ˌ" else "1"
            place += 1
            continue
        if letter.isspace() or letter in _SILENT_MARKS:
            place += 1
            continue
        size = next((n for n in range(_LONGEST, 0, -1) if ipa[place : place + n] in _FROM_IPA and place + n <= len(ipa)), 0)
        if not size:
            raise PhonemeError(f"phonemes: unknown IPA symbol {letter!r} in /{ipa.strip()}/; write English IPA such as /ˈnoʊvə/")
        for name in _FROM_IPA[ipa[place : place + size]].split():
            if name[-1] == "0":  # schwas: a mark before them makes them full vowels
                phonemes.append(name[:-1] + stress)
                stress = "0"
            elif name in _VOWEL_TO_IPA:
                phonemes.append(name + stress)
                stress = "0"
            else:
                phonemes.append(name)
        place += size
    if not phonemes:
        raise PhonemeError(f"phonemes: empty pronunciation /{ipa}/; write IPA such as /ˈnoʊvə/")
    return tuple(phonemes)


def to_ipa(phonemes: Sequence[str]) -> str:
    """Writes ARPABET as IPA, the stress mark before the syllable; from_ipa gives the same phonemes back (bare UW as UW0).

    >>> to_ipa(["T", "AH0", "M", "EY1", "T", "OW2"])
    'təˈmeɪˌtoʊ'
    """
    encode(phonemes)
    marks = {_onset(phonemes, place): "ˈ" if symbol[-1] == "1" else "ˌ" for place, symbol in enumerate(phonemes) if symbol[-1] in "12"}
    written = ""
    for place, symbol in enumerate(phonemes):
        piece = _symbol_ipa(symbol)
        if place in marks:
            written += marks[place]
        elif place and _merges(_symbol_ipa(phonemes[place - 1]), piece):
            written += "."
        written += piece
    return written


def _symbol_ipa(symbol: str) -> str:
    if symbol in ("AH0", "ER0"):
        return "ə" if symbol == "AH0" else "ɚ"
    name = symbol.rstrip("012")
    return _VOWEL_TO_IPA.get(name) or _CONSONANT_TO_IPA.get(name, "")


def _merges(left: str, right: str) -> bool:
    """Whether two symbols side by side would be read as another one, as T SH would be read as CH."""
    both = left + right
    return any(len(left) < size and both[:size] in _FROM_IPA or both[len(left) - 1 :][:size] in _FROM_IPA and size > 1 for size in range(2, len(both) + 1))


def _onset(phonemes: Sequence[str], vowel: int) -> int:
    """Finds where the syllable of a vowel starts: the longest consonant group before it that English allows."""
    start = vowel
    while start > 0 and not is_vowel(phonemes[start - 1]):
        group = " ".join(phonemes[start - 1 : vowel])
        if start - 1 == vowel - 1:
            allowed = phonemes[start - 1] != "NG"
        else:
            allowed = group in _ONSETS
        if not allowed:
            break
        start -= 1
    # A word's first consonants always belong to its first syllable.
    return 0 if not any(map(is_vowel, phonemes[:start])) else start


def _listing() -> str:
    return " ".join((*_VOWELS, *_CONSONANTS)) + ", vowels with stress 0, 1 or 2"
