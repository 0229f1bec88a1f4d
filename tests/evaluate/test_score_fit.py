"""Laws of the fitted scale: it finds what was put into made-up evidence, and evens keywords' alarms as far as asked."""

from dataclasses import replace

import numpy as np
import pytest

from watchword.evaluate.calibration import SIZES, CalibrationError, Candidates, at_threshold, rows, together
from watchword.evaluate.score_fit import across_speakers, enough, fit, provisional, scaled, tail, uncalibrated, usual
from watchword.runtime.calibration import EVIDENCE, Moments
from watchword.runtime.encoder import Encoder
from watchword.runtime.spans import ScanSettings

KEYWORDS, SPEAKERS, ALARMS, SAID, HOURS = 100, 8, 12000, 500, 1.0


@pytest.fixture(scope="module")
def candidates():
    """Candidates of 100 keywords: an alarm's cosine is higher by 0.04 for each phoneme that the keyword lacks of 18,
    and by 0.5 for each unit of `keyword_mean`; what is said has phonemes that cost less."""
    rng = np.random.default_rng(2)
    sizes = rng.permutation(np.resize(np.arange(3, 19), KEYWORDS))
    crowd = rng.normal(0.0, 0.1, KEYWORDS)
    keyword = np.concatenate([rng.integers(KEYWORDS, size=SAID), rng.integers(KEYWORDS, size=ALARMS)])
    said = np.arange(len(keyword)) < SAID
    cost = rng.gamma(2.0, np.where(said, 0.1, 0.25))
    cosine = rng.normal(np.where(said, 0.75, 0.1), 0.12)
    cosine += np.where(said, 0.0, 0.04 * (18 - sizes[keyword]) + 0.5 * crowd[keyword])
    size = sizes[keyword].astype(float)
    zero = np.zeros(len(keyword))
    parts = [cosine, cost, rng.exponential(0.1, len(keyword)), zero, zero + 0.1, crowd[keyword], zero + 0.1]
    evidence = np.stack([*parts, size, np.minimum(size, 6), np.minimum(size, 10)], axis=1)
    return Candidates(
        cosine - 0.2 * cost,
        evidence,
        np.arange(len(keyword)),
        keyword,
        rng.integers(SPEAKERS, size=len(keyword)),
        SAID,
        sizes,
        tuple(f"s{number}" for number in range(SPEAKERS)),
        np.full(SPEAKERS, HOURS / SPEAKERS),
    )


def fitted(candidates):
    return lambda used: fit(candidates, used).scores(candidates)


def test_what_depends_on_the_keyword_is_taken_off(candidates):
    weights = dict(zip(EVIDENCE, fit(candidates, even=1.0).weights, strict=True))
    assert weights["cosine"] == 1.0
    assert weights["cost"] < -0.05
    assert weights["keyword_mean"] == pytest.approx(-0.5, abs=0.2)
    by_size = weights["size"] * 12 + weights["size_to_6"] * 3 + weights["size_to_10"] * 4  # of 4 and 16 phonemes
    assert by_size + weights["size_to_6"] * -1 + weights["size_to_10"] * 2 == pytest.approx(0.04 * 12, abs=0.15)


def test_one_threshold_raises_as_many_alarms_for_keywords_of_any_size(candidates):
    plain = uncalibrated(candidates, ScanSettings(size_weight=0.0))
    before = across_speakers(candidates, [5.0], lambda _: plain)[0]
    after = [
        across_speakers(candidates, [5.0], lambda used, even=even: fit(candidates, used, even).scores(candidates))[0]
        for even in (1.0, 0.5, 0.0)
    ]
    assert max(before.of_classes) > 10 * min(before.of_classes)
    assert max(after[0].of_classes) < 2.5 * min(after[0].of_classes)
    assert after[0].miss < before.miss - 0.05
    unevenness = [max(kept.of_classes) / min(kept.of_classes) for kept in after]
    assert unevenness == sorted(unevenness)
    np.testing.assert_allclose(
        fit(candidates).weights, (fit(candidates, even=0.0).weights + fit(candidates, even=1.0).weights) / 2
    )


def test_thresholds_keep_their_promise_to_other_speakers(candidates):
    for rate, kept in zip(
        (1.0, 5.0, 20.0), across_speakers(candidates, (1.0, 5.0, 20.0), fitted(candidates)), strict=True
    ):
        deviation = np.sqrt(rate / KEYWORDS / HOURS)
        assert kept.alarms_per_hour == pytest.approx(rate, abs=4 * deviation)
        assert sum(share * count for share, count in zip(kept.of_classes, members(candidates), strict=True)) == (
            pytest.approx(kept.alarms_per_hour * KEYWORDS)
        )


