"""Verification losses of CMCD and PhonMatchNet: does this audio say this text, and is this its phoneme."""

import torch
from jaxtyping import Bool, Float
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
