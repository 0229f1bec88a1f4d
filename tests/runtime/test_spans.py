"""Candidate lengths follow the number of phonemes; settings come from the card or are refused."""

import numpy as np
import pytest

from watchword.audio import span_frames
from watchword.bundle import BundleError
from watchword.runtime.spans import ScanSettings, frame_seconds, length_cost, span_lengths


def test_lengths_grow_with_phonemes_within_bounds():
    settings = ScanSettings(shortest_seconds=0.2, longest_seconds=1.5)
    previous = (0,)
    for phonemes in range(1, 60):
        lengths = span_lengths(phonemes, 0.08, settings)
        assert all(a <= b for a, b in zip((previous[0], previous[-1]), (lengths[0], lengths[-1]), strict=True))
        assert min(lengths) >= 19
        assert max(lengths) <= 160
        previous = lengths


@pytest.mark.parametrize("phonemes", [4, 8, 15])
def test_lengths_are_within_rounding_of_the_factors(phonemes):
    settings = ScanSettings()
    lengths = np.array(span_lengths(phonemes, 0.09, settings))
    wanted = 100 * 0.09 * phonemes * np.array(settings.factors)
    assert np.abs(np.log(lengths / wanted)).max() <= np.log(settings.length_ratio) / 2 + 1 / min(lengths)


def test_the_usual_length_costs_nothing_and_others_more_the_further_they_are():
    settings = ScanSettings()
    costs = [length_cost(length, 10, 0.1, settings) for length in (45, 60, 90, 120, 180)]
    assert costs[2] == pytest.approx(0.0, abs=1e-6)
    assert costs[0] > costs[1] > costs[2] < costs[3] < costs[4]
    assert costs[0] == pytest.approx(costs[4], abs=1e-6)


def test_keywords_share_lengths():
    lengths = {length for phonemes in range(2, 30) for length in span_lengths(phonemes, 0.08, ScanSettings())}
    assert len(lengths) < 45


def test_frame_seconds_is_the_inverse_of_span_frames():
    for start, end in ((0.5, 0.9), (1.234, 2.0), (3.001, 3.4)):
        first, last = span_frames(round(start * 16000), round(end * 16000), 1000)
        starts, ends = frame_seconds(np.array([first]), np.array([last]))
        assert abs(starts[0] - start) <= 0.01
        assert abs(ends[0] - end) <= 0.01


def test_the_card_sets_what_it_names():
    settings = ScanSettings.of({"scan": {"factors": [0.8, 1.0], "refractory_seconds": 1}})
    assert settings == ScanSettings(factors=(0.8, 1.0), refractory_seconds=1)
    assert ScanSettings.of({}) == ScanSettings()


@pytest.mark.parametrize(
    ("scan", "message"),
    [
        ({"hop": 1}, "unknown key 'hop'"),
        ({"smoothing_steps": 2}, "must be odd"),
        ({"length_prior": -1}, "not be below 0"),
        ({"factors": []}, "at least one"),
        ({"length_ratio": 1.0}, "above 1"),
        ({"hop_seconds": 0}, "above 0"),
        ({"longest_seconds": 0.01}, "below shortest"),
    ],
)
def test_wrong_settings_are_refused(scan, message):
    with pytest.raises(BundleError, match=message):
        ScanSettings.of({"scan": scan})
