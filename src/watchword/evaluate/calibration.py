"""Calibration: the score at which keywords give so many false alarms an hour on running speech, and their misses there.

Recordings with word times are searched for keywords, most of which nobody says in them. A detection that lies on no
occurrence of its keyword (or of a word that sounds the same) is a false alarm; of several at one place the best counts.
Where a keyword's phonemes lie within other words ("garden" in "gardens") it is neither, as in `stream_keywords`.
The threshold is that at which all keywords together give `alarms_per_hour` times their number of alarms.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from watchword.data.segment import Segment
from watchword.evaluate.pronunciations import Pronunciations
from watchword.evaluate.stream_keywords import Places
from watchword.evaluate.stream_scoring import TOLERANCE_SECONDS
from watchword.runtime.phoneme_finder import conflict
from watchword.text.pronounce import Pronouncer, default_pronouncer

MOST_WORDS = 3
SIZES = ((3, 4), (5, 6), (7, 9), (10, 12), (13, 18))
"""Classes of keywords by their numbers of phonemes, of which equally many are drawn."""
FEWEST_PHONEMES, MOST_PHONEMES = SIZES[0][0], SIZES[-1][1]
RATES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
MOST_SAID = 6
"""Phrases that are said more often than this are no keywords: nobody listens for "and"."""
SLACK_SECONDS = 0.3
"""A detection counts as right where it overlaps its keyword's occurrence, widened by this."""
APART_SECONDS, OVERLAP = 0.3, 0.25
"""Two alarms of a keyword are one where they end nearer to each other, or share more of the shorter."""
LOWEST_SCORE = 0.0
"""No threshold is looked for below this, so that not every candidate needs to be kept."""


class Found(NamedTuple):
    """A candidate of a search; `evidence` is what a calibrated score counts, where the bundle has such."""

    keyword: str
    score: float
    start_seconds: float
    end_seconds: float
    evidence: tuple[float, ...] = ()


Scan: TypeAlias = Callable[[str, Sequence[str]], Iterable[Found]]
"""Searches a file for keywords and gives every candidate of at least LOWEST_SCORE, those that conflict as well."""


class CalibrationError(ValueError):
    """Too little speech to calibrate on; the message says what is missing."""


