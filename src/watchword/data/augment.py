"""Augmentation on the fly: rooms, noise, babble, band limits, gain, clipping, quantisation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.signal import fftconvolve

from watchword.audio import SAMPLE_RATE, SUFFIXES, read


class AugmentConfig(BaseModel):
    """Each distortion's probability and the range it is drawn from, uniformly; `enabled = false` switches all off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    room: float = 0.25
    room_seconds: tuple[float, float] = (0.1, 0.6)
    noise: float = 0.5
    noise_snr_db: tuple[float, float] = (0.0, 25.0)
    babble: float = 0.15
    babble_snr_db: tuple[float, float] = (10.0, 25.0)
    babble_speakers: tuple[int, int] = (2, 5)
    low_pass: float = 0.35
    low_pass_hz: tuple[float, float] = (3400.0, 7800.0)
    telephone: float = 0.05
    gain_db: tuple[float, float] = (-20.0, 3.0)
    clip: float = 0.04
    quantise: float = 0.05


class Augmenter:
    """Distorts a crop; its length and the place of what is said stay. All randomness comes from the generator given."""

    def __init__(
        self, config: AugmentConfig, noise: Sequence[np.ndarray] = (), babble: Sequence[np.ndarray] = ()
    ) -> None:
        self.config, self.noise, self.babble = config, [n for n in noise if len(n) > SAMPLE_RATE], list(babble)

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns a distorted copy of float32 samples."""
        c = self.config
        if not c.enabled:
            return audio
        if rng.random() < c.room:
            audio = _in_room(audio, rng.uniform(*c.room_seconds), rng)
        power = _speech_power(audio)
        if rng.random() < c.noise:
            audio = audio + _at_snr(self._noise(len(audio), rng), power, rng.uniform(*c.noise_snr_db))
        if self.babble and rng.random() < c.babble:
            voices = [
                _stretch_of(self.babble, len(audio), rng)
                for _ in range(int(rng.integers(*c.babble_speakers, endpoint=True)))
            ]
            audio = audio + _at_snr(np.sum(voices, axis=0), power, rng.uniform(*c.babble_snr_db))
        if rng.random() < c.telephone:
            audio = _band(audio, 300.0, 3400.0)
        elif rng.random() < c.low_pass:
            audio = _band(audio, 0.0, rng.uniform(*c.low_pass_hz))
        peak = float(np.abs(audio).max()) or 1.0
        audio = audio * (10 ** (rng.uniform(*c.gain_db) / 20) / max(peak, 1e-4))
        if rng.random() < c.clip:
            audio = audio * rng.uniform(1.0, 4.0) / max(float(np.abs(audio).max()), 1e-4)
        if rng.random() < c.quantise:
            audio = np.round(audio * 127) / 127
        return np.clip(audio, -1.0, 1.0).astype(np.float32)

    def _noise(self, size: int, rng: np.random.Generator) -> np.ndarray:
        if self.noise and rng.random() < 0.7:
            return _stretch_of(self.noise, size, rng)
        # Coloured noise: a random spectral slope between blue-ish and brown.
        spectrum = np.fft.rfft(rng.standard_normal(size).astype(np.float32))
        slope = np.arange(1, len(spectrum) + 1, dtype=np.float32) ** -rng.uniform(-0.2, 1.2)
        return np.fft.irfft(spectrum * slope, size).astype(np.float32)


def load_noise(folder: Path) -> list[np.ndarray]:
    """Reads every recording below a folder as 16 kHz float32."""
    return [read(path) for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in SUFFIXES]


def _stretch_of(sources: Sequence[np.ndarray], size: int, rng: np.random.Generator) -> np.ndarray:
    source = np.asarray(sources[int(rng.integers(len(sources)))])
    if len(source) <= size:
        piece = np.resize(source, size)
    else:
        start = int(rng.integers(len(source) - size))
        piece = source[start : start + size]
    return piece.astype(np.float32) / (32768.0 if piece.dtype == np.int16 else 1.0)


def _speech_power(audio: np.ndarray) -> float:
    """Mean power of the louder half of 20 ms pieces, so that silence around a word does not make its noise faint."""
    whole = len(audio) // 320 * 320
    if not whole:
        return 1e-8
    power = (audio[:whole].reshape(-1, 320) ** 2).mean(1)
    return float(np.sort(power)[len(power) // 2 :].mean()) + 1e-10


def _at_snr(noise: np.ndarray, power: float, snr_db: float) -> np.ndarray:
    own = float((noise**2).mean()) + 1e-10
    return (noise * np.sqrt(power / own * 10 ** (-snr_db / 10))).astype(np.float32)


def _band(audio: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    spectrum = np.fft.rfft(audio)
    hertz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    keep = 1 / (1 + (hertz / high_hz) ** 16)
    if low_hz:
        keep *= 1 - 1 / (1 + (hertz / low_hz) ** 8)
    return np.fft.irfft(spectrum * keep, len(audio)).astype(np.float32)


def _in_room(audio: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Convolves with a simulated response: the direct path at time 0, a few early reflections, an exponential tail."""
    size = int(seconds * SAMPLE_RATE)
    time = np.arange(size) / SAMPLE_RATE
    tail = rng.standard_normal(size).astype(np.float32) * np.exp(-6.9 * time / seconds)
    tail[: int(0.004 * SAMPLE_RATE)] = 0
    for _ in range(int(rng.integers(2, 8))):
        tail[int(rng.uniform(0.002, 0.05) * SAMPLE_RATE) % size] += rng.uniform(-1, 1) * 4
    tail *= np.sqrt(10 ** (-rng.uniform(0, 15) / 10) / max(float((tail**2).sum()), 1e-9))
    tail[0] = 1.0
    return fftconvolve(audio, tail.astype(np.float32))[: len(audio)].astype(np.float32)
