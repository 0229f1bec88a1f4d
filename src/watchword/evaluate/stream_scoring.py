"""What a search found in long recordings beside what is there: misses at rates of false alarms, the curve, the times.

Conventions
    detection     hits an occurrence where its middle lies within it, widened by 0.2 s on both sides
    one each      the best detection takes an occurrence (of several, the one whose middle is nearest), and so on down;
                  a detection that finds none left is a false alarm, so a second one on the same word is, too
    within        a detection that hits no occurrence but the keyword within other words counts as neither
    rate          false alarms an hour of audio and keyword: with 20 keywords at 1, the 20 give 20 alarms an hour;
                  together: false alarms an hour of audio of all keywords, a twentieth of that each
    threshold     common: one for all keywords, pooled; own: one for each keyword, at the rate by itself. Both are
                  chosen on these recordings, as the points of a curve are: the lowest with at most the rate's alarms
    intervals     95 %: exact Poisson for alarms, Wilson for misses, as if occurrences were independent
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from watchword.evaluate.intervals import poisson_interval, wilson_interval
from watchword.evaluate.stream_plan import Occurrence, Recording

RATES = (0.1, 0.5, 1.0, 10.0)
TOGETHER = 1.0
"""False alarms an hour of all keywords together, as a device that listens for all of them gives."""
TOLERANCE_SECONDS = 0.2
CURVE_POINTS = 200


class Found(NamedTuple):
    """A detection: keyword, score, place, and when it was decided, in seconds of the recording, where that is known."""

    keyword: str
    score: float
    start_seconds: float
    end_seconds: float
    decided_seconds: float | None = None


class Judged(NamedTuple):
    """A detection and the occurrence that it hit; a false alarm where that is None."""

    found: Found
    place: Occurrence | None


def judge(found: Iterable[Found], places: Sequence[Occurrence]) -> list[Judged]:
    """Says of each detection in one recording whether it hits; those within other words are left out.

    A detection's verdict does not depend on any that scores lower, so every threshold keeps a part of the list."""
    by_keyword: defaultdict[str, list[Occurrence]] = defaultdict(list)
    for place in places:
        by_keyword[place.keyword].append(place)
    taken: set[Occurrence] = set()
    judged: list[Judged] = []
    for one in sorted(found, key=lambda one: (-one.score, one.keyword, one.end_seconds)):
        middle = (one.start_seconds + one.end_seconds) / 2
        near = [
            place
            for place in by_keyword[one.keyword]
            if place.start_seconds - TOLERANCE_SECONDS <= middle <= place.end_seconds + TOLERANCE_SECONDS
        ]
        free = [place for place in near if place.counts and place not in taken]
        if free:
            best = min(free, key=lambda place: abs((place.start_seconds + place.end_seconds) / 2 - middle))
            taken.add(best)
            judged.append(Judged(one, best))
        elif not near or any(place.counts for place in near):
            judged.append(Judged(one, None))
    return judged


@dataclass(frozen=True)
class Point:
    """Misses at one rate of false alarms; `threshold` is None where each keyword has its own."""

    alarms_per_hour: float
    threshold: float | None
    alarms: int
    alarms_interval: tuple[float, float]
    missed: int
    occurrences: int
    miss_interval: tuple[float, float]

    @property
    def miss(self) -> float:
        """The share of occurrences missed."""
        return self.missed / self.occurrences if self.occurrences else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """The point as JSON."""
        return {
            "alarms_per_hour": self.alarms_per_hour,
            "threshold": None if self.threshold in (None, -np.inf) else round(float(self.threshold or 0.0), 5),
            "alarms": self.alarms,
            "alarms_per_hour_interval": [round(end, 4) for end in self.alarms_interval],
            "missed": self.missed,
            "miss": round(self.miss, 5),
            "miss_interval": [round(end, 5) for end in self.miss_interval],
        }


