"""A stream: one recording or microphone listened to as it comes, with keywords that may change."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE, AudioError
from watchword.runtime.calibration import Calibration
from watchword.runtime.detection import Detection
from watchword.runtime.encoder import Encoder
from watchword.runtime.frames import FrameSteps
from watchword.runtime.gate import GatedSteps, GateError, Voice
from watchword.runtime.intake import Intake, Recent
from watchword.runtime.keywords import Keyword, as_keyword
from watchword.runtime.phoneme_finder import PhonemeFinder
from watchword.runtime.span_finder import SpanFinder
from watchword.runtime.spans import FRAMES_PER_SECOND, ScanSettings

NEAR_MISSES = 100


class Stream:
    """Listens to one recording, fed in order: `Spotter.stream` makes one.

    However the audio is cut, the detections are the same, and those of `Spotter.scan`. Memory does not grow.
    A stream belongs to one thread at a time; many streams may run at once."""

    def __init__(
        self,
        encoder: Encoder,
        keywords: Iterable[Keyword],
        settings: ScanSettings,
        threshold: float,
        sample_rate: int = SAMPLE_RATE,
        *,
        step_seconds: float,
        keep_seconds: float = 10.0,
        near_margin: float = 0.1,
        voice: Callable[[], Voice] | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self._encoder, self._settings, self._threshold = encoder, settings, threshold
        self._step_samples = hops(step_seconds)
        self._keep_seconds, self._margin = keep_seconds, near_margin
        self._voice, self._calibration = voice, calibration
        self.sample_rate = sample_rate
        self._keywords: dict[str, Keyword] = {}
        self.reset()
        self.add(*keywords)

    def reset(self) -> None:
        """Begins a new recording, with the keywords that there are now: as if the stream were new."""
        self._intake = Intake(self.sample_rate)
        self._recent = Recent(self._keep_seconds)
        if self._settings.by_phonemes and self._encoder.hears_phonemes:
            self._finder = PhonemeFinder(self._encoder, self._settings, self._margin, self._calibration)
        else:
            self._finder = SpanFinder(self._encoder, self._settings, self._margin)
        self._steps = FrameSteps(self._encoder, self._step_samples)
        if self._voice is not None:
            if not isinstance(self._finder, PhonemeFinder):
                raise GateError("gate: is for bundles that find by phonemes, as this one does not; leave the gate out")
            reach = self._finder.reach_frames
            self._steps = GatedSteps(self._encoder, self._step_samples, self._voice(), reach)
        self._ended = False
        self._silence = self._encoder.silence_samples[0] / SAMPLE_RATE
        self._near: deque[Detection] = deque(maxlen=NEAR_MISSES)
        if self._keywords:
            self._finder.add(list(self._keywords.values()))

    def feed(self, samples: NDArray) -> list[Detection]:
        """Takes the next samples (mono, int16 or float, any number of them) and returns what is decided by now.

        Raises AudioError for samples that cannot be used, which are then left out, and after `flush`."""
        if self._ended:
            raise AudioError("stream: has ended; reset() begins a new recording")
        return self._feed(self._intake.feed(samples), last=False)

    def flush(self) -> list[Detection]:
        """Ends the recording and returns what was still undecided."""
        if self._ended:
            return []
        self._ended = True
        return self._feed(self._intake.feed(np.empty(0, np.float32), last=True), last=True)

    def add(self, *keywords: str | Keyword) -> None:
        """Listens for more keywords from now on: at most a step of what was fed before, or what a gate holds back,
        is still searched for them.

        Raises TextError or PhonemeError for one that cannot be spoken, ValueError for a name that is taken."""
        settled = [as_keyword(k).settled(self._threshold, self._settings.refractory_seconds) for k in keywords]
        for number, keyword in enumerate(settled):
            if str(keyword.name) in self._keywords or keyword.name in [other.name for other in settled[:number]]:
                raise ValueError(f"keyword: {keyword.name!r} is listened for already; give this one another name")
        if settled:
            self._finder.add(settled)
            self._keywords |= {str(keyword.name): keyword for keyword in settled}

    def remove(self, name: str) -> None:
        """No longer listens for the keyword of this name. Raises KeyError where there is none."""
        if name not in self._keywords:
            raise KeyError(f"keyword: {name!r} is not listened for; there are {', '.join(map(repr, self._keywords))}")
        del self._keywords[name]
        self._finder.remove(name)

    def mute(self, until_seconds: float) -> None:
        """Reports nothing that ends before this time of the recording: while one speaks oneself, for example."""
        self._finder.mute(until_seconds + self._silence)

    @property
    def keywords(self) -> tuple[Keyword, ...]:
        """What is listened for, with thresholds and names."""
        return tuple(self._keywords.values())

    @property
    def seconds(self) -> float:
        """How much of the recording was fed."""
        return self._recent.samples / SAMPLE_RATE

    @property
    def near_misses(self) -> Sequence[Detection]:
        """The latest 100 that came within `near_margin` below their threshold, in the order of decision."""
        return tuple(self._near)

    @property
    def rests(self) -> bool:
        """Whether a gate keeps the networks at rest, for nobody speaks."""
        return isinstance(self._steps, GatedSteps) and self._steps.rests

    def levels(self) -> dict[str, float]:
        """Each keyword's best score in the last step, -1 at least: what a live view draws."""
        found = {} if self.rests else self._finder.levels()
        return {name: max(-1.0, found.get(name, -1.0)) for name in self._keywords}

    def clip(self, hit: Detection, before_seconds: float = 0.3, after_seconds: float = 0.3) -> NDArray[np.float32]:
        """The audio of a detection or near miss at 16 kHz, as far as the last `keep_seconds` still hold it."""
        return self._recent.between(hit.start_seconds - before_seconds, hit.end_seconds + after_seconds)

    def _feed(self, samples: NDArray[np.float32], last: bool) -> list[Detection]:
        self._recent.add(samples)
        fired: list[Detection] = []
        for rows, ending in self._steps.feed(samples, last):
            hits = self._finder.feed(rows, self._steps.first, ending)
            for hit in (self._placed(hit, frame) for hit, frame in hits):
                (fired if hit.score >= hit.threshold else self._near).append(hit)
        return fired

    def _placed(self, hit: Detection, frame: int) -> Detection:
        """A detection in the times of the recording, which took its frame number `frame` to be decided."""
        heard = max(self._heard_by(frame), self._steps.woken) / SAMPLE_RATE
        if self._ended:
            heard = min(heard, self.seconds)

        def place(seconds: float) -> float:
            return min(max(seconds - self._silence, 0.0), self._steps.heard / SAMPLE_RATE)

        return replace(
            hit,
            start_seconds=place(hit.start_seconds),
            end_seconds=place(hit.end_seconds),
            decided_seconds=max(heard, place(hit.end_seconds)),
            phonemes=tuple(
                phoneme._replace(start_seconds=place(phoneme.start_seconds), end_seconds=place(phoneme.end_seconds))
                for phoneme in hit.phonemes
            ),
        )

    def _heard_by(self, frame: int) -> int:
        """How many samples a stream has heard when frame number `frame` is there: whole steps of `step_seconds`."""
        ahead = self._encoder.bundle.lookahead_frames if self._encoder.is_local else 0
        needed = (frame + ahead) * HOP_SAMPLES + FRAME_SAMPLES - self._encoder.silence_samples[0]
        step = hops(self._settings.step_seconds)
        return -(-needed // step) * step


def hops(seconds: float) -> int:
    """Whole hops of 10 ms, one at least, in samples."""
    return max(1, round(seconds * FRAMES_PER_SECOND)) * HOP_SAMPLES
