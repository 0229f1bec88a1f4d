"""The search: every candidate span of a recording beside every keyword, the best span for each place and keyword."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from watchword.runtime.encoder import Encoder
from watchword.runtime.spans import ScanSettings, frame_seconds, length_cost, span_lengths


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
        self.longest_seconds = [length * 0.01 for length in longest]

    def start(self) -> "Searching":
        """Begins a recording."""
        return Searching(self)


class Searching:
    """One recording being searched: keeps the frames that later spans may begin in."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._rows: NDArray[np.float32] | None = None
        self._first = 0  # the frame at which the kept rows start
        # No span ends within the silence that goes before.
        self._next_end = (search.encoder.silence_frames // search.settings.hop_frames + 1) * search.settings.hop_frames

    def feed(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
        """Takes the recording's next frames; returns, for each place where spans may end, the best score and the start
        of the span that has it, [places, keywords] (-inf where no span fits), and the end [places], times in seconds.

        A span is at a multiple of the hop from the recording's start, however the frames were cut."""
        search = self._search
        self._rows = rows if self._rows is None else np.concatenate([self._rows, rows])
        available = self._first + len(self._rows)
        ends = np.arange(self._next_end, available + 1, search.settings.hop_frames)
        scores = np.full((len(ends), search.num_keywords), -np.inf, np.float32)
        starts = np.zeros(scores.shape, np.int64)
        for length, (vectors, costs, keywords, firsts) in search.lengths.items():
            fits = ends >= length
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
        oldest = max(self._first, self._next_end - max(search.lengths, default=0))
        self._rows = self._rows[oldest - self._first :].copy()
        self._first = oldest
        start_seconds, end_seconds = frame_seconds(starts, ends)
        return scores, start_seconds, end_seconds
