"""Finding by phonemes: places that phonemes propose and the utterance verifies, decided as soon as they are over."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from watchword.runtime.alignment import classes_of
from watchword.runtime.calibration import Calibration
from watchword.runtime.detection import Detection, PhonemePlace, Placed
from watchword.runtime.encoder import Encoder
from watchword.runtime.keywords import Keyword
from watchword.runtime.phoneme_search import FAR, FORGET_EVERY, LONGEST_FRAMES, PER_NAT, PhonemeSearch, ages, gains
from watchword.runtime.spans import FRAMES_PER_SECOND, ScanSettings, frame_seconds
from watchword.runtime.verify import Pronunciation, verify


class PhonemeFinder:
    """One recording searched for keywords that come and go; times are those of `frame_seconds`, the silence before the
    recording included.

    A place is proposed where a keyword's path of phonemes is the best within `hold_seconds` on both sides, and no worse
    than `loosest_cost`. So a place is decided `hold_seconds` after its end, whatever follows; of places that conflict
    (see `conflict`), the first that reaches the threshold stands. What comes within `margin` below is reported, too."""

    def __init__(
        self, encoder: Encoder, settings: ScanSettings, margin: float, calibration: Calibration | None = None
    ) -> None:
        self._encoder, self._settings, self._margin = encoder, settings, margin
        self._calibration = calibration
        self._hold = max(1, round(settings.hold_seconds * FRAMES_PER_SECOND))
        self._search = PhonemeSearch(settings.outside_cost)
        self._keywords: list[Keyword] = []
        self._said: list[list[Pronunciation]] = []
        self._firsts = np.empty(0, np.int64)  # each keyword's first pronunciation among the search's
        self._paths = np.empty((0, 0), np.int32)  # of the frames that are not yet decided, and those before them
        self._rows = np.empty((0, encoder.width), np.float32)
        self._costs = encoder.phoneme_costs(self._rows)
        self._latest = self._paths  # of the frames fed last, for `levels`
        self._fed = 0
        self._fired: dict[str, Detection] = {}
        self._muted_until = 0.0
        longest = round(settings.longest_seconds * FRAMES_PER_SECOND)
        self._needed = min(longest, LONGEST_FRAMES) + FORGET_EVERY + 2 * self._hold

    def mute(self, until_seconds: float) -> None:
        """Finds nothing that ends before this time."""
        self._muted_until = until_seconds

    def add(self, keywords: Sequence[Keyword]) -> None:
        """Listens for more keywords, in the frames that come."""
        said = [self._pronunciations(keyword.text) for keyword in keywords]
        classes = [pronunciation.classes for variants in said for pronunciation in variants]
        self._search.add(classes, [self._longest(len(one)) for one in classes])
        self._keywords += keywords
        self._said += said
        self._paths, self._latest = (
            np.pad(paths, ((0, 0), (0, len(classes))), constant_values=FAR) for paths in (self._paths, self._latest)
        )
        self._number()

    def remove(self, name: str) -> None:
        """No longer listens for a keyword."""
        wanted = np.repeat([keyword.name != name for keyword in self._keywords], list(map(len, self._said)))
        self._search.keep(wanted)
        self._paths, self._latest = self._paths[:, wanted], self._latest[:, wanted]
        self._said = [said for said, keyword in zip(self._said, self._keywords, strict=True) if keyword.name != name]
        self._keywords = [keyword for keyword in self._keywords if keyword.name != name]
        self._fired.pop(name, None)
        self._number()

    def feed(self, rows: NDArray[np.float32], first: int, last: bool) -> list[tuple[Detection, int]]:
        """Takes the next frames [frames, width], the first of which is number `first`; returns what is decided, each
        with the number of the frame that it took. Frames that are left out between two calls are in no place."""
        costs = self._encoder.phoneme_costs(rows)
        if not self._fed or first != self._fed:
            self._search.begin_at(first)
            self._paths, self._rows, self._costs = self._paths[:0], self._rows[:0], self._costs[:0]
        paths = self._search.feed(costs)
        self._latest = paths[-max(1, round(self._settings.step_seconds * FRAMES_PER_SECOND)) :]
        self._rows, self._costs = np.concatenate([self._rows, rows]), np.concatenate([self._costs, costs])
        self._fed = first + len(rows)
        after = np.full((self._hold if last else 0, paths.shape[1]), FAR)
        # Nothing was before the first frame.
        before = self._paths if len(self._paths) else np.full((self._hold, paths.shape[1]), FAR)
        self._paths = np.concatenate([before, paths, after])
        found = self._decided(self._fed + len(after) - len(self._paths))
        self._paths = self._paths[-2 * self._hold :]
        self._rows, self._costs = self._rows[-self._needed :].copy(), self._costs[-self._needed :].copy()
        return found

    @property
    def reach_frames(self) -> int:
        """No place depends on frames that are farther before its end than this."""
        return self._needed

    def levels(self) -> dict[str, float]:
        """Each keyword's score at the best place that ended in the last frames fed."""
        found: dict[str, float] = {}
        recent = self._latest
        for number, (keyword, variants) in enumerate(zip(self._keywords, self._said, strict=True)):
            for column, said in enumerate(variants, int(self._firsts[number])):
                row = int(recent[:, column].argmin()) if len(recent) else 0
                if not len(recent) or recent[row, column] >= FAR // 2:
                    continue
                end = self._fed - len(recent) + row + 1
                start = end - int(ages(recent[row, column], end))
                score = self._verified(keyword, said, start, end).score
                found[str(keyword.name)] = max(found.get(str(keyword.name), -1.0), score)
        return found

    def _decided(self, first: int) -> list[tuple[Detection, int]]:
        """Looks at `_paths`, whose first row is frame `first`: rows with `hold` others on both sides are decided."""
        hold = self._hold
        middle = self._paths[hold : len(self._paths) - hold]
        if not middle.size:
            return []
        frames = np.arange(first + hold, first + hold + len(middle))[:, None]
        loosest = round((self._settings.outside_cost - self._settings.loosest_cost) * PER_NAT)
        good = gains(middle) > loosest * ages(middle, frames + 1)
        good &= frames > self._encoder.silence_frames  # nothing is said before the recording
        columns = np.flatnonzero(good.any(axis=0))
        if not len(columns):
            return []
        numbers = np.unique(np.searchsorted(self._firsts, columns, side="right") - 1)
        found = []
        for number in numbers.tolist():
            place = slice(int(self._firsts[number]), int(self._firsts[number]) + len(self._said[number]))
            best = -gains(self._paths[:, place].min(axis=1))
            around = np.lib.stride_tricks.sliding_window_view(best, hold)
            now = best[hold : len(best) - hold]
            peaks = (around[: len(now)].min(axis=1) > now) & (around[hold + 1 :].min(axis=1) >= now)
            for row in np.flatnonzero(peaks & good[:, place].any(axis=1)).tolist():
                column = int(self._paths[hold + row, place].argmin())
                if not good[row, place.start + column]:
                    continue
                end = int(frames[row, 0]) + 1
                start = end - int(ages(middle[row, place.start + column], end))
                hit = self._verified(self._keywords[number], self._said[number][column], start, end)
                found.append((end, number, hit))
        return [
            (hit, min(end - 1 + hold, self._fed - 1))
            for end, number, hit in sorted(found, key=lambda one: one[:2])
            if self._stands(self._keywords[number], hit)
        ]

    def _verified(self, keyword: Keyword, said: Pronunciation, start: int, end: int) -> Detection:
        """The detection of a keyword from frame `start` to `end` (exclusive)."""
        oldest = self._fed - len(self._rows)
        start, end = start - oldest, end - oldest
        rows, costs = self._rows[start:end], self._costs[start:end]
        verdict = verify(self._encoder, self._settings, said, rows, costs, self._calibration)
        bounds = np.array(verdict.bounds) + start + oldest
        starts, ends = frame_seconds(bounds[:-1], bounds[1:])
        fits = np.exp(-verdict.costs)
        places = map(PhonemePlace, said.phonemes, starts.tolist(), ends.tolist(), fits.tolist())
        return Detection(
            str(keyword.name),
            verdict.score,
            float(starts[0]),
            float(ends[-1]),
            float(keyword.threshold or 0.0),
            cosine=verdict.cosine,
            phoneme_score=float(np.exp(-verdict.costs.mean())),
            phonemes=tuple(places),
            evidence=verdict.evidence,
        )

    def _stands(self, keyword: Keyword, hit: Detection) -> bool:
        """Whether a place is near enough its threshold, and does not conflict with one that was found before."""
        if hit.score < hit.threshold - self._margin or hit.end_seconds < self._muted_until:
            return False
        before = self._fired.get(hit.keyword)
        if before is not None and conflict(
            before, hit, self._settings.overlap, float(keyword.refractory_seconds or 0.0)
        ):
            return False
        if hit.score >= hit.threshold:
            self._fired[hit.keyword] = hit
        return True

    def _pronunciations(self, text: str) -> list[Pronunciation]:
        variants = self._encoder.pronouncer.variants(text)
        _, vectors = self._encoder.text_variants(text)
        of_keyword = self._calibration.of_keyword if self._calibration else lambda *_: ()
        return [
            Pronunciation(tuple(said), classes_of(said), row, of_keyword(row, len(said)))
            for said, row in zip(variants, vectors, strict=True)
        ]

    def _longest(self, phonemes: int) -> int:
        usual = phonemes * self._encoder.bundle.seconds_per_phoneme * self._settings.longest_factor
        longest = min(usual, self._settings.longest_seconds)
        return max(2 * phonemes, min(round(longest * FRAMES_PER_SECOND), LONGEST_FRAMES))

    def _number(self) -> None:
        sizes = list(map(len, self._said))
        self._firsts = np.cumsum([0, *sizes])[:-1].astype(np.int64)


def conflict(one: Placed, other: Placed, overlap: float, refractory_seconds: float) -> bool:
    """Whether two detections of a keyword end within the refractory time, or share more than a part of the shorter."""
    if abs(one.end_seconds - other.end_seconds) < refractory_seconds:
        return True
    shared = min(one.end_seconds, other.end_seconds) - max(one.start_seconds, other.start_seconds)
    shorter = min(one.end_seconds - one.start_seconds, other.end_seconds - other.start_seconds)
    return shared > overlap * shorter
