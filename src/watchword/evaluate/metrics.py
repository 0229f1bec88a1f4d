"""Average precision, EER, AUC and top-1, each with a bootstrap interval over speakers.

Conventions
    scores        higher = more alike; any real number, NaN refused
    is_match      one boolean a trial; a ranking needs at least one match and one non-match
    figures       fractions in [0, 1], never per cent
    ties          trials of equal score share one threshold (AP, AUC, EER); in top-1 a tie for first counts as wrong
    AP            sum over thresholds of (R_k - R_{k-1}) P_k over the pooled ranking, no interpolation (scikit-learn)
    AUC           exact area under the ROC, trapezium over ties (scikit-learn)
    EER           mean of FNR and FPR where |FNR - FPR| is least, over all thresholds, the strictest first
    interval      percentile bootstrap: speakers drawn with replacement, all trials of a speaker together, fixed seed;
                  with fewer than about twenty speakers it is narrower than the truth
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

Floats: TypeAlias = NDArray[np.floating]

_CELLS_AT_ONCE = 4_000_000  # trials x resamples held at a time: about 100 MB


class MetricError(ValueError):
    """Scores or labels that no figure can be computed from."""


@dataclass(frozen=True)
class Figure:
    """One measured number and its interval (None where fewer than two speakers make one impossible)."""

    value: float
    low: float | None = None
    high: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """The figure as JSON keys, rounded to 6 decimals."""
        rounded = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if number is None else round(number, 6) for name, number in rounded.items()}


def average_precision(is_match: ArrayLike, scores: ArrayLike) -> float:
    """Average precision of the pooled ranking (SPEC conventions above).

    >>> round(average_precision([True, False, True], [0.9, 0.8, 0.7]), 4)
    0.8333
    """
    labels, values = _checked(is_match, scores)
    return float(average_precision_score(labels, values))


def area_under_roc(is_match: ArrayLike, scores: ArrayLike) -> float:
    """Exact area under the ROC curve.

    >>> area_under_roc([True, False, True], [0.9, 0.8, 0.7])
    0.5
    """
    labels, values = _checked(is_match, scores)
    return float(roc_auc_score(labels, values))


def equal_error_rate(is_match: ArrayLike, scores: ArrayLike) -> float:
    """Mean of false negative and false positive rate where the two are closest.

    >>> equal_error_rate([True, True, False, False], [0.9, 0.4, 0.6, 0.1])
    0.5
    """
    labels, values = _checked(is_match, scores)
    false_positive, true_positive, _ = roc_curve(labels, values, drop_intermediate=False)
    false_negative = 1.0 - true_positive
    closest = int(np.argmin(_distance(false_negative, false_positive)))
    return float((false_negative[closest] + false_positive[closest]) / 2)


def top_one(scores: Floats, labels: ArrayLike) -> float:
    """Share of rows of `scores[clips, words]` whose own word (column `labels[clip]`) scores above every other word.

    >>> top_one(np.array([[0.9, 0.1], [0.2, 0.2]]), [0, 1])
    0.5
    """
    return float(_is_first(scores, labels).mean())


RANKING_METRICS: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "ap": average_precision,
    "auc": area_under_roc,
    "eer": equal_error_rate,
}


def ranking_figures(
    is_match: ArrayLike,
    scores: ArrayLike,
    speakers: Sequence[str],
    names: Sequence[str] = ("ap", "auc", "eer"),
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Figure]:
    """The named ranking metrics ("ap", "auc", "eer"), each with its bootstrap interval over `speakers`."""
    labels, values = _checked(is_match, scores)
    points = {name: RANKING_METRICS[name](labels, values) for name in names}
    draws: dict[str, list[Floats]] = {name: [] for name in names}
    order = np.argsort(-values, kind="stable")
    last_of_tie = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))
    matches = labels[order].astype(np.float32)
    for weights in _speaker_weights(speakers, resamples, seed):
        ranked = weights[:, order]
        true_positives = np.cumsum(ranked * matches, axis=1, dtype=np.float64)[:, last_of_tie]
        false_positives = np.cumsum(ranked * (1 - matches), axis=1, dtype=np.float64)[:, last_of_tie]
        usable = (true_positives[:, -1] > 0) & (false_positives[:, -1] > 0)
        for name in names:
            draws[name].append(_WEIGHTED[name](true_positives[usable], false_positives[usable]))
    return {name: _with_interval(points[name], draws[name], confidence) for name in names}


def top_one_figure(
    scores: Floats,
    labels: ArrayLike,
    speakers: Sequence[str],
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Figure:
    """Top-1 with its bootstrap interval over `speakers` (one a clip)."""
    is_first = _is_first(scores, labels)
    draws = [weights @ is_first / weights.sum(axis=1) for weights in _speaker_weights(speakers, resamples, seed)]
    return _with_interval(float(is_first.mean()), draws, confidence)


def _checked(is_match: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    labels = np.asarray(is_match, dtype=bool)
    values = np.asarray(scores)
    if labels.ndim != 1 or labels.shape != values.shape:
        raise MetricError(f"metrics: {labels.shape} labels and {values.shape} scores; give two equally long lists")
    if not np.isfinite(values).all():
        lost = int((~np.isfinite(values)).sum())
        raise MetricError(f"metrics: {lost} scores are not finite; score every trial first")
    if labels.all() or not labels.any():
        raise MetricError("metrics: only one kind of trial; a ranking needs matches and non-matches")
    return labels, values


def _is_first(scores: Floats, labels: ArrayLike) -> Floats:
    columns = np.asarray(labels, dtype=np.int64)
    matrix = np.array(scores, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) != len(columns) or len(matrix) == 0:
        raise MetricError(f"top-1: scores {matrix.shape} do not fit {len(columns)} labels; give scores[clips, words]")
    rows = np.arange(len(columns))
    own = matrix[rows, columns]
    matrix[rows, columns] = -np.inf
    return (own > matrix.max(axis=1)).astype(np.float64)


def _speaker_weights(speakers: Sequence[str], resamples: int, seed: int) -> Iterator[Floats]:
    """Yields blocks [resamples, trials]: each trial's draws of its speaker; nothing for fewer than two speakers."""
    names, membership = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    if len(names) < 2:
        return
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS_AT_ONCE // len(membership))
    for start in range(0, resamples, block):
        num = min(block, resamples - start)
        counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=num)
        yield counts.astype(np.float32)[:, membership]