def members(candidates):
    return [sum(low <= size <= high for size in candidates.sizes) for low, high in SIZES]


def test_scores_keep_the_scale_of_the_cosine_at_ten_phonemes(candidates):
    weights = fit(candidates)
    ten = ~candidates.is_said & (np.abs(candidates.evidence[:, EVIDENCE.index("size")] - 10) <= 1)
    cosine_less_costs = candidates.evidence[:, :3] @ weights.weights[:3]
    assert (weights.scores(candidates) - cosine_less_costs)[ten].mean() == pytest.approx(0.0, abs=1e-9)


def test_several_searches_together_are_each_of_them(candidates):
    scores = np.random.default_rng(1).permutation(candidates.scores)
    other = replace(candidates, scores=scores, evidence=-candidates.evidence)
    both = together([candidates, other])
    assert both.said == 2 * SAID
    assert both.hours.sum() == pytest.approx(2 * HOURS)
    for apart, whole in zip(
        zip(candidates.best(candidates.scores), other.best(scores), strict=True), both.best(both.scores), strict=True
    ):
        np.testing.assert_array_equal(np.concatenate(apart), whole)
    np.testing.assert_array_equal(np.sort(both.keyword), np.sort(np.tile(candidates.keyword, 2)))
    rate, miss = at_threshold(both, both.scores, 0.5)
    rates, misses = zip(*(at_threshold(one, one.scores, 0.5) for one in (candidates, other)), strict=True)
    assert (rate, miss) == (pytest.approx(np.mean(rates)), pytest.approx(np.mean(misses)))
    with pytest.raises(ValueError, match="not of the same speakers"):
        together([candidates, replace(candidates, speakers=("somebody",))])


def test_one_speaker_alone_cannot_be_checked_on_others(candidates):
    nobody_else = np.zeros_like(candidates.speaker)
    one = replace(candidates, speaker=nobody_else, speakers=("s",), hours=np.array([HOURS]))
    assert across_speakers(one, [1.0], fitted(one)) == []


def test_a_cosine_that_tells_nothing_is_refused(candidates):
    with pytest.raises(CalibrationError, match="is the model trained"):
        fit(replace(candidates, evidence=candidates.evidence * np.where(np.arange(len(EVIDENCE)), 1, -1)))


def test_few_occurrences_are_not_enough(candidates):
    assert enough(candidates)
    few = candidates.event >= SAID - 50
    assert not enough(replace(candidates, event=candidates.event[few], evidence=candidates.evidence[few]))


def test_the_tail_of_an_exponential_is_its_scale():
    alarms = np.random.default_rng(0).exponential(0.07, 20000)
    assert tail(alarms, 0.1) == pytest.approx(0.07, rel=0.05)
    assert tail(alarms, 10.0) == 0.0


def test_what_is_usual_comes_from_the_runtime(phoneme_bundle, spoken_segments):
    encoder = Encoder(phoneme_bundle)
    speech, texts, cohort = usual(encoder, spoken_segments[:8], 0)
    again = usual(encoder, spoken_segments[:8], 0)
    for one, other in zip((speech, texts), again[:2], strict=True):
        np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(cohort.texts, again[2].texts)
    np.testing.assert_allclose(np.linalg.norm(cohort.texts, axis=1), 1.0, atol=1e-3)
    vector = encoder.text_variants("brave sailor")[1][0]
    mean, spread = texts.beside(vector)
    assert -1.0 < mean < 1.0
    assert spread > 0.0
    with pytest.raises(CalibrationError, match="too little speech"):
        usual(encoder, [], 0)


def test_the_scale_looks_for_cosines_less_costs_and_takes_the_fitted_weights(candidates):
    crowd = Moments(np.zeros(4, np.float32), np.zeros((2, 4), np.float32), 0.01)
    scale = provisional(crowd, crowd)
    np.testing.assert_allclose(candidates.evidence @ scale.weights + scale.constant, candidates.scores)
    weights = fit(candidates)
    ready = scaled(scale, weights, candidates)
    assert (ready.fewest, ready.most) == (3, 18)
    one = candidates.evidence[7]
    assert ready.score(one) == pytest.approx(one @ weights.weights + weights.constant, abs=1e-3)


def test_rates_and_thresholds_are_of_the_scores_given(candidates):
    scores = fit(candidates).scores(candidates)
    row = rows(candidates, scores, [2.0])[0]
    best, alarms = candidates.best(scores)
    assert (alarms >= row.threshold).sum() == 2.0 * KEYWORDS * HOURS
    assert row.miss == (best < row.threshold).mean()
