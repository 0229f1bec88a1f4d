"""Crops: what is cut out of a recording around a word, or set in silence, and how crops are joined into rows."""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import soxr

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE
from watchword.data.negatives import Negative
from watchword.data.store import Store

Sound = Callable[[int, np.random.Generator], np.ndarray]
"""Makes so many samples of something that is no speech."""
NO_UTTERANCE = -1
"""The utterance of a crop of such sound."""
Spans = list[tuple[int, int, int]]
"""Label, start and end, in samples."""


class Crop(NamedTuple):
    """A stretch [first, last) of an utterance, not yet read, between `before` and `after` samples of silence, if any.

    `alone` means that it is set in near-silence; `spans` and `negatives` count from the start of the crop. A crop of
    NO_UTTERANCE is to be filled with sound that is no speech."""

    utterance: int
    first: int
    last: int
    spans: Spans
    alone: bool = False
    before: int = 0
    after: int = 0
    negatives: Sequence[Negative] = ()

    @property
    def size(self) -> int:
        """How many samples the crop will have."""
        return max(self.before + self.last - self.first + self.after, FRAME_SAMPLES)


class Row(NamedTuple):
    """Crops one after another, to be played `rate` times as fast; not yet read either.

    Everything about a row but its sound is known from here on, so that processes that share a batch agree on all of it
    and read only their own rows."""

    crops: Sequence[Crop]
    joined: bool
    rate: float = 1.0

    @property
    def size(self) -> int:
        """How many samples the row will have."""
        whole = sum(crop.size for crop in self.crops)
        return max(round(whole / self.rate), FRAME_SAMPLES)

    @property
    def spans(self) -> Spans:
        """The spans of all its crops, in samples of the row."""
        return [
            (label, round((start + at) / self.rate), round((end + at) / self.rate))
            for crop, at in zip(self.crops, self._starts(), strict=True)
            for label, start, end in crop.spans
        ]

    @property
    def negatives(self) -> list[Negative]:
        """The spans without a text of all its crops, in samples of the row."""
        return [
            negative.moved(at, self.rate)
            for crop, at in zip(self.crops, self._starts(), strict=True)
            for negative in crop.negatives
        ]

    def audio(self, store: Store, rng: np.random.Generator, sound: Sound | None = None) -> np.ndarray:
        """Reads the row's samples, float32; crops that are joined are brought to the same loudness.

        `sound` fills crops of NO_UTTERANCE; without it they are silent."""
        pieces = [_read(crop, store, rng, sound) for crop in self.crops]
        if self.joined:
            pieces = [_faded(piece * (0.3 / max(float(np.abs(piece).max()), 1e-3))) for piece in pieces]
        audio = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        if self.rate != 1.0:
            audio = soxr.resample(audio, SAMPLE_RATE * self.rate, SAMPLE_RATE, quality="LQ")
        # A resampler may give a sample more or less than was reckoned with.
        return audio if len(audio) == self.size else np.pad(audio, (0, max(0, self.size - len(audio))))[: self.size]

    def frame_phones(self, store: Store, frames: int) -> np.ndarray:
        """The phone at the centre of each frame; -1 where it is unknown, 0 in silence."""
        found = np.zeros(frames, np.int64)
        centre = FRAME_SAMPLES // 2
        for crop, at in zip(self.crops, self._starts(), strict=True):
            for phone, start, end in _phones(crop, store).tolist():
                first = max(0, math.ceil(((start + at) / self.rate - centre) / HOP_SAMPLES))
                last = min(frames, math.ceil(((end + at) / self.rate - centre) / HOP_SAMPLES))
                found[first : max(first, last)] = phone
        return found

    def sources(self, frames: int) -> np.ndarray:
        """Which utterance is heard at the centre of each frame, and which of its samples: [frames, 2]; -1 for none."""
        found = np.full((frames, 2), NO_UTTERANCE, np.int64)
        heard = np.rint((np.arange(frames) * HOP_SAMPLES + FRAME_SAMPLES // 2) * self.rate).astype(np.int64)
        for crop, at in zip(self.crops, self._starts(), strict=True):
            first = at + crop.before
            inside = (heard >= first) & (heard < first + crop.last - crop.first)
            if crop.utterance != NO_UTTERANCE:
                found[inside, 0], found[inside, 1] = crop.utterance, heard[inside] - first + crop.first
        return found

    def _starts(self) -> list[int]:
        return list(accumulate((crop.size for crop in self.crops[:-1]), initial=0))


def join(crops: Sequence[Crop], rng: np.random.Generator) -> list[Row]:
    """Joins crops end to end into rows of at most the longest one's length (first fit, longest first), in random order
    within a row."""
    longest = max(crop.size for crop in crops)
    rows: list[list[Crop]] = []
    free: list[int] = []
    for crop in sorted(crops, key=lambda crop: -crop.size):
        row = next((r for r, left in enumerate(free) if left >= crop.size), -1)
        if row < 0:
            rows.append([])
            free.append(longest)
        rows[row].append(crop)
        free[row] -= crop.size
    return [Row([row[i] for i in rng.permutation(len(row))], joined=True) for row in rows]


def _read(crop: Crop, store: Store, rng: np.random.Generator, sound: Sound | None) -> np.ndarray:
    if crop.utterance == NO_UTTERANCE:
        return sound(crop.size, rng) if sound else np.zeros(crop.size, np.float32)
    audio = store.audio(crop.utterance)[crop.first : crop.last].astype(np.float32) / 32768.0
    if crop.alone:
        return _in_silence(audio, crop, rng)
    return audio if len(audio) >= FRAME_SAMPLES else np.pad(audio, (0, FRAME_SAMPLES - len(audio)))


def _phones(crop: Crop, store: Store) -> np.ndarray:
    """Phones as rows (id, start, end) in samples of a crop; without any, the whole crop is unknown."""
    if crop.utterance == NO_UTTERANCE:
        return np.array([(0, 0, crop.size)], np.int64)
    phones = store.phones(crop.utterance)
    if not len(phones):
        return np.array([(-1, 0, crop.size)], np.int64)
    if crop.alone:
        phones = phones[(phones["start"] >= crop.first) & (phones["end"] <= crop.last)]
    shift = crop.before - crop.first
    starts, ends = (phones[name].astype(np.int64) + shift for name in ("start", "end"))
    rows = np.stack([phones["id"].astype(np.int64), starts.clip(0, crop.size), ends.clip(0, crop.size)], axis=1)
    return rows[rows[:, 2] > rows[:, 1]]


def _in_silence(audio: np.ndarray, crop: Crop, rng: np.random.Generator) -> np.ndarray:
    """Sets audio between stretches of near-silence (sometimes digital zero), its edges faded over 5 ms."""
    audio = _faded(audio)
    out = np.zeros(crop.size, np.float32)
    if rng.random() < 0.7:
        level = float(np.abs(audio).max()) * 10 ** rng.uniform(-3.5, -1.8)
        out += rng.standard_normal(len(out), np.float32) * np.float32(level)
    out[crop.before : crop.before + len(audio)] += audio
    return out


def _faded(audio: np.ndarray) -> np.ndarray:
    fade = min(80, len(audio) // 4)
    audio = audio.copy()
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    audio[:fade] *= ramp
    audio[len(audio) - fade :] *= ramp[::-1]
    return audio
