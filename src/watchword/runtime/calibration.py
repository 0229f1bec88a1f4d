"""Calibration: one scale of scores for all keywords, and the threshold for a wanted rate of false alarms."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from watchword.bundle import CALIBRATION_FILE, Bundle, BundleError

EVIDENCE = (
    "cosine",
    "cost",
    "length",
    "span_mean",
    "span_spread",
    "keyword_mean",
    "keyword_spread",
    "size",
    "size_to_6",
    "size_to_10",
)
"""What a score is the weighted sum of, see `Calibration.evidence`."""
_KINKS = (6, 10)
NEAREST, ALIKE = 10, 0.8
"""How many of a bank of texts count beside a clip, and the cosine from which one counts as the text itself."""
_AGAIN = "run `watchword calibrate` on the bundle again"


class RateError(ValueError):
    """A rate of false alarms that cannot be had; the message says what to give instead."""


class Moments(NamedTuple):
    """Mean and covariance of a crowd of unit vectors: `mean` [dim]; `factor` [rank, dim], whose square is the
    covariance above `rest` in its widest directions; `rest` is the variance in every other direction."""

    mean: NDArray[np.float32]
    factor: NDArray[np.float32]
    rest: float

    @classmethod
    def of(cls, vectors: NDArray[np.float32], rank: int = 32) -> "Moments":
        """The moments of `vectors` [n, dim], rounded as a file of 16-bit numbers keeps them."""
        values, directions = np.linalg.eigh(np.cov(vectors, rowvar=False))
        rank = min(rank, len(values) - 1)
        rest = float(np.float16(values[:-rank].mean()))
        factor = (directions[:, -rank:] * np.sqrt(np.maximum(values[-rank:] - rest, 0.0))).T
        mean, factor = (part.astype(np.float16).astype(np.float32) for part in (vectors.mean(axis=0), factor))
        return cls(mean, factor, rest)

    def beside(self, vector: NDArray[np.float32]) -> tuple[float, float]:
        """The mean of the crowd's cosines with a unit vector [dim], and their standard deviation."""
        spread = math.sqrt(float(np.square(self.factor @ vector).sum()) + self.rest)
        return float(self.mean @ vector), spread