class Sweep:
    """All detections of a set of recordings, searched once with a low threshold, and every higher threshold at once."""

    def __init__(self, keywords: Sequence[str]) -> None:
        self.keywords = tuple(keywords)
        self.seconds = 0.0
        self.occurrences: dict[str, int] = dict.fromkeys(keywords, 0)
        self.judged: list[Judged] = []

    def add(self, recording: Recording, found: Iterable[Found]) -> None:
        """Takes what was found in a recording."""
        self.seconds += recording.seconds
        for place in recording.occurrences:
            self.occurrences[place.keyword] += place.counts
        self.judged += judge(found, recording.occurrences)

    @property
    def hours(self) -> float:
        """Hours of audio."""
        return self.seconds / 3600

    def common(self, rate: float) -> Point:
        """Misses where one threshold serves all keywords."""
        hits, alarms = self._scores()
        threshold = _threshold(alarms, rate * self.hours * len(self.keywords))
        return self._point(rate, threshold, int((alarms > threshold).sum()), int((hits > threshold).sum()))

    def together(self, rate: float) -> Point:
        """Misses where one threshold serves all keywords, and all of them together raise so many alarms an hour."""
        return self.common(rate / max(len(self.keywords), 1))

    def own(self, rate: float) -> Point:
        """Misses where every keyword has a threshold of its own."""
        alarms_left = hits_left = 0
        for keyword in self.keywords:
            hits, alarms = self._scores(keyword)
            threshold = _threshold(alarms, rate * self.hours)
            alarms_left += int((alarms > threshold).sum())
            hits_left += int((hits > threshold).sum())
        return self._point(rate, None, alarms_left, hits_left)

    def keyword_points(self, rate: float) -> dict[str, dict[str, float]]:
        """For each keyword, at the common threshold of a rate: occurrences, misses and alarms."""
        threshold = _threshold(self._scores()[1], rate * self.hours * len(self.keywords))
        rows = {}
        for keyword in self.keywords:
            hits, alarms = self._scores(keyword)
            missed = self.occurrences[keyword] - int((hits > threshold).sum())
            counts = {"occurrences": self.occurrences[keyword], "missed": missed}
            rows[keyword] = {**counts, "alarms": int((alarms > threshold).sum())}
        return rows

    def curve(self) -> list[tuple[float, float, float]]:
        """The detection error trade-off with a common threshold, strictest first: alarms an hour and keyword, share of
        occurrences missed, and the threshold from which on both hold."""
        hits, alarms = self._scores()
        total = sum(self.occurrences.values())
        thresholds = np.unique(np.concatenate([hits, alarms]))[::-1]
        num_alarms = len(alarms) - np.searchsorted(np.sort(alarms), thresholds)
        num_hits = len(hits) - np.searchsorted(np.sort(hits), thresholds)
        rates = num_alarms / max(self.hours * len(self.keywords), 1e-9)
        misses = 1 - num_hits / max(total, 1)
        # Of the points with as many alarms, the one with the fewest misses; close together where alarms are few.
        corners = np.flatnonzero(np.append(np.diff(num_alarms) > 0, True)[: len(thresholds)])
        if len(corners) > CURVE_POINTS:
            corners = corners[np.unique(np.geomspace(1, len(corners), CURVE_POINTS).round().astype(int)) - 1]
        return [(float(rates[i]), float(misses[i]), float(thresholds[i])) for i in corners]

    def times(self, rate: float = 1.0) -> dict[str, float]:
        """The errors of the hits at the common threshold of a rate, in seconds: median and 90th percentile of start and
        end against the alignment, and of the time from a word's end to the decision, where that is known."""
        threshold = _threshold(self._scores()[1], rate * self.hours * len(self.keywords))
        hits = [(f, p) for f, p in self.judged if p is not None and p.timed and f.score > threshold]
        errors = {
            "start": [abs(f.start_seconds - p.start_seconds) for f, p in hits],
            "end": [abs(f.end_seconds - p.end_seconds) for f, p in hits],
            "latency": [f.decided_seconds - p.end_seconds for f, p in hits if f.decided_seconds is not None],
        }
        return {
            f"{name}_{part}_seconds": round(float(np.quantile(values, quantile)), 4)
            for name, values in errors.items()
            if values
            for part, quantile in (("median", 0.5), ("90", 0.9))
        }

    def as_dict(self, rates: Sequence[float] = RATES) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "hours": round(self.hours, 4),
            "keywords": len(self.keywords),
            "occurrences": sum(self.occurrences.values()),
            "common": [self.common(rate).as_dict() for rate in rates],
            "together": {**self.together(TOGETHER).as_dict(), "alarms_per_hour_together": TOGETHER},
            "own": [self.own(rate).as_dict() for rate in rates],
            "by_keyword": self.keyword_points(1.0),
            "times": self.times(),
            "curve": [[round(number, 5) for number in point] for point in self.curve()],
        }

    def _scores(self, keyword: str | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The scores of hits and of false alarms."""
        chosen = [one for one in self.judged if keyword is None or one.found.keyword == keyword]
        hits, alarms = ([o.found.score for o in chosen if (o.place is None) == alarm] for alarm in (False, True))
        return np.array(hits, np.float64), np.array(alarms, np.float64)

    def _point(self, rate: float, threshold: float | None, alarms: int, hits: int) -> Point:
        total, keyword_hours = sum(self.occurrences.values()), max(self.hours * len(self.keywords), 1e-9)
        low, high = (end / keyword_hours for end in poisson_interval(alarms))
        missed = total - hits
        return Point(rate, threshold, alarms, (low, high), missed, total, wilson_interval(missed, total))


def pooled(sweeps: Mapping[str, Sweep]) -> Sweep:
    """Several sweeps of the same keywords as one, as if their recordings were one set."""
    keywords = next(iter(sweeps.values())).keywords
    together = Sweep(keywords)
    for sweep in sweeps.values():
        together.seconds += sweep.seconds
        together.judged += sweep.judged
        for keyword, count in sweep.occurrences.items():
            together.occurrences[keyword] += count
    return together


def _threshold(alarms: NDArray[np.float64], allowed: float) -> float:
    """The score that detections must be above for at most `allowed` alarms: that of the first alarm too many."""
    ranked = np.sort(alarms)[::-1]
    number = int(allowed + 1e-9)
    return float(ranked[number]) if number < len(ranked) else -np.inf
