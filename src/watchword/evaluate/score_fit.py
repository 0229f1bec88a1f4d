"""Fitting the scale of scores on held-out speech: what usual speech looks like to a bundle, and weights of evidence."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, PoissonRegressor

from watchword import audio
from watchword.data.segment import Segment
from watchword.evaluate.calibration import MOST_PHONEMES, MOST_WORDS, SIZES, CalibrationError, Candidates, threshold_at
from watchword.runtime.calibration import EVIDENCE, Calibration, Cohort, Moments
from watchword.runtime.encoder import Encoder
from watchword.runtime.spans import ScanSettings
from watchword.text.phonemes import PhonemeError
from watchword.text.words import TextError

SPANS, TEXTS, RECORDINGS, COHORT = 4000, 2000, 300, 300
SHORTEST_FRAMES, LONGEST_FRAMES = 18, 130
_MOST_SECONDS = 20.0
PLAIN = {"cosine": 1.0, "cost": -0.2}
"""The weights with which candidates are looked for, before others are fitted."""
FEWEST_FOUND, FEWEST_KEYWORDS = 100, 30
"""On fewer occurrences that were found, or of fewer keywords, nothing is fitted."""
FOLDS = 4
EVEN_RATE, FEWEST_ALARMS = 0.5, 50
"""Keywords are made to raise equally many false alarms at this rate an hour, counted on no fewer alarms than these."""
EVEN = 0.5
"""How far keywords are brought to where they raise equally many alarms: all of the way misses more, and overfits."""
_ROUNDS = 6
_BESIDE = [number for number, name in enumerate(EVIDENCE) if name not in ("cosine", "cost", "length")]
_OF_KEYWORD = [number for number in _BESIDE if not EVIDENCE[number].startswith("span")]


def usual(encoder: Encoder, segments: Sequence[Segment], seed: int) -> tuple[Moments, Moments, Cohort]:
    """The moments of spans of running speech, of mixed lengths, and of texts, drawn from `segments`; and some of these.

    Raises CalibrationError for too little of them."""
    rng = np.random.default_rng(seed)
    spans: list[NDArray[np.float32]] = []
    each = -(-SPANS // min(RECORDINGS, max(1, len(segments))))
    for index in rng.permutation(len(segments)):
        samples = next(audio.blocks(segments[index].audio, _MOST_SECONDS))[: round(_MOST_SECONDS * audio.SAMPLE_RATE)]
        rows = encoder.rows(np.pad(samples, encoder.silence_samples))
        first, last = encoder.silence_frames, encoder.silence_frames + audio.num_frames(len(samples))
        lengths = np.exp(rng.uniform(np.log(SHORTEST_FRAMES), np.log(LONGEST_FRAMES), each)).astype(int)
        for length in lengths[lengths <= last - first].tolist():
            start = int(rng.integers(first, last - length + 1))
            spans.append(encoder.embed_whole(rows[start : start + length]))
        if len(spans) >= SPANS:
            break
    texts = _texts(encoder, segments, rng)
    if min(len(spans), len(texts)) < 2:
        raise CalibrationError("calibrate: too little speech to say what is usual in it; give more")
    speech, written = np.stack(spans), np.stack(texts)
    bank = written[:COHORT].astype(np.float16).astype(np.float32)
    like = Cohort(bank).likeness(speech, np.zeros((1, bank.shape[1]), np.float32))
    return Moments.of(speech), Moments.of(written), Cohort(bank, float(np.float16(like.mean())))


def _texts(encoder: Encoder, segments: Sequence[Segment], rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """The embeddings of phrases drawn from the texts."""
    found: list[NDArray[np.float32]] = []
    words = [segment.text.lower().split() for segment in segments]
    known: set[str] = set()
    for _ in range(3 * TEXTS if words else 0):
        said = words[rng.integers(len(words))]
        count = int(rng.integers(1, MOST_WORDS + 1))
        if len(said) < count or len(found) == TEXTS:
            continue
        first = int(rng.integers(len(said) - count + 1))
        phrase = " ".join(said[first : first + count])
        if phrase in known:
            continue
        known.add(phrase)
        try:
            found.append(encoder.text_variants(phrase)[1][0])
        except (TextError, PhonemeError):
            continue
    return found


def provisional(speech: Moments, texts: Moments, cohort: Cohort | None = None) -> Calibration:
    """The scale by which candidates are looked for: the cosine less costs, whatever the keyword."""
    weights = np.array([PLAIN.get(name, 0.0) for name in EVIDENCE])
    return Calibration(speech, texts, weights, 0.0, SIZES[0][0], MOST_PHONEMES, cohort)


def uncalibrated(candidates: Candidates, settings: ScanSettings) -> NDArray[np.float64]:
    """The scores [candidates] of a bundle without calibration: those of the settings, see `runtime.verify.verify`."""
    if not candidates.evidence.shape[1]:
        return candidates.scores
    cosine, cost, length = candidates.evidence[:, :3].T
    sizes = candidates.evidence[:, EVIDENCE.index("size")]
    scores = cosine - settings.phoneme_weight * cost - settings.length_weight * length
    return scores + settings.size_weight * (np.minimum(sizes, settings.size_most) - settings.size_usual)


class Weights(NamedTuple):
    """Weights [evidence] whose first, the cosine's, is 1, and the constant beside them."""

    weights: NDArray[np.float64]
    constant: float

    def scores(self, candidates: Candidates) -> NDArray[np.float64]:
        """The scores [candidates] by these."""
        return candidates.evidence @ self.weights + self.constant


