"""The triplet losses equal plain loops and, where it has them, the metric-learning library's."""

import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor
from torch.nn import functional

from watchword.loss.triplet import MultiviewTriplet, Triplet

LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 2])


def rows(seed: int) -> Tensor:
    return torch.randn(7, 3, generator=torch.Generator().manual_seed(seed))


def test_equals_loops_and_the_metric_learning_library() -> None:
    audio = rows(0)
    u = functional.normalize(audio.double(), dim=1)
    total = 0.0
    for i in range(7):
        near = max(float(u[i] @ u[k]) for k in range(7) if LABELS[k] != LABELS[i])
        far = min(float(u[i] @ u[j]) for j in range(7) if LABELS[j] == LABELS[i] and j != i)
        total += max(0.0, 0.5 + near - far)
    value = Triplet(0.5)(audio, LABELS).item()
    assert value == pytest.approx(total / 7, rel=1e-5)
    distance = CosineSimilarity()
    oracle = TripletMarginLoss(margin=0.5, distance=distance, reducer=MeanReducer())
    assert value == pytest.approx(
        oracle(audio, LABELS, BatchHardMiner(distance=distance)(audio, LABELS)).item(), rel=1e-5
    )


def test_rows_without_mates_do_not_count() -> None:
    audio = rows(0)
    with_single = Triplet(0.5)(torch.cat([audio, -audio[:1]]), torch.cat([LABELS, torch.tensor([9])]))
    u = functional.normalize(torch.cat([audio, -audio[:1]]), dim=1)
    assert with_single.item() >= Triplet(0.5)(audio, LABELS).item()
    assert u.shape == (8, 3)
    for labels in (torch.arange(7), torch.zeros(7, dtype=torch.int64)):
        lonely = rows(1).requires_grad_()
        value = Triplet(0.5)(lonely, labels)
        value.backward()
        assert value.item() == 0
        assert lonely.grad.abs().sum() == 0


@pytest.mark.parametrize("hardest", [1, 2, 16])
def test_multiview_equals_loops(hardest: int) -> None:
    audio, words = rows(2), rows(3)[:3]
    u, w = functional.normalize(audio.double(), dim=1), functional.normalize(words.double(), dim=1)
    count, total = min(hardest, 2), 0.0
    for i, y in enumerate(LABELS.tolist()):
        own = float(u[i] @ w[y])
        others = [c for c in range(3) if c != y]
        words_for_row = [float(u[i] @ w[c]) for c in others if u[i] @ w[c] <= own]
        words_for_word = [float(w[y] @ w[c]) for c in others]
        # An utterance counts where it is no nearer to this word than to its own.
        audio_for_word = [float(w[y] @ u[k]) for k in range(7) if LABELS[k] != y and w[y] @ u[k] <= w[LABELS[k]] @ u[k]]
        for values in (words_for_row, words_for_word, audio_for_word):
            total += sum(max(0.0, 0.5 + value - own) for value in sorted(values)[::-1][:count])
    loss = MultiviewTriplet(0.5, hardest)
    assert loss(audio, words[LABELS], LABELS).item() == pytest.approx(total / (7 * count), rel=1e-5)


def test_multiview_narrows_and_survives_one_word() -> None:
    loss = MultiviewTriplet()
    loss.set_progress(0.5)
    assert loss.hardest == 12
    loss.set_progress(1.0)
    assert loss.hardest == 8
    audio = rows(0).requires_grad_()
    value = loss(audio, rows(1)[:1].expand(7, 3), torch.zeros(7, dtype=torch.int64))
    value.backward()
    assert value.item() == 0
    assert audio.grad.isfinite().all()
