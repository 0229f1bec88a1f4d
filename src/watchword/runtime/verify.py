"""Verification: a place that the search by phonemes proposes is heard once more, whole, beside the keyword's text."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from watchword.runtime.calibration import Calibration
from watchword.runtime.encoder import Encoder
from watchword.runtime.spans import FRAMES_PER_SECOND, ScanSettings


class Pronunciation(NamedTuple):
    """One pronunciation of a keyword: its phonemes, their classes [phonemes], its embedding [dim], and the part of the
    evidence that it brings along, where the bundle is calibrated."""

    phonemes: tuple[str, ...]
    classes: NDArray[np.int64]
    vector: NDArray[np.float32]
    evidence: tuple[float, ...] = ()


class Verdict(NamedTuple):
    """How well a pronunciation fits a span: the score and what it is made of.

    `bounds` [phonemes + 1] are the frames, counted from the span's start, between which each phoneme lies, `costs`
    [phonemes] what each costs there on average, in nats. `evidence` is what a calibrated score counts."""

    score: float
    cosine: float
    costs: NDArray[np.float32]
    bounds: tuple[int, ...]
    evidence: tuple[float, ...] = ()


def verify(
    encoder: Encoder,
    settings: ScanSettings,
    pronunciation: Pronunciation,
    rows: NDArray[np.float32],
    costs: NDArray[np.float32],
    calibration: Calibration | None = None,
) -> Verdict:
    """Scores a span by its rows [frames, dim] and phoneme costs [frames, classes]; it has two frames a phoneme or more.

    The score is that of the calibration. Without one it is the cosine of span and text; less `phoneme_weight` for each
    nat that a phoneme costs on average; less `length_weight` times the square of the logarithm of length by usual
    length; more (or less) `size_weight` for each phoneme above (below) ten, since what is long is rarely mistaken."""
    own = costs[:, pronunciation.classes]
    bounds = segment(own)
    sums = np.add.reduceat(own, bounds[:-1], axis=0).diagonal()
    means = (sums / np.diff(bounds)).astype(np.float32)
    embedded = encoder.embed_whole(rows)
    cosine = float(embedded @ pronunciation.vector)
    size = len(pronunciation.classes)
    usual = size * encoder.bundle.seconds_per_phoneme * FRAMES_PER_SECOND
    cost, length = float(means.mean()), float(np.log(len(rows) / usual)) ** 2
    if calibration is not None:
        evidence = calibration.evidence(cosine, cost, length, embedded, pronunciation.evidence)
        return Verdict(calibration.score(evidence), cosine, means, bounds, evidence)
    score = cosine - settings.phoneme_weight * cost
    score -= settings.length_weight * length
    score += settings.size_weight * (min(size, settings.size_most) - settings.size_usual)
    return Verdict(score, cosine, means, bounds)


def segment(costs: NDArray[np.float32]) -> tuple[int, ...]:
    """Divides a span among its phonemes, at the least total of costs [frames, phonemes]: the first frame of each, and
    the span's length. Each lasts two frames or more."""
    frames, phonemes = costs.shape
    if frames < 2 * phonemes:
        raise ValueError(f"segment: {frames} frames are too few for {phonemes} phonemes")
    first, rest = (np.full(phonemes, np.inf, np.float32) for _ in range(2))
    came = np.empty((frames, phonemes), np.bool_)  # whether the frame before was the phoneme's first
    before = np.empty(phonemes, np.float32)
    before[0] = np.inf
    first[0] = costs[0, 0]
    for frame in range(1, frames):
        before[1:] = rest[:-1]
        np.less_equal(first, rest, out=came[frame])
        np.minimum(first, rest, out=rest)
        rest += costs[frame]
        np.add(before, costs[frame], out=first)
    bounds = [frames]
    frame, phoneme = frames - 1, phonemes - 1
    while phoneme >= 0:
        while not came[frame, phoneme]:
            frame -= 1
        frame -= 1  # the phoneme's first frame
        bounds.append(frame)
        frame, phoneme = frame - 1, phoneme - 1
    return tuple(reversed(bounds))
