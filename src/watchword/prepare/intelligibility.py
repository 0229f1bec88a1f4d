"""Rejection of spoken clips that a phoneme recogniser does not understand."""

from collections.abc import Callable, Sequence

import numpy as np

# The recogniser's IPA on the left; ARPABET without stress on the right.
_IPA = {
    "ɑ": "AA", "æ": "AE", "ə": "AH", "ʌ": "AH", "ɔ": "AO", "aʊ": "AW", "aɪ": "AY", "b": "B", "tʃ": "CH", "d": "D",
    "ð": "DH", "ɛ": "EH", "ɝ": "ER", "ɚ": "ER", "eɪ": "EY", "f": "F", "ɡ": "G", "g": "G", "h": "HH", "ɪ": "IH",
    "i": "IY", "dʒ": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "ŋ": "NG", "oʊ": "OW", "ɔɪ": "OY", "p": "P",
    "ɹ": "R", "r": "R", "s": "S", "ʃ": "SH", "t": "T", "ɾ": "T", "θ": "TH", "ʊ": "UH", "u": "UW", "v": "V", "w": "W",
    "j": "Y", "z": "Z", "ʒ": "ZH",
}  # fmt: skip
_VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}


def phoneme_error(expected: Sequence[str], heard: Sequence[str]) -> float:
    """Computes the edit distance of two ARPABET sequences over the length of the first.

    One vowel for another costs a half, since accents differ most there.

    >>> phoneme_error(["Y", "EH1", "S"], ["Y", "AH", "S"])
    0.16666666666666666
    """
    wanted, got = [p.rstrip("012") for p in expected], [p.rstrip("012") for p in heard]
    row = np.arange(len(got) + 1, dtype=float)
    for i, left in enumerate(wanted, 1):
        previous, row = row, np.empty_like(row)
        row[0] = i
        for j, right in enumerate(got, 1):
            swap = 0.0 if left == right else 0.5 if left in _VOWELS and right in _VOWELS else 1.0
            row[j] = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + swap)
    return float(row[-1]) / max(len(wanted), 1)


def hama_listener() -> Callable[[np.ndarray], list[str]]:
    """Opens the phoneme CTC recogniser of the package hama (Apache-2.0): 16 kHz samples to ARPABET without stress.

    Raises ImportError where the package is absent."""
    import hama

    model = hama.ASRModel()

    def listen(samples: np.ndarray) -> list[str]:
        padded = np.pad(samples, 1600).astype(np.float32)
        return [_IPA[symbol] for symbol in model.transcribe_waveform(padded, 16000).phonemes if symbol in _IPA]

    return listen
