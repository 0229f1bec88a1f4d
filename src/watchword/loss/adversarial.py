"""Modality adversarial learning: a classifier tells audio from text, and gradient reversal teaches the encoders to fool it."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Returns x; its gradient comes back times −strength. Ganin & Lempitsky 2015."""
    return _Reverse.apply(x, strength)  # type: ignore[no-any-return]


class ModalityAdversary(nn.Module):
    """L_adv, Eq. 4: −(1/N) Σ_{m∈{audio,text}} Σ_i log M(E_m,i)[m]; chance is 2 ln 2 a level. One classifier serves both levels.

    The classifier gets the full gradient, the encoders −λ_adv ρ times it (Eq. 5), ρ rising over the first tenth of training.

    Args:
        strength: lambda_adv. ramp: "rising", or "none" as the paper states it.
        normalise: scale rows to length √d first; else M wins by norms, which cosine scores never see.

    >>> adversary = ModalityAdversary(dim=4); adversary.set_progress(1.0)
    >>> for p in adversary.parameters(): _ = p.data.zero_()
    >>> round(adversary(torch.randn(3, 4), torch.randn(3, 4)).item(), 4)
    1.3863
    """

    def __init__(
        self, dim: int = 256, strength: float = 0.1, hidden: int = 256, ramp: Literal["rising", "none"] = "rising", normalise: bool = True
    ) -> None:
        super().__init__()
        self.strength, self.ramp, self.normalise = strength, ramp, normalise
        self.classifier = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        self.rho = 1.0 if ramp == "none" else 0.0

    def set_progress(self, fraction: float) -> None:
        """Sets ρ = 2/(1 + e^{−10p}) − 1, p the share done of the first tenth of training."""
        if self.ramp == "rising":
            self.rho = 1.0 if fraction >= 0.1 else 2.0 / (1.0 + math.exp(-100.0 * fraction)) - 1.0

    def forward(self, audio: Tensor, text: Tensor) -> Tensor:
        """Computes the loss of audio rows [n, d] and text rows [n, d]."""
        logits = self._logits(torch.cat([audio, text]).float())
        truth = torch.arange(2, device=audio.device).repeat_interleave(len(audio))
        return functional.cross_entropy(logits, truth, reduction="sum") / len(audio)

    @torch.no_grad()
    def accuracy(self, audio: Tensor, text: Tensor) -> float:
        """Returns the share of rows whose modality the classifier tells."""
        logits = self._logits(torch.cat([audio, text]).float())
        truth = torch.arange(2, device=audio.device).repeat_interleave(len(audio))
        return float((logits.argmax(1) == truth).float().mean())

    def _logits(self, rows: Tensor) -> Tensor:
        if self.normalise:
            rows = functional.normalize(rows, dim=1) * rows.shape[1] ** 0.5
        return self.classifier(reverse_gradient(rows, self.strength * self.rho))
