"""Hits and false alarms counted by hand, thresholds by brute force, intervals against scipy."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, poisson

from watchword.evaluate.intervals import poisson_interval, wilson_interval
from watchword.evaluate.sources import BenchmarkError
from watchword.evaluate.stream_keywords import Occurrence
from watchword.evaluate.stream_plan import Recording
from watchword.evaluate.stream_scoring import RATES, Found, Sweep, judge, pooled

NOVA = Occurrence("nova", 10.0, 10.5)
LIGHTS = Occurrence("lights", 20.0, 20.4)


def at(score, middle, keyword="nova", long=0.4, decided=None):
    return Found(keyword, score, middle - long / 2, middle + long / 2, decided)


def verdicts(found, places):
    return [(judged.found.score, judged.place) for judged in judge(found, places)]


def test_a_middle_within_a_fifth_of_a_second_hits():
    for middle, place in ((9.81, NOVA), (10.25, NOVA), (10.69, NOVA), (9.79, None), (10.71, None)):
        assert verdicts([at(0.5, middle)], [NOVA]) == [(0.5, place)]
    assert verdicts([at(0.5, 20.2)], [NOVA, LIGHTS]) == [(0.5, None)]


def test_one_hit_an_occurrence_the_best_one_and_the_rest_are_alarms():
    found = [at(0.4, 10.2), at(0.9, 10.3), at(0.6, 10.1), at(0.7, 15.0)]
    assert verdicts(found, [NOVA]) == [(0.9, NOVA), (0.7, None), (0.6, None), (0.4, None)]


def test_of_two_occurrences_side_by_side_each_takes_its_own():
    second = Occurrence("nova", 10.5, 11.0)
    assert verdicts([at(0.9, 10.6), at(0.8, 10.4)], [NOVA, second]) == [(0.9, second), (0.8, NOVA)]


def test_within_other_words_is_neither():
    within = replace(NOVA, counts=False)
    assert verdicts([at(0.9, 10.2), at(0.3, 30.0)], [within]) == [(0.3, None)]
    sweep = Sweep(["nova"])
    sweep.add(Recording("r", 3600.0, (), (within,)), [at(0.9, 10.2)])
    assert sweep.occurrences == {"nova": 0}
    assert sweep.common(1.0).alarms == 0


def counted_by_hand():
    """Two hours, two keywords, four occurrences: three found, at 0.9, 0.6 and 0.3; alarms at 0.8, 0.5, 0.4, 0.2."""
    sweep = Sweep(["nova", "lights"])
    first = Recording("a", 3600.0, (), (NOVA, LIGHTS))
    second = Recording("b", 3600.0, (), (NOVA, replace(NOVA, start_seconds=50.0, end_seconds=50.5)))
    sweep.add(first, [at(0.9, 10.3, decided=11.0), at(0.6, 20.1, "lights"), at(0.5, 20.3, "lights"), at(0.8, 40.0)])
    sweep.add(second, [at(0.3, 50.3, decided=51.5), at(0.4, 5.0), at(0.2, 7.0, "lights")])
    return sweep


@pytest.mark.parametrize(
    ("rate", "alarms", "missed"), [(0.0, 0, 3), (0.24, 0, 3), (0.25, 1, 2), (0.5, 2, 2), (0.75, 3, 1), (10.0, 4, 1)]
)
def test_misses_at_a_common_threshold_by_hand(rate, alarms, missed):
    point = counted_by_hand().common(rate)
    assert (point.alarms, point.missed, point.occurrences) == (alarms, missed, 4)
    assert point.miss == missed / 4
    assert point.alarms_interval == pytest.approx(np.array(poisson_interval(alarms)) / 4)
    assert point.miss_interval == wilson_interval(missed, 4)


def test_together_counts_the_alarms_of_all_keywords():
    sweep = counted_by_hand()
    assert sweep.together(1.0) == sweep.common(0.5)
    assert sweep.together(0.5).alarms == 1
    assert sweep.as_dict()["together"]["alarms"] == 2


def test_misses_at_own_thresholds_by_hand():
    # "nova" has alarms at 0.8 and 0.4, "lights" at 0.5 and 0.2; in two hours, half an alarm an hour is one each.
    point = counted_by_hand().own(0.5)
    assert (point.alarms, point.missed, point.threshold) == (2, 2, None)
    assert counted_by_hand().own(0.0).missed == 2
    assert counted_by_hand().keyword_points(0.25) == {
        "nova": {"occurrences": 3, "missed": 2, "alarms": 1},
        "lights": {"occurrences": 1, "missed": 0, "alarms": 0},
    }


def random_sweep(seed):
    rng = np.random.default_rng(seed)
    sweep = Sweep(["nova", "lights"])
    for number in range(3):
        places = [Occurrence(k, t, t + 0.5) for k in sweep.keywords for t in np.sort(rng.uniform(0, 3500, 20)).tolist()]
        hits = [at(float(rng.normal(0.6, 0.2)), p.start_seconds + 0.2, p.keyword) for p in places if rng.random() < 0.9]
        alarms = [
            at(float(rng.normal(0.3, 0.2)), float(rng.uniform(0, 3600)), str(rng.choice(sweep.keywords)))
            for _ in range(60)
        ]
        sweep.add(Recording(str(number), 3600.0, (), tuple(places)), hits + alarms)
    return sweep


@pytest.mark.parametrize("seed", range(3))
def test_more_alarms_allow_fewer_misses_and_never_more_alarms_than_allowed(seed):
    sweep = random_sweep(seed)
    rates = np.geomspace(0.05, 100, 40)
    for point_at in (sweep.common, sweep.own):
        points = [point_at(rate) for rate in rates]
        misses = [point.missed for point in points]
        assert misses == sorted(misses, reverse=True)
        assert all(point.alarms <= rate * 6 for point, rate in zip(points, rates, strict=True))
    curve = np.array(sweep.curve())
    assert (np.diff(curve[:, 0]) > 0).all()
    assert (np.diff(curve[:, 1]) <= 0).all()
    assert (np.diff(curve[:, 2]) < 0).all()


def test_points_and_curve_equal_a_count_of_all_detections():
    sweep = random_sweep(5)
    scores = np.array([one.found.score for one in sweep.judged])
    is_hit = np.array([one.place is not None for one in sweep.judged])
    for rate in RATES:
        fits = [t for t in (*scores, np.inf) if (scores[~is_hit] >= t).sum() <= rate * 6]
        assert sweep.common(rate).missed == 120 - (scores[is_hit] >= min(fits)).sum()
    for alarms, miss, threshold in sweep.curve():
        assert alarms == pytest.approx((scores[~is_hit] >= threshold).sum() / 6)
        assert miss == pytest.approx(1 - (scores[is_hit] >= threshold).sum() / 120)


def test_a_shift_in_time_is_the_error_in_time():
    for shift in (0.0, 0.05, -0.12):
        sweep = Sweep(["nova"])
        found = Found("nova", 0.9, NOVA.start_seconds + shift, NOVA.end_seconds + shift, NOVA.end_seconds + 0.6)
        sweep.add(Recording("r", 60.0, (), (NOVA,)), [found])
        times = sweep.times()
        assert times["start_median_seconds"] == pytest.approx(abs(shift), abs=1e-4)
        assert times["end_90_seconds"] == pytest.approx(abs(shift), abs=1e-4)
        assert times["latency_median_seconds"] == pytest.approx(0.6)
    assert counted_by_hand().times(10.0)["latency_90_seconds"] == pytest.approx(0.95)
    untimed = Sweep(["nova"])
    untimed.add(Recording("r", 60.0, (), (replace(NOVA, timed=False),)), [at(0.9, 10.2)])
    assert untimed.times() == {}


def test_pooled_sweeps_count_all_recordings():
    one, other = counted_by_hand(), counted_by_hand()
    both = pooled({"one": one, "other": other})
    assert both.hours == one.hours + other.hours
    for rate in RATES:
        assert both.common(rate).miss == one.common(rate).miss


def test_the_report_is_json_without_infinities():
    silent = Sweep(["nova"])
    silent.add(Recording("r", 60.0, (), (NOVA,)), [])
    for sweep in (counted_by_hand(), silent):
        text = json.dumps(sweep.as_dict(), allow_nan=False)
        assert json.loads(text)["occurrences"] == sum(sweep.occurrences.values())
    assert silent.curve() == []
    assert silent.common(0.1).miss == 1.0


@pytest.mark.parametrize("count", [0, 1, 2, 7, 40])
def test_intervals_are_those_of_scipy(count):
    low, high = poisson_interval(count)
    assert poisson.cdf(count, high) == pytest.approx(0.025)
    assert count == 0 or poisson.sf(count - 1, low) == pytest.approx(0.025)
    expected = binomtest(count, 50).proportion_ci(method="wilson")
    assert wilson_interval(count, 50) == pytest.approx((expected.low, expected.high))
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_curves_are_drawn_and_written(tmp_path):
    from watchword.evaluate.det import draw_panels, write_curves

    curves = {"ours": counted_by_hand().curve(), "nothing": []}
    for name in ("det.png", "det.svg"):
        draw_panels(tmp_path / name, {"clean": curves, "noise": curves})
        assert (tmp_path / name).stat().st_size > 5000
    assert (tmp_path / "det.png").read_bytes().startswith(b"\x89PNG")
    write_curves(tmp_path / "det.tsv", curves)
    head, *rows = (tmp_path / "det.tsv").read_text().splitlines()
    assert head.split("\t") == ["curve", "alarms_per_hour", "miss", "threshold"]
    assert [float(row.split("\t")[1]) for row in rows] == [point[0] for point in curves["ours"]]
    with pytest.raises(BenchmarkError, match=r"as \.png or \.svg"):
        draw_panels(tmp_path / "det.jpg", {"": curves})
    with pytest.raises(BenchmarkError, match="cannot be written"):
        write_curves(tmp_path / "det.png" / "det.tsv", curves)
