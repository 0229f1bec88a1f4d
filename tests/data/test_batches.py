"""Batches: what follows from (seed, step), where the spans are, what surrounds them, and how often each class comes."""

from typing import Any

import numpy as np
import pytest
import torch

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE, num_frames
from watchword.data.augment import AugmentConfig, Augmenter
from watchword.data.batches import Batch, BatchMaker, batches, share_of_rows
from watchword.data.class_sampler import BatchConfig, BatchError, ClassSampler
from watchword.data.store import Store
from watchword.text.phonemes import encode

PLAIN = Augmenter(AugmentConfig(enabled=False))
IN_CONTEXT: dict[str, Any] = {"classes": 8, "in_context": True, "before": (0.1, 0.4), "after": (0.1, 0.4)}
CENTRE = FRAME_SAMPLES // 2


def make(store: Store, step: int = 0, seed: int = 1, augmenter: Augmenter = PLAIN, **config: Any) -> Batch:
    return BatchMaker(store, augmenter, BatchConfig(**config), seed)(step)


def rows(batch: Batch) -> list[np.ndarray]:
    return [audio[:n].numpy() for audio, n in zip(batch.audio, batch.audio_lengths.tolist(), strict=True)]


def spans(batch: Batch) -> list[tuple[int, int, int, int]]:
    """(row, first sample, last sample, label): samples from the first frame's centre to that of the frame after."""
    return [
        (row, first * HOP_SAMPLES + CENTRE, last * HOP_SAMPLES + CENTRE, label)
        for (row, first, last), label in zip(batch.spans.tolist(), batch.labels.tolist(), strict=True)
    ]


def pitch(samples: np.ndarray) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 15))
    return float(spectrum.argmax()) * SAMPLE_RATE / (1 << 15)


def equal(one: Batch, other: Batch) -> bool:
    mine, theirs = one.model_inputs(), other.model_inputs()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_a_batch_follows_from_seed_and_step(tone_store: Store) -> None:
    config = {**IN_CONTEXT, "jitter": 0.05, "speed": (0.9, 1.1)}
    loud = Augmenter(AugmentConfig())
    first = make(tone_store, 3, augmenter=loud, **config)
    assert equal(first, make(tone_store, 3, augmenter=loud, **config))
    assert not equal(first, make(tone_store, 4, augmenter=loud, **config))
    assert not equal(first, make(tone_store, 3, seed=2, augmenter=loud, **config))


def test_batches_come_in_order_wherever_one_starts(tone_store: Store) -> None:
    maker = BatchMaker(tone_store, PLAIN, BatchConfig(**IN_CONTEXT), 1)
    found = list(batches(maker, 2, 5))
    assert len(found) == 3
    assert all(equal(batch, maker(step)) for batch, step in zip(found, (2, 3, 4), strict=True))


@pytest.mark.parametrize("in_context", [True, False])
@pytest.mark.parametrize("ranks", [2, 3])
def test_the_shares_of_all_ranks_are_the_whole_batch(tone_store: Store, ranks: int, in_context: bool) -> None:
    config = BatchConfig(**{**IN_CONTEXT, "in_context": in_context, "jitter": 0.05, "speed": (0.9, 1.1)})
    whole = BatchMaker(tone_store, Augmenter(AugmentConfig()), config, 1)(5)
    shares = [BatchMaker(tone_store, Augmenter(AugmentConfig()), config, 1, rank, ranks)(5) for rank in range(ranks)]
    for field in ("audio", "audio_lengths", "labels", "phoneme_lengths", "frame_phonemes"):
        assert torch.equal(torch.cat([getattr(share, field) for share in shares]), getattr(whole, field)), field
    starts = np.cumsum([0] + [len(share.audio) for share in shares])
    moved = [share.spans + torch.tensor([start, 0, 0]) for share, start in zip(shares, starts, strict=False)]
    assert torch.equal(torch.cat(moved), whole.spans)
    ids = [row[:n] for share in shares for row, n in zip(share.phonemes, share.phoneme_lengths, strict=True)]
    assert all(torch.equal(row, ours[: len(row)]) for row, ours in zip(ids, whole.phonemes, strict=True))
    lengths = [int(share.audio_lengths.sum()) for share in shares]
    assert max(lengths) - min(lengths) <= 2 * int(whole.audio_lengths.max())


def test_rows_are_dealt_evenly_and_to_everyone() -> None:
    rng = np.random.default_rng(0)
    for ranks in range(1, 9):
        sizes = rng.integers(1, 100, 40).tolist()
        cuts = [share_of_rows(sizes, rank, ranks) for rank in range(ranks)]
        assert [cut.start for cut in cuts] + [40] == [0] + [cut.stop for cut in cuts]
        shares = [sum(sizes[cut]) for cut in cuts]
        assert max(abs(share - sum(sizes) / ranks) for share in shares) <= max(sizes)
    assert [share_of_rows([1, 1000, 1], rank, 3) for rank in range(3)] == [slice(0, 1), slice(1, 2), slice(2, 3)]
    with pytest.raises(BatchError, match="2 rows for 3 ranks"):
        share_of_rows([1, 1], 0, 3)


