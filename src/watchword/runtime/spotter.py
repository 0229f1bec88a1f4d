"""The spotter: keywords as text, clips scored against texts, recordings of any length searched for keywords."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soxr
from numpy.typing import NDArray

from watchword import audio as audio_files
from watchword.audio import SAMPLE_RATE, AudioError
from watchword.bundle import Bundle
from watchword.runtime.alignment import align, classes_of
from watchword.runtime.decision import Decision, Detection
from watchword.runtime.encoder import Encoder
from watchword.runtime.frames import FrameStream
from watchword.runtime.search import Search
from watchword.runtime.spans import ScanSettings

Audio: TypeAlias = NDArray[np.float32]
# What a text costs, in nats, that has more phonemes than a clip has room for.
_UNFIT = 10.0
Progress: TypeAlias = Callable[[float, float], None]
"""Told how many seconds of how many are done."""


@dataclass(frozen=True)
class Keyword:
    """What to listen for.

    Args:
        text: A word or phrase; a pronunciation may be given in it, as "hey {N OW1 V AH0}" or "hey /ˈnoʊvə/", and
            several alternatives with |.
        threshold: The score from which on it counts as found; None for the spotter's.
        name: What detections call it; None for its text.
    """

    text: str
    threshold: float | None = None
    name: str | None = None


class Spotter:
    """Finds keywords in audio.

    Args:
        keywords: Texts, or Keywords with thresholds and names of their own.
        bundle: A bundle or its folder; None for the one inside the package.
        threshold: The score from which on a keyword counts as found, where it has no threshold of its own; None for the
            bundle's.
        settings: How recordings are searched; None for the bundle's.
        threads: How many threads one network may use.

    Raises BundleError for a bundle that cannot be used; TextError or PhonemeError for a keyword that cannot be spoken.
    """

    def __init__(
        self,
        keywords: Sequence[str | Keyword],
        bundle: Bundle | str | Path | None = None,
        threshold: float | None = None,
        *,
        settings: ScanSettings | None = None,
        threads: int = 1,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        usual = self.bundle.threshold if threshold is None else threshold
        given = [Keyword(keyword) if isinstance(keyword, str) else keyword for keyword in keywords]
        self.keywords = tuple(
            replace(k, threshold=usual if k.threshold is None else k.threshold, name=k.name or k.text) for k in given
        )
        self.settings = settings or ScanSettings.of(self.bundle.card)
        self.encoder = Encoder(self.bundle, threads)
        self._search = Search(self.encoder, [keyword.text for keyword in self.keywords], self.settings)

    def score(self, clip: Audio, text: str, *, aligned: bool = False) -> float:
        """How alike a clip (16 kHz mono) as a whole and a text sound: see `score_clips`."""
        return float(self.score_clips([clip], [text], aligned=aligned)[0, 0])

    def score_clips(
        self, clips: Sequence[Audio], texts: Sequence[str], *, aligned: bool = False
    ) -> NDArray[np.float32]:
        """Scores clips (16 kHz mono) against texts, [clips, texts], by the best of a text's pronunciations.

        The score is the cosine of two embeddings, as in the paper. `aligned` lowers it by what the text's phonemes cost
        in the clip, as detections are scored, where the bundle has a phoneme classifier; some 0.3 ms a pair."""
        if not len(clips) or not len(texts):
            return np.empty((len(clips), len(texts)), np.float32)
        rows = [self.encoder.clip_rows(_mono(clip, SAMPLE_RATE)) for clip in clips]
        embedded = np.stack([self.encoder.embed_whole(of_clip) for of_clip in rows])
        variants = [self.encoder.text_variants(text)[1] for text in texts]
        firsts = np.cumsum([0, *map(len, variants)])[:-1]
        scores = embedded @ np.concatenate(variants).T
        if aligned and self.encoder.hears_phonemes:
            said = [classes_of(variant) for text in texts for variant in self.encoder.pronouncer.variants(text)]
            for number, of_clip in enumerate(rows):
                costs = self.encoder.phoneme_costs(of_clip)
                found = align([costs] * len(said), said, self.settings.outside_cost)
                lost = np.array([_UNFIT if alignment is None else alignment.cost for alignment in found])
                scores[number] = np.maximum(-1.0, scores[number] - self.settings.phoneme_weight * lost)
        return np.maximum.reduceat(scores, firsts, axis=1)

    def scan(
        self, audio: str | Path | NDArray, sample_rate: int = SAMPLE_RATE, *, progress: Progress | None = None
    ) -> list[Detection]:
        """Finds the keywords in a file, or in samples (mono, int16 or float) at `sample_rate`, in order of time.

        Raises AudioError for audio that cannot be used."""
        if isinstance(audio, str | Path):
            total = audio_files.duration(audio) if progress else 0.0
            blocks = audio_files.blocks(audio, self.settings.block_seconds)
        else:
            samples = _mono(audio, sample_rate)
            total, size = len(samples) / SAMPLE_RATE, round(self.settings.block_seconds * SAMPLE_RATE)
            blocks = (samples[i : i + size] for i in range(0, len(samples), size))
        return list(self.detect(blocks, progress=lambda done: progress(min(done, total), total) if progress else None))

    def detect(
        self, blocks: Iterable[Audio], *, progress: Callable[[float], object] | None = None
    ) -> Iterator[Detection]:
        """Finds the keywords in a recording that comes in blocks of any length (mono float32 at 16 kHz): yields
        detections in the order of their ends, each as soon as nothing that follows can change it.

        However the recording is cut into blocks, the detections are the same. `progress` is told the seconds done."""
        stream, search = FrameStream(self.encoder), self._search.start()
        thresholds = [float(keyword.threshold or 0.0) for keyword in self.keywords]
        refine = search.refine if self._search.aligns else None
        decision = Decision(thresholds, self._search.longest_seconds, self.settings, refine)
        offset, samples = self.encoder.silence_samples[0] / SAMPLE_RATE, 0
        blocks = iter(blocks)
        while True:
            block = next(blocks, None)
            samples += 0 if block is None else len(block)
            duration = samples / SAMPLE_RATE
            rows = stream.feed(np.empty(0, np.float32) if block is None else block, last=block is None)
            peaks = decision.feed(*search.feed(rows, last=block is None))
            for peak in [*peaks, *decision.flush()] if block is None else peaks:
                keyword = self.keywords[peak.keyword]
                assert keyword.name is not None
                assert keyword.threshold is not None
                start, end = (min(max(t - offset, 0.0), duration) for t in (peak.start_seconds, peak.end_seconds))
                yield Detection(keyword.name, peak.score, start, end, keyword.threshold)
            if progress:
                progress(duration)
            if block is None:
                return


def _mono(samples: NDArray, sample_rate: int) -> Audio:
    """Checks samples that a caller gave and brings them to 16 kHz. Raises AudioError."""
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise AudioError(f"audio: samples have the shape {samples.shape}; give one channel, [samples]")
    if not len(samples):
        raise AudioError("audio: no samples (0 seconds)")
    samples = audio_files.to_float(samples)
    if not np.isfinite(samples).all():
        raise AudioError("audio: holds samples that are not numbers (NaN or infinite)")
    return samples if sample_rate == SAMPLE_RATE else soxr.resample(samples, sample_rate, SAMPLE_RATE)
