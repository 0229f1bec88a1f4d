"""Keyword classification of audio embeddings: SphereFace2 and AAM-Softmax."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from watchword.loss.margin import Margin, widen
from watchword.loss.precision import in_float32

MAX_CELLS = 4_000_000
"""Rows × classes computed at once (16 MB); larger vocabularies go in pieces, recomputed on the way back. That costs no
time: 500 rows × 20,000 classes take 0.46 s on one core in pieces, 0.7 s whole."""


class SphereFace2(nn.Module):
    """SphereFace2: a binary classifier for each class, all with one bias b. Wen et al. 2022; Han et al. 2023.

    Formula, kind "C": (1/N) Σ_i { λ log[1 + e^{−r (g(cos_y) − m) − b}]
                                   + (1 − λ) Σ_{c≠y} log[1 + e^{r (g(cos_c) + m) + b}] }
    with g(z) = 2 ((z + 1)/2)^t − 1. Kind "A" puts m into the angle: g(cos(θ_y + m)), g(cos(θ_c − m)).
    b starts where both sides pull alike at cosine 0, the negatives then weighing λ. From b = 0, where speaker recipes
    start, the positives alone would pull (21 against 0.001), and Adam takes thousands of steps to mend it.

    Args:
        scale: r.
        margin: m; 0.2 for "C" and 0.15 for "A" if not given. `set_progress` warms it up from 0.
        power: t.
        positive_weight: λ.
        first_bias: "balanced", or "zero" for b = 0.
        sampled: 0, or how many classes are drawn each step for the negatives, which then stand for all.
        warm_up_start: share of training at which the margin leaves 0.
        warm_up_end: share at which it is full; 0 for a full margin from the start.

    >>> loss = SphereFace2(num_classes=1000, dim=2)
    >>> round(loss.bias.item(), 2)
    17.94
    >>> audio, _ = torch.tensor([[1.0, 0.0]]), loss.classes.data.copy_(torch.tensor([[0.0, 1.0]]))  # every cosine 0
    >>> round(loss(audio, torch.tensor([7])).item(), 4)  # 0.7 log(1 + e^6.06) + 0.7
    4.9424
    """

    def __init__(
        self,
        num_classes: int,
        dim: int = 256,
        scale: float = 32.0,
        margin: float | None = None,
        power: float = 3.0,
        positive_weight: float = 0.7,
        kind: Literal["A", "C"] = "C",
        first_bias: Literal["balanced", "zero"] = "balanced",
        sampled: int = 0,
        warm_up_start: float = 0.2,
        warm_up_end: float = 0.4,
    ) -> None:
        super().__init__()
        if kind not in ("A", "C"):
            raise ValueError(f"kind {kind!r} of SphereFace2 is not known; known are 'A' and 'C'")
        if first_bias not in ("balanced", "zero"):
            raise ValueError(f"first_bias {first_bias!r} of SphereFace2 is not known; known are 'balanced' and 'zero'")
        full = margin if margin is not None else 0.2 if kind == "C" else 0.15
        self.schedule = Margin(full, warm_up_start, warm_up_end)
        self.scale, self.power, self.positive_weight = scale, power, positive_weight
        self.kind, self.sampled = kind, sampled
        self.margin = self.schedule.at(0.0)
        self.classes = nn.Parameter(torch.empty(num_classes, dim))
        nn.init.xavier_uniform_(self.classes)
        zero = torch.zeros(())
        own, other = float(self._logits(zero, -1)), float(self._logits(zero, 1))
        balanced = balanced_bias(num_classes, own, other, positive_weight)
        self.bias = nn.Parameter(torch.tensor([balanced if first_bias == "balanced" else 0.0]))

    def set_progress(self, fraction: float) -> None:
        """Sets the margin for the share of training that is done, 0 to 1."""
        self.margin = self.schedule.at(fraction)

    @in_float32
    def forward(self, audio: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]) -> Float[Tensor, ""]:
        """Computes the loss of audio embeddings and their keyword classes."""
        unit = functional.normalize(audio, dim=1)
        own = (unit * functional.normalize(self.classes.index_select(0, labels), dim=1)).sum(1)
        positive = functional.softplus(-self._logits(own, -1) - self.bias)
        if 0 < self.sampled < len(self.classes):
            negative = self._sampled_negatives(unit, labels)
        else:
            # All classes, less the row's own: no one-hot matrix, no mask.
            negative = self._negatives(unit) - self._negative(own)
        return (self.positive_weight * positive + (1 - self.positive_weight) * negative).mean()

    def _negatives(self, unit: Tensor) -> Tensor:
        count = -(-len(unit) * len(self.classes) // MAX_CELLS)
        if count <= 1:
            return self._sum_of_negatives(unit, self.classes)
        pieces = self.classes.tensor_split(count)
        sums = [
            checkpoint(self._sum_of_negatives, unit, piece, use_reentrant=False, preserve_rng_state=False)
            for piece in pieces
        ]
        return torch.stack(sums).sum(0)  # type: ignore[arg-type]

    def _sum_of_negatives(self, unit: Tensor, classes: Tensor) -> Tensor:
        return self._negative(unit @ functional.normalize(classes, dim=1).T).sum(1)

    def _sampled_negatives(self, unit: Tensor, labels: Tensor) -> Tensor:
        drawn = torch.randperm(len(self.classes), device=labels.device)[: self.sampled]
        values = self._negative(unit @ functional.normalize(self.classes.index_select(0, drawn), dim=1).T)
        others = drawn[None] != labels[:, None]
        return (values * others).sum(1) / others.sum(1).clamp_min(1) * (len(self.classes) - 1)

    def _negative(self, cosine: Tensor) -> Tensor:
        return functional.softplus(self._logits(cosine, 1) + self.bias)

    def _logits(self, cosine: Tensor, side: int) -> Tensor:
        """r (g(cos) + side · m): the logit without b, the margin against the positives (side −1) or negatives (1)."""
        if self.kind == "A":
            cosine, shift = widen(cosine, -side * self.margin), 0.0
        else:
            shift = side * self.margin
        # Rounding and the continuation of kind A leave [−1, 1]; a power of a negative number would be NaN.
        lifted = (0.5 * cosine + 0.5).clamp_min(0.0) ** self.power
        return lifted * (2 * self.scale) + self.scale * (shift - 1)


def balanced_bias(num_classes: int, own: float, other: float, positive_weight: float) -> float:
    """Solves for the b at which positives (logit `own`) and negatives (logit `other`) pull alike. Wen et al. 2022.

    >>> own, other = 32 * (2 * 0.5**3 - 1 - 0.2), 32 * (2 * 0.5**3 - 1 + 0.2)
    >>> [round(balanced_bias(c, own, other, 0.7), 1) for c in (100, 1000, 10_000, 210_000)]
    [13.9, 11.5, 9.2, 6.2]
    """
    if num_classes < 2:
        return 0.0
    z = positive_weight / ((1 - positive_weight) * (num_classes - 1))
    return math.log(2 * z) - other - math.log(1 - z + math.sqrt((1 - z) ** 2 + 4 * z * math.exp(own - other)))


class AAMSoftmax(nn.Module):
    """AAM-Softmax (ArcFace): cross-entropy over scaled cosines, the angle to the own class widened. Deng et al. 2019.

    Formula: (1/N) Σ_i −log[ e^{s cos(θ_y + m)} / (e^{s cos(θ_y + m)} + Σ_{c≠y} e^{s cos θ_c}) ]

    Args:
        scale: s.
        margin: m, warmed up from 0 by `set_progress`.
        warm_up_start: share of training at which the margin leaves 0.
        warm_up_end: share at which it is full; 0 for a full margin from the start.

    >>> loss = AAMSoftmax(num_classes=2, dim=2, scale=2.0, margin=math.pi / 2, warm_up_end=0.0, warm_up_start=0.0)
    >>> _ = loss.classes.data.copy_(torch.eye(2))
    >>> round(loss(torch.tensor([[0.6, 0.8]]), torch.tensor([0])).item(), 4)  # log(1 + e^(2·0.8 + 2·0.8))
    3.24
    """

    def __init__(
        self,
        num_classes: int,
        dim: int = 256,
        scale: float = 32.0,
        margin: float = 0.2,
        warm_up_start: float = 0.2,
        warm_up_end: float = 0.4,
    ) -> None:
        super().__init__()
        self.schedule = Margin(margin, warm_up_start, warm_up_end)
        self.scale, self.margin = scale, self.schedule.at(0.0)
        self.classes = nn.Parameter(torch.empty(num_classes, dim))
        nn.init.xavier_uniform_(self.classes)

    def set_progress(self, fraction: float) -> None:
        """Sets the margin for the share of training that is done, 0 to 1."""
        self.margin = self.schedule.at(fraction)

    @in_float32
    def forward(self, audio: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]) -> Float[Tensor, ""]:
        """Computes the loss of audio embeddings and their keyword classes."""
        unit, classes = functional.normalize(audio, dim=1), functional.normalize(self.classes, dim=1)
        logits = (self.scale * unit) @ classes.T
        own = self.scale * widen((unit * classes.index_select(0, labels)).sum(1), self.margin)
        return functional.cross_entropy(logits.scatter(1, labels[:, None], own[:, None]), labels)
