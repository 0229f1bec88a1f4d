"""Spans without a text: what they cover, and which texts they are pushed from; and texts that no span says."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.data.test_batches import IN_CONTEXT, PLAIN, make, rows
from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE
from watchword.data.augment import AugmentConfig, Augmenter
from watchword.data.batches import Batch, BatchMaker
from watchword.data.class_sampler import BatchConfig
from watchword.data.near_texts import NearTexts, changed
from watchword.data.negatives import WITHOUT_STRESS, Negative, part_of, pushed_from, said, straddling
from watchword.data.store import PHONE, Store
from watchword.text.distance import Phrases, edit_distances
from watchword.text.phonemes import encode

ALL: dict[str, Any] = {
    "partial_share": 1.0, "straddle_share": 1.0, "non_speech_share": 0.5, "near_texts": 0.5, "made_up_texts": 0.5
}  # fmt: skip
NEGATIVE = ("negative_spans", "negative_pairs", "extra_phonemes", "extra_lengths")


def phones(text: str, took: int = 1600, first: int = 0) -> np.ndarray:
    """Phones of 100 ms each, one after another."""
    ids = encode(text.split())
    rows = [(number, first + place * took, first + (place + 1) * took) for place, number in enumerate(ids)]
    return np.array(rows, PHONE)


def ids(text: str) -> np.ndarray:
    return np.array(encode(text.split()), np.int64)


def test_a_part_of_a_word_ends_where_a_phone_does_and_is_not_too_much_of_it() -> None:
    word = phones("K AH0 M P Y UW1 T ER0", first=3200)
    start, end = 3200, 3200 + 8 * 1600
    found = set()
    for seed in range(60):
        part = part_of(5, start, end, word, np.random.default_rng(seed))
        assert part is not None
        assert (part.start == start) != (part.end == end)
        assert (part.start - start) % 1600 == (part.end - start) % 1600 == 0
        assert 0.35 <= (part.end - part.start) / (end - start) <= 0.75
        first, last = (part.start - start) // 1600, (part.end - start) // 1600
        assert part.phones == tuple(WITHOUT_STRESS[ids("K AH0 M P Y UW1 T ER0")[first:last]].tolist())
        found.add((first, last))
    assert found == {(0, 3), (0, 4), (0, 5), (0, 6), (2, 8), (3, 8), (4, 8), (5, 8)}


def test_a_word_too_short_for_a_part_gives_none() -> None:
    assert part_of(0, 0, 2400, phones("AH0 V", took=1200), np.random.default_rng(0)) is None
    assert part_of(0, 0, 8000, phones("AA1", took=8000), np.random.default_rng(0)) is None


def test_where_no_phones_are_known_a_part_is_pushed_from_its_word_alone() -> None:
    part = part_of(7, 0, 16000, np.zeros(0, PHONE), np.random.default_rng(0))
    assert part is not None
    assert 0.35 * 16000 <= part.end - part.start <= 0.75 * 16000
    texts = [ids("B IY1")] * 6 + [ids("S IY1"), ids("W ER1 D")]
    assert pushed_from([part], np.array([6, 7, 7]), [ids("D IY1")], texts).tolist() == [[False, True, True, False]]


@pytest.mark.parametrize("before", [True, False])
def test_what_straddles_covers_half_of_the_neighbour_and_of_the_word_or_all_of_it(before: bool) -> None:
    both = phones("T ER1 N IH1 T AO1 N AH1")
    words = [(0, 6400), (6400, 12800)]
    word, neighbour = words if not before else words[::-1]
    found = set()
    for seed in range(40):
        over = straddling(0, word, neighbour, both, np.random.default_rng(seed))
        assert over.start < 6400 < over.end
        found.add((over.start, over.end))
    whole = {(6400 - 3200, 12800)} if before else {(0, 6400 + 3200)}
    assert found == whole | {(3200, 9600)}


def test_a_span_is_not_pushed_from_a_text_that_it_says() -> None:
    texts = [ids("T ER1 N DH AH0 V AA1 L Y UW0 M"), ids("T ER1 N DH AH1"), ids("L AY1 T S"), ids("T ER1 N AH0")]
    part = Negative(0, 0, 8000, said(phones("T ER1 N DH AH0"), 0, 8000))
    noise = Negative(-1, 0, 8000, ())
    extra = [ids("T ER2 N DH IY0"), ids("B ER1 D")]
    # Its own word, what is far; not what it says itself, nor what is one phoneme away.
    wanted = [[True, False, True, False, False, True], [True] * 6]
    assert pushed_from([part, noise], np.arange(4), extra, texts).tolist() == wanted
    assert pushed_from([], np.arange(4), extra, texts).shape == (0, 6)
    # However short it is, a word is told from its own part.
    ace = Negative(0, 0, 1600, said(phones("EY1"), 0, 1600))
    assert pushed_from([ace], np.arange(1), [], [ids("EY1 S")]).tolist() == [[True]]


def without_negatives(batch: Batch) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in batch.model_inputs().items() if name not in NEGATIVE}


def test_texts_and_spans_are_added_and_nothing_else_changes(tone_store: Store) -> None:
    """All but noise leaves the batch as it was: the same words, in the same places."""
    plain = make(tone_store, 2, **IN_CONTEXT)
    more = make(tone_store, 2, **IN_CONTEXT, **(ALL | {"non_speech_share": 0.0}))
    assert without_negatives(plain).keys() == plain.model_inputs().keys()
    for name, tensor in plain.model_inputs().items():
        assert torch.equal(tensor, without_negatives(more)[name]), name
    assert more.negative_spans is not None
    assert more.extra_phonemes is not None
    assert len(more.negative_spans) > 3
    assert len(more.extra_phonemes) > 3


def test_spans_of_no_speech_are_silent_or_noise(tone_store: Store) -> None:
    loud = quiet = 0
    for step in range(6):
        batch = make(tone_store, step, **IN_CONTEXT, silence_share=1.0, extra_spans=0, non_speech_share=0.7)
        assert batch.negative_spans is not None
        assert batch.negative_pairs is not None
        assert bool(batch.negative_pairs.all())
        audio = rows(batch)
        for row, first, last in batch.negative_spans.tolist():
            at = slice(first * HOP_SAMPLES + FRAME_SAMPLES, last * HOP_SAMPLES - HOP_SAMPLES)
            assert (batch.frame_phonemes[row, first + 2 : last - 2] == 0).all()
            # None of the words' tones stands out.
            spectrum = np.abs(np.fft.rfft(audio[row][at]))[round(500 / SAMPLE_RATE * (at.stop - at.start)) :]
            assert spectrum.max() ** 2 <= 0.3 * (spectrum**2).sum()
            loud += bool(np.abs(audio[row][at]).max() > 0.2)
            quiet += bool(np.abs(audio[row][at]).max() < 0.02)
    assert loud > 5
    assert quiet > 5


@pytest.mark.parametrize("in_context", [True, False])
@pytest.mark.parametrize("ranks", [2, 3])
def test_the_negatives_of_all_ranks_are_those_of_the_whole_batch(
    tone_store: Store, ranks: int, in_context: bool
) -> None:
    config = BatchConfig(**{**IN_CONTEXT, **ALL, "in_context": in_context, "jitter": 0.05, "speed": (0.9, 1.1)})
    whole = BatchMaker(tone_store, Augmenter(AugmentConfig()), config, 1)(5)
    shares = [BatchMaker(tone_store, Augmenter(AugmentConfig()), config, 1, rank, ranks)(5) for rank in range(ranks)]
    for name in ("audio", "audio_lengths", "labels", "frame_phonemes", "negative_pairs", "extra_lengths"):
        assert torch.equal(torch.cat([getattr(share, name) for share in shares]), getattr(whole, name)), name
    starts = np.cumsum([0] + [len(share.audio) for share in shares])
    for name in ("spans", "negative_spans"):
        parts = [getattr(share, name) + torch.tensor([s, 0, 0]) for share, s in zip(shares, starts, strict=False)]
        assert torch.equal(torch.cat(parts), getattr(whole, name)), name
    said_by_all = [row[:n].tolist() for s in shares for row, n in extra_texts(s)]
    assert said_by_all == [row[:n].tolist() for row, n in extra_texts(whole)]
    assert len(said_by_all) > ranks
    assert whole.negative_pairs is not None
    assert whole.negative_pairs.shape[1] == len(whole.labels) + len(said_by_all)


def extra_texts(batch: Batch) -> list[tuple[torch.Tensor, torch.Tensor]]:
    assert batch.extra_phonemes is not None
    assert batch.extra_lengths is not None
    return list(zip(batch.extra_phonemes, batch.extra_lengths, strict=True))


TEXTS = [
    ids(text)
    for text in (
        "T ER1 N DH AH0 V AA1 L Y UW0 M AH1 P",
        "T ER1 N DH AH0 V AA1 L Y UW0 M D AW1 N",
        "K AH0 M P Y UW1 T ER0",
        "K AH0 M P Y UW1 T IH0 NG",
        "M Y UW1 T ER0",
        "B AE1 T",
        "P AE2 T",
        "B EH1 T",
        "AE1 N D",
        "IH1 N D",
        "AH0 N D",
        "IH0 N D",
        "OW1 V ER0 K AH1 M",
        "Z IY1 B R AH0",
    )
]


def test_neighbours_begin_alike_end_alike_or_differ_in_a_sound() -> None:
    near = NearTexts(TEXTS)
    assert 1 in near.neighbours(0)
    assert 3 in near.neighbours(2)
    assert 4 in near.neighbours(2)
    assert {6, 7} <= set(near.neighbours(5).tolist())
    assert 13 not in near.neighbours(0)


def test_drawn_texts_sound_like_no_text_of_the_batch_and_come_once() -> None:
    near, labels = NearTexts(TEXTS), np.array([2, 5, 5, 8, 10, 0])
    for seed in range(30):
        rng = np.random.default_rng(seed)
        drawn = near.draw(labels, 4, 4, rng)
        assert 4 <= len(drawn) <= 8
        plain = [WITHOUT_STRESS[x] for x in drawn]
        distances = edit_distances(Phrases.of(plain), Phrases.of([WITHOUT_STRESS[TEXTS[label]] for label in labels]))
        assert (distances > 0).all()
        assert len({x.tobytes() for x in plain}) == len(plain)
        # "and" with another schwa is "and" still.
        assert not any(np.array_equal(x, TEXTS[11]) for x in drawn)
        again = near.draw(labels, 4, 4, np.random.default_rng(seed))
        assert all(np.array_equal(x, y) for x, y in zip(drawn, again, strict=True))


def test_a_pseudo_word_is_one_phoneme_away_and_schwas_are_left_alone() -> None:
    word = encode(["K", "AH0", "M", "P", "Y", "UW1", "T", "ER0"])
    for seed in range(100):
        other = changed(word, np.random.default_rng(seed))
        distance = edit_distances(Phrases.of([np.array(word)]), Phrases.of([np.array(other)]))[0, 0]
        assert distance == 1
        assert [i for i in other if i in encode(["AH0", "ER0"])] == encode(["AH0", "ER0"])
    assert changed(encode(["AH0"]), np.random.default_rng(0)) != encode(["AH0"])


def test_a_store_with_phones_gives_negatives_of_every_kind(tone_store: Store) -> None:
    """Tones have a phone a word, so that only phrases can be cut: every part is a word less of it."""
    cut = 0
    for step in range(5):
        batch = make(tone_store, step, augmenter=PLAIN, partial_share=1.0, silence_share=0.0, **IN_CONTEXT)
        assert batch.negative_spans is not None
        for _, first, last in batch.negative_spans.tolist():
            assert (last - first) * HOP_SAMPLES / SAMPLE_RATE == pytest.approx(0.35, abs=0.08)
            cut += 1
    assert cut > 10