class Cohort(NamedTuple):
    """A bank of usual texts, unit vectors [texts, dim], beside which a clip's likeness to one text is judged; `usual`
    is what `likeness` says of usual speech on average."""

    texts: NDArray[np.float32]
    usual: float = 0.0

    def likeness(self, clips: NDArray[np.float32], texts: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mean cosine of clips [n, dim] with the NEAREST of the bank, less `usual`: [n, m]. What is like one of the
        texts [m, dim] is left out there.

        Adaptive T-norm of speaker verification (Sturim and Reynolds 2005), its mean alone."""
        cosines = clips @ self.texts.T
        order = np.argsort(-cosines, axis=1)
        ranked = np.take_along_axis(cosines, order, axis=1)
        found = np.repeat(ranked[:, :NEAREST].mean(axis=1, keepdims=True), len(texts), axis=1)
        alike = self.texts @ texts.T >= ALIKE
        for column in np.flatnonzero(alike.any(axis=0)).tolist():
            other = ~alike[order, column]
            first = other & (np.cumsum(other, axis=1) <= NEAREST)
            found[:, column] = (ranked * first).sum(axis=1) / np.maximum(first.sum(axis=1), 1)
        return found - np.float32(self.usual)


@dataclass(frozen=True)
class Calibration:
    """A bundle's scale of scores: `speech` and `texts` are what spans and keywords usually look like to it, and
    `weights` [evidence] and `constant` make a score of evidence. It was measured on keywords of `fewest` to `most`
    phonemes; those that have fewer or more count as these. `cohort` is for whole clips."""

    speech: Moments
    texts: Moments
    weights: NDArray[np.float64]
    constant: float
    fewest: int
    most: int
    cohort: Cohort | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> "Calibration | None":
        """A bundle's, None where it has none. Raises BundleError for one that cannot be used."""
        score = bundle.calibration.get("score")
        if score is None:
            return None
        path = bundle.path / CALIBRATION_FILE
        try:
            with np.load(path) as stored:
                crowds = [
                    Moments(
                        stored[f"{name}_mean"].astype(np.float32),
                        stored[f"{name}_factor"].astype(np.float32),
                        float(stored[f"{name}_rest"]),
                    )
                    for name in ("speech", "texts")
                ]
                cohort = (
                    Cohort(stored["cohort"].astype(np.float32), float(stored["cohort_usual"]))
                    if "cohort" in stored
                    else None
                )
            weights = np.array([float(score["weights"][name]) for name in EVIDENCE])
            fewest, most = (int(size) for size in score["phonemes"])
            calibration = cls(crowds[0], crowds[1], weights, float(score["constant"]), fewest, most, cohort)
        except (OSError, KeyError, TypeError, ValueError) as error:
            why = f"lacks {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
            raise BundleError(f"{path}: the calibration cannot be used ({why}); {_AGAIN}") from None
        vectors = [*(crowd.mean for crowd in crowds), *(() if cohort is None else cohort.texts)]
        if any(vector.shape != (bundle.dim,) for vector in vectors):
            raise BundleError(f"{path}: the calibration is of another model; {_AGAIN}")
        return calibration

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """What the bundle's file holds."""
        bank = {} if self.cohort is None else {"cohort": self.cohort.texts, "cohort_usual": self.cohort.usual}
        moments = {
            f"{name}_{part}": value
            for name, crowd in (("speech", self.speech), ("texts", self.texts))
            for part, value in crowd._asdict().items()
        }
        return {name: np.asarray(value, np.float16) for name, value in (moments | bank).items()}

    def of_keyword(self, vector: NDArray[np.float32], phonemes: int) -> tuple[float, ...]:
        """The part of the evidence that a pronunciation brings along: how alike running speech is to it in any case
        (mean and deviation of cosines), and its size, also where that is cut off at 6 and 10 phonemes."""
        size = float(min(max(phonemes, self.fewest), self.most))
        return *self.speech.beside(vector), size, *(min(size, float(kink)) for kink in _KINKS)

    def evidence(
        self, cosine: float, cost: float, length: float, span: NDArray[np.float32], keyword: Sequence[float]
    ) -> tuple[float, ...]:
        """All that a score counts, as EVIDENCE names it: the cosine of span and text; what a phoneme costs on average;
        ln²(length / usual length); how alike any text is to the span [dim]; and what `of_keyword` says."""
        return cosine, cost, length, *self.texts.beside(span), *keyword

    def score(self, evidence: Sequence[float]) -> float:
        """The score of evidence [10]: the cosine, corrected so that keywords raise more nearly as many false alarms."""
        return float(self.weights @ np.array(evidence)) + self.constant


class Thresholds(NamedTuple):
    """Measured thresholds [rates] by false alarms an hour and keyword [rates], which rise; the first threshold is the
    highest. `tail` is by how much the threshold rises for each factor of e below the lowest rate."""

    rates: NDArray[np.float64]
    values: NDArray[np.float64]
    tail: float

    @classmethod
    def of(cls, bundle: Bundle) -> "Thresholds":
        """A bundle's. Raises BundleError where it has none, or none that can be used."""
        rows = bundle.calibration.get("rows") or ()
        if len(rows) < 2:
            raise BundleError(
                f"{bundle.path}: states no thresholds by false alarms; run `watchword calibrate` on it, "
                "or give a threshold"
            )
        try:
            points = sorted((float(row["alarms_per_hour"]), float(row["threshold"])) for row in rows)
            rates, values = np.array(points).T
            if not (rates[0] > 0 and np.isfinite([*rates, *values]).all() and (np.diff(rates) > 0).all()):
                raise ValueError("rates and thresholds must be finite, and rates above 0 and different")
            slope = (values[0] - values[1]) / np.log(rates[1] / rates[0])
            tail = float(bundle.calibration.get("tail", max(0.0, slope)))
            if not (math.isfinite(tail) and tail >= 0):
                raise ValueError(f"the tail is {tail}; it must not be below 0")
        except (KeyError, TypeError, ValueError) as error:
            why = f"lacks {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
            raise BundleError(
                f"{bundle.path}: the thresholds by false alarms cannot be used ({why}); {_AGAIN}"
            ) from None
        # More alarms never need a higher threshold, whatever chance measured.
        return cls(rates, np.minimum.accumulate(values), tail)

    def at(self, alarms_per_hour: float) -> float:
        """The threshold for a rate: between measured ones along the logarithm of the rate, below them along `tail`, and
        above them as steeply as at the end. Never rises with the rate. Raises RateError for a rate that is none."""
        if not (alarms_per_hour > 0 and math.isfinite(alarms_per_hour)):
            raise RateError(
                f"false_alarms_per_hour: {alarms_per_hour!r} is no rate; give a number above 0, "
                "such as 0.5 for one in two hours"
            )
        logs, wanted = np.log(self.rates), math.log(alarms_per_hour)
        if wanted < logs[0]:
            return float(self.values[0] + self.tail * (logs[0] - wanted))
        if wanted > logs[-1]:
            slope = (self.values[-2] - self.values[-1]) / (logs[-1] - logs[-2])
            return float(self.values[-1] - slope * (wanted - logs[-1]))
        return float(np.interp(wanted, logs, self.values))


def write_calibration(bundle: Bundle, calibration: Calibration) -> Mapping[str, Any]:
    """Writes the crowds' moments into the bundle's folder, and returns what its card says under calibration.score."""
    unfinished = bundle.path / f"{CALIBRATION_FILE}.part"
    try:
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **calibration.arrays())
        unfinished.replace(bundle.path / CALIBRATION_FILE)
    finally:
        unfinished.unlink(missing_ok=True)
    weights = dict(zip(EVIDENCE, calibration.weights.tolist(), strict=True))
    return {
        "weights": weights,
        "constant": calibration.constant,
        "phonemes": [calibration.fewest, calibration.most],
    }