def test_without_context_a_crop_is_the_word_and_nothing_else(tone_store: Store, tones_hz: dict[str, int]) -> None:
    batch = make(tone_store, classes=20, in_context=False)
    assert len(batch.spans) == len(batch.audio) == 40
    for audio, (row, first, last), label in zip(rows(batch), batch.spans.tolist(), batch.labels.tolist(), strict=True):
        words = tone_store.texts[label].split()
        assert len(audio) == round((0.3 * len(words) + 0.1 * (len(words) - 1)) * SAMPLE_RATE)
        assert (first, last) == (0, num_frames(len(audio)))
        for word, part in zip(words, (audio[:4800], audio[-4800:]), strict=False):
            assert pitch(part) == pytest.approx(tones_hz[word], abs=5)
        assert 0 <= row < len(batch.audio)


@pytest.mark.parametrize("silence_share", [0.0, 0.5, 1.0])
def test_every_span_points_at_its_words(tone_store: Store, tones_hz: dict[str, int], silence_share: float) -> None:
    for step in range(4):
        batch = make(tone_store, step, silence_share=silence_share, extra_spans=4, **IN_CONTEXT)
        audio = rows(batch)
        for row, first, last, label in spans(batch):
            words = tone_store.texts[label].split()
            assert last - first == pytest.approx((0.4 * len(words) - 0.1) * SAMPLE_RATE, abs=HOP_SAMPLES)
            for number, word in enumerate(words):
                at = first + round(0.4 * number * SAMPLE_RATE)
                assert pitch(audio[row][at + 400 : at + 4400]) == pytest.approx(tones_hz[word], abs=5)
                # The word starts at the first frame's centre, or less than a hop before it.
                assert np.abs(audio[row][at + 80 : at + 400]).max() > 0.1
                assert np.abs(audio[row][max(0, at - 400) : at - HOP_SAMPLES]).max(initial=0) < 0.03


