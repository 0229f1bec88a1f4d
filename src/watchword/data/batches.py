"""Batches: word classes drawn evenly, their recordings cropped with real surroundings or set in silence, distorted."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import soxr
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE, num_frames, span_frames
from watchword.data.augment import Augmenter
from watchword.data.store import Store


class BatchConfig(BaseModel):
    """How batches are drawn and cut; seconds throughout. `speed` is a range, or three or more speeds to choose from.

    `in_context = false` cuts exactly the word (the paper). With `in_context` a crop keeps `before` and `after` of what
    really surrounds the word, or, for `silence_share` of them, the word alone is set in near-silence; the spans of
    `wide_share` of these take in some of that silence, since recordings of one word are scored whole. Up to
    `extra_spans` other words and phrases that lie wholly in the crop are learned from as well. Crops are then joined
    into rows of about the longest one's length, so that a batch holds little padding, and each row is distorted as one
    scene."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: int = Field(default=250, ge=2)
    utterances_per_class: int = Field(default=2, ge=1)
    repeated_share: float = Field(default=0.0, ge=0, le=1)
    in_context: bool = False
    before: tuple[float, float] = (0.1, 0.9)
    after: tuple[float, float] = (0.1, 0.5)
    silence_share: float = 0.5
    wide_share: float = Field(default=0.0, ge=0, le=1)
    extra_spans: int = Field(default=4, ge=0)
    jitter: float = 0.0
    speed: tuple[float, ...] = Field(default=(1.0, 1.0), min_length=2)


class Batch(NamedTuple):
    """Crops [b, samples] with spans [n, 3] (crop, first frame, last frame exclusive) of labels [n] and phonemes [n, p].

    `frame_phonemes` [b, frames] is -1 where unknown, 0 in silence."""

    audio: Tensor
    audio_lengths: Tensor
    spans: Tensor
    labels: Tensor
    phonemes: Tensor
    phoneme_lengths: Tensor
    frame_phonemes: Tensor

    def model_inputs(self) -> dict[str, Tensor]:
        """Returns the arguments of the model's forward."""
        return self._asdict()


