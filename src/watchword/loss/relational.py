"""Relational proxy loss: audio embeddings keep the distances and angles that text embeddings have among themselves."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from watchword.loss.precision import in_float32

NEAR = 1e-6
"""Squared distances below this are rounding (float32 unit rows), and count as 0."""


class RelationalProxy(nn.Module):
    """RP loss. Jung et al. 2024, with the mechanics of relational distillation (Park et al. 2019).

    Formula: distance · D(u, v) + angle · A(u, v) + prototype · (D(p, q) + A(p, q)), u and v unit audio and text rows,
    p and q each class's mean audio and text,
        D(u, v) = mean_{i,j} h( |u_i − u_j| / mean |u − u|  −  |v_i − v_j| / mean |v − v| )
        A(u, v) = mean_{i,j,k} h( cos∠(u_i, u_j, u_k) − cos∠(v_i, v_j, v_k) ), vertex j, i ≠ k,
    h the Huber function with threshold 1. Text is the teacher: no gradient reaches it.

    Turning all audio by one rotation changes nothing here, so a point-to-point loss (AsymmetricProxy on words) belongs
    beside it.

    Args:
        vertices: angles are computed at that many rows, drawn each step; 0 for all.
        ends: their arms go to that many rows, drawn each step; 0 for all. All 500³ angles of a batch take minutes on a
            CPU, 64 · 500² half a second, 64 · 200² 0.02 s; the value differs by about 0.5 %.

    >>> audio, text = torch.tensor([[1.0, 0], [0, 1], [-1, 0]]), torch.tensor([[1.0, 0], [0, 1], [0, -1]])
    >>> round(RelationalProxy(distance=1, angle=0, prototype=0)(audio, text, torch.arange(3)).item(), 4)
    0.0294
    """

    def __init__(
        self,
        distance: float = 1.0,
        angle: float = 2.0,
        prototype: float = 1.0,
        vertices: int = 64,
        ends: int = 200,
    ) -> None:
        super().__init__()
        self.distance, self.angle, self.prototype = distance, angle, prototype
        self.vertices, self.ends = vertices, ends

    @in_float32
    def forward(
        self, audio: Float[Tensor, "row dim"], text: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]
    ) -> Float[Tensor, ""]:
        """Computes the loss of audio and text rows in the same order with their classes."""
        student, teacher = functional.normalize(audio, dim=1), functional.normalize(text.detach(), dim=1)
        total = student.sum() * 0.0
        if self.distance:
            total = total + self.distance * _distance_loss(student, teacher)
        if self.angle:
            total = total + self.angle * self._angle_loss(student, teacher)
        if self.prototype:
            student, teacher = _prototypes(student, labels), _prototypes(teacher, labels)
            total = total + self.prototype * (_distance_loss(student, teacher) + self._angle_loss(student, teacher))
        return total

    def _angle_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        vertices, ends = _draw(student, self.vertices), _draw(student, self.ends)
        # No angle has an arm from a row to itself, or between two utterances of a keyword: their text is one point.
        arms = _squared(teacher[vertices], teacher[ends]) > NEAR
        # An arm with itself always agrees; counted, it would dilute a sample more than the whole.
        lengths = arms.sum(1)
        count = (lengths * (lengths - 1)).sum().clamp_min(1)
        wanted = _angles(teacher[vertices], teacher[ends], arms)
        found = _angles(student[vertices], student[ends], arms)
        return functional.smooth_l1_loss(found, wanted, reduction="sum") / count


class CrossRelational(nn.Module):
    """Another reading of the relational loss: audio is as far from each text as its own text is.

    Formula: mean_{i,j} h( |u_i − v_j| / mean |v − v|  −  |v_i − v_j| / mean |v − v| ), v without gradient.
    Unlike RelationalProxy it ties audio to text by itself.

    >>> audio, text = torch.tensor([[0.0, 1], [1, 0]]), torch.tensor([[1.0, 0], [0, 1]])
    >>> CrossRelational()(audio, text, torch.arange(2)).item()
    0.5
    """

    @in_float32
    def forward(
        self, audio: Float[Tensor, "row dim"], text: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]
    ) -> Float[Tensor, ""]:
        """Computes the loss of audio and text rows in the same order; classes do not matter."""
        student, teacher = functional.normalize(audio, dim=1), functional.normalize(text.detach(), dim=1)
        wanted, found = _distances(teacher, teacher), _distances(student, teacher)
        scale = _mean_of_positive(wanted)
        return functional.smooth_l1_loss(found / scale, wanted / scale)


def _draw(rows: Tensor, count: int) -> Tensor:
    if not 0 < count < len(rows):
        return torch.arange(len(rows), device=rows.device)
    return torch.randperm(len(rows), device=rows.device)[:count]


def _prototypes(rows: Tensor, labels: Tensor) -> Tensor:
    classes, place = torch.unique(labels, return_inverse=True)
    sums = torch.zeros(len(classes), rows.shape[1], device=rows.device).index_add(0, place, rows)
    return functional.normalize(sums, dim=1)


def _squared(x: Tensor, y: Tensor) -> Tensor:
    return 2.0 - 2.0 * (x @ y.T)


def _distances(x: Float[Tensor, "x dim"], y: Float[Tensor, "y dim"]) -> Float[Tensor, "x y"]:
    """Distances of unit rows by their Gram matrix. A root's gradient is infinite at 0: there it is cut."""
    squared = _squared(x, y)
    near = squared < NEAR
    return squared.masked_fill(near, 1.0).sqrt().masked_fill(near, 0.0)


def _mean_of_positive(distances: Tensor) -> Tensor:
    """The mean of distances above 0; 1 where there is none."""
    count = (distances > 0).sum()
    return torch.where(count > 0, distances.sum() / count.clamp_min(1), torch.ones_like(distances[0, 0]))


def _distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    # The diagonal is 0 but for rounding, which must not enter the mean.
    off = 1.0 - torch.eye(len(student), device=student.device)
    found, wanted = _distances(student, student) * off, _distances(teacher, teacher) * off
    return functional.smooth_l1_loss(found / _mean_of_positive(found), wanted / _mean_of_positive(wanted))


def _angles(
    vertices: Float[Tensor, "vertex dim"], ends: Float[Tensor, "end dim"], arms: Bool[Tensor, "vertex end"]
) -> Float[Tensor, "vertex end end"]:
    """Cosines of the angles at each vertex between every two arms, 0 where there is no arm. From the Gram matrix:
    (a − c)·(b − c) = a·b − a·c − b·c + 1 for unit rows, 10 times cheaper than the differences themselves."""
    towards = vertices @ ends.T
    squared = 2.0 - 2.0 * towards
    inverse = torch.where(arms & (squared > NEAR), squared.clamp_min(NEAR).rsqrt(), torch.zeros_like(squared))
    products = (ends @ ends.T)[None] - towards[:, :, None] + (1.0 - towards)[:, None, :]
    return products * inverse[:, :, None] * inverse[:, None, :]
