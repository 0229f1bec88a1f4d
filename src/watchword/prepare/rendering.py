"""What a voice gives: one rendering of a text, with the times of its words and phones where the voice knows them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from watchword.data.segment import Timed


class VoiceError(ValueError):
    """An engine is not installed or not whole; the message says how to get it."""


class SpeechError(ValueError):
    """An engine that is there did not speak one text; the message says why."""


@dataclass(frozen=True)
class Spoken:
    """One rendering: mono float samples, their rate, and a name of the voice that identifies it (voice mix, pitch).

    `words` and `phones` (ARPABET with stress, silences as "SIL") are placed in it in seconds; empty where unknown."""

    samples: np.ndarray
    sample_rate: int
    voice: str
    words: tuple[Timed, ...] = ()
    phones: tuple[Timed, ...] = ()


Engine = Callable[[str, np.random.Generator], Spoken]
