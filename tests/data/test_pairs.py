"""Other texts beside each clip: unlike in sound, one of them the nearest, the same however a batch is shared out."""

import numpy as np
import pytest
import torch

from watchword.data.augment import AugmentConfig, Augmenter
from watchword.data.batches import BatchMaker
from watchword.data.class_sampler import BatchConfig
from watchword.data.pairs import PairSampler
from watchword.data.store import Store, StoreError
from watchword.text.distance import Phrases, edit_distances

SAID = [[1, 2, 3], [1, 2, 4], [9, 8], [1, 2, 3], [9, 8, 7], [5], [1, 2, 3, 4, 5], [9, 8, 6]]
PHONEMES = [np.array(ids) for ids in SAID]


def test_the_near_text_is_the_nearest_that_sounds_otherwise_and_the_other_one_is_any() -> None:
    sampler, labels = PairSampler(PHONEMES, 1), np.array([0, 0, 1, 2, 3, 4, 6, 7])
    distances = edit_distances(Phrases.of(PHONEMES), Phrases.of(PHONEMES))
    drawn = np.stack([sampler.draw(labels, step) for step in range(200)])
    present = np.unique(labels)
    for row, label in enumerate(labels):
        unlike = [int(other) for other in present if SAID[other] != SAID[label]]
        nearest = distances[label, unlike].min()
        by_chance, near = drawn[:, row, 0], drawn[:, row, 1]
        nearest_ones = {other for other in unlike if distances[label, other] == nearest}
        assert set(near.tolist()) == nearest_ones
        # Two different ones: where one alone is nearest, chance takes another.
        assert set(by_chance.tolist()) == set(unlike) - (nearest_ones if len(nearest_ones) == 1 else set())
        assert (by_chance != near).all()


def test_draws_follow_from_seed_step_and_labels_alone() -> None:
    labels = np.array([0, 1, 2, 4, 5, 6])
    first = PairSampler(PHONEMES, 1).draw(labels, 3)
    assert (PairSampler(PHONEMES, 1).draw(labels, 3) == first).all()
    assert (PairSampler(PHONEMES, 1).draw(labels, 4) != first).any()
    assert (PairSampler(PHONEMES, 2).draw(labels, 3) != first).any()


def test_where_a_batch_has_one_other_text_it_stands_twice_and_where_none_one_from_outside_does() -> None:
    sampler = PairSampler(PHONEMES, 1)
    assert sampler.draw(np.array([5, 2]), 0).tolist() == [[2, 2], [5, 5]]
    alike = sampler.draw(np.array([0, 3]), 0)
    assert alike.tolist() == [[1, 1], [1, 1]]
    with pytest.raises(StoreError, match="sound alike"):
        PairSampler([PHONEMES[0], PHONEMES[3]], 1)


@pytest.mark.parametrize("in_context", [False, True])
def test_the_shares_of_ranks_hold_what_the_whole_batch_holds(in_context: bool, tone_store: Store) -> None:
    config = BatchConfig(classes=7, in_context=in_context, before=(0.05, 0.2), after=(0.05, 0.2))

    def batch(rank: int, ranks: int):
        pairs = PairSampler(tone_store.phonemes, 1)
        maker = BatchMaker(tone_store, Augmenter(AugmentConfig(enabled=False)), config, 1, rank, ranks, pairs)
        return maker(2)

    whole, shares = batch(0, 1).model_inputs(), [batch(rank, 3).model_inputs() for rank in range(3)]
    assert whole["other_labels"].shape == (len(whole["labels"]), 2)
    assert torch.equal(torch.cat([share["other_labels"] for share in shares]), whole["other_labels"])
    for part in (whole, *shares):
        for n in range(len(part["labels"])):
            own = part["phonemes"][n, : part["phoneme_lengths"][n]].tolist()
            others = (part[key][n] for key in ("others", "other_lengths", "other_labels"))
            for ids, length, label in zip(*others, strict=True):
                assert ids[:length].tolist() == tone_store.phonemes[int(label)].tolist() != own
                assert not ids[length:].any()


def test_without_pairs_a_batch_is_as_it_was(tone_store: Store) -> None:
    maker = BatchMaker(tone_store, Augmenter(AugmentConfig(enabled=False)), BatchConfig(classes=4), 1)
    assert maker(0).other_labels is None
    assert "others" not in maker(0).model_inputs()
    pairs = PairSampler(tone_store.phonemes, 1)
    beside = BatchMaker(tone_store, Augmenter(AugmentConfig(enabled=False)), BatchConfig(classes=4), 1, pairs=pairs)
    assert torch.equal(beside(0).audio, maker(0).audio)
    assert torch.equal(beside(0).spans, maker(0).spans)
