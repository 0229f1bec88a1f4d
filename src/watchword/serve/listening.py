"""One recording listened to: its detections, and what of it can be drawn: level, log-mel and each keyword's scores."""

import base64
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE, num_frames, to_float
from watchword.runtime import Detection, Keyword, Spotter
from watchword.serve.messages import MessageError, Wanted
from watchword.serve.waves import wave

# Log-mel (natural logarithm of energy) from black to white in a picture: near-silence to loud speech.
_DARKEST, _BRIGHTEST = -11.0, 6.0
_QUIETEST_DB = -90.0
KEPT_SECONDS = 60


@dataclass(frozen=True)
class Drawing:
    """How finely to draw: seconds a column of the log-mel picture, and how many steps of the stream a point of a score
    line stands for."""

    column_seconds: float = 0.02
    point_steps: int = 1

    @property
    def column_frames(self) -> int:
        """Frames of 10 ms in a column."""
        return max(1, round(self.column_seconds * SAMPLE_RATE / HOP_SAMPLES))

    def fields(self) -> dict[str, float]:
        """For the `started` message."""
        return {"column_seconds": self.column_frames * HOP_SAMPLES / SAMPLE_RATE}


@dataclass
class Heard:
    """What the latest piece gave; `columns` are bytes [columns, 40] from column number `first` on."""

    seconds: float
    level_db: float
    first: int
    columns: NDArray[np.uint8]
    times: list[float]
    scores: dict[str, list[float | None]]
    detections: list[dict[str, Any]] = field(default_factory=list)

    def drawn(self) -> dict[str, Any]:
        """The fields of a `heard` message."""
        return {
            "seconds": round(self.seconds, 3),
            "level_db": round(self.level_db, 1),
            "log_mel": {"first": self.first, "columns": base64.b64encode(self.columns.tobytes()).decode()},
            "scores": {"times": self.times, "values": self.scores},
        }


def pcm_samples(data: bytes) -> NDArray[np.float32]:
    """A binary frame as float32 samples. Raises MessageError for half a sample."""
    if len(data) % 2:
        raise MessageError(f"audio: {len(data)} bytes are no whole number of 16-bit samples; the frame was left out")
    return to_float(np.frombuffer(data, "<i2").astype(np.int16))


