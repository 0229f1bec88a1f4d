"""The verification losses and the frame loss equal plain loops."""

import math

import pytest
import torch

from watchword.loss.frame import FramePhonemes
from watchword.loss.verification import MatchCrossEntropy


@pytest.mark.parametrize("positive_weight", [1.0, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_match_equals_loops(positive_weight: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([0.5, -2.0, 3.0, 40.0, -40.0], dtype=dtype).requires_grad_()
    is_match = torch.tensor([True, False, False, True, True])
    total, weights = 0.0, 0.0
    for logit, match in zip(logits.tolist(), is_match.tolist(), strict=True):
        weight = positive_weight if match else 1.0
        total += weight * math.log(1 + math.exp(-logit if match else logit))
        weights += weight
    value = MatchCrossEntropy(positive_weight)(logits, is_match)
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(total / weights, rel=1e-6)
    assert logits.grad.isfinite().all()


def test_match_of_nothing_is_zero() -> None:
    assert MatchCrossEntropy()(torch.zeros(0), torch.zeros(0, dtype=torch.bool)).item() == 0


def test_frame_loss_equals_loops_over_known_frames() -> None:
    logits = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets = torch.tensor([[1, -1, 0, 5, 2], [-1, -1, 3, -1, 4]])  # a frame more than the logits have
    terms = []
    for crop, frame in ((0, 0), (0, 2), (0, 3), (1, 2)):
        row = logits[crop, frame].double()
        terms.append(-torch.log(torch.exp(row[targets[crop, frame]]) / torch.exp(row).sum()).item())
    value = FramePhonemes()(logits, targets)
    assert value.item() == pytest.approx(sum(terms) / 4, rel=1e-5)
    value.backward()
    assert logits.grad[1, :2].abs().sum() == 0
    unknown = FramePhonemes()(logits.bfloat16(), torch.full((2, 4), -1))
    assert unknown.dtype == torch.float32
    assert unknown.item() == 0
