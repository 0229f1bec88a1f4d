"""The spotter: keywords as text, clips scored against texts, recordings of any length searched for keywords."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from watchword import audio as audio_files
from watchword.audio import SAMPLE_RATE, AudioError
from watchword.bundle import Bundle
from watchword.runtime.alignment import classes_of
from watchword.runtime.calibration import Calibration, RateError, Thresholds
from watchword.runtime.clip_fit import fill
from watchword.runtime.detection import Detection
from watchword.runtime.encoder import Encoder
from watchword.runtime.gate import Voice, WebRtcVoice
from watchword.runtime.intake import Intake, checked
from watchword.runtime.keywords import Keyword, as_keyword
from watchword.runtime.spans import ScanSettings
from watchword.runtime.stream import Stream

Audio: TypeAlias = NDArray[np.float32]
# What a text costs, in nats, that has more phonemes than a clip has room for.
_UNFIT = 10.0
Progress: TypeAlias = Callable[[float, float], None]
"""Told how many seconds of how many are done."""


class Spotter:
    """Finds keywords in audio.

    Args:
        keywords: Texts, or Keywords with thresholds and names of their own.
        bundle: A bundle or its folder; None for the one inside the package.
        threshold: The score from which on a keyword counts as found, where it has no threshold of its own; None for the
            bundle's.
        settings: How recordings are searched; None for the bundle's.
        threads: How many threads one network may use.
        false_alarms_per_hour: Instead of `threshold`: how many false alarms each keyword may raise in an hour of
            running speech, on average, as the bundle's calibration has measured; 0.5 is one in two hours.
        calibration: The scale of scores; None for the bundle's.

    Raises BundleError for a bundle that cannot be used, or has no calibration where one is needed; TextError or
    PhonemeError for a keyword that cannot be spoken; RateError, a ValueError, for a rate that cannot be had.
    """

    def __init__(
        self,
        keywords: Sequence[str | Keyword],
        bundle: Bundle | str | Path | None = None,
        threshold: float | None = None,
        *,
        settings: ScanSettings | None = None,
        threads: int = 1,
        false_alarms_per_hour: float | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        self.settings = settings or ScanSettings.of(self.bundle.card)
        self.calibration = calibration or Calibration.of(self.bundle)
        self.threshold = self.bundle.threshold if threshold is None else threshold
        if false_alarms_per_hour is not None:
            self.threshold = self._threshold_at(false_alarms_per_hour, threshold)
        settled = (as_keyword(k).settled(self.threshold, self.settings.refractory_seconds) for k in keywords)
        # Of keywords of one name the last counts.
        self.keywords = tuple({keyword.name: keyword for keyword in settled}.values())
        self.encoder = Encoder(self.bundle, threads)
        for keyword in self.keywords:
            self.encoder.text_variants(keyword.text)

    def score(self, clip: Audio, text: str, *, aligned: bool = False) -> float:
        """How alike a clip (16 kHz mono) as a whole and a text sound: see `score_clips`."""
        return float(self.score_clips([clip], [text], aligned=aligned)[0, 0])

    def score_clips(
        self, clips: Sequence[Audio], texts: Sequence[str], *, aligned: bool = False
    ) -> NDArray[np.float32]:
        """Scores clips (16 kHz mono) against texts, [clips, texts], by the best of a text's pronunciations.

        The score is the cosine of two embeddings, as in the paper. `aligned` lowers it by what the text's phonemes cost
        in the clip, which they and silence must fill, where the bundle has a phoneme classifier; some 0.1 ms a pair;
        and by how like the clip is to the likeliest of other texts, where the bundle's calibration has some."""
        if not len(clips) or not len(texts):
            return np.empty((len(clips), len(texts)), np.float32)
        rows = [self.encoder.clip_rows(_mono(clip, SAMPLE_RATE)) for clip in clips]
        embedded = np.stack([self.encoder.embed_whole(of_clip) for of_clip in rows])
        variants = [self.encoder.text_variants(text)[1] for text in texts]
        firsts = np.cumsum([0, *map(len, variants)])[:-1]
        spoken = np.concatenate(variants)
        scores = embedded @ spoken.T
        if aligned and self.encoder.hears_phonemes:
            said = [classes_of(variant) for text in texts for variant in self.encoder.pronouncer.variants(text)]
            if self.calibration is not None and self.calibration.cohort is not None:
                scores -= self.settings.cohort_weight * self.calibration.cohort.likeness(embedded, spoken)
            for number, of_clip in enumerate(rows):
                lost = np.minimum(fill(self.encoder.phoneme_costs(of_clip), said), _UNFIT).sum(axis=1)
                scores[number] = np.maximum(-1.0, scores[number] - self.settings.clip_weight * lost)
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
        stream = self._stream(SAMPLE_RATE, self.settings.block_seconds, 0.0, 0.0)
        for block in blocks:
            yield from stream.feed(block)
            if progress:
                progress(stream.seconds)
        yield from stream.flush()
        if progress:
            progress(stream.seconds)

    def stream(
        self,
        sample_rate: int = SAMPLE_RATE,
        *,
        keep_seconds: float = 10.0,
        near_margin: float = 0.1,
        gate: bool | Callable[[], Voice] = False,
    ) -> Stream:
        """Begins to listen to one recording or microphone, whose samples come at `sample_rate`.

        Args:
            keep_seconds: How much of the latest audio is kept for `Stream.clip`.
            near_margin: What scores this much below its threshold is kept in `Stream.near_misses`.
            gate: Whether the networks rest while nobody speaks, so that silence costs hardly anything; or what makes
                a detector of voice, instead of the one in the package that the extra `gate` installs. Detections in
                what the detector takes for voice stay the same.

        Raises GateError, a ValueError, for a gate that cannot be had."""
        voice = WebRtcVoice if gate is True else gate or None
        return self._stream(sample_rate, self.settings.step_seconds, keep_seconds, near_margin, voice)

    def _stream(
        self,
        sample_rate: int,
        step_seconds: float,
        keep_seconds: float,
        near_margin: float,
        voice: Callable[[], Voice] | None = None,
    ) -> Stream:
        return Stream(
            self.encoder,
            self.keywords,
            self.settings,
            self.threshold,
            sample_rate,
            step_seconds=step_seconds,
            keep_seconds=keep_seconds,
            near_margin=near_margin,
            voice=voice,
            calibration=self.calibration,
        )

    def _threshold_at(self, false_alarms_per_hour: float, threshold: float | None) -> float:
        """The threshold for a rate, where it is known and no other was given."""
        if threshold is not None:
            raise RateError("false_alarms_per_hour: stands beside a threshold; give one of the two")
        if self.bundle.hears_phonemes and not self.settings.by_phonemes:
            raise RateError("false_alarms_per_hour: was measured for finding by phonemes; give a threshold instead")
        return Thresholds.of(self.bundle).at(false_alarms_per_hour)


def _mono(samples: NDArray, sample_rate: int) -> Audio:
    """Checks samples that a caller gave and brings them to 16 kHz. Raises AudioError."""
    samples = checked(samples)
    if not len(samples):
        raise AudioError("audio: no samples (0 seconds)")
    return Intake(sample_rate).feed(samples, last=True)