def enough(candidates: Candidates) -> bool:
    """Whether candidates are enough to fit weights on."""
    found = np.unique(candidates.event[candidates.is_said])
    return len(found) >= FEWEST_FOUND and len(set(candidates.keyword[found].tolist())) >= FEWEST_KEYWORDS


def fit(candidates: Candidates, used: NDArray[np.bool_] | None = None, even: float = EVEN) -> Weights:
    """Fits weights by logistic regression of what lies on an occurrence, over the candidates `used` [candidates], each
    keyword's occurrences counting alike; then moves what depends on the keyword by the share `even` of the way to where
    all keywords raise as many alarms.

    Scores are in units of the cosine. The constant leaves those of keywords of about ten phonemes where the cosine less
    its costs has them. Raises CalibrationError where the cosine does not tell what was said from what was not."""
    used = np.ones(len(candidates.event), np.bool_) if used is None else used
    evidence, said = candidates.evidence[used], candidates.is_said[used]
    keyword = candidates.keyword[candidates.event[used]]
    counts = np.bincount(keyword[said], minlength=len(candidates.sizes))
    shares = np.ones(len(said))
    shares[said] = said.sum() / max(1, (counts > 0).sum()) / counts[keyword[said]]
    mean, spread = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), 1e-6)
    model = LogisticRegression(max_iter=1000).fit((evidence - mean) / spread, said, sample_weight=shares)
    weights = model.coef_[0] / spread
    if weights[0] <= 0:
        raise CalibrationError("calibrate: what is said does not score higher than what is not; is the model trained?")
    weights = weights / weights[0]
    weights += even * (_evened(candidates, used, weights) - weights)
    middle = (np.abs(evidence[:, EVIDENCE.index("size")] - 10) <= 1) & ~said
    others = evidence[middle if middle.any() else ~said][:, _BESIDE]
    return Weights(weights, -float((others @ weights[_BESIDE]).mean()))