@dataclass(frozen=True)
class Candidates:
    """What a search found: candidates, and the events that they belong to.

    Events are numbered: the first `said` are the occurrences of keywords, found or not, the others false alarms.
    `scores` [candidates], `evidence` [candidates, kinds] and `event` [candidates] are of candidates; `keyword` and
    `speaker` [events] are numbers; `sizes` [keywords] counts phonemes, `hours` [speakers] speech."""

    scores: NDArray[np.float64]
    evidence: NDArray[np.float64]
    event: NDArray[np.int64]
    keyword: NDArray[np.int64]
    speaker: NDArray[np.int64]
    said: int
    sizes: NDArray[np.int64]
    speakers: tuple[str, ...]
    hours: NDArray[np.float64]

    @property
    def is_said(self) -> NDArray[np.bool_]:
        """Which candidates lie on an occurrence."""
        return self.event < self.said

    def best(self, scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The best of candidates' scores, of each occurrence (-inf where nothing was found), and of each alarm."""
        best = np.full(len(self.keyword), -np.inf)
        np.maximum.at(best, self.event, scores)
        return best[: self.said], best[self.said :]

    def classes(self) -> NDArray[np.int64]:
        """Each event's class of SIZES."""
        return np.searchsorted([last for _, last in SIZES[:-1]], self.sizes)[self.keyword]


@dataclass(frozen=True)
class Row:
    """One point of the trade-off: alarms an hour of one keyword, the threshold, and the share of occurrences missed."""

    alarms_per_hour: float
    interval: tuple[float, float]
    threshold: float
    miss: float


def choose_keywords(
    segments: Sequence[Segment], size: int, seed: int, pronouncer: Pronouncer | None = None
) -> list[str]:
    """Draws `size` phrases of 1-3 words out of the texts of `segments` that say them at most MOST_SAID times, equally
    many of each class of SIZES where there are enough, each phrase as likely as any other of its class.

    Raises CalibrationError where there are fewer."""
    pronunciations = Pronunciations(pronouncer or default_pronouncer())
    said = Counter(
        " ".join(words[first : first + count])
        for words in (segment.text.lower().split() for segment in segments)
        for count in range(1, MOST_WORDS + 1)
        for first in range(len(words) - count + 1)
    )
    phrases = sorted(phrase for phrase, times in said.items() if times <= MOST_SAID)
    rng = np.random.default_rng(seed)
    chosen: list[str] = []
    left: list[str] = []
    room = [-(-size // len(SIZES))] * len(SIZES)
    for index in rng.permutation(len(phrases)):
        if len(chosen) == size:
            return chosen
        variants = pronunciations.of(phrases[index])
        if variants and FEWEST_PHONEMES <= len(variants[0]) <= MOST_PHONEMES:
            number = next(n for n, (_, last) in enumerate(SIZES) if len(variants[0]) <= last)
            room[number] -= 1
            (chosen if room[number] >= 0 else left).append(phrases[index])
    chosen += left[: size - len(chosen)]
    if len(chosen) == size:
        return chosen
    raise CalibrationError(f"calibrate: {len(chosen)} phrases to listen for, {size} asked for; give more transcripts")


def aligned_files(segments: Sequence[Segment]) -> dict[str, list[Segment]]:
    """The files of segments with word times, each with those segments. Raises CalibrationError where there are none."""
    files: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        if segment.words:
            files[segment.audio].append(segment)
    if not files:
        raise CalibrationError("calibrate: no segment has word times; run `watchword prepare align` first")
    return files


def search(
    segments: Sequence[Segment],
    keywords: Sequence[str],
    scan: Scan,
    *,
    pronouncer: Pronouncer | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Candidates:
    """Searches the files of aligned `segments` for `keywords`.

    Only speech with word times counts; raises CalibrationError where there is none."""
    files = aligned_files(segments)
    pronunciations = Pronunciations(pronouncer or default_pronouncer())
    finder = Places(keywords, pronunciations)
    number_of = {keyword: number for number, keyword in enumerate(keywords)}
    # A recording of unknown speakers stands for itself.
    speaker_of = {path: spoken[0].speaker or path for path, spoken in files.items()}
    speakers = tuple(sorted(set(speaker_of.values())))
    hours = np.zeros(len(speakers))
    said: list[tuple[int, int]] = []  # keyword and speaker of each occurrence
    alarms: list[tuple[int, int]] = []
    on_said: list[tuple[int, Found]] = []
    on_alarm: list[tuple[int, Found]] = []
    for done, (path, spoken) in enumerate(sorted(files.items()), 1):
        speaker = speakers.index(speaker_of[path])
        hours[speaker] += sum(s.end_seconds - s.start_seconds for s in spoken) / 3600
        places, inside = _places(spoken, finder)
        events: dict[tuple[str, float], int] = {}
        for keyword, all_of in places.items():
            for start, _ in all_of:
                events[keyword, start] = len(said)
                said.append((number_of[keyword], speaker))
        latest: dict[str, tuple[Found, int]] = {}  # each keyword's alarm before
        for found in sorted((Found(*one) for one in scan(path, keywords)), key=lambda one: one.end_seconds):
            # Of two occurrences side by side, the one that the detection shares most with.
            shared = [
                (min(found.end_seconds, last) - max(found.start_seconds, first), first)
                for first, last in places.get(found.keyword, ())
            ]
            most, first = max(shared, default=(-np.inf, 0.0))
            if most > -SLACK_SECONDS:
                on_said.append((events[found.keyword, first], found))
                continue
            middle = (found.start_seconds + found.end_seconds) / 2
            within = inside[found.keyword]
            if any(first - TOLERANCE_SECONDS < middle < last + TOLERANCE_SECONDS for first, last in within):
                continue
            before, number = latest.get(found.keyword, (None, 0))
            if before is None or not conflict(before, found, OVERLAP, APART_SECONDS):
                number = len(alarms)
                alarms.append((number_of[found.keyword], speaker))
            latest[found.keyword] = found, number
            on_alarm.append((number, found))
        if progress:
            progress(done, len(files))
    events_of = np.array([*said, *alarms], np.int64).reshape(-1, 2)
    candidates = [found for _, found in (*on_said, *on_alarm)]
    variants = (pronunciations.of(keyword) for keyword in keywords)
    return Candidates(
        np.array([found.score for found in candidates], np.float64),
        np.array([found.evidence for found in candidates], np.float64).reshape(len(candidates), -1),
        np.array([*(number for number, _ in on_said), *(len(said) + number for number, _ in on_alarm)], np.int64),
        events_of[:, 0],
        events_of[:, 1],
        len(said),
        np.array([len(of_keyword[0]) if of_keyword else 0 for of_keyword in variants], np.int64),
        speakers,
        hours,
    )


def together(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of several searches, of the same speakers for the same keywords (under other conditions, say)."""
    first = parts[0]
    if any(part.speakers != first.speakers or len(part.sizes) != len(first.sizes) for part in parts):
        raise ValueError("together: the searches are not of the same speakers and keywords")
    said = np.cumsum([0, *(part.said for part in parts)])
    alarms = np.cumsum([said[-1], *(len(part.keyword) - part.said for part in parts)])
    event = [
        np.where(part.is_said, part.event + said[number], part.event - part.said + alarms[number])
        for number, part in enumerate(parts)
    ]

    def of_events(kind: str) -> NDArray[np.int64]:
        whole = [(getattr(part, kind), part.said) for part in parts]
        return np.concatenate([*(values[:n] for values, n in whole), *(values[n:] for values, n in whole)])

    return Candidates(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.evidence for part in parts]),
        np.concatenate(event),
        of_events("keyword"),
        of_events("speaker"),
        int(said[-1]),
        first.sizes,
        first.speakers,
        np.sum([part.hours for part in parts], axis=0),
    )


def rows(candidates: Candidates, scores: NDArray[np.float64], rates: Sequence[float]) -> list[Row]:
    """The trade-off of scores [candidates] over all keywords: a row for each rate of false alarms."""
    best, alarms = candidates.best(scores)
    ranked, keyword_hours = np.sort(alarms)[::-1], float(candidates.hours.sum()) * len(candidates.sizes)
    found = []
    for rate in rates:
        threshold = threshold_at(ranked, rate * keyword_hours)
        count = int((ranked >= threshold).sum())
        low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
        high = float(chi2.ppf(0.975, 2 * count + 2)) / 2
        miss = float((best < threshold).mean()) if len(best) else float("nan")
        found.append(Row(rate, (low / keyword_hours, high / keyword_hours), threshold, miss))
    return found


def at_threshold(candidates: Candidates, scores: NDArray[np.float64], threshold: float) -> tuple[float, float]:
    """What a threshold does: false alarms an hour and keyword, and the share of occurrences missed."""
    best, alarms = candidates.best(scores)
    keyword_hours = float(candidates.hours.sum()) * len(candidates.sizes)
    miss = float((best < threshold).mean()) if len(best) else float("nan")
    return float((alarms >= threshold).sum()) / keyword_hours, miss


def threshold_at(ranked: NDArray[np.float64], allowed: float) -> float:
    """The lowest threshold that at most `allowed` alarms reach, of scores `ranked` from the highest on."""
    if not len(ranked):
        return LOWEST_SCORE
    if int(allowed) >= len(ranked):
        return float(ranked[-1])
    # Just above the first alarm that is too many.
    return float(np.nextafter(np.float32(ranked[int(allowed)]), np.float32(np.inf)))


def _places(
    spoken: Iterable[Segment], finder: Places
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, list[tuple[float, float]]]]:
    """Where each keyword, or what sounds the same, is said, and where it lies within other words: (start, end)."""
    said, inside = defaultdict(list), defaultdict(list)
    for segment in spoken:
        for place in finder.of(segment):
            (said if place.counts else inside)[place.keyword].append((place.start_seconds, place.end_seconds))
    return said, inside