class ClassSampler:
    """Draws word classes evenly without replacement, and recordings of each; all follows from (seed, step)."""

    def __init__(self, store: Store, config: BatchConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        order = np.argsort(store.items["label"], kind="stable")
        counts = np.bincount(store.items["label"], minlength=len(store.texts))
        self._items = np.split(order, np.cumsum(counts)[:-1])
        self._classes = np.flatnonzero(counts)
        self._repeated = np.flatnonzero(counts > 1)

    def draw(self, step: int) -> tuple[np.ndarray, np.random.Generator]:
        """Returns the item numbers of a step, and the generator for whatever else the step decides by chance.

        A class with too few recordings gives one of them twice: augmentation makes them differ."""
        rng = np.random.default_rng((self.seed, step))
        wanted = min(self.config.classes, len(self._classes))
        repeated = min(round(wanted * self.config.repeated_share), len(self._repeated))
        drawn = rng.choice(self._repeated, repeated, replace=False)
        rest = self._classes if not repeated else np.setdiff1d(self._classes, drawn, assume_unique=True)
        drawn = np.concatenate([drawn, rng.choice(rest, wanted - repeated, replace=False)])
        items = [
            rng.choice(
                self._items[label],
                self.config.utterances_per_class,
                replace=len(self._items[label]) < self.config.utterances_per_class,
            )
            for label in drawn
        ]
        return np.concatenate(items), rng


class _Crop(NamedTuple):
    audio: np.ndarray
    spans: list[tuple[int, int, int]]  # label, start, end in samples of the crop
    phones: np.ndarray  # rows (id, start, end); -1 is an unknown phone; what none covers is silence


class BatchMaker:
    """Makes the batch of any step, whole from (store, configuration, seed, step)."""

    def __init__(self, store: Store, augmenter: Augmenter, config: BatchConfig, seed: int) -> None:
        self.store, self.augmenter, self.config = store, augmenter, config
        self.sampler = ClassSampler(store, config, seed)
        # Items stand in the order of utterances: those of one are a slice.
        self._first = np.searchsorted(store.items["utterance"], np.arange(len(store.utterances) + 1))

    def __call__(self, step: int) -> Batch:
        """Makes the batch of a step."""
        items, rng = self.sampler.draw(step)
        crops = [self._crop(int(item), rng) for item in items]
        if self.config.in_context:
            crops = _join(crops, rng)
        crops = [self._distort(crop, rng) for crop in crops]
        lengths = [len(crop.audio) for crop in crops]
        audio = np.zeros((len(crops), max(lengths)), np.float32)
        phones = np.full((len(crops), num_frames(max(lengths))), -1, np.int64)  # padding counts for nothing
        spans, labels = [], []
        for row, crop in enumerate(crops):
            audio[row, : len(crop.audio)] = crop.audio
            frames = num_frames(len(crop.audio))
            phones[row, :frames] = _frame_phones(crop, frames)
            for label, start, end in crop.spans:
                first, last = span_frames(start, end, frames)
                spans.append((row, first, last))
                labels.append(label)
        said = [self.store.phonemes[label] for label in labels]
        phonemes = np.zeros((len(said), max(map(len, said))), np.int64)
        for row, ids in enumerate(said):
            phonemes[row, : len(ids)] = ids
        arrays = (
            audio,
            np.array(lengths),
            np.array(spans),
            np.array(labels),
            phonemes,
            np.array([len(s) for s in said]),
            phones,
        )
        return Batch(*(torch.from_numpy(np.ascontiguousarray(a)) for a in arrays))

    def _crop(self, item: int, rng: np.random.Generator) -> _Crop:
        c, (utterance, start, end, label, _) = self.config, self.store.items[item].tolist()
        samples, phones = self.store.audio(utterance), self.store.phones(utterance)
        if not c.in_context:
            start, end = self._jittered(start, end, len(samples), rng)
            end = min(max(end, start + FRAME_SAMPLES), len(samples))
            start = max(0, min(start, end - FRAME_SAMPLES))
            audio = _floats(samples[start:end])
            return _Crop(_padded(audio), [(label, 0, end - start)], _placed(phones, -start, len(audio)))
        before, after = (round(rng.uniform(*r) * SAMPLE_RATE) for r in (c.before, c.after))
        if rng.random() < c.silence_share:
            audio = _in_silence(_floats(samples[start:end]), before, after, rng)
            inside = phones[(phones["start"] >= start) & (phones["end"] <= end)]
            wide = bool(c.wide_share) and rng.random() < c.wide_share
            early, late = (round(rng.uniform(0, side)) for side in (before, after)) if wide else (0, 0)
            spans = [(label, before - early, before + end - start + late)]
            spans += self._others(item, start, end, before - start, c.extra_spans // 2, rng)
            crop = _Crop(
                audio,
                spans,
                _placed(inside, before - start, len(audio)) if len(phones) else _placed(phones, 0, len(audio)),
            )
        else:
            first, last = max(0, start - before), min(len(samples), end + after)
            last = min(max(last, first + FRAME_SAMPLES), len(samples))
            spans = [(label, start - first, end - first)]
            spans += self._others(item, first, last, -first, c.extra_spans, rng)
            audio = _padded(_floats(samples[first:last]))
            crop = _Crop(audio, spans, _placed(phones, -first, len(audio)))
        size = len(crop.audio)
        return crop._replace(spans=[(k, *self._jittered(s, e, size, rng)) for k, s, e in crop.spans])

    def _others(
        self, item: int, first: int, last: int, shift: int, most: int, rng: np.random.Generator
    ) -> list[tuple[int, int, int]]:
        """Up to `most` other items of the utterance that lie wholly in [first, last), by chance."""
        utterance = int(self.store.items[item]["utterance"])
        lo, hi = self._first[utterance], self._first[utterance + 1]
        rows = self.store.items[lo:hi]
        fits = np.flatnonzero((rows["start"] >= first) & (rows["end"] <= last))
        fits = fits[fits != item - lo]
        if len(fits) > most:
            fits = rng.choice(fits, most, replace=False)
        return [(int(rows[i]["label"]), int(rows[i]["start"]) + shift, int(rows[i]["end"]) + shift) for i in fits]

    def _jittered(self, start: int, end: int, size: int, rng: np.random.Generator) -> tuple[int, int]:
        if not self.config.jitter:
            return start, end
        # No more than a quarter of the word: a short one must not be jittered away.
        most = min(self.config.jitter * SAMPLE_RATE, (end - start) / 4)
        a, b = rng.uniform(-most, most, 2)
        return max(0, round(start + a)), min(size, round(end + b))

    def _distort(self, crop: _Crop, rng: np.random.Generator) -> _Crop:
        speeds = self.config.speed
        audio, spans, phones = crop.audio, crop.spans, crop.phones
        if max(speeds) > min(speeds):
            rate = rng.uniform(*speeds) if len(speeds) == 2 else float(rng.choice(speeds))
            audio = _padded(soxr.resample(audio, SAMPLE_RATE * rate, SAMPLE_RATE, quality="LQ"))
            spans = [(label, round(s / rate), round(e / rate)) for label, s, e in spans]
            phones = np.column_stack([phones[:, 0], phones[:, 1:] / rate])
        return crop._replace(audio=self.augmenter(audio, rng), spans=spans, phones=phones)


class _Steps(Dataset[Batch]):
    def __init__(self, maker: BatchMaker, start: int, end: int) -> None:
        self.maker, self.start, self.end = maker, start, end

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, index: int) -> Batch:
        return self.maker(self.start + index)


def batches(maker: BatchMaker, start: int, end: int, workers: int = 0) -> Iterator[Batch]:
    """Makes the batches of steps [start, end) in order, ahead of time in `workers` processes (0: here and now).

    The same batches come out whatever the number of workers, and wherever one starts."""
    options: dict[str, Any] = {"prefetch_factor": 4} if workers else {}
    return iter(DataLoader(_Steps(maker, start, end), batch_size=None, num_workers=workers, **options))


def _floats(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / 32768.0


def _padded(audio: np.ndarray) -> np.ndarray:
    return audio if len(audio) >= FRAME_SAMPLES else np.pad(audio, (0, FRAME_SAMPLES - len(audio)))


def _placed(phones: np.ndarray, shift: int, size: int) -> np.ndarray:
    """Phones as rows (id, start, end) in samples of a crop of `size`; without any, the whole crop is unknown."""
    if not len(phones):
        return np.array([(-1, 0, size)], np.int64)
    rows = np.column_stack([phones["id"], phones["start"], phones["end"]]).astype(np.int64) + np.array(
        [0, shift, shift]
    )
    rows[:, 1:] = rows[:, 1:].clip(0, size)
    return rows[rows[:, 2] > rows[:, 1]]


def _join(crops: list[_Crop], rng: np.random.Generator) -> list[_Crop]:
    """Joins crops end to end into rows of at most the longest one's length (first fit, longest first), in random order
    within a row, each at the same loudness."""
    longest = max(len(crop.audio) for crop in crops)
    rows: list[list[_Crop]] = []
    free: list[int] = []
    for crop in sorted(crops, key=lambda crop: -len(crop.audio)):
        row = next((r for r, left in enumerate(free) if left >= len(crop.audio)), -1)
        if row < 0:
            rows.append([])
            free.append(longest)
        rows[row].append(crop)
        free[row] -= len(crop.audio)
    return [_one(row, rng) for row in rows]


def _one(crops: list[_Crop], rng: np.random.Generator) -> _Crop:
    order = [crops[i] for i in rng.permutation(len(crops))]
    starts = np.cumsum([0] + [len(crop.audio) for crop in order])
    audio = [_faded(crop.audio * (0.3 / max(float(np.abs(crop.audio).max()), 1e-3))) for crop in order]
    spans = [(k, s + int(at), e + int(at)) for crop, at in zip(order, starts, strict=False) for k, s, e in crop.spans]
    phones = [crop.phones + np.array([0, at, at]) for crop, at in zip(order, starts, strict=False)]
    return _Crop(np.concatenate(audio), spans, np.concatenate(phones))


def _in_silence(audio: np.ndarray, before: int, after: int, rng: np.random.Generator) -> np.ndarray:
    """Sets audio between stretches of near-silence (sometimes digital zero), its edges faded over 5 ms."""
    audio = _faded(audio)
    out = np.zeros(max(before + len(audio) + after, FRAME_SAMPLES), np.float32)
    if rng.random() < 0.7:
        level = float(np.abs(audio).max()) * 10 ** rng.uniform(-3.5, -1.8)
        out += rng.standard_normal(len(out)).astype(np.float32) * level
    out[before : before + len(audio)] += audio
    return out


def _faded(audio: np.ndarray) -> np.ndarray:
    fade = min(80, len(audio) // 4)
    audio = audio.copy()
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    audio[:fade] *= ramp
    audio[len(audio) - fade :] *= ramp[::-1]
    return audio


def _frame_phones(crop: _Crop, frames: int) -> np.ndarray:
    found = np.zeros(frames, np.int64)
    centre = FRAME_SAMPLES // 2
    for phone, start, end in crop.phones.tolist():
        first = max(0, int(np.ceil((start - centre) / HOP_SAMPLES)))
        last = min(frames, int(np.ceil((end - centre) / HOP_SAMPLES)))
        found[first : max(first, last)] = int(phone)
    return found
