"""Detections: which keyword was found, where, how well it fits, and when that was decided."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class PhonemePlace(NamedTuple):
    """One phoneme of a detection: where it lies, and how well it fits there: 1 where no other phoneme is likelier."""

    phoneme: str
    start_seconds: float
    end_seconds: float
    score: float


class Placed(Protocol):
    """What has a place in a recording."""

    @property
    def start_seconds(self) -> float:
        """Where it begins."""
        ...

    @property
    def end_seconds(self) -> float:
        """Where it ends."""
        ...


@dataclass(frozen=True)
class Detection:
    """A keyword that was found: how alike it sounded, where, the threshold that it reached, and when it was decided.

    The score is the cosine of what was heard and the text, less what its phonemes cost there; of a calibrated bundle
    it is corrected so that one threshold means as many false alarms for every keyword, and `evidence` is what it counts
    (`watchword.runtime.calibration.EVIDENCE`).
    `phoneme_score` and `phonemes` say how well those fit, 1 being best; without a phoneme classifier there are none.
    `decided_seconds` is how much of the recording had to be heard."""

    keyword: str
    score: float
    start_seconds: float
    end_seconds: float
    threshold: float
    decided_seconds: float = 0.0
    cosine: float | None = None
    phoneme_score: float | None = None
    phonemes: tuple[PhonemePlace, ...] = ()
    evidence: tuple[float, ...] = ()
