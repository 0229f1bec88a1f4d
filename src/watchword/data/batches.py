"""Batches: word classes drawn evenly, their recordings cropped with real surroundings or set in silence, distorted."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from watchword.audio import FRAME_SAMPLES, SAMPLE_RATE, num_frames, span_frames
from watchword.data.augment import Augmenter
from watchword.data.class_sampler import BatchConfig, BatchError, ClassSampler
from watchword.data.crops import NO_UTTERANCE, Crop, Row, join
from watchword.data.near_texts import NearTexts
from watchword.data.negatives import Negative, part_of, pushed_from, straddling
from watchword.data.pairs import PairSampler
from watchword.data.store import Store
from watchword.data.teaching import Teaching

_ROWS = 1
"""A stream of chance for each row, (seed, step, 1, row), beside the draw's own, (seed, step)."""
_NEGATIVES = 2
"""One for all that carries no text, (seed, step, 2): with it and without it a step draws the same words."""
_NON_SPEECH_SECONDS = (0.3, 1.0)
_LEAST_SILENCE = SAMPLE_RATE // 5
_LONGEST_GAP = SAMPLE_RATE * 3 // 10


class Batch(NamedTuple):
    """Crops [b, samples] with spans [n, 3] (crop, first frame, last frame exclusive) of labels [n] and phonemes [n, p].

    `frame_phonemes` [b, frames] is -1 where unknown, 0 in silence. For models that compare pairs each span comes with
    other texts: `other_labels` [n, 2], `others` [n, 2, p] and `other_lengths` [n, 2]. Where the recipe asks for
    negatives there are `negative_spans` [m, 3] without a text, `extra_phonemes` [k, q] of texts without a span, and
    `negative_pairs` [m, n + k]: which texts of the whole batch, then extra ones, each such span is pushed from. `clean`
    is the audio as it was before distortion, for a teacher; `teaching` [k, dim] is what another one said of it, in 8
    bits, and `teaching_places` [k, 2] the row and frame of each."""

    audio: Tensor
    audio_lengths: Tensor
    spans: Tensor
    labels: Tensor
    phonemes: Tensor
    phoneme_lengths: Tensor
    frame_phonemes: Tensor
    other_labels: Tensor | None = None
    others: Tensor | None = None
    other_lengths: Tensor | None = None
    negative_spans: Tensor | None = None
    negative_pairs: Tensor | None = None
    extra_phonemes: Tensor | None = None
    extra_lengths: Tensor | None = None
    clean: Tensor | None = None
    teaching: Tensor | None = None
    teaching_places: Tensor | None = None

    def model_inputs(self) -> dict[str, Tensor]:
        """Returns the arguments of the model's forward."""
        return {name: tensor for name, tensor in self._asdict().items() if tensor is not None}

    def to(self, device: torch.device) -> "Batch":
        """Returns the batch on a device; itself where it is there."""
        return Batch(**{name: tensor.to(device, non_blocking=True) for name, tensor in self.model_inputs().items()})


