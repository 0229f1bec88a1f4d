"""Laws of calibration, with a search whose scores are known."""

import numpy as np
import pytest

from watchword.data.segment import Segment, Timed
from watchword.evaluate.calibration import (
    MOST_SAID,
    SIZES,
    CalibrationError,
    Found,
    choose_keywords,
    rows,
    search,
)
from watchword.evaluate.pronunciations import Pronunciations
from watchword.text.pronounce import default_pronouncer

RATES = (1.0, 10.0, 100.0)


@pytest.fixture
def listening(segments):
    """Segments, keywords, and a search that finds each occurrence with a score of 0.9 and 2,000 false alarms below."""
    keywords = ["brave sailor", "winter", "knight"]
    rng = np.random.default_rng(3)

    def scan(path, wanted):
        for segment in (s for s in segments if s.audio == path):
            for keyword in wanted:
                yield Found(keyword, float(rng.uniform(0.2, 0.8)), 100.0, 100.5)
            for word in segment.words:
                if word.text in wanted:
                    yield Found(word.text, 0.9, word.start_seconds + 0.1, word.end_seconds + 0.1)

    return segments, keywords, scan


def test_threshold_allows_as_many_alarms_as_asked_for(listening):
    segments, keywords, scan = listening
    found = search(segments, keywords, scan)
    measured = rows(found, found.scores, RATES)
    scores = []
    rng = np.random.default_rng(3)
    for _ in segments:
        scores += [float(rng.uniform(0.2, 0.8)) for _ in keywords]
    keyword_hours = found.hours.sum() * len(keywords)
    assert found.hours.sum() == pytest.approx(sum(s.end_seconds for s in segments) / 3600)
    for rate, row in zip(RATES, measured, strict=True):
        assert sum(score >= row.threshold for score in scores) == int(rate * keyword_hours)
        assert row.interval[0] <= int(rate * keyword_hours) / keyword_hours <= row.interval[1]
    thresholds = [row.threshold for row in measured]
    assert thresholds == sorted(thresholds, reverse=True)


def test_words_that_sound_the_same_are_no_alarms_and_unfound_ones_are_missed(listening):
    segments, keywords, scan = listening
    said = [word.text for segment in segments for word in segment.words]
    phrases = sum(s.text.count("brave sailor") for s in segments)
    found = search(segments, keywords, scan)
    # "night" is an occurrence of "knight", which this search does not find; no more does it find the phrase.
    unfound = said.count("night") + phrases
    assert found.said == said.count("winter") + said.count("knight") + unfound
    assert rows(found, found.scores, [10.0])[0].miss == pytest.approx(unfound / found.said)


def test_a_keyword_within_other_words_is_neither_right_nor_wrong():
    words = (Timed("the", 0.0, 0.2), Timed("gardens", 0.2, 0.9), Timed("grow", 0.9, 1.4), Timed("garden", 2.0, 2.6))
    segment = Segment("a.wav", "the gardens grow garden", 0.0, 3.0, speaker="a", words=words)
    places = [(0.25, 0.8), (0.95, 1.35), (2.0, 2.6)]
    found = search([segment], ["garden"], lambda _, wanted: [Found("garden", 0.5, *place) for place in places])
    best, alarms = found.best(found.scores)
    assert (found.said, best.tolist(), alarms.tolist()) == (1, [0.5], [0.5])


def test_of_alarms_at_one_place_the_best_counts(segments):
    """Two detections that would not both be reported are one alarm; others of other keywords, or later, are not."""
    scores = {(100.0, 100.5): 0.3, (100.2, 100.7): 0.6, (100.6, 101.4): 0.5, (101.3, 102.1): 0.4}

    def scan(path, wanted):
        return [Found(keyword, score, *place) for keyword in wanted for place, score in reversed(scores.items())]

    found = search(segments[:2], ["ocean", "harbor"], scan)
    _, alarms = found.best(found.scores)
    assert sorted(alarms.tolist()) == sorted([0.6, 0.5, 0.4] * 4)
    assert found.keyword[found.said :].tolist().count(0) == 6


def test_keywords_are_drawn_from_the_texts(segments):
    chosen = choose_keywords(segments, 40, seed=1)
    assert chosen == choose_keywords(segments, 40, seed=1)
    assert chosen != choose_keywords(segments, 40, seed=2)
    texts = [f" {segment.text} " for segment in segments]
    assert all(1 <= sum(text.count(f" {phrase} ") for text in texts) <= MOST_SAID for phrase in chosen)
    pronunciations = Pronunciations(default_pronouncer())
    sizes = [len(pronunciations.of(phrase)[0]) for phrase in chosen]
    assert [sum(low <= size <= high for size in sizes) for low, high in SIZES] == [8] * 5
    with pytest.raises(CalibrationError, match="100000 asked for"):
        choose_keywords(segments, 100_000, seed=1)


def test_speech_without_word_times_is_refused(segments):
    bare = [type(s)(s.audio, s.text, s.start_seconds, s.end_seconds) for s in segments[:3]]
    with pytest.raises(CalibrationError, match="no segment has word times"):
        search(bare, ["winter"], lambda path, wanted: [])
