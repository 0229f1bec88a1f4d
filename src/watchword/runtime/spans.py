"""Candidate spans: how long a keyword may last, and where in a recording it is looked for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE
from watchword.bundle import BundleError

FRAMES_PER_SECOND = SAMPLE_RATE // HOP_SAMPLES


@dataclass(frozen=True)
class ScanSettings:
    """How a recording is searched. A bundle's card may set any of these under "scan"."""

    factors: tuple[float, ...] = (0.6, 0.75, 0.9, 1.1, 1.35)
    """Lengths to try, as parts of the keyword's usual length (its phonemes times the card's seconds_per_phoneme)."""
    length_prior: float = 0.1
    """An unusual length costs this much of the score times ln²(length / that of the middle factor): 0.016 at 1.35.

    Of 142 phrases in read speech, 61 % instead of 56 % came within 0.2 s of their place, none lost (a young model)."""
    hop_seconds: float = 0.05
    """Time between the ends of two candidate spans."""
    length_ratio: float = 1.1
    """Lengths are rounded to powers of this, so that keywords share spans and many cost little more than one."""
    shortest_seconds: float = 0.15
    """No span is shorter."""
    longest_seconds: float = 4.0
    """No span is longer."""
    phoneme_weight: float = 0.2
    """How much the score of a detection loses for each nat that its phonemes cost on average, where the bundle has a
    phoneme classifier; 0: detections are not aligned, and keep the times of the best span."""
    clip_weight: float = 0.15
    """What the score of a whole clip loses for each nat of both costs of `clip_fit.fill`, where phonemes count."""
    cohort_weight: float = 0.5
    """How much of what makes a whole clip like other texts is taken off its score, where phonemes count and the
    bundle's calibration brings such texts."""
    outside_cost: float = 1.0
    """What a frame outside the keyword costs an alignment, in nats: what fits worse than this is left outside."""
    margin_seconds: float = 0.25
    """How far beyond the best span an alignment may reach."""
    by_phonemes: bool = True
    """Where the bundle has a phoneme classifier, its phonemes propose the places; else, or if not, usual lengths do."""
    loosest_cost: float = 1.25
    """No place is proposed whose frames cost more than this on average, in nats: in noise they cost more."""
    longest_factor: float = 3.0
    """No proposed place is longer than so many times the keyword's usual length."""
    hold_seconds: float = 0.15
    """A place is the best of its keyword so long before and after its end."""
    length_weight: float = 0.3
    """What a proposed place loses for each squared unit of ln(length / usual length): 0.05 at one and a half times."""
    size_weight: float = 0.03
    """What a keyword's score gains for each phoneme more than `size_usual`, or loses for each less: chance says a long
    one more rarely."""
    size_usual: int = 10
    """The number of phonemes at which a score is neither raised nor lowered."""
    size_most: int = 16
    """More phonemes than these raise a score no further."""
    smoothing_steps: int = 1
    """Scores are averaged over this many neighbouring span ends (odd; 1: not at all)."""
    overlap: float = 0.25
    """Two detections of one keyword overlap at most by this part of the shorter one."""
    refractory_seconds: float = 0.3
    """Two detections of one keyword end at least this far apart."""
    step_seconds: float = 0.2
    """A stream decides this often: a smaller step is a little faster to answer, and costs more."""
    block_seconds: float = 5.0
    """Audio is worked through in pieces of this length. It changes memory and speed, never detections."""

    def __post_init__(self) -> None:
        if not self.factors or min(self.factors) <= 0:
            raise ValueError(f"scan: factors are {self.factors}; give at least one, all above 0")
        if self.length_prior < 0:
            raise ValueError(f"scan: length_prior is {self.length_prior}; it must not be below 0")
        if self.length_ratio <= 1:
            raise ValueError(f"scan: length_ratio is {self.length_ratio}; it must be above 1")
        if min(self.loosest_cost, self.length_weight, self.size_weight) < 0:
            raise ValueError("scan: loosest_cost, length_weight and size_weight must not be below 0")
        if min(self.longest_factor, self.hold_seconds, self.size_usual, self.size_most) <= 0:
            raise ValueError("scan: longest_factor, hold_seconds, size_usual and size_most must be above 0")
        for name in ("phoneme_weight", "clip_weight", "cohort_weight", "outside_cost", "margin_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"scan: {name} is {getattr(self, name)}; it must not be below 0")
        if self.smoothing_steps < 1 or self.smoothing_steps % 2 == 0:
            raise ValueError(f"scan: smoothing_steps is {self.smoothing_steps}; it must be odd")
        if min(self.hop_seconds, self.shortest_seconds, self.step_seconds, self.block_seconds) <= 0:
            raise ValueError("scan: hop_seconds, shortest_seconds, step_seconds and block_seconds must be above 0")
        if self.longest_seconds < self.shortest_seconds:
            raise ValueError("scan: longest_seconds is below shortest_seconds")

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> "ScanSettings":
        """The defaults, with what a bundle's card sets under "scan". Raises BundleError."""
        chosen = dict(card.get("scan", {}))
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(chosen) - known):
            raise BundleError(f"card: scan has an unknown key {unknown[0]!r}; the keys are {', '.join(sorted(known))}")
        if "factors" in chosen:
            chosen["factors"] = tuple(chosen["factors"])
        try:
            return replace(cls(), **chosen)
        except (TypeError, ValueError) as error:
            raise BundleError(f"card: {error}") from None

    @property
    def margin_frames(self) -> int:
        """Frames beyond the best span that an alignment may reach."""
        return round(self.margin_seconds * FRAMES_PER_SECOND)

    @property
    def hop_frames(self) -> int:
        """Frames between the ends of two candidate spans."""
        return max(1, round(self.hop_seconds * FRAMES_PER_SECOND))


