"""Samples as they come, of any type and rate, checked and brought to 16 kHz; and the last of them, kept."""

import numpy as np
import soxr
from numpy.typing import NDArray

from watchword.audio import SAMPLE_RATE, AudioError, to_float

# Far beyond any recording, and far from where energies overflow.
_LOUDEST = 2.0**15
_RATES = (1_000, 768_000)


class Intake:
    """Turns a recording's samples, mono at `sample_rate`, int16 or float, into float32 at 16 kHz, however it is cut."""

    def __init__(self, sample_rate: int = SAMPLE_RATE) -> None:
        if not _RATES[0] <= sample_rate <= _RATES[1]:
            raise AudioError(f"audio: a sample rate of {sample_rate} Hz; give one from {_RATES[0]} to {_RATES[1]} Hz")
        self._resampler = None
        if sample_rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")

    def feed(self, samples: NDArray, last: bool = False) -> NDArray[np.float32]:
        """Takes the next samples; returns what is ready. Raises AudioError, and then has taken nothing."""
        samples = checked(samples)
        return samples if self._resampler is None else self._resampler.resample_chunk(samples, last=last)


def checked(samples: NDArray) -> NDArray[np.float32]:
    """Mono samples, int16 or float, as float32. Raises AudioError for what is neither, or not finite."""
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise AudioError(f"audio: samples have the shape {samples.shape}; give one channel, [samples]")
    samples = to_float(samples)
    if not np.isfinite(samples).all():
        raise AudioError("audio: holds samples that are not numbers (NaN or infinite)")
    return np.ascontiguousarray(np.clip(samples, -_LOUDEST, _LOUDEST))


class Recent:
    """The last `seconds` of a recording at 16 kHz, and how many samples all of it had."""

    def __init__(self, seconds: float) -> None:
        self._ring = np.zeros(max(1, round(seconds * SAMPLE_RATE)), np.float32)
        self.samples = 0

    def add(self, samples: NDArray[np.float32]) -> None:
        """Takes the next samples."""
        size, kept = len(self._ring), samples[-len(self._ring) :]
        at = (self.samples + len(samples) - len(kept)) % size
        head = min(len(kept), size - at)
        self._ring[at : at + head] = kept[:head]
        self._ring[: len(kept) - head] = kept[head:]
        self.samples += len(samples)

    def between(self, start_seconds: float, end_seconds: float) -> NDArray[np.float32]:
        """The samples between two times, as far as they are still, or already, there."""
        oldest = max(0, self.samples - len(self._ring))
        first, last = (
            min(max(round(seconds * SAMPLE_RATE), oldest), self.samples) for seconds in (start_seconds, end_seconds)
        )
        return self._ring[np.arange(first, max(first, last)) % len(self._ring)]
