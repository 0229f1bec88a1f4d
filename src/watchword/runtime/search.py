"""The search: every candidate span of a recording beside every keyword, and the phonemes of those that may be hits."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from watchword.runtime.alignment import align, classes_of
from watchword.runtime.decision import Peak
from watchword.runtime.encoder import Encoder
from watchword.runtime.spans import ScanSettings, frame_seconds, length_cost, seconds_frame, span_lengths


class Search:
    """The keywords, their pronunciations' embeddings, and the lengths in which each is looked for."""

    def __init__(self, encoder: Encoder, texts: Sequence[str], settings: ScanSettings) -> None:
        self.encoder, self.settings, self.num_keywords = encoder, settings, len(texts)
        by_length: defaultdict[int, list[tuple[int, NDArray[np.float32], float]]] = defaultdict(list)
        longest = [0] * len(texts)
        for keyword, text in enumerate(texts):
            sizes, vectors = encoder.text_variants(text)
            for size, vector in zip(sizes, vectors, strict=True):
                pace = encoder.bundle.seconds_per_phoneme
                for length in span_lengths(size, pace, settings):
                    by_length[length].append((keyword, vector, length_cost(length, size, pace, settings)))
                    longest[keyword] = max(longest[keyword], length)
        # For each length: its pronunciations' vectors [pronunciations, dim] and what that length costs them, their
        # keywords, and where each keyword's begin.
        self.lengths: dict[int, tuple[NDArray, NDArray, NDArray, NDArray]] = {}
        for length in sorted(by_length):
            keywords, vectors, costs = zip(*by_length[length], strict=True)
            distinct, firsts = np.unique(keywords, return_index=True)
            self.lengths[length] = np.stack(vectors), np.array(costs, np.float32), distinct, firsts
        self.aligns = encoder.hears_phonemes and settings.phoneme_weight > 0
        self.classes = [[classes_of(v) for v in encoder.pronouncer.variants(t)] for t in texts] if self.aligns else []
        self.margin_frames = settings.margin_frames if self.aligns else 0
        # An alignment may outgrow its span on both sides.
        self.longest_seconds = [(length + 2 * self.margin_frames) * 0.01 for length in longest]

    def start(self) -> "Searching":
        """Begins a recording."""
        return Searching(self)


class Searching:
    """One recording being searched: keeps the frames that later spans may begin in."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._rows: NDArray[np.float32] | None = None
        self._costs: NDArray[np.float32] | None = None
        self._first = 0  # the frame at which the kept rows start
        # No span ends within the silence that goes before.
        self._next_end = (search.encoder.silence_frames // search.settings.hop_frames + 1) * search.settings.hop_frames
        self._origin = 0

    def begin_at(self, frame: int) -> None:
        """Says, before anything is fed, at which frame of the recording the search begins, if not at its start."""
        self._origin = self._first = frame
        hop = self._search.settings.hop_frames
        self._next_end = max(self._next_end, -(-frame // hop) * hop)

    def feed(
        self, rows: NDArray[np.float32], last: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
        """Takes the recording's next frames; returns, for each place where spans may end, the best score and the start
        of the span that has it, [places, keywords] (-inf where no span fits), and the end [places], times in seconds.

        A span is at a multiple of the hop from the recording's start, however the frames were cut. Places come when
        the frames after them that an alignment may need are there, or there are no more: `last`."""
        search = self._search
        self._forget()
        self._rows = _joined(self._rows, rows)
        if search.aligns:
            self._costs = _joined(self._costs, search.encoder.phoneme_costs(rows))
        available = self._first + len(self._rows) - (0 if last else search.margin_frames)
        ends = np.arange(self._next_end, available + 1, search.settings.hop_frames)
        scores = np.full((len(ends), search.num_keywords), -np.inf, np.float32)
        starts = np.zeros(scores.shape, np.int64)
        for length, (vectors, costs, keywords, firsts) in search.lengths.items():
            fits = ends - self._origin >= length
            begins = ends[fits] - length
            if not len(begins):
                continue
            embedded = search.encoder.embed_spans(self._rows, begins - self._first, length)
            found = np.maximum.reduceat(embedded @ vectors.T - costs, firsts, axis=1)
            place = np.ix_(fits, keywords)
            better = found > scores[place]
            scores[place] = np.where(better, found, scores[place])
            starts[place] = np.where(better, begins[:, None], starts[place])
        if len(ends):
            self._next_end = int(ends[-1]) + search.settings.hop_frames
        start_seconds, end_seconds = frame_seconds(starts, ends)
        return scores, start_seconds, end_seconds

    def _forget(self) -> None:
        """Drops the frames that neither coming spans nor the alignment of what is not yet decided can need."""
        search = self._search
        if self._rows is None:
            return
        # Decisions lag behind the places by their smoothing and a neighbour on both sides.
        lag = (2 * (search.settings.smoothing_steps // 2) + 4) * search.settings.hop_frames if search.aligns else 0
        oldest = max(self._first, self._next_end - max(search.lengths, default=0) - search.margin_frames - lag)
        self._rows = self._rows[oldest - self._first :].copy()
        if self._costs is not None:
            self._costs = self._costs[oldest - self._first :].copy()
        self._first = oldest

    def refine(self, peaks: Sequence[Peak]) -> list[Peak]:
        """Aligns the phonemes of peaks' keywords around their spans: exact times, and a score that is lower by what the
        phonemes cost. Of several pronunciations the one that fits best counts; a peak that none fits is dropped."""
        search, settings = self._search, self._search.settings
        assert self._costs is not None
        windows, phonemes, owners, firsts = [], [], [], []
        for number, peak in enumerate(peaks):
            start, end = seconds_frame(peak.start_seconds), seconds_frame(peak.end_seconds)
            first = max(self._first, start - search.margin_frames)
            window = self._costs[first - self._first : end + search.margin_frames - self._first]
            for classes in search.classes[peak.keyword]:
                windows.append(window)
                phonemes.append(classes)
                owners.append(number)
                firsts.append(first)
        best: dict[int, Peak] = {}
        found = align(windows, phonemes, settings.outside_cost)
        for number, first, alignment in zip(owners, firsts, found, strict=True):
            if alignment is None:
                continue
            peak = peaks[number]
            # No lower than a cosine can be: a threshold of -1 is passed by everything.
            score = max(-1.0, peak.score - settings.phoneme_weight * alignment.cost)
            if number not in best or score > best[number].score:
                start, end = frame_seconds(np.array(first + alignment.first), np.array(first + alignment.end))
                best[number] = Peak(float(end), float(start), peak.keyword, score)
        return [best[number] for number in sorted(best)]


def _joined(kept: NDArray[np.float32] | None, new: NDArray[np.float32]) -> NDArray[np.float32]:
    return new if kept is None else np.concatenate([kept, new])
