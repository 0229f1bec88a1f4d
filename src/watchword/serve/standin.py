"""A stream until the runtime has its own."""

from collections.abc import Sequence

import numpy as np
import soxr
from numpy.typing import NDArray

from watchword.audio import SAMPLE_RATE
from watchword.runtime import Keyword, Spotter
from watchword.runtime.decision import Decision, Detection
from watchword.runtime.frames import FrameStream
from watchword.runtime.search import Search


class StandIn:
    """Searches audio at `sample_rate` for keywords that may change; a change begins anew."""

    def __init__(self, spotter: Spotter, sample_rate: int) -> None:
        self._spotter, self._rate = spotter, sample_rate
        self._resampler = None
        if sample_rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")
        self._frames = FrameStream(spotter.encoder)
        self.samples = 0
        self.set([])

    def set(self, keywords: Sequence[Keyword]) -> None:
        self.keywords = list(keywords)
        self._searching = None
        if keywords:
            search = Search(self._spotter.encoder, [k.text for k in keywords], self._spotter.settings)
            self._searching = search.start()
            refine = self._searching.refine if search.aligns else None
            thresholds = [float(k.threshold or 0.0) for k in keywords]
            self._decision = Decision(thresholds, search.longest_seconds, search.settings, refine)

    def feed(
        self, samples: NDArray[np.float32], last: bool = False
    ) -> tuple[list[Detection], list[float], dict[str, NDArray[np.float32]]]:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        self.samples += len(samples)
        rows = self._frames.feed(samples, last=last)
        duration = self.samples / SAMPLE_RATE
        offset = self._spotter.encoder.silence_samples[0] / SAMPLE_RATE
        if self._searching is None:
            return [], [], {}
        scores, starts, ends = self._searching.feed(rows, last=last)
        peaks = self._decision.feed(scores, starts, ends)
        if last:
            peaks = [*peaks, *self._decision.flush()]
        hits = []
        for peak in peaks:
            k = self.keywords[peak.keyword]
            s, e = (min(max(t - offset, 0.0), duration) for t in (peak.start_seconds, peak.end_seconds))
            hits.append(Detection(str(k.name), peak.score, s, e, float(k.threshold or 0.0)))
        return hits, list(ends - offset), {str(k.name): scores[:, i] for i, k in enumerate(self.keywords)}
