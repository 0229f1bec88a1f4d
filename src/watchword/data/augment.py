"""Augmentation on the fly: voices, rooms, noise, music, babble, microphones, band limits, gain, clipping, codecs."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.signal import fftconvolve

from watchword.audio import SAMPLE_RATE, to_float
from watchword.data.channels import codecs, coded, tilted
from watchword.data.voice_shift import shifted

Share = Annotated[float, Field(ge=0, le=1)]
_LEAST_POWER = 1e-10


class AugmentConfig(BaseModel):
    """Each distortion's probability and the range it is drawn from, uniformly; `enabled = false` switches all off.

    `share` of all crops get room, noise, music and babble at all; each of these is then drawn by itself. Recordings of
    noise follow each other after `noise_gap_seconds`, as Kaldi's foreground noises do, or are repeated without a gap
    where that is 0. `coloured_noise` is the share of noise that is synthetic although there are recordings. With
    `babble_snr_each` every voice of the babble has a ratio of its own, as in Kaldi, else their sum has one.

    `shift` multiplies pitch and formants by `shift_factor` at the same tempo: a child's are about 1.1 to 1.35 times a
    grown-up's. `far` is the share of rooms in which the speaker stands far away: what comes straight lies
    `far_ratio_db` above what the room adds. `tilt` makes the microphone's response uneven, `tilt_db` below and above a
    corner anywhere in `tilt_hz`; `codec` sends the row through a codec chosen at random.

    `recipes/base.toml` has the values of the tables; what is not stated here is off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    share: Share = 1.0
    shift: Share = 0.0
    shift_factor: tuple[float, float] = (0.9, 1.35)
    room: Share = 0.25
    room_seconds: tuple[float, float] = (0.1, 0.6)
    far: Share = 0.0
    far_ratio_db: tuple[float, float] = (-8.0, 2.0)
    noise: Share = 0.5
    noise_snr_db: tuple[float, float] = (0.0, 25.0)
    noise_gap_seconds: float = Field(default=0.0, ge=0)
    coloured_noise: Share = 0.3
    music: Share = 0.0
    music_snr_db: tuple[float, float] = (5.0, 15.0)
    babble: Share = 0.15
    babble_snr_db: tuple[float, float] = (10.0, 25.0)
    babble_snr_each: bool = False
    babble_speakers: tuple[int, int] = (2, 5)
    tilt: Share = 0.0
    tilt_db: tuple[float, float] = (-8.0, 8.0)
    tilt_hz: tuple[float, float] = (300.0, 3000.0)
    low_pass: Share = 0.35
    low_pass_hz: tuple[float, float] = (3400.0, 7800.0)
    telephone: Share = 0.05
    gain_db: tuple[float, float] = (-20.0, 3.0)
    clip: Share = 0.04
    quantise: Share = 0.05
    codec: Share = 0.0


