"""Metrics equal naive code, with ties; intervals follow speakers and nothing else."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from watchword.evaluate.metrics import (
    MetricError,
    area_under_roc,
    average_precision,
    equal_error_rate,
    ranking_figures,
    top_one,
    top_one_figure,
)


def naive_rates(is_match, scores):
    """FNR, FPR and precision, recall at every distinct threshold, strictest first."""
    for threshold in sorted(set(scores), reverse=True):
        flagged = [label for label, score in zip(is_match, scores, strict=True) if score >= threshold]
        found, wrong = sum(flagged), len(flagged) - sum(flagged)
        yield found, wrong


def naive_average_precision(is_match, scores):
    matches, total, before = sum(is_match), 0.0, 0
    for found, wrong in naive_rates(is_match, scores):
        total += (found - before) / matches * found / (found + wrong)
        before = found
    return total


def naive_equal_error_rate(is_match, scores):
    matches, others = sum(is_match), len(is_match) - sum(is_match)
    pairs = [(1 - found / matches, wrong / others) for found, wrong in naive_rates(is_match, scores)]
    return sum(min(pairs, key=lambda pair: round(abs(pair[0] - pair[1]), 12))) / 2


def naive_area(is_match, scores):
    wins = [
        (own > other) + (own == other) / 2
        for own, hit in zip(scores, is_match, strict=True)
        for other, other_hit in zip(scores, is_match, strict=True)
        if hit and not other_hit
    ]
    return sum(wins) / len(wins)


NAIVE = {"ap": naive_average_precision, "eer": naive_equal_error_rate, "auc": naive_area}


def trials_with_ties(seed, num=60, num_speakers=7):
    rng = np.random.default_rng(seed)
    is_match = rng.random(num) < 0.3
    is_match[:2] = True, False
    scores = np.round(rng.normal(size=num) + is_match, 1)
    return is_match, scores, [f"s{number}" for number in rng.integers(num_speakers, size=num)]


@pytest.mark.parametrize("seed", range(8))
def test_metrics_equal_naive_code(seed):
    is_match, scores, _ = trials_with_ties(seed)
    plain = is_match.tolist(), scores.tolist()
    assert average_precision(is_match, scores) == pytest.approx(naive_average_precision(*plain), abs=1e-12)
    assert equal_error_rate(is_match, scores) == pytest.approx(naive_equal_error_rate(*plain), abs=1e-12)
    assert area_under_roc(is_match, scores) == pytest.approx(naive_area(*plain), abs=1e-12)


def test_all_scores_equal_is_chance():
    is_match = [True, False, False, False]
    assert average_precision(is_match, [0.5] * 4) == 0.25
    assert equal_error_rate(is_match, [0.5] * 4) == 0.5
    assert area_under_roc(is_match, [0.5] * 4) == 0.5


def test_perfect_ranking():
    figures = ranking_figures([True, True, False, False], [4, 3, 2, 1], ["a", "b", "a", "b"], resamples=20)
    assert [(figures[name].value, figures[name].low, figures[name].high) for name in ("ap", "auc", "eer")] == [
        (1, 1, 1),
        (1, 1, 1),
        (0, 0, 0),
    ]


def test_interval_equals_naive_bootstrap_over_speakers():
    is_match, scores, speakers = trials_with_ties(3)
    figures = ranking_figures(is_match, scores, speakers, resamples=50, seed=5)
    names = sorted(set(speakers))
    counts = np.random.default_rng(5).multinomial(len(names), np.full(len(names), 1 / len(names)), size=50)
    for metric, naive in NAIVE.items():
        draws = []
        for drawn in counts:
            rows = [
                row
                for name, times in zip(names, drawn, strict=True)
                for _ in range(times)
                for row in range(len(scores))
                if speakers[row] == name
            ]
            draws.append(naive(is_match[rows].tolist(), scores[rows].tolist()))
        low, high = np.percentile(draws, [2.5, 97.5])
        assert (figures[metric].low, figures[metric].high) == pytest.approx((low, high), abs=1e-9)


def test_point_values_are_scikit_learns():
    is_match, scores, speakers = trials_with_ties(11, num=500)
    figures = ranking_figures(is_match, scores, speakers, resamples=10)
    assert figures["ap"].value == average_precision_score(is_match, scores)
    assert figures["auc"].value == roc_auc_score(is_match, scores)


def test_same_seed_same_interval_and_blocks_do_not_matter(monkeypatch):
    is_match, scores, speakers = trials_with_ties(4)
    whole = ranking_figures(is_match, scores, speakers, resamples=40, seed=1)
    monkeypatch.setattr("watchword.evaluate.metrics._CELLS_AT_ONCE", 7 * len(scores))
    assert ranking_figures(is_match, scores, speakers, resamples=40, seed=1) == whole
    assert ranking_figures(is_match, scores, speakers, resamples=40, seed=2) != whole


def test_one_speaker_gives_no_interval():
    figure = ranking_figures([True, False], [1.0, 0.0], ["a", "a"])["ap"]
    assert (figure.value, figure.low, figure.high) == (1.0, None, None)


def test_top_one_counts_ties_as_wrong():
    scores = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    assert top_one(scores, [0, 0, 1]) == pytest.approx(1 / 3)
    figure = top_one_figure(scores, [0, 0, 2], ["a", "b", "b"], resamples=200)
    assert (figure.value, figure.low, figure.high) == pytest.approx((2 / 3, 0.5, 1.0))


@pytest.mark.parametrize(
    ("is_match", "scores", "message"),
    [
        ([True, True], [1.0, 2.0], "only one kind"),
        ([True, False], [1.0, float("nan")], "1 scores are not finite"),
        ([True, False], [1.0], "equally long"),
    ],
)
def test_unusable_trials_are_refused(is_match, scores, message):
    with pytest.raises(MetricError, match=message):
        average_precision(is_match, scores)
