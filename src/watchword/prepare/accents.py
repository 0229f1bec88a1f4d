"""English as speakers of Mandarin and Japanese pronounce it: which phonemes take another's place, and how often."""

from collections.abc import Sequence

import numpy as np

# Of the kind that textbooks list for speakers of Mandarin and Japanese (Swan and Smith, Learner English, 2001): what
# stands for what, and in which share of the occurrences with the strongest accent. The shares are guesses, not counted.
_SUBSTITUTES: dict[str, tuple[tuple[str, float], ...]] = {
    "TH": (("S", 0.5), ("T", 0.1), ("F", 0.1)),
    "DH": (("D", 0.35), ("Z", 0.35)),
    "V": (("W", 0.3), ("F", 0.15), ("B", 0.15)),
    "Z": (("S", 0.4),),
    "ZH": (("SH", 0.3), ("JH", 0.2)),
    "L": (("R", 0.15),),
    "R": (("L", 0.2),),
    "NG": (("N", 0.3),),
    "N": (("NG", 0.08),),
    "IH": (("IY", 0.4),),
    "IY": (("IH", 0.1),),
    "AE": (("EH", 0.4),),
    "EH": (("AE", 0.1),),
    "AH": (("AA", 0.3),),
    "UH": (("UW", 0.5),),
    "AO": (("OW", 0.2),),
    "OW": (("AO", 0.15),),
    "EY": (("EH", 0.15),),
    "AW": (("AO", 0.1),),
}  # fmt: skip
# At the end of a word these lose their voice, or their nasal its place.
_FINAL: dict[str, tuple[tuple[str, float], ...]] = {
    "B": (("P", 0.4),),
    "D": (("T", 0.4),),
    "G": (("K", 0.4),),
    "V": (("F", 0.5),),
    "Z": (("S", 0.6),),
    "N": (("NG", 0.2),),
    "NG": (("N", 0.35),),
}
_HABITS = 0.6
"""The share of the substitutions that one speaker makes at all."""


class Accent:
    """One speaker's habits, drawn by `rng`: which substitutions are made, and how often.

    `strength` 1 makes those that are made as often as the tables say; it is drawn with a mean of a half."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.strength = float(rng.uniform())
        self._tables = [
            {phoneme: others for phoneme, others in given.items() if rng.random() < _HABITS}
            for given in (_SUBSTITUTES, _FINAL)
        ]

    def of(self, phonemes: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
        """How this speaker says a word of ARPABET `phonemes` with stress digits: as many of them, some replaced."""
        said = []
        for number, phoneme in enumerate(phonemes):
            name, stress = phoneme.rstrip("012"), phoneme[len(phoneme.rstrip("012")) :]
            others = self._tables[number == len(phonemes) - 1].get(name) or self._tables[0].get(name, ())
            drawn, instead = rng.random(), name
            for other, share in others:
                drawn -= share * self.strength
                if drawn < 0:
                    instead = other
                    break
            said.append(instead + stress)
        return tuple(said)
