"""What an aligner finds, whichever it is, and when it is not to be believed."""

from dataclasses import dataclass

from watchword.data.segment import Timed

LONGEST_PHONE_SECONDS = 0.6
SHORTEST_WORD_SECONDS = 0.03
_ROUNDING = 1e-6


class AlignError(ValueError):
    """Alignment cannot run; the message says what is missing."""


@dataclass(frozen=True)
class Alignment:
    """Words and phones of one stretch of speech, seconds from its start; `phones` keep silences as "SIL"."""

    words: tuple[Timed, ...]
    phones: tuple[Timed, ...]


def too_long_or_short(alignment: Alignment) -> str:
    """Why an alignment must be wrong: a word that is too short, or a phone that is too long; "" where none is."""
    for word in alignment.words:
        if word.end_seconds - word.start_seconds < SHORTEST_WORD_SECONDS - _ROUNDING:
            return f"a word of {1000 * (word.end_seconds - word.start_seconds):.0f} ms ({word.text})"
    for phone in alignment.phones:
        seconds = phone.end_seconds - phone.start_seconds
        if phone.text != "SIL" and seconds > LONGEST_PHONE_SECONDS + _ROUNDING:
            word = next(w.text for w in alignment.words if w.start_seconds <= phone.start_seconds < w.end_seconds)
            return f"a phone of {1000 * seconds:.0f} ms ({phone.text} in {word})"
    return ""
