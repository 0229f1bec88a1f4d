"""Keyword classification on audio embeddings: SphereFace2, AAM-Softmax, triplets."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


class SphereFace2(nn.Module):
    """SphereFace2: one binary classifier a class, with the scalar bias b. Wen et al. 2022; Han et al. 2023.

    Type C: λ softplus(−r(g(cos_y) − m) − b) + (1 − λ) Σ_{c≠y} softplus(r(g(cos_c) + m) + b), g(z) = 2((z+1)/2)^t − 1,
    mean over rows; type A puts the margin into the angle. Written as (all negatives) minus (the target's), so that no
    one-hot matrix is needed. b starts where both sides balance at cos = 0: then the negatives weigh λ.

    Args:
        scale: r. margin: m, reached between 20 % and 40 % of training. power: t. positive_weight: λ.
        sampled: if not 0 and there are more classes, only so many negatives are drawn each step, weighted C/c.

    >>> loss = SphereFace2(num_classes=1000, dim=4)
    >>> loss.set_progress(1.0); round(loss.bias.item(), 1)
    11.5
    """

    def __init__(
        self,
        num_classes: int,
        dim: int = 256,
        scale: float = 32.0,
        margin: float = 0.2,
        power: float = 3.0,
        positive_weight: float = 0.7,
        kind: Literal["A", "C"] = "C",
        sampled: int = 0,
    ) -> None:
        super().__init__()
        self.scale, self.full_margin, self.power, self.positive_weight = scale, margin, power, positive_weight
        self.kind, self.sampled = kind, sampled
        self.margin = margin
        self.classes = nn.Parameter(torch.empty(num_classes, dim))
        nn.init.xavier_uniform_(self.classes)
        self.bias = nn.Parameter(torch.tensor([balanced_bias(num_classes, scale, margin, power, positive_weight)]))

    def set_progress(self, fraction: float) -> None:
        """Warms the margin up: 0 until 20 % of training, full from 40 %."""
        self.margin = self.full_margin * min(1.0, max(0.0, (fraction - 0.2) / 0.2))

    def forward(self, audio: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of embeddings audio [n, d] of classes labels [n]."""
        unit = functional.normalize(audio.float(), dim=1)
        total = len(self.classes)
        own = (unit * functional.normalize(self.classes[labels].float(), dim=1)).sum(1)
        if self.sampled and self.sampled < total:
            drawn = torch.randperm(total, device=labels.device)[: self.sampled]
            negatives = self._negative(unit @ functional.normalize(self.classes[drawn].float(), dim=1).T)
            others = drawn[None] != labels[:, None]
            # Each row's mean over the drawn others stands for all others.
            negative = (negatives * others).sum(1) / others.sum(1) * (total - 1)
        else:
            cosine = unit @ functional.normalize(self.classes.float(), dim=1).T
            negative = self._negative(cosine).sum(1) - self._negative(own)
        return (self.positive_weight * self._positive(own) + (1 - self.positive_weight) * negative).mean()

    def _curve(self, z: Tensor) -> Tensor:
        return 2.0 * ((z + 1.0) / 2.0).clamp(0.0, 1.0) ** self.power - 1.0

    def _positive(self, cosine: Tensor) -> Tensor:
        if self.kind == "C":
            return functional.softplus(-self.scale * (self._curve(cosine) - self.margin) - self.bias)
        return functional.softplus(-self.scale * self._curve(_rotate(cosine, self.margin)) - self.bias)

    def _negative(self, cosine: Tensor) -> Tensor:
        if self.kind == "C":
            return functional.softplus(self.scale * (self._curve(cosine) + self.margin) + self.bias)
        return functional.softplus(self.scale * self._curve(_rotate(cosine, -self.margin)) + self.bias)


def balanced_bias(num_classes: int, scale: float, margin: float, power: float, positive_weight: float) -> float:
    """Solves for the bias at which, with every cosine 0, positives and negatives pull alike (closed form of OpenSphere).

    >>> [round(balanced_bias(c, 32.0, 0.2, 3.0, 0.7), 1) for c in (100, 10_000, 210_000)]
    [13.9, 9.2, 6.2]
    """
    if num_classes < 2:
        return 0.0
    z = positive_weight / ((1 - positive_weight) * (num_classes - 1))
    own = scale * (2 * 0.5**power - 1 - margin)
    other = scale * (2 * 0.5**power - 1 + margin)
    return math.log(2 * z) - other - math.log(1 - z + math.sqrt((1 - z) ** 2 + 4 * z * math.exp(own - other)))


def _rotate(cosine: Tensor, margin: float) -> Tensor:
    """cos(θ + margin), going on linearly where θ + margin would pass the ends of [0, π]; finite gradient at ±1."""
    sine = (1.0 - cosine.square()).clamp_min(1e-6).sqrt()
    turned = cosine * math.cos(margin) - sine * math.sin(margin)
    if margin >= 0:
        return torch.where(cosine > math.cos(math.pi - margin), turned, cosine - (1 + math.cos(math.pi - margin)))
    return torch.where(cosine < math.cos(-margin), turned, cosine + (1 - math.cos(-margin)))


class AAMSoftmax(nn.Module):
    """AAM-Softmax: cross-entropy over s cos, the target's angle widened by m. Deng et al. 2019.

    >>> loss = AAMSoftmax(num_classes=3, dim=2); _ = loss.classes.data.copy_(torch.tensor([[1., 0], [0, 1], [-1, 0]]))
    >>> loss.set_progress(0.0); round(loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).item(), 4)
    0.0
    """

    def __init__(self, num_classes: int, dim: int = 256, scale: float = 32.0, margin: float = 0.2) -> None:
        super().__init__()
        self.scale, self.full_margin, self.margin = scale, margin, margin
        self.classes = nn.Parameter(torch.empty(num_classes, dim))
        nn.init.xavier_uniform_(self.classes)

    def set_progress(self, fraction: float) -> None:
        """Warms the margin up: 0 until 20 % of training, full from 40 %."""
        self.margin = self.full_margin * min(1.0, max(0.0, (fraction - 0.2) / 0.2))

    def forward(self, audio: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of embeddings audio [n, d] of classes labels [n]."""
        cosine = functional.normalize(audio.float(), dim=1) @ functional.normalize(self.classes.float(), dim=1).T
        own = cosine.gather(1, labels[:, None])
        return functional.cross_entropy(self.scale * cosine.scatter(1, labels[:, None], _rotate(own, self.margin)), labels)


class Triplet(nn.Module):
    """Batch-hard triplets on audio: max(0, m + hardest other keyword's cosine − hardest own), mean over rows with a mate.

    >>> audio = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    >>> Triplet(margin=0.5)(audio, torch.tensor([0, 0, 1, 1])).item()
    0.0
    """

    def __init__(self, margin: float = 0.5) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, audio: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of embeddings audio [n, d] of classes labels [n]."""
        unit = functional.normalize(audio.float(), dim=1)
        cosine = unit @ unit.T
        same = labels[:, None] == labels[None]
        mate = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        usable = mate.any(1) & (~same).any(1)
        if not usable.any():
            return cosine.sum() * 0.0
        near = cosine.masked_fill(same, -2.0).max(1).values
        far = cosine.masked_fill(~mate, 2.0).min(1).values
        return (self.margin + near - far)[usable].clamp_min(0.0).mean()
