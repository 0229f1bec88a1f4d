"""Modality adversary: a classifier tells audio from text; gradient reversal teaches the encoders to fool it."""

import math
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from watchword.loss.precision import in_float32

RAMP = 0.1
"""Share of training over which the reversed gradient rises."""


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Returns x; its gradient comes back times −strength. Ganin & Lempitsky 2015.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> reverse_gradient(x, 0.1).square().backward(); round(x.grad.item(), 4)
    -0.6
    """
    return _Reverse.apply(x, strength)  # type: ignore[no-any-return]


class ModalityClassifier(nn.Module):
    """M: two linear layers, rows [row, dim] to logits (audio, text). 66,306 parameters at 256."""

    def __init__(self, dim: int = 256, hidden: int = 256) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(dim, hidden), nn.Linear(hidden, 2)

    def forward(self, rows: Float[Tensor, "row dim"]) -> Float[Tensor, "row 2"]:
        """Computes the two logits of each row."""
        return self.output(torch.relu(self.hidden(rows)))


class ModalityAdversary(nn.Module):
    """L_adv of one level, Eq. 4, through a reversed gradient (Eq. 5). One adversary serves phonemes and utterances.

    Formula: −(1/N) Σ_i { log M(a_i)[audio] + log M(t_i)[text] }; a classifier that cannot tell has 2 ln 2 = 1.3863.

    M gets the full gradient, the encoders −strength · rho times theirs, rho = 2/(1 + e^{−10 p}) − 1 with p the share
    done of the first tenth of training. Put no other weight on this term: it would slow M down too.

    Args:
        strength: lambda_adv.
        hidden: width of M.
        ramp: "none" keeps rho at 1, as the paper states it.
        normalise: scale rows to length √dim before M, which else wins by lengths that cosine scores never see.

    >>> adversary = ModalityAdversary(dim=4)
    >>> for parameter in adversary.parameters(): _ = nn.init.zeros_(parameter)
    >>> round(adversary(torch.randn(3, 4), torch.randn(3, 4)).item(), 4)
    1.3863
    """

    def __init__(
        self,
        dim: int = 256,
        strength: float = 0.1,
        hidden: int = 256,
        ramp: Literal["rising", "none"] = "rising",
        normalise: bool = True,
    ) -> None:
        super().__init__()
        if ramp not in ("rising", "none"):
            raise ValueError(f"ramp {ramp!r} of ModalityAdversary is not known; known are 'rising' and 'none'")
        self.strength, self.ramp, self.normalise = strength, ramp, normalise
        self.classifier = ModalityClassifier(dim, hidden)
        self.rho = 0.0
        self.set_progress(0.0)

    def set_progress(self, fraction: float) -> None:
        """Sets rho for the share of training that is done, 0 to 1."""
        rising = self.ramp == "rising" and fraction < RAMP
        self.rho = 2.0 / (1.0 + math.exp(-10.0 * fraction / RAMP)) - 1.0 if rising else 1.0

    @in_float32
    def forward(self, audio: Float[Tensor, "row dim"], text: Float[Tensor, "row dim"]) -> Float[Tensor, ""]:
        """Computes the loss of as many audio rows as text rows."""
        logits, modality = self._classify(audio, text)
        return functional.cross_entropy(logits, modality, reduction="sum") / len(audio)

    @torch.no_grad()
    def accuracy(self, audio: Float[Tensor, "row dim"], text: Float[Tensor, "row dim"]) -> float:
        """Returns the share of rows that M tells rightly; falling from 0.8 to 0.55 is healthy, 1.0 is not."""
        logits, modality = self._classify(audio.float(), text.float())
        return float((logits.argmax(1) == modality).float().mean())

    def _classify(self, audio: Tensor, text: Tensor) -> tuple[Float[Tensor, "row 2"], Int[Tensor, " row"]]:
        rows = torch.cat([audio, text])
        if self.normalise:
            rows = functional.normalize(rows, dim=1) * math.sqrt(rows.shape[1])
        modality = torch.arange(2, device=rows.device).repeat_interleave(len(audio))
        return self.classifier(reverse_gradient(rows, self.strength * self.rho)), modality
