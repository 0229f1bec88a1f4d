"""One recording listened to: its detections, and what of it can be drawn: level, log-mel and each keyword's scores."""

import base64
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE, num_frames, to_float
from watchword.runtime import Keyword, Spotter
from watchword.serve.messages import MessageError, Wanted
from watchword.serve.standin import StandIn
from watchword.serve.waves import wave

# Log-mel (natural logarithm of energy) from black to white in a picture: near-silence to loud speech.
_DARKEST, _BRIGHTEST = -11.0, 6.0
_QUIETEST_DB = -90.0
_KEPT_SECONDS = 60


@dataclass(frozen=True)
class Drawing:
    """How finely to draw: seconds a column of the log-mel picture, and between two points of a score line."""

    column_seconds: float = 0.02
    point_seconds: float = 0.05

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
    """Audio at `sample_rate` fed piece by piece, searched for `wanted` keywords; many threads may call, one at a time
    is served."""

    def __init__(
        self, spotter: Spotter, wanted: Sequence[Wanted], sample_rate: int, drawing: Drawing | None = None
    ) -> None:
        self.drawing = drawing or Drawing()
        self.ended = False
        self._spotter, self._lock = spotter, threading.Lock()
        self._stream = StandIn(spotter, sample_rate)
        self._picture = _Picture(spotter, sample_rate, self.drawing)
        self._texts: dict[str, str] = {}
        self._number = 0
        self._recent = _Recent(sample_rate)
        self.set_keywords(wanted)

    def set_keywords(self, wanted: Sequence[Wanted]) -> None:
        """Listens for these from now on. Raises TextError or PhonemeError for what cannot be spoken."""
        usual = self._spotter.bundle.threshold
        with self._lock:
            self._stream.set([Keyword(w.text, usual if w.threshold is None else w.threshold, w.id) for w in wanted])
            self._texts = {keyword.id: keyword.text for keyword in wanted}

    def feed(self, samples: NDArray[np.float32]) -> Heard:
        """Takes the next samples."""
        with self._lock:
            self._recent.add(samples)
            return self._heard(samples, last=False)

    def flush(self) -> Heard:
        """Ends the recording and returns what was still undecided."""
        with self._lock:
            self.ended = True
            return self._heard(np.empty(0, np.float32), last=True)

    def clip(self, start: float, end: float) -> bytes:
        """The audio between two times, as a WAV file at 16 kHz. Raises MessageError for what is no longer kept."""
        with self._lock:
            return wave(self._recent.between(start, end))

    def _heard(self, samples: NDArray[np.float32], last: bool) -> Heard:
        hits, times, scores = self._stream.feed(samples, last)
        first, columns = self._picture.feed(samples, last)
        detections = []
        for hit in hits:
            self._number += 1
            detections.append(
                {
                    "number": self._number,
                    "id": hit.keyword,
                    "text": self._texts[hit.keyword],
                    "score": round(hit.score, 5),
                    "start": round(hit.start_seconds, 3),
                    "end": round(hit.end_seconds, 3),
                    "threshold": hit.threshold,
                }
            )
        shown = {k: [None if not np.isfinite(x) else round(float(x), 3) for x in v] for k, v in scores.items()}
        return Heard(
            self._recent.seconds, _level_db(samples), first, columns, [round(t, 3) for t in times], shown, detections
        )


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


class _Recent:
    """The last minute of audio, and how long all of it was."""

    def __init__(self, sample_rate: int) -> None:
        self._rate, self._pieces, self._samples, self._first = sample_rate, [], 0, 0

    @property
    def seconds(self) -> float:
        return self._samples / self._rate

    def add(self, samples: NDArray[np.float32]) -> None:
        self._pieces.append((samples * 32767).astype(np.int16))
        self._samples += len(samples)
        while self._samples - self._first - len(self._pieces[0]) > _KEPT_SECONDS * self._rate:
            self._first += len(self._pieces.pop(0))

    def between(self, start: float, end: float) -> NDArray[np.float32]:
        first, last = (round(seconds * self._rate) for seconds in (start, end))
        if first < self._first:
            raise MessageError(f"clip: only the last {_KEPT_SECONDS} s are kept; ask as soon as something is found")
        joined = np.concatenate(self._pieces) if self._pieces else np.empty(0, np.int16)
        samples = to_float(joined[first - self._first : last - self._first])
        return samples if self._rate == SAMPLE_RATE else soxr.resample(samples, self._rate, SAMPLE_RATE)


def _level_db(samples: NDArray[np.float32]) -> float:
    """The level of samples, 0 dB being as loud as can be."""
    energy = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(_QUIETEST_DB, 10 * np.log10(max(energy, 1e-12)))