class Augmenter:
    """Distorts a crop; its length and the place of what is said stay. All randomness comes from the generator given.

    `noise`, `babble` (voices), `music` and `rooms` (impulse responses) are recordings at 16 kHz, int16 or float.
    Without noise it is synthetic, without rooms they are simulated, and without the others there is none."""

    def __init__(
        self,
        config: AugmentConfig,
        noise: Sequence[np.ndarray] = (),
        babble: Sequence[np.ndarray] = (),
        music: Sequence[np.ndarray] = (),
        rooms: Sequence[np.ndarray] = (),
    ) -> None:
        self.config, self.noise, self.babble, self.music, self.rooms = config, noise, babble, music, rooms

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns a distorted copy of float32 samples."""
        c = self.config
        if not c.enabled:
            return audio
        # What is off draws nothing, so that it may be switched on elsewhere and change nothing here.
        if c.shift and rng.random() < c.shift:
            audio = shifted(audio, rng.uniform(*c.shift_factor))
        if c.share == 1 or rng.random() < c.share:
            audio = self._scene(audio, rng)
        if c.tilt and rng.random() < c.tilt:
            corner = float(np.exp(rng.uniform(*np.log(c.tilt_hz))))
            audio = tilted(audio, rng.uniform(*c.tilt_db), rng.uniform(*c.tilt_db), corner)
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
        if c.codec and rng.random() < c.codec:
            names, chances = codecs()
            audio = coded(audio, names[int(rng.choice(len(names), p=chances))])
        return np.clip(audio, -1.0, 1.0).astype(np.float32)

    def non_speech(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Returns samples that say nothing: noise, music, babble of three voices or more, or near-silence."""
        kinds = ["noise", "noise", "quiet", *(["music"] if self.music else []), *(["babble"] if self.babble else [])]
        kind = kinds[int(rng.integers(len(kinds)))]
        if kind == "noise":
            sound = self._noise(size, rng)
        elif kind == "music":
            sound = _stretch_of(self.music, size, rng)
        elif kind == "babble":
            sound = np.sum([_stretch_of(self.babble, size, rng) for _ in range(int(rng.integers(3, 7)))], axis=0)
        else:
            sound = np.zeros(size, np.float32)
            sound += rng.standard_normal(size, np.float32) * np.float32(10 ** rng.uniform(-5, -3))
        return sound.astype(np.float32)

    def _scene(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Sets speech in a room, and among noise, music and voices; the ratios are to the speech as the room has it."""
        c, size = self.config, len(audio)
        if rng.random() < c.room:
            room = self._room(rng)
            if c.far and rng.random() < c.far:
                room = from_afar(room, rng.uniform(*c.far_ratio_db))
            audio = reverberate(audio, room)
        power = speech_power(audio)
        added = []
        if rng.random() < c.noise:
            added.append(at_snr(self._noise(size, rng), power, rng.uniform(*c.noise_snr_db)))
        if self.music and c.music and rng.random() < c.music:
            added.append(at_snr(_unit(_stretch_of(self.music, size, rng)), power, rng.uniform(*c.music_snr_db)))
        if self.babble and rng.random() < c.babble:
            count = int(rng.integers(*c.babble_speakers, endpoint=True))
            voices = [_stretch_of(self.babble, size, rng) for _ in range(count)]
            together = voices if c.babble_snr_each else [np.sum(voices, axis=0)]
            added += [at_snr(_unit(voice), power, rng.uniform(*c.babble_snr_db)) for voice in together]
        for sound in added:
            audio = audio + sound
        return audio

    def _room(self, rng: np.random.Generator) -> np.ndarray:
        if self.rooms:
            return to_float(np.asarray(self.rooms[int(rng.integers(len(self.rooms)))]))
        return _simulated_room(rng.uniform(*self.config.room_seconds), rng)

    def _noise(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Noise of unit power where it sounds."""
        if self.noise and rng.random() < 1 - self.config.coloured_noise:
            if self.config.noise_gap_seconds:
                return self._noises_apart(size, round(self.config.noise_gap_seconds * SAMPLE_RATE), rng)
            return _unit(_stretch_of(self.noise, size, rng))
        # Coloured noise: a random spectral slope between blue-ish and brown.
        spectrum = np.fft.rfft(rng.standard_normal(size).astype(np.float32))
        slope = np.arange(1, len(spectrum) + 1, dtype=np.float32) ** -rng.uniform(-0.2, 1.2)
        return _unit(np.fft.irfft(spectrum * slope, size).astype(np.float32))

    def _noises_apart(self, size: int, gap: int, rng: np.random.Generator) -> np.ndarray:
        """One recording after another, each whole or as long as there is room, with a gap between them."""
        noise, place = np.zeros(size, np.float32), 0
        while place < size:
            source = self.noise[int(rng.integers(len(self.noise)))]
            length = min(len(source), size - place)
            noise[place : place + length] = _unit(_stretch_of([source], length, rng))
            place += length + gap
        return noise


def speech_power(audio: np.ndarray) -> float:
    """Mean power of the louder half of 20 ms pieces, so that silence around a word does not make its noise faint."""
    whole = len(audio) // 320 * 320
    if not whole:
        return 1e-8
    power = (audio[:whole].reshape(-1, 320) ** 2).mean(1)
    return float(np.sort(power)[len(power) // 2 :].mean()) + _LEAST_POWER


def at_snr(noise: np.ndarray, power: float, snr_db: float) -> np.ndarray:
    """Scales noise of unit power to lie `snr_db` below speech of `power`."""
    return (noise * np.sqrt(power * 10 ** (-snr_db / 10))).astype(np.float32)


def reverberate(audio: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Convolves with a room's impulse response from its direct path on, so that what is said stays in its place; the
    result has the length and the energy of `audio`, as Kaldi's wav-reverberate leaves them."""
    energy = float((response.astype(np.float64) ** 2).sum())
    if not energy:
        return audio
    response = response[int(np.argmax(np.abs(response))) :] / np.sqrt(energy)
    wet = fftconvolve(audio, response.astype(np.float32))[: len(audio)]
    before, after = (float((a.astype(np.float64) ** 2).sum()) for a in (audio, wet))
    return (wet * np.sqrt(before / after)).astype(np.float32) if before and after else audio


def from_afar(response: np.ndarray, ratio_db: float) -> np.ndarray:
    """Scales what follows the first 2.5 ms of a room's impulse response, until what comes straight has `ratio_db` times
    its energy; the response itself where nothing follows."""
    start = int(np.argmax(np.abs(response))) + SAMPLE_RATE // 400
    direct, late = (float((part.astype(np.float64) ** 2).sum()) for part in (response[:start], response[start:]))
    if not late:
        return response
    gain = np.sqrt(direct / late * 10 ** (-ratio_db / 10))
    return np.concatenate([response[:start], response[start:] * np.float32(gain)])


def _unit(noise: np.ndarray) -> np.ndarray:
    return noise / np.sqrt(float((noise.astype(np.float64) ** 2).mean()) + _LEAST_POWER)


def _stretch_of(sources: Sequence[np.ndarray], size: int, rng: np.random.Generator) -> np.ndarray:
    """A random stretch of a random recording, repeated where it is shorter than `size`."""
    source = np.asarray(sources[int(rng.integers(len(sources)))])
    if len(source) <= size:
        piece = np.resize(source, size)
    else:
        start = int(rng.integers(len(source) - size))
        piece = source[start : start + size]
    return to_float(piece)


def _band(audio: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    spectrum = np.fft.rfft(audio)
    hertz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    keep = 1 / (1 + (hertz / high_hz) ** 16)
    if low_hz:
        keep *= 1 - 1 / (1 + (hertz / low_hz) ** 8)
    return np.fft.irfft(spectrum * keep, len(audio)).astype(np.float32)


def _simulated_room(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A response: the direct path at time 0, a few early reflections, a tail that falls by 60 dB in `seconds`."""
    size = int(seconds * SAMPLE_RATE)
    time = np.arange(size) / SAMPLE_RATE
    tail = rng.standard_normal(size).astype(np.float32) * np.exp(-6.9 * time / seconds)
    tail[: int(0.004 * SAMPLE_RATE)] = 0
    for _ in range(int(rng.integers(2, 8))):
        tail[int(rng.uniform(0.002, 0.05) * SAMPLE_RATE) % size] += rng.uniform(-1, 1) * 4
    tail *= np.sqrt(10 ** (-rng.uniform(0, 15) / 10) / max(float((tail**2).sum()), 1e-9))
    tail[0] = 1.0
    return tail.astype(np.float32)