class BatchMaker:
    """Makes the batch of any step, whole from (store, configuration, seed, step), or one rank's share of it.

    Every rank draws all of the batch and reads and distorts only its own rows, each with a generator of its own: the
    shares of any number of ranks, one after another, are the whole batch. `pairs` puts other texts beside each span;
    with `keeps_clean` the batch has the audio before distortion, too, and with `teaching` what was heard in it."""

    def __init__(
        self,
        store: Store,
        augmenter: Augmenter,
        config: BatchConfig,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        pairs: PairSampler | None = None,
        teaching: Teaching | None = None,
    ) -> None:
        self.store, self.augmenter, self.config, self.seed = store, augmenter, config, seed
        self.rank, self.ranks, self.pairs, self.keeps_clean = rank, ranks, pairs, False
        self.teaching = teaching
        self.sampler = ClassSampler(store, config, seed)
        self.near_texts = NearTexts(store.phonemes)
        # Items stand in the order of utterances: those of one are a slice.
        self._first = np.searchsorted(store.items["utterance"], np.arange(len(store.utterances) + 1))

    def __call__(self, step: int) -> Batch:
        """Makes the batch of a step. Raises BatchError where it has fewer rows than there are ranks."""
        rows = self.draw(step)
        own = share_of_rows([row.size for row in rows], self.rank, self.ranks)
        # Norms see padding: every rank pads to the longest row of the whole batch, as one process would.
        longest = max(row.size for row in rows)
        audio = np.zeros((own.stop - own.start, longest), np.float32)
        phones = np.full((len(audio), num_frames(longest)), -1, np.int64)  # padding counts for nothing
        clean = np.zeros_like(audio) if self.keeps_clean else None
        spans, labels = [], []
        for place, number in enumerate(range(own.start, own.stop)):
            row, frames = rows[number], num_frames(rows[number].size)
            rng = np.random.default_rng((self.seed, step, _ROWS, number))
            sound = self.augmenter.non_speech if self.config.non_speech_share else None
            plain = row.audio(self.store, rng, sound)
            if clean is not None:
                clean[place, : row.size] = plain
            audio[place, : row.size] = self.augmenter(plain, rng)
            phones[place, :frames] = row.frame_phones(self.store, frames)
            for label, start, end in row.spans:
                spans.append((place, *span_frames(start, end, frames)))
                labels.append(label)
        arrays = {
            "audio": audio,
            "audio_lengths": np.array([row.size for row in rows[own]]),
            "spans": np.array(spans),
            "labels": np.array(labels),
            "frame_phonemes": phones,
        }
        arrays |= self._texts(arrays["labels"], "phonemes", "phoneme_lengths")
        if clean is not None:
            arrays["clean"] = clean
        if self.teaching is not None:
            heard = self.teaching.of([row.sources(num_frames(row.size)) for row in rows[own]])
            arrays |= dict(zip(("teaching", "teaching_places"), heard, strict=True))
        whole = np.array([label for row in rows for label, _, _ in row.spans])
        if self.pairs:
            counts = np.cumsum([0, *(len(row.spans) for row in rows)])
            others = self.pairs.draw(whole, step)[counts[own.start] : counts[own.stop]]
            arrays |= {"other_labels": others, **self._texts(others, "others", "other_lengths")}
        if self.config.has_negatives:
            arrays |= self._negatives(rows[own], whole, step)
        return Batch(**{name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()})

    def draw(self, step: int) -> list[Row]:
        """Decides on all rows of a step's batch, reading none; alike on every rank."""
        items, rng = self.sampler.draw(step)
        crops = [self._crop(int(item), rng) for item in items]
        if self.config.has_negatives:
            crops = self._with_negatives(items, crops, np.random.default_rng((self.seed, step, _NEGATIVES)))
        rows = join(crops, rng) if self.config.in_context else [Row([crop], joined=False) for crop in crops]
        # Noise that found no place beside words: a rank needs a word in each of its rows.
        rows = [row for row in rows if row.spans]
        speeds = self.config.speed
        if max(speeds) > min(speeds):
            drawn = rng.uniform(*speeds, len(rows)) if len(speeds) == 2 else rng.choice(speeds, len(rows))
            rows = [row._replace(rate=float(rate)) for row, rate in zip(rows, drawn, strict=True)]
        return rows

    def _texts(self, labels: np.ndarray, name: str, lengths: str) -> dict[str, np.ndarray]:
        """The phoneme ids of labels [...], padded with 0 to [..., p], and their numbers [...]."""
        phonemes, sizes = _padded([self.store.phonemes[label] for label in labels.reshape(-1)])
        return {name: phonemes.reshape(*labels.shape, -1), lengths: sizes.reshape(labels.shape)}

    def _with_negatives(self, items: np.ndarray, crops: list[Crop], rng: np.random.Generator) -> list[Crop]:
        """Puts spans without a text into crops, and adds crops that hold no speech at all."""
        c = self.config
        found = [
            crop._replace(negatives=self._negatives_of(int(item), crop, rng))
            for item, crop in zip(items, crops, strict=True)
        ]
        for _ in range(round(c.non_speech_share * len(crops)) if c.in_context else 0):
            size = round(rng.uniform(*_NON_SPEECH_SECONDS) * SAMPLE_RATE)
            found.append(Crop(NO_UTTERANCE, 0, size, [], negatives=[Negative(-1, 0, size, ())]))
        return found

    def _negatives_of(self, item: int, crop: Crop, rng: np.random.Generator) -> list[Negative]:
        c, (utterance, start, end, label, _) = self.config, self.store.items[item].tolist()
        phones, shift, found = self.store.phones(utterance), crop.before - crop.first, []
        if rng.random() < c.partial_share and (part := part_of(label, start, end, phones, rng)):
            found.append(part.moved(shift))
        if not crop.alone and rng.random() < c.straddle_share:
            words = self._neighbours(utterance, start, end)
            if words:
                word = words[int(rng.integers(len(words)))]
                over = straddling(label, (start, end), word, phones, rng).moved(shift)
                found += [over] if over.start >= 0 and over.end <= crop.size else []
        if crop.alone and rng.random() < c.non_speech_share:
            taken = [(first, last) for _, first, last in crop.spans]
            first, last = min(f for f, _ in taken), max(e for _, e in taken)
            start, end = (0, first) if first >= crop.size - last else (last, crop.size)
            found += [Negative(-1, start, end, ())] if end - start >= _LEAST_SILENCE else []
        return found

    def _neighbours(self, utterance: int, start: int, end: int) -> list[tuple[int, int]]:
        """The words right before and right after [start, end), where no pause lies between."""
        rows = self.store.items[self._first[utterance] : self._first[utterance + 1]]
        words = [(s, e) for _, s, e, _, count in rows.tolist() if count == 1]
        before = [word for word in words if 0 <= start - word[1] <= _LONGEST_GAP]
        after = [word for word in words if 0 <= word[0] - end <= _LONGEST_GAP]
        return [*before[-1:], *after[:1]]

    def _negatives(self, rows: Sequence[Row], whole: np.ndarray, step: int) -> dict[str, np.ndarray]:
        """One rank's spans without a text and its share of texts without a span; `whole` has all labels [n]."""
        rng = np.random.default_rng((self.seed, step, _NEGATIVES, 1))
        count = len(np.unique(whole))
        near, made_up = (round(share * count) for share in (self.config.near_texts, self.config.made_up_texts))
        extra = self.near_texts.draw(whole, near, made_up, rng) if near + made_up else []
        negatives, spans = [], []
        for place, row in enumerate(rows):
            frames = num_frames(row.size)
            negatives += row.negatives
            spans += [(place, *span_frames(negative.start, negative.end, frames)) for negative in row.negatives]
        cuts = [len(extra) * rank // self.ranks for rank in (self.rank, self.rank + 1)]
        phonemes, lengths = _padded(extra[slice(*cuts)])
        return {
            "negative_spans": np.array(spans, np.int64).reshape(-1, 3),
            "negative_pairs": pushed_from(negatives, whole, extra, self.store.phonemes),
            "extra_phonemes": phonemes,
            "extra_lengths": lengths,
        }

    def _crop(self, item: int, rng: np.random.Generator) -> Crop:
        c, (utterance, start, end, label, _) = self.config, self.store.items[item].tolist()
        size = len(self.store.audio(utterance))
        if not c.in_context:
            start, end = self._jittered(start, end, size, rng)
            end = min(max(end, start + FRAME_SAMPLES), size)
            start = max(0, min(start, end - FRAME_SAMPLES))
            return Crop(utterance, start, end, [(label, 0, end - start)])
        before, after = (round(rng.uniform(*r) * SAMPLE_RATE) for r in (c.before, c.after))
        if rng.random() < c.silence_share:
            wide = bool(c.wide_share) and rng.random() < c.wide_share
            early, late = (round(rng.uniform(0, side)) for side in (before, after)) if wide else (0, 0)
            spans = [(label, before - early, before + end - start + late)]
            spans += self._others(item, start, end, before - start, c.extra_spans // 2, rng)
            crop = Crop(utterance, start, end, spans, alone=True, before=before, after=after)
        else:
            first, last = max(0, start - before), min(size, end + after)
            last = min(max(last, first + FRAME_SAMPLES), size)
            spans = [(label, start - first, end - first)]
            spans += self._others(item, first, last, -first, c.extra_spans, rng)
            crop = Crop(utterance, first, last, spans)
        return crop._replace(spans=[(k, *self._jittered(s, e, crop.size, rng)) for k, s, e in crop.spans])

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


def _padded(said: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of ids as rows, padded with 0 to [n, p], and their lengths [n]."""
    phonemes = np.zeros((len(said), max(map(len, said), default=1)), np.int64)
    for row, ids in enumerate(said):
        phonemes[row, : len(ids)] = ids
    return phonemes, np.array([len(ids) for ids in said], np.int64)


def share_of_rows(sizes: Sequence[int], rank: int, ranks: int) -> slice:
    """Returns one rank's rows: consecutive, about as many samples as every other rank has, and at least one row.

    >>> [share_of_rows([9, 1, 1, 1, 4, 4], rank, 2) for rank in range(2)]
    [slice(0, 2, None), slice(2, 6, None)]
    """
    if len(sizes) < ranks:
        raise BatchError(f"batch: {len(sizes)} rows for {ranks} ranks; raise batch.classes or start fewer ranks")
    numbers, ends = np.arange(ranks + 1), np.cumsum(sizes)
    cuts = np.searchsorted(ends - np.asarray(sizes) / 2, ends[-1] * numbers / ranks)
    # None may go without: at least one more row than the rank before, and one left for each after.
    cuts = np.maximum.accumulate(cuts - numbers).clip(0, len(sizes) - ranks) + numbers
    return slice(int(cuts[rank]), int(cuts[rank + 1]))


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