def test_speed_moves_spans_and_phones_along(tone_store: Store, tones_hz: dict[str, int]) -> None:
    rate = 0.8
    batch = make(tone_store, speed=(rate, rate + 1e-6), extra_spans=2, **IN_CONTEXT)
    audio, vowel = rows(batch), encode(["AA1"])[0]
    for row, first, last, label in spans(batch):
        words = tone_store.texts[label].split()
        assert last - first == pytest.approx((0.4 * len(words) - 0.1) / rate * SAMPLE_RATE, abs=2 * HOP_SAMPLES)
        assert pitch(audio[row][first + 400 : first + 5000]) == pytest.approx(tones_hz[words[0]] * rate, abs=8)
        inside = batch.frame_phonemes[row, first // HOP_SAMPLES + 2 : first // HOP_SAMPLES + 25]
        assert (inside == vowel).all()


def test_three_speeds_or_more_are_chosen_from(tone_store: Store, tones_hz: dict[str, int]) -> None:
    heard = set()
    for step in range(4):
        batch = make(tone_store, step, speed=(0.8, 1.0, 1.25), **IN_CONTEXT)
        audio = rows(batch)
        for row, first, _, label in spans(batch):
            true = tones_hz[tone_store.texts[label].split()[0]]
            heard.add(round(pitch(audio[row][first + 400 : first + 3000]) / true / 0.05) * 5)
    assert heard == {80, 100, 125}


def test_what_is_past_a_rows_end_is_padding(tone_store: Store) -> None:
    batch = make(tone_store, augmenter=Augmenter(AugmentConfig(noise=1.0)), **IN_CONTEXT)
    assert len(set(batch.audio_lengths.tolist())) > 1
    assert int(batch.audio_lengths.max()) == batch.audio.shape[1]
    for row, length in enumerate(batch.audio_lengths.tolist()):
        assert batch.audio[row, length:].abs().sum() == 0
        assert (batch.frame_phonemes[row, num_frames(length) :] == -1).all()
        assert (batch.frame_phonemes[row, : num_frames(length)] >= 0).all()
    for row, _, last in batch.spans.tolist():
        assert last <= num_frames(int(batch.audio_lengths[row]))


def test_texts_are_given_as_their_phonemes(tone_store: Store) -> None:
    batch = make(tone_store, **IN_CONTEXT)
    for label, ids, length in zip(batch.labels.tolist(), batch.phonemes, batch.phoneme_lengths.tolist(), strict=True):
        assert ids[:length].tolist() == tone_store.phonemes[label].tolist()
        assert ids[length:].sum() == 0
        assert (ids[:length] > 0).all()


def test_frames_are_labelled_with_the_phone_at_their_centre(tone_store: Store) -> None:
    batch = make(tone_store, silence_share=0.0, **IN_CONTEXT)
    vowel = encode(["AA1"])[0]
    for row, audio in enumerate(rows(batch)):
        for frame in range(num_frames(len(audio))):
            centre = frame * HOP_SAMPLES + CENTRE
            loud = bool(np.abs(audio[centre - 4 : centre + 4]).max() > 0.01)
            near_a_border = bool(np.abs(audio[centre - 160 : centre + 160]).min() == 0) and loud
            if (not near_a_border and np.abs(audio[centre - 80 : centre + 80]).max() > 0.05) or not loud:
                assert int(batch.frame_phonemes[row, frame]) == (vowel if loud else 0), (row, frame)


def share_outside(batch: Batch) -> float:
    """The share of loud 10 ms pieces that no span covers."""
    loud = covered = 0
    found = spans(batch)
    for row, audio in enumerate(rows(batch)):
        for at in range(0, len(audio) - 160, 160):
            if np.abs(audio[at : at + 160]).max() > 0.1:
                loud += 1
                covered += any(r == row and first - 240 <= at < last + 240 for r, first, last, _ in found)
    return 1 - covered / loud


def test_silence_share_sets_words_alone(tone_store: Store) -> None:
    shares = [share_outside(make(tone_store, silence_share=s, extra_spans=0, **IN_CONTEXT)) for s in (0.0, 0.5, 1.0)]
    assert shares[0] > 0.25
    assert shares[0] > shares[1] > shares[2]
    assert shares[2] < 0.01


def test_extra_spans_are_as_many_as_asked_at_most(tone_store: Store) -> None:
    config = {**IN_CONTEXT, "silence_share": 0.0}
    none, some = (make(tone_store, extra_spans=n, **config) for n in (0, 2))
    assert len(none.spans) == 16
    assert 16 < len(some.spans) <= 16 * 3
    assert len({tuple(span) for span in none.spans.tolist()}) == 16


@pytest.mark.parametrize("jitter", [0.03, 0.2])
def test_jitter_moves_borders_by_no_more_than_it_says_or_a_quarter_of_the_word(
    tone_store: Store, jitter: float
) -> None:
    moved = []
    for step in range(6):
        batch = make(tone_store, step, classes=12, in_context=False, jitter=jitter)
        for audio, label in zip(rows(batch), batch.labels.tolist(), strict=True):
            word = 0.4 * len(tone_store.texts[label].split()) - 0.1
            most = min(jitter, word / 4)
            moved.append((len(audio) / SAMPLE_RATE - word) / (2 * most))
    assert max(np.abs(moved)) <= 1 + 1e-3
    assert max(np.abs(moved)) > 0.5
    assert np.mean(moved) == pytest.approx(0.0, abs=0.15)


def test_classes_are_drawn_evenly_without_replacement(tone_store: Store) -> None:
    sampler = ClassSampler(tone_store, BatchConfig(classes=10), 1)
    seen = np.zeros(len(tone_store.texts))
    for step in range(400):
        items, _ = sampler.draw(step)
        labels = tone_store.items["label"][items].reshape(10, 2)
        assert (labels[:, 0] == labels[:, 1]).all()
        assert len(set(labels[:, 0].tolist())) == 10
        seen[labels[:, 0]] += 1
    expected = 400 * 10 / len(seen)
    assert np.abs(seen - expected).max() < 5 * np.sqrt(expected)


def test_recordings_of_a_class_differ_where_it_has_two(tone_store: Store) -> None:
    counts = np.bincount(tone_store.items["label"])
    items, _ = ClassSampler(tone_store, BatchConfig(classes=250), 1).draw(0)
    assert len(items) == 2 * len(counts)
    assert (counts == 1).any()
    for one, other in items.reshape(-1, 2):
        assert (one != other) == (counts[tone_store.items["label"][one]] > 1)


def test_repeated_share_prefers_classes_with_two_recordings(tone_store: Store) -> None:
    counts = np.bincount(tone_store.items["label"])
    means = []
    for share, least in ((1.0, 8), (0.5, 4), (0.0, 0)):
        sampler = ClassSampler(tone_store, BatchConfig(classes=8, repeated_share=share), 1)
        repeated = [
            int((counts[tone_store.items["label"][sampler.draw(step)[0][::2]]] > 1).sum()) for step in range(50)
        ]
        assert min(repeated) >= least
        means.append(np.mean(repeated))
    assert means[0] == 8 > means[1] > means[2]
    assert means[2] == pytest.approx(8 * (counts > 1).mean(), abs=1.0)


def test_rows_of_several_words_hold_little_padding(tone_store: Store) -> None:
    batch = make(tone_store, **{**IN_CONTEXT, "classes": 20})
    assert len(batch.audio) < len(batch.spans)
    assert float(batch.audio_lengths.sum()) / batch.audio.numel() > 0.75