def span_lengths(num_phonemes: int, seconds_per_phoneme: float, settings: ScanSettings) -> tuple[int, ...]:
    """The lengths, in frames, of the spans in which a keyword of so many phonemes is looked for.

    >>> span_lengths(6, 0.09, ScanSettings())
    (31, 41, 50, 60, 73)
    """
    usual = num_phonemes * seconds_per_phoneme
    shortest, longest = settings.shortest_seconds, settings.longest_seconds
    lengths = set()
    for factor in settings.factors:
        frames = FRAMES_PER_SECOND * min(max(factor * usual, shortest), longest)
        power = round(math.log(frames) / math.log(settings.length_ratio))
        lengths.add(max(1, round(settings.length_ratio**power)))
    return tuple(sorted(lengths))


def length_cost(length: int, num_phonemes: int, seconds_per_phoneme: float, settings: ScanSettings) -> float:
    """What a span of so many frames loses for being longer or shorter than a keyword of so many phonemes usually is."""
    factor = sorted(settings.factors)[len(settings.factors) // 2]
    usual = FRAMES_PER_SECOND * factor * num_phonemes * seconds_per_phoneme
    return settings.length_prior * math.log(length / usual) ** 2


def frame_seconds(
    starts: NDArray[np.integer], ends: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The times of spans from frame `starts` to frame `ends` (exclusive): a frame stands for the 10 ms at its middle.

    Training takes the frames whose centres lie within a word, so this is its inverse."""
    first = (FRAME_SAMPLES - HOP_SAMPLES) / 2
    return (starts * HOP_SAMPLES + first) / SAMPLE_RATE, (ends * HOP_SAMPLES + first) / SAMPLE_RATE


def seconds_frame(seconds: float) -> int:
    """The frame at which a span that begins, or ends, at this time does so: the inverse of `frame_seconds`."""
    return round((seconds * SAMPLE_RATE - (FRAME_SAMPLES - HOP_SAMPLES) / 2) / HOP_SAMPLES)
