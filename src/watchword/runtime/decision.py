"""From scores to detections: smoothing, threshold, peaks, one detection for each time a keyword is spoken."""

import heapq
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from watchword.runtime.detection import Detection as Detection
from watchword.runtime.spans import ScanSettings


class Peak(NamedTuple):
    """The best span at a local maximum of one keyword's scores; in the order of times."""

    end_seconds: float
    start_seconds: float
    keyword: int
    score: float


class Decision:
    """Decides over scores that come in order of time, and gives the same answers however they are cut into blocks.

    Of the peaks of one keyword that reach its threshold, the best is kept, those that conflict with it are dropped, and
    so on with the next best: a higher threshold keeps a subset of what a lower one keeps. A peak conflicts with another
    that it overlaps by more than the settings allow, or that ends within the refractory time.

    `thresholds` [keywords] are scores, `longest_seconds` [keywords] the longest that each may last, and
    `refractory_seconds` [keywords] how far apart two of its detections end (None: the settings'). `refine` looks at
    peaks that reach their threshold more closely: it may lower their scores, move them within `longest_seconds` before
    their end, and drop them.
    """

    def __init__(
        self,
        thresholds: Sequence[float],
        longest_seconds: Sequence[float],
        settings: ScanSettings,
        refine: Callable[[Sequence[Peak]], list[Peak]] | None = None,
        refractory_seconds: Sequence[float] | None = None,
    ) -> None:
        self._thresholds = np.asarray(thresholds, np.float64)
        self._longest = list(longest_seconds)
        self._settings = settings
        self._refractory = refractory_seconds or [settings.refractory_seconds] * len(self._longest)
        num, margin = len(self._thresholds), settings.smoothing_steps // 2
        # Rows whose smoothed neighbours are not all known yet, with those neighbours. Nothing is before the first.
        self._margin = margin
        self._scores = np.full((margin + 1, num), -np.inf)
        self._starts = np.zeros((margin + 1, num))
        self._ends = np.full(margin + 1, -np.inf)
        self._pending: list[list[Peak]] = [[] for _ in range(num)]
        self._kept: list[list[Peak]] = [[] for _ in range(num)]
        self._ready: list[Peak] = []
        self._refine = refine
        # A refined peak may end this long before the place at which it was found.
        self._slack = max(longest_seconds, default=0.0) if refine else 0.0

    def feed(
        self, scores: NDArray[np.floating], starts: NDArray[np.floating], ends: NDArray[np.floating]
    ) -> list[Peak]:
        """Takes the scores and start times [steps, keywords] of the best spans that end at times `ends` [steps], in
        seconds; returns what is decided by now, in order of time. A score of -inf is no span."""
        self._scores = np.concatenate([self._scores, scores])
        self._starts = np.concatenate([self._starts, starts])
        self._ends = np.concatenate([self._ends, ends])
        return self._decide(ended=False)

    def flush(self) -> list[Peak]:
        """Ends the recording and returns what is left."""
        rows, num = self._margin + 1, len(self._thresholds)
        self._scores = np.concatenate([self._scores, np.full((rows, num), -np.inf)])
        self._starts = np.concatenate([self._starts, np.zeros((rows, num))])
        self._ends = np.concatenate([self._ends, np.full(rows, np.inf)])
        return self._decide(ended=True)

    def _decide(self, ended: bool) -> list[Peak]:
        margin = self._margin
        if len(self._ends) >= 2 * margin + 3:
            smooth = _smooth(self._scores, margin)
            place = slice(margin + 1, len(self._ends) - margin - 1)
            middle = smooth[1:-1]
            with np.errstate(invalid="ignore"):
                found = (middle > smooth[:-2]) & (middle >= smooth[2:]) & (middle >= self._thresholds)
            starts, ends = self._starts[place], self._ends[place]
            peaks = [
                Peak(float(ends[step]), float(starts[step, keyword]), int(keyword), float(middle[step, keyword]))
                for step, keyword in zip(*np.nonzero(found), strict=True)
            ]
            if self._refine and peaks:
                peaks = [peak for peak in self._refine(peaks) if peak.score >= self._thresholds[peak.keyword]]
            for peak in peaks:
                self._pending[peak.keyword].append(peak)
            keep = len(self._ends) - 2 * margin - 2
            self._scores, self._starts, self._ends = self._scores[keep:], self._starts[keep:], self._ends[keep:]
        # No later peak ends before this.
        now = np.inf if ended else float(self._ends[min(margin + 1, len(self._ends) - 1)]) - self._slack
        for keyword in range(len(self._pending)):
            self._resolve(keyword, now)
        yet = min((pending[0].end_seconds for pending in self._pending if pending), default=now)
        decided = []
        while self._ready and (ended or self._ready[0].end_seconds < min(yet, now)):
            decided.append(heapq.heappop(self._ready))
        return decided

    def _resolve(self, keyword: int, now: float) -> None:
        """Keeps or drops the keyword's pending peaks, the best first, but for those that later ones may still beat."""
        pending, kept = self._pending[keyword], self._kept[keyword]
        if not pending:
            return
        reach = max(self._longest[keyword], self._refractory[keyword])
        waiting: list[Peak] = []
        for peak in sorted(pending, key=_rank):
            if any(self._conflict(peak, other) for other in kept):
                continue
            if peak.end_seconds + reach > now or any(self._conflict(peak, other) for other in waiting):
                waiting.append(peak)
            else:
                kept.append(peak)
                heapq.heappush(self._ready, peak)
        self._pending[keyword] = sorted(waiting)
        oldest = min((peak.start_seconds for peak in waiting), default=now - reach)
        kept[:] = [peak for peak in kept if peak.end_seconds + reach > min(oldest, now - reach)]

    def _conflict(self, one: Peak, other: Peak) -> bool:
        if abs(one.end_seconds - other.end_seconds) < self._refractory[one.keyword]:
            return True
        shared = min(one.end_seconds, other.end_seconds) - max(one.start_seconds, other.start_seconds)
        shorter = min(one.end_seconds - one.start_seconds, other.end_seconds - other.start_seconds)
        return shared > self._settings.overlap * shorter


def _rank(peak: Peak) -> tuple[float, float, float]:
    """The best first; of equals, the earlier."""
    return -peak.score, peak.end_seconds, peak.start_seconds


def _smooth(scores: NDArray[np.floating], margin: int) -> NDArray[np.floating]:
    """The mean over `margin` steps on both sides, of those that are there: [steps - 2 margin, keywords]."""
    if margin == 0:
        return scores
    windows = np.lib.stride_tricks.sliding_window_view(scores, 2 * margin + 1, axis=0)
    there = np.isfinite(windows)
    mean = np.where(there, windows, 0.0).sum(axis=-1) / np.maximum(there.sum(axis=-1), 1)
    return np.where(np.isfinite(scores[margin : len(scores) - margin]), mean, -np.inf)