def _with_interval(value: float, draws: Sequence[Floats], confidence: float) -> Figure:
    drawn = np.concatenate(draws) if draws else np.empty(0)
    if not len(drawn):
        return Figure(value)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Figure(value, float(low), float(high))


def _distance(false_negative: Floats, false_positive: Floats) -> Floats:
    # Rounded, or two thresholds that are equally close would be told apart by the last bit of a division.
    return np.round(np.abs(false_negative - false_positive), 12)


def _weighted_average_precision(true_positives: Floats, false_positives: Floats) -> Floats:
    flagged = true_positives + false_positives
    precision = np.divide(true_positives, flagged, out=np.zeros_like(flagged), where=flagged > 0)
    gained = np.diff(true_positives, axis=1, prepend=0.0)
    return (gained * precision).sum(axis=1) / true_positives[:, -1]


def _weighted_area(true_positives: Floats, false_positives: Floats) -> Floats:
    width = np.diff(false_positives, axis=1, prepend=0.0)
    height = true_positives - np.diff(true_positives, axis=1, prepend=0.0) / 2
    return (width * height).sum(axis=1) / (true_positives[:, -1] * false_positives[:, -1])


def _weighted_equal_error_rate(true_positives: Floats, false_positives: Floats) -> Floats:
    false_negative = 1 - true_positives / true_positives[:, -1:]
    false_positive = false_positives / false_positives[:, -1:]
    # The point before the first threshold (nothing flagged) is |1 - 0| = 1 and can never be the only closest one.
    closest = np.argmin(_distance(false_negative, false_positive), axis=1)[:, None]
    pair = np.take_along_axis(false_negative, closest, 1) + np.take_along_axis(false_positive, closest, 1)
    return pair[:, 0] / 2


_WEIGHTED: dict[str, Callable[[Floats, Floats], Floats]] = {
    "ap": _weighted_average_precision,
    "auc": _weighted_area,
    "eer": _weighted_equal_error_rate,
}
