"""Verification losses of CMCD and PhonMatchNet: does this audio say this text, and is this its phoneme."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from watchword.loss.precision import in_float32


class MatchCrossEntropy(nn.Module):
    """Binary cross-entropy of match logits, for utterances (CMCD, Shin et al. 2022) and for phonemes flattened to rows
    (PhonMatchNet, Lee & Cho 2023).

    Formula: Σ_i c_i log[1 + e^{∓logit_i}] / Σ_i c_i, minus for matches; c_i is `positive_weight` for matches, else 1.

    Args:
        positive_weight: 2 balances one match against two others.

    >>> round(MatchCrossEntropy(positive_weight=2.0)(torch.tensor([0.0, 1.0]), torch.tensor([True, False])).item(), 4)
    0.8999
    """

    def __init__(self, positive_weight: float = 1.0) -> None:
        super().__init__()
        self.positive_weight = positive_weight

    @in_float32
    def forward(self, logits: Float[Tensor, " row"], is_match: Bool[Tensor, " row"]) -> Float[Tensor, ""]:
        """Computes the loss of logits; no rows give 0."""
        weights = 1.0 + (self.positive_weight - 1.0) * is_match
        costs = functional.softplus(torch.where(is_match, -logits, logits))
        return (costs * weights).sum() / weights.sum().clamp_min(1e-6)


def same_phonemes(
    spoken: Int[Tensor, "pair spoken"], asked: Int[Tensor, "pair asked"], asked_lengths: Int[Tensor, " pair"]
) -> tuple[Bool[Tensor, " phoneme"], Bool[Tensor, "pair asked"]]:
    """Tells for each asked-for phoneme whether the spoken one at its place is equal (no alignment), rows flattened;
    also returns the mask of real places, with which to flatten the logits. Lee & Cho 2023. Padding is 0.

    >>> same_phonemes(torch.tensor([[5, 6]]), torch.tensor([[5, 7, 8, 0]]), torch.tensor([3]))[0]
    tensor([ True, False, False])
    """
    width = asked.shape[1]
    padded = functional.pad(spoken, (0, max(0, width - spoken.shape[1])))[:, :width]
    mask = torch.arange(width, device=asked.device)[None] < asked_lengths[:, None]
    return (padded == asked)[mask], mask
