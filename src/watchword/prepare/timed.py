"""Word and phone times that a corpus brings along: laid on its transcript, or left out where they do not fit."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from watchword.data.segment import SegmentError, Timed, numbered_lines
from watchword.text.phonemes import PHONEMES

_SILENCES = frozenset({"", "sil", "sp", "silence", "<eps>", "<sil>", "<silence>", "#0"})
_UNKNOWN = re.compile(r"<.*>|\[.*\]|spn|nsn|unk", re.IGNORECASE)
_POSITION = re.compile(r"_[BIES]$")
_KNOWN_PHONES = frozenset(PHONEMES[2:])


def read_ctm(path: Path) -> Iterator[tuple[int, str, Timed]]:
    """Reads lines `NAME CHANNEL START DURATION WORD`, comments after `;;`: line number, name, word (in seconds).

    Raises SegmentError naming file and line."""
    for number, line in numbered_lines(path):
        columns = line.split()
        if not columns or line.startswith(";;"):
            continue
        try:
            name, start, seconds, word = columns[0], float(columns[2]), float(columns[3]), columns[4]
        except (IndexError, ValueError):
            raise SegmentError(f"{path}, line {number}: is not NAME CHANNEL START DURATION WORD") from None
        yield number, name, Timed(word, start, start + seconds)


def is_silence(name: str) -> bool:
    """Says whether a word or phone of an alignment stands for silence."""
    return name.casefold() in _SILENCES


def fit_words(text: str, aligned: Sequence[Timed]) -> tuple[Timed, ...]:
    """Gives the words of a transcript the times of its alignment; none at all where they are not the same words.

    Silences are dropped. A word that the aligner did not know (`<unk>`) takes its spelling from the transcript.

    >>> fit_words("Hey, Nova!", [Timed("hey", 0.1, 0.3), Timed("", 0.3, 0.4), Timed("<unk>", 0.4, 0.9)])
    (Timed(text='Hey,', start_seconds=0.1, end_seconds=0.3), Timed(text='Nova!', start_seconds=0.4, end_seconds=0.9))
    """
    wanted = [word for word in text.split() if _letters(word)]
    found = [word for word in aligned if not is_silence(word.text)]
    if len(wanted) != len(found) or not _in_order(found):
        return ()
    for word, timed in zip(wanted, found, strict=True):
        if _letters(word) != _letters(timed.text) and not _UNKNOWN.fullmatch(timed.text):
            return ()
    return tuple(Timed(word, t.start_seconds, t.end_seconds) for word, t in zip(wanted, found, strict=True))


def fit_phones(aligned: Sequence[Timed]) -> tuple[Timed, ...]:
    """Brings phones to ARPABET with stress and "SIL"; none at all where one of them is something else (`spn`, IPA)."""
    phones = []
    for phone in aligned:
        name = "SIL" if is_silence(phone.text) else _POSITION.sub("", phone.text)
        if name != "SIL" and name not in _KNOWN_PHONES:
            return ()
        phones.append(Timed(name, phone.start_seconds, phone.end_seconds))
    return tuple(phones) if _in_order(phones) else ()


def _letters(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def _in_order(timed: Sequence[Timed]) -> bool:
    """Says whether each lasts, and begins no earlier than the one before it ends (but for rounding)."""
    place = float("-inf")
    for one in timed:
        if one.start_seconds < place - 0.011 or one.end_seconds <= one.start_seconds:
            return False
        place = one.end_seconds
    return True
