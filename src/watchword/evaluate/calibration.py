"""Calibration: the score at which keywords give so many false alarms an hour on running speech, and their misses there.

Recordings with word times are searched for keywords, most of which nobody says in them. A detection that lies on no
occurrence of its keyword (or of a word that sounds the same) is a false alarm. The threshold is that at which all
keywords together give `alarms_per_hour` times their number of alarms: an average over keywords, not a promise for each.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from watchword.data.segment import Segment
from watchword.evaluate.pronunciations import Phonemes, Pronunciations
from watchword.text.pronounce import Pronouncer, default_pronouncer

MOST_WORDS = 3
FEWEST_PHONEMES, MOST_PHONEMES = 5, 16
SLACK_SECONDS = 0.3
"""A detection counts as right where it overlaps its keyword's occurrence, widened by this."""

Found = tuple[str, float, float, float]
"""A keyword, a score, and the start and end in seconds."""
LOWEST_SCORE = 0.1
"""No threshold is looked for below this, so that not every candidate needs to be kept."""
Scan = Callable[[str, Sequence[str]], Iterable[Found]]
"""Searches a file for keywords and gives every candidate of at least LOWEST_SCORE."""


class CalibrationError(ValueError):
    """Too little speech to calibrate on; the message says what is missing."""


@dataclass(frozen=True)
class Row:
    """One point of the trade-off: alarms an hour of one keyword, the threshold, and the share of occurrences missed."""

    alarms_per_hour: float
    interval: tuple[float, float]
    threshold: float
    miss: float


@dataclass(frozen=True)
class Calibration:
    """The trade-off over all keywords; `occurrences` counts how often keywords were really said."""

    rows: tuple[Row, ...]
    keywords: int
    hours: float
    occurrences: int

    def at(self, alarms_per_hour: float) -> Row:
        """The row of a rate. Raises KeyError for one that was not asked for."""
        return next(row for row in self.rows if row.alarms_per_hour == alarms_per_hour)


def choose_keywords(
    segments: Sequence[Segment], size: int, seed: int, pronouncer: Pronouncer | None = None
) -> list[str]:
    """Draws `size` phrases of 1-3 words and 5-16 phonemes out of the texts of `segments`, each as likely as any other.

    Raises CalibrationError where there are fewer."""
    pronunciations = Pronunciations(pronouncer or default_pronouncer())
    phrases = sorted(
        {
            " ".join(words[first : first + count])
            for words in (segment.text.lower().split() for segment in segments)
            for count in range(1, MOST_WORDS + 1)
            for first in range(len(words) - count + 1)
        }
    )
    rng = np.random.default_rng(seed)
    chosen: list[str] = []
    for index in rng.permutation(len(phrases)):
        variants = pronunciations.of(phrases[index])
        if variants and FEWEST_PHONEMES <= len(variants[0]) <= MOST_PHONEMES:
            chosen.append(phrases[index])
        if len(chosen) == size:
            return chosen
    raise CalibrationError(f"calibrate: {len(chosen)} phrases to listen for, {size} asked for; give more transcripts")


def calibrate(
    segments: Sequence[Segment],
    keywords: Sequence[str],
    scan: Scan,
    rates: Sequence[float] = (0.1, 0.5, 1.0, 10.0),
    *,
    pronouncer: Pronouncer | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Calibration:
    """Searches the files of aligned `segments` for `keywords`: thresholds by false alarms an hour and keyword.

    Only speech with word times counts; raises CalibrationError where there is none."""
    files: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        if segment.words:
            files[segment.audio].append(segment)
    if not files:
        raise CalibrationError("calibrate: no segment has word times; run `watchword prepare align` first")
    pronunciations = Pronunciations(pronouncer or default_pronouncer())
    sounds = {keyword: set(pronunciations.of(keyword)) for keyword in keywords}
    alarms: list[float] = []
    best: list[float] = []  # the best score on each occurrence
    hours = 0.0
    for number, (path, spoken) in enumerate(sorted(files.items()), 1):
        places = _occurrences(spoken, sounds, pronunciations)
        hits: dict[tuple[str, float], float] = {(k, start): -1.0 for k, all_of in places.items() for start, _ in all_of}
        for keyword, score, start, end in scan(path, keywords):
            # Of two occurrences side by side, the one that the detection shares most with.
            shared = [(min(end, last) - max(start, first), first) for first, last in places.get(keyword, ())]
            most, first = max(shared, default=(-np.inf, 0.0))
            if most > -SLACK_SECONDS:
                hits[keyword, first] = max(hits[keyword, first], score)
            else:
                alarms.append(score)
        best += hits.values()
        hours += sum(s.end_seconds - s.start_seconds for s in spoken) / 3600
        if progress:
            progress(number, len(files))
    ranked, scores = np.sort(np.array(alarms))[::-1], np.array(best)
    rows = tuple(_row(rate, ranked, scores, hours * len(keywords)) for rate in rates)
    return Calibration(rows, len(keywords), hours, len(best))


def _occurrences(
    spoken: Iterable[Segment], sounds: dict[str, set[Phonemes]], pronunciations: Pronunciations
) -> dict[str, list[tuple[float, float]]]:
    """Where each keyword, or what sounds the same, is said: keyword -> (start, end)."""
    by_sound: dict[Phonemes, list[str]] = defaultdict(list)
    for keyword, variants in sounds.items():
        for variant in variants:
            by_sound[variant].append(keyword)
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for segment in spoken:
        words = segment.words
        for first in range(len(words)):
            for last in range(first, min(first + MOST_WORDS, len(words))):
                place = (words[first].start_seconds, words[last].end_seconds)
                text = " ".join(word.text.lower() for word in words[first : last + 1])
                matching = {keyword for said in pronunciations.of(text) for keyword in by_sound.get(said, ())}
                for keyword in matching:
                    found[keyword].append(place)
    return found


def _row(rate: float, ranked: np.ndarray, scores: np.ndarray, keyword_hours: float) -> Row:
    """The lowest threshold with at most `rate` alarms a keyword-hour, and the exact Poisson interval of that rate."""
    allowed = int(rate * keyword_hours)
    # Just above the first alarm that is too many.
    too_many = ranked[allowed] if allowed < len(ranked) else LOWEST_SCORE
    threshold = float(np.nextafter(np.float32(too_many), np.float32(2)))
    count = int((ranked >= threshold).sum())
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    high = float(chi2.ppf(0.975, 2 * count + 2)) / 2
    miss = float((scores < threshold).mean()) if len(scores) else float("nan")
    return Row(rate, (low / keyword_hours, high / keyword_hours), threshold, miss)
