"""Laws of calibration, with a search whose scores are known."""

import numpy as np
import pytest

from watchword.evaluate.calibration import CalibrationError, calibrate, choose_keywords

RATES = (1.0, 10.0, 100.0)


@pytest.fixture
def listening(segments):
    """Segments, keywords, and a search that finds each occurrence with a score of 0.9 and 2,000 false alarms below."""
    keywords = ["brave sailor", "winter", "knight"]
    rng = np.random.default_rng(3)

    def scan(path, wanted):
        for segment in (s for s in segments if s.audio == path):
            for keyword in wanted:
                yield keyword, float(rng.uniform(0.2, 0.8)), 100.0, 100.5
            for word in segment.words:
                if word.text in wanted:
                    yield word.text, 0.9, word.start_seconds + 0.1, word.end_seconds + 0.1

    return segments, keywords, scan


def test_threshold_allows_as_many_alarms_as_asked_for(listening):
    segments, keywords, scan = listening
    found = calibrate(segments, keywords, scan, RATES)
    scores = []
    rng = np.random.default_rng(3)
    for _ in segments:
        scores += [float(rng.uniform(0.2, 0.8)) for _ in keywords]
    keyword_hours = found.hours * len(keywords)
    assert found.hours == pytest.approx(sum(s.end_seconds for s in segments) / 3600)
    for rate in RATES:
        row = found.at(rate)
        assert sum(score >= row.threshold for score in scores) == int(rate * keyword_hours)
        assert row.interval[0] <= int(rate * keyword_hours) / keyword_hours <= row.interval[1]
    thresholds = [row.threshold for row in found.rows]
    assert thresholds == sorted(thresholds, reverse=True)


def test_words_that_sound_the_same_are_no_alarms_and_unfound_ones_are_missed(listening):
    segments, keywords, scan = listening
    said = [word.text for segment in segments for word in segment.words]
    phrases = sum(s.text.count("brave sailor") for s in segments)
    found = calibrate(segments, keywords, scan, RATES)
    # "night" is an occurrence of "knight", which this search does not find; no more does it find the phrase.
    unfound = said.count("night") + phrases
    assert found.occurrences == said.count("winter") + said.count("knight") + unfound
    assert found.at(10.0).miss == pytest.approx(unfound / found.occurrences)


def test_keywords_are_drawn_from_the_texts(segments):
    chosen = choose_keywords(segments, 40, seed=1)
    assert chosen == choose_keywords(segments, 40, seed=1)
    assert chosen != choose_keywords(segments, 40, seed=2)
    texts = [f" {segment.text} " for segment in segments]
    assert all(any(f" {phrase} " in text for text in texts) for phrase in chosen)
    with pytest.raises(CalibrationError, match="100000 asked for"):
        choose_keywords(segments, 100_000, seed=1)


def test_speech_without_word_times_is_refused(segments):
    bare = [type(s)(s.audio, s.text, s.start_seconds, s.end_seconds) for s in segments[:3]]
    with pytest.raises(CalibrationError, match="no segment has word times"):
        calibrate(bare, ["winter"], lambda path, wanted: [])
