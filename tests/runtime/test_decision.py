"""Laws of the decision: what is kept does not depend on blocks; thresholds nest; kept peaks do not conflict."""

import numpy as np
import pytest

from watchword.runtime.decision import Decision
from watchword.runtime.spans import ScanSettings

SETTINGS = ScanSettings()
HOP = SETTINGS.hop_seconds


def track(seed, steps=400, keywords=3):
    """Random scores of `keywords`, with spans of 0.3 to 0.8 s: (scores, starts, ends)."""
    rng = np.random.default_rng(seed)
    rough = rng.standard_normal((steps + 8, keywords))
    scores = np.stack([rough[i : i + 8].mean(0) for i in range(steps)])
    ends = HOP * np.arange(1, steps + 1)
    return scores, ends[:, None] - rng.uniform(0.3, 0.8, scores.shape), ends


def decide(scores, starts, ends, threshold=-1.0, cuts=(), settings=SETTINGS):
    decision = Decision([threshold] * scores.shape[1], [0.8] * scores.shape[1], settings)
    peaks = []
    for rows in np.split(np.arange(len(ends)), list(cuts)):
        peaks += decision.feed(scores[rows], starts[rows], ends[rows])
    return peaks + decision.flush()


def plain(scores, starts, ends, threshold, settings):
    """The definition, over the whole at once: the best peak that conflicts with none already kept, again and again."""
    kept = []
    for keyword in range(scores.shape[1]):
        padded = np.pad(scores[:, keyword], 1, constant_values=-np.inf)
        peaks = [
            (-padded[i], ends[i - 1], starts[i - 1, keyword])
            for i in range(1, len(padded) - 1)
            if padded[i] > padded[i - 1] and padded[i] >= padded[i + 1] and padded[i] >= threshold
        ]
        mine = []
        for score, end, start in sorted(peaks):
            conflicts = (
                abs(end - e) < settings.refractory_seconds
                or min(end, e) - max(start, s) > settings.overlap * min(end - start, e - s)
                for _, e, s in mine
            )
            if not any(conflicts):
                mine.append((score, end, start))
        kept += [(end, start, keyword, -score) for score, end, start in mine]
    return sorted(kept)


@pytest.mark.parametrize("seed", range(5))
def test_equals_its_definition(seed):
    peaks = decide(*track(seed), threshold=0.1)
    assert len(peaks) > 20
    assert [tuple(peak) for peak in peaks] == plain(*track(seed), 0.1, SETTINGS)


@pytest.mark.parametrize("smoothing", [1, 3, 5])
def test_blocks_do_not_matter(smoothing):
    settings = ScanSettings(smoothing_steps=smoothing)
    scores, starts, ends = track(7)
    expected = decide(scores, starts, ends, settings=settings)
    assert len(expected) > 30
    for cuts in ([1], [0, 0, 3], range(400), range(0, 400, 7), [399]):
        assert decide(scores, starts, ends, cuts=cuts, settings=settings) == expected


def test_a_higher_threshold_keeps_a_subset():
    whole = decide(*track(3), threshold=-1.0)
    for threshold in (-0.5, 0.0, 0.3, 0.6, 5.0):
        kept = decide(*track(3), threshold=threshold)
        assert kept == [peak for peak in whole if peak.score >= threshold]


def test_peaks_of_a_keyword_are_apart_and_in_order():
    peaks = decide(*track(4), settings=ScanSettings(refractory_seconds=0.9))
    assert [peak.end_seconds for peak in peaks] == sorted(peak.end_seconds for peak in peaks)
    for keyword in range(3):
        ends = [peak.end_seconds for peak in peaks if peak.keyword == keyword]
        assert len(ends) > 3
        assert np.diff(ends).min() >= 0.9


def test_one_word_gives_one_detection_where_it_scores_best():
    ends = HOP * np.arange(1, 61)
    scores = (0.9 - np.abs(ends - 1.5) + 0.05 * (np.arange(60) % 2))[:, None]  # a hill with ripples
    (peak,) = decide(scores, ends[:, None] - 0.8, ends, threshold=0.5, settings=ScanSettings(refractory_seconds=1.0))
    assert peak.score == scores.max()
    assert peak.end_seconds == ends[scores[:, 0].argmax()]


def test_different_keywords_may_overlap():
    scores, starts, ends = track(5, keywords=1)
    both = decide(np.repeat(scores, 2, axis=1), np.repeat(starts, 2, axis=1), ends)
    assert len(both) == 2 * len(decide(scores, starts, ends))


def test_a_detection_comes_as_soon_as_it_is_certain():
    ends = HOP * np.arange(1, 101)
    scores = np.exp(-np.abs(ends - 2.0))[:, None]
    decision = Decision([0.9], [0.8], SETTINGS)
    fed = 0
    while not decision.feed(scores[fed : fed + 1], ends[fed : fed + 1, None] - 0.5, ends[fed : fed + 1]):
        fed += 1
    assert 2.0 < ends[fed] <= 2.0 + 0.8 + 3 * HOP


def test_smoothing_averages_neighbours():
    ends = HOP * np.arange(1, 8)
    scores = np.array([0, 0, 0.3, 0.9, 0.6, 0, 0])[:, None]
    (peak,) = decide(scores, ends[:, None] - 0.5, ends, threshold=0.5, settings=ScanSettings(smoothing_steps=3))
    assert peak.score == pytest.approx(0.6)
    assert peak.end_seconds == pytest.approx(4 * HOP)


def test_where_no_span_fits_nothing_is_found():
    scores = np.full((50, 2), -np.inf)
    ends = HOP * np.arange(1, 51)
    assert decide(scores, np.zeros((50, 2)), ends, threshold=-np.inf) == []
