"""Relational proxy loss: audio embeddings keep the distances and angles that text embeddings have among themselves."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class RelationalProxy(nn.Module):
    """w_D L_D + w_A L_A + w_P L_P of Jung et al. 2024, with the mechanics of relational distillation (Park et al. 2019).

    L_D compares distances over their mean, L_A the cosines of angles at sampled vertices, L_P both between class
    prototypes (mean audio of a class) and class texts; each through smooth L1. Text is the teacher: detached. All three
    are blind to rotations, so a point-to-point loss must go beside them.

    Args:
        vertices: how many vertices each step's angles are computed at (all where fewer rows).

    >>> x = functional.normalize(torch.randn(6, 4), dim=1)
    >>> RelationalProxy()(x, x, torch.arange(6)).item() < 1e-9
    True
    """

    def __init__(self, distance: float = 1.0, angle: float = 2.0, prototype: float = 1.0, vertices: int = 64) -> None:
        super().__init__()
        self.distance, self.angle, self.prototype, self.vertices = distance, angle, prototype, vertices

    def forward(self, audio: Tensor, text: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of rows audio [n, d] and text [n, d] with classes labels [n]."""
        u = functional.normalize(audio.float(), dim=1)
        v = functional.normalize(text.float().detach(), dim=1)
        total = self._relations(u, v)
        if self.prototype:
            classes, place = torch.unique(labels, return_inverse=True)
            sums = torch.zeros(len(classes), u.shape[1], device=u.device).index_add(0, place, u)
            teacher = torch.zeros_like(sums).index_add(0, place, v)
            prototypes, teacher = functional.normalize(sums, dim=1), functional.normalize(teacher, dim=1)
            total = total + self.prototype * (_distance_loss(prototypes, teacher) + self._angle_loss(prototypes, teacher))
        return total

    def _relations(self, u: Tensor, v: Tensor) -> Tensor:
        total = u.sum() * 0.0
        if self.distance:
            total = total + self.distance * _distance_loss(u, v)
        if self.angle:
            total = total + self.angle * self._angle_loss(u, v)
        return total

    def _angle_loss(self, u: Tensor, v: Tensor) -> Tensor:
        n = len(u)
        chosen = torch.arange(n) if n <= self.vertices else torch.randperm(n)[: self.vertices]
        chosen = chosen.to(u.device)
        # Two rows of one keyword have the same text: no direction between them, so no angle.
        apart = (v[chosen][:, None] - v[None]).square().sum(2) > 1e-9
        pairs = (apart[:, :, None] & apart[:, None]).float()
        student, teacher = _angles(u, chosen), _angles(v, chosen)
        return (functional.smooth_l1_loss(student, teacher, reduction="none") * pairs).sum() / pairs.sum().clamp_min(1)


class CrossRelational(nn.Module):
    """The other reading of the relational loss: distances from audio to text proxies against distances among texts.

    Unlike RelationalProxy it ties the modalities by itself.

    >>> x = functional.normalize(torch.randn(6, 4), dim=1)
    >>> CrossRelational()(x, x, torch.arange(6)).item() < 1e-9
    True
    """

    def forward(self, audio: Tensor, text: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of rows audio [n, d] and text [n, d]."""
        u = functional.normalize(audio.float(), dim=1)
        v = functional.normalize(text.float().detach(), dim=1)
        teacher = _distances(v, v)
        mean = teacher[teacher > 0].mean().clamp_min(1e-6)
        return functional.smooth_l1_loss(_distances(u, v) / mean, teacher / mean)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Distances of unit rows by their Gram matrix. The floor keeps the root's gradient finite; equal rows count as 0."""
    squared = 2.0 - 2.0 * (x @ y.T)
    near = squared < 1e-6
    return squared.masked_fill(near, 1.0).sqrt().masked_fill(near, 0.0)


def _scaled(distances: Tensor) -> Tensor:
    positive = distances > 0
    return distances / (distances.sum() / positive.sum().clamp_min(1)).clamp_min(1e-6)


def _distance_loss(u: Tensor, v: Tensor) -> Tensor:
    off = 1.0 - torch.eye(len(u), device=u.device)
    return functional.smooth_l1_loss(_scaled(_distances(u, u) * off), _scaled(_distances(v, v) * off))


def _angles(x: Tensor, vertices: Tensor) -> Tensor:
    """Cosines of the angles at each vertex between every two rows: [vertices, n, n]."""
    towards = x[None] - x[vertices][:, None]
    # A zero vector (the vertex itself) is left zero; normalising it would give a gradient of 1/eps.
    length = towards.square().sum(2, keepdim=True)
    unit = towards * torch.where(length > 1e-9, length.clamp_min(1e-9).rsqrt(), torch.zeros_like(length))
    return unit @ unit.transpose(1, 2)