class Listening:
    """Audio at `sample_rate` fed piece by piece, searched for `wanted` keywords. Threads may share it: one at a time is
    served."""

    def __init__(
        self, spotter: Spotter, wanted: Sequence[Wanted], sample_rate: int, drawing: Drawing | None = None
    ) -> None:
        self.drawing = drawing or Drawing()
        self.ended = False
        self._usual, self._rate, self._lock = spotter.bundle.threshold, sample_rate, threading.Lock()
        self._stream = spotter.stream(sample_rate, keep_seconds=KEPT_SECONDS)
        self._step = spotter.settings.step_seconds * sample_rate
        self._delay_seconds = spotter.bundle.lookahead_frames * HOP_SAMPLES / SAMPLE_RATE
        self._picture = _Picture(spotter, sample_rate, self.drawing)
        self._wanted: dict[str, Wanted] = {}
        self._samples = self._number = self._steps = 0
        self._best: dict[str, float] = {}
        self._times: list[float] = []
        self._scores: dict[str, list[float | None]] = {}
        self.set_keywords(wanted)

    def set_keywords(self, wanted: Sequence[Wanted]) -> None:
        """Listens for these from now on; those that stay as they were are not disturbed.

        Raises TextError or PhonemeError for what cannot be spoken."""
        with self._lock:
            coming = {keyword.id: keyword for keyword in wanted}
            for name in [name for name, old in self._wanted.items() if coming.get(name) != old]:
                self._stream.remove(name)
                del self._wanted[name]
            fresh = [keyword for name, keyword in coming.items() if name not in self._wanted]
            self._stream.add(*(Keyword(keyword.text, keyword.threshold, keyword.id) for keyword in fresh))
            self._wanted |= {keyword.id: keyword for keyword in fresh}

    def feed(self, samples: NDArray[np.float32]) -> Heard:
        """Takes the next samples."""
        with self._lock:
            hits: list[Detection] = []
            for piece in np.split(samples, _places(self._samples, len(samples), self._step)):
                hits += self._stream.feed(piece)
                self._samples += len(piece)
                if self._samples // self._step > self._steps:
                    self._steps = int(self._samples // self._step)
                    self._listen(ended=False)
            return self._heard(samples, hits, last=False)

    def flush(self) -> Heard:
        """Ends the recording and returns what was still undecided."""
        with self._lock:
            self.ended = True
            hits = self._stream.flush()
            self._listen(ended=True)
            return self._heard(np.empty(0, np.float32), hits, last=True)

    def clip(self, start: float, end: float) -> bytes:
        """The audio between two times, as a WAV file at 16 kHz. Raises MessageError for what is no longer kept."""
        with self._lock:
            if start < self._stream.seconds - KEPT_SECONDS:
                raise MessageError(f"clip: only the last {KEPT_SECONDS} s are kept; ask as soon as something is found")
            return wave(self._stream.clip(Detection("", 0.0, start, end, 0.0), 0.0, 0.0))

    def _listen(self, ended: bool) -> None:
        """Notes each keyword's best score in the latest step, and draws a point after so many of them."""
        for name, level in self._stream.levels().items():
            self._best[name] = max(level, self._best.get(name, -1.0))
        if self._steps % self.drawing.point_steps and not ended:
            return
        self._times.append(round(max(0.0, self._samples / self._rate - self._delay_seconds), 3))
        for name in self._best.keys() - self._scores.keys():
            self._scores[name] = [None] * (len(self._times) - 1)
        for name, values in self._scores.items():
            best = self._best.get(name, -1.0)
            values.append(round(best, 3) if best > -1.0 else None)
        self._best = {}

    def _heard(self, samples: NDArray[np.float32], hits: Sequence[Detection], last: bool) -> Heard:
        first, columns = self._picture.feed(samples, last)
        times, scores = self._times, self._scores
        self._times, self._scores = [], {}
        seconds = self._samples / self._rate
        heard = Heard(seconds, _level_db(samples), first, columns, times, scores)
        for hit in hits:
            self._number += 1
            heard.detections.append(
                {
                    "number": self._number,
                    "id": hit.keyword,
                    "text": self._wanted[hit.keyword].text,
                    "score": round(hit.score, 5),
                    "start": round(hit.start_seconds, 3),
                    "end": round(hit.end_seconds, 3),
                    "decided": round(hit.decided_seconds, 3),
                    "threshold": hit.threshold,
                    "phonemes": [
                        [phoneme, round(start, 3), round(end, 3), round(fit, 3)]
                        for phoneme, start, end, fit in hit.phonemes
                    ],
                }
            )
        return heard


def _places(before: int, size: int, step: float) -> list[int]:
    """Where to cut `size` samples after `before` others, so that pieces end where steps do."""
    steps = range(int(before // step) + 1, int((before + size) // step) + 1)
    return [math.ceil(number * step) - before for number in steps]


class _Picture:
    """The log-mel picture, a column for several frames: the mean of each bin in steps of 1/255."""

    def __init__(self, spotter: Spotter, sample_rate: int, drawing: Drawing) -> None:
        self._encoder = spotter.encoder
        self._resampler = None
        if sample_rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="LQ")
        self._frames = drawing.column_frames
        self._kept = np.empty(0, np.float32)
        self._next = 0

    def feed(self, samples: NDArray[np.float32], last: bool) -> tuple[int, NDArray[np.uint8]]:
        """The number of the first new column, and the new columns [columns, 40]."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples), last=last)
        self._kept = np.concatenate([self._kept, samples])
        count = num_frames(len(self._kept)) // self._frames
        first, used = self._next, count * self._frames
        self._next += count
        if not count:
            return first, np.empty((0, 40), np.uint8)
        log_mel = self._encoder.log_mel(self._kept[: (used - 1) * HOP_SAMPLES + FRAME_SAMPLES])
        self._kept = self._kept[used * HOP_SAMPLES :].copy()
        columns = log_mel.reshape(count, self._frames, -1).mean(axis=1)
        return first, (255 * np.clip((columns - _DARKEST) / (_BRIGHTEST - _DARKEST), 0, 1)).round().astype(np.uint8)


def _level_db(samples: NDArray[np.float32]) -> float:
    """The level of samples, 0 dB being as loud as can be."""
    energy = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(_QUIETEST_DB, 10 * np.log10(max(energy, 1e-12)))
