"""Finding by length: candidate spans of a keyword's usual lengths, for models that tell no phonemes of frames."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from watchword.runtime.decision import Decision
from watchword.runtime.detection import Detection
from watchword.runtime.encoder import Encoder
from watchword.runtime.keywords import Keyword
from watchword.runtime.search import Search
from watchword.runtime.spans import ScanSettings


class SpanFinder:
    """One recording searched for keywords that come and go; those that came together are searched for together.

    What is found scores at least a keyword's threshold less `margin`, and is reported once nothing later can beat it.
    Times are those of `frame_seconds`: the recording with its silence before."""

    def __init__(self, encoder: Encoder, settings: ScanSettings, margin: float) -> None:
        self._encoder, self._settings, self._margin = encoder, settings, margin
        self._lanes: list[_Lane] = []
        self._muted_until = 0.0

    def mute(self, until_seconds: float) -> None:
        """Finds nothing that ends before this time."""
        self._muted_until = until_seconds

    def add(self, keywords: Sequence[Keyword]) -> None:
        """Listens for more keywords, in the frames that come."""
        self._lanes.append(_Lane(self._encoder, keywords, self._settings, self._margin))

    def remove(self, name: str) -> None:
        """No longer listens for a keyword."""
        for lane in self._lanes:
            lane.names.discard(name)
        self._lanes = [lane for lane in self._lanes if lane.names]

    def feed(self, rows: NDArray[np.float32], first: int, last: bool) -> list[tuple[Detection, int]]:
        """Takes the next frames [frames, width], the first of which is number `first`; returns what is decided, each
        with the number of the frame that it took."""
        found = [hit for lane in self._lanes for hit in lane.feed(rows, first, last)]
        heard = [hit for hit in found if hit.end_seconds >= self._muted_until]
        return [(hit, first + len(rows) - 1) for hit in sorted(heard, key=lambda hit: hit.end_seconds)]

    def levels(self) -> dict[str, float]:
        """Each keyword's best score among the spans that ended in the last frames fed."""
        return {name: score for lane in self._lanes for name, score in lane.levels.items() if name in lane.names}


class _Lane:
    """Keywords that were added at the same time."""

    def __init__(self, encoder: Encoder, keywords: Sequence[Keyword], settings: ScanSettings, margin: float) -> None:
        self._keywords = tuple(keywords)
        self.names = {str(keyword.name) for keyword in keywords}
        self.levels: dict[str, float] = {}
        search = Search(encoder, [keyword.text for keyword in keywords], settings)
        self._searching = search.start()
        self._first: int | None = None
        self._decision = Decision(
            [float(keyword.threshold or 0.0) - margin for keyword in keywords],
            search.longest_seconds,
            settings,
            self._searching.refine if search.aligns else None,
            [float(keyword.refractory_seconds or 0.0) for keyword in keywords],
        )

    def feed(self, rows: NDArray[np.float32], first: int, last: bool) -> list[Detection]:
        if self._first is None:
            self._first = first
            self._searching.begin_at(first)
        scores, starts, ends = self._searching.feed(rows, last=last)
        if len(ends):
            self.levels = {str(k.name): float(best) for k, best in zip(self._keywords, scores.max(axis=0), strict=True)}
        peaks = self._decision.feed(scores, starts, ends)
        found = []
        for peak in [*peaks, *self._decision.flush()] if last else peaks:
            keyword = self._keywords[peak.keyword]
            if (name := str(keyword.name)) in self.names:
                threshold = float(keyword.threshold or 0.0)
                found.append(Detection(name, peak.score, peak.start_seconds, peak.end_seconds, threshold))
        return found