def _evened(candidates: Candidates, used: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of what depends on the keyword alone that no longer tell how many alarms it raises at EVEN_RATE.

    Poisson regression says by which factor of e they do; beyond a threshold alarms fall off exponentially, so that a
    factor of e is one mean excess."""
    keywords = np.unique(candidates.keyword[candidates.event])
    place = np.searchsorted(keywords, candidates.keyword[candidates.event])
    brought = np.zeros((len(keywords), len(_OF_KEYWORD)))
    np.add.at(brought, place, candidates.evidence[:, _OF_KEYWORD])
    brought /= np.bincount(place)[:, None]
    spread = np.maximum(brought.std(axis=0), 1e-6)
    brought = (brought - brought.mean(axis=0)) / spread
    counted = np.zeros(len(candidates.keyword), np.bool_)
    counted[candidates.event[used]] = True
    counted = counted[candidates.said :]
    hours = candidates.hours[np.unique(candidates.speaker[candidates.event[used]])].sum()
    allowed = max(FEWEST_ALARMS, int(EVEN_RATE * hours * len(candidates.sizes)))
    if allowed >= counted.sum():
        return weights
    weights = weights.copy()
    for _ in range(_ROUNDS):
        alarms = candidates.best(candidates.evidence @ weights)[1]
        threshold = np.sort(alarms[counted])[-allowed - 1]
        above = counted & (alarms > threshold)
        alike = np.bincount(
            np.searchsorted(keywords, candidates.keyword[candidates.said :][above]), minlength=len(keywords)
        )
        model = PoissonRegressor(alpha=2 / len(keywords), max_iter=300).fit(brought, alike)
        weights[_OF_KEYWORD] -= float((alarms[above] - threshold).mean()) * model.coef_ / spread
    return weights


def scaled(scale: Calibration, fitted: Weights, candidates: Candidates) -> Calibration:
    """The scale with fitted weights, rounded as a card keeps them, for keywords of the sizes that were there."""
    weights = np.round(fitted.weights, 5)
    sizes = candidates.evidence[:, EVIDENCE.index("size")]
    fewest, most = int(sizes.min()), int(sizes.max())
    return replace(scale, weights=weights, constant=round(fitted.constant, 5), fewest=fewest, most=most)


class Kept(NamedTuple):
    """What a threshold set on some speakers does on others: false alarms an hour and keyword there, of each class of
    SIZES too, and the share of occurrences missed."""

    alarms_per_hour: float
    of_classes: tuple[float, ...]
    miss: float


def across_speakers(
    candidates: Candidates,
    rates: Sequence[float],
    scores_of: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
) -> list[Kept]:
    """Sets thresholds for `rates` on the speakers of all folds but one, applies them to that one's, and so for each.

    `scores_of` gives the scores [candidates] that are fitted on the candidates it is told [candidates]."""
    fold = np.arange(len(candidates.speakers)) % min(FOLDS, len(candidates.speakers))
    if fold.max(initial=0) == 0:
        return []
    keywords = len(candidates.sizes)
    keyword_class = np.searchsorted([last for _, last in SIZES[:-1]], candidates.sizes)
    members = np.bincount(keyword_class, minlength=len(SIZES))
    classes = candidates.classes()[candidates.said :]
    of_event = fold[candidates.speaker]
    counts, missed = np.zeros((len(rates), len(SIZES))), np.zeros(len(rates))
    for number in range(fold.max() + 1):
        best, alarms = candidates.best(scores_of(of_event[candidates.event] != number))
        apart_said, apart = of_event[: candidates.said] == number, of_event[candidates.said :] == number
        ranked = np.sort(alarms[~apart])[::-1]
        keyword_hours = float(candidates.hours[fold != number].sum()) * keywords
        for row, rate in enumerate(rates):
            threshold = threshold_at(ranked, rate * keyword_hours)
            counts[row] += np.bincount(classes[apart & (alarms >= threshold)], minlength=len(SIZES))
            missed[row] += (best[apart_said] < threshold).sum()
    hours = float(candidates.hours.sum())
    return [
        Kept(
            float(count.sum()) / (hours * keywords),
            tuple((count / np.maximum(members * hours, 1e-9)).tolist()),
            float(miss) / candidates.said if candidates.said else float("nan"),
        )
        for count, miss in zip(counts, missed, strict=True)
    ]


def tail(alarms: NDArray[np.float64], threshold: float) -> float:
    """By how much a threshold rises for each factor of e that alarms shall be rarer: the mean of what reaches beyond
    one, as an exponential tail has it; 0 for fewer than five."""
    beyond = alarms[alarms >= threshold] - threshold
    return float(beyond.mean()) if len(beyond) >= 5 else 0.0
