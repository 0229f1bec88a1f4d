"""The relational losses equal plain loops, are blind to rotations, and teach audio alone."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from watchword.loss.relational import CrossRelational, RelationalProxy


def unit(n: int, d: int = 5, seed: int = 0) -> Tensor:
    return functional.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1)


def huber(x: Tensor) -> Tensor:
    return 0.5 * x * x if abs(x) < 1 else abs(x) - 0.5


def naive_distance(u: Tensor, v: Tensor) -> Tensor:
    n = len(u)
    found, wanted = ([[(x[i] - x[j]).norm() for j in range(n)] for i in range(n)] for x in (u, v))

    def mean(distances: list[list[Tensor]]) -> Tensor:
        positive = [d for row in distances for d in row if d > 1e-6]
        return sum(positive) / len(positive)

    a, b = mean(found), mean(wanted)
    return sum(huber(found[i][j] / a - wanted[i][j] / b) for i in range(n) for j in range(n)) / n**2


def naive_angle(u: Tensor, v: Tensor) -> Tensor:
    total, count = torch.zeros((), dtype=torch.float64), 0
    for j, i, k in itertools.product(range(len(u)), repeat=3):
        if i == k or any((v[end] - v[j]).norm() < 1e-6 for end in (i, k)):
            continue
        cosines = []
        for x in (u, v):
            arms = [(x[end] - x[j]) / (x[end] - x[j]).norm() for end in (i, k)]
            cosines.append(arms[0] @ arms[1])
        total, count = total + huber(cosines[0] - cosines[1]), count + 1
    return total / max(count, 1)


def prototypes(x: Tensor, labels: list[int]) -> Tensor:
    means = [torch.stack([row for row, y in zip(x, labels, strict=True) if y == c]).sum(0) for c in sorted(set(labels))]
    return functional.normalize(torch.stack(means), dim=1)


LABELS = [0, 0, 1, 1, 2, 3]


def batch() -> tuple[Tensor, Tensor, Tensor]:
    return unit(6, seed=1), unit(4)[torch.tensor(LABELS)], torch.tensor(LABELS)


@pytest.mark.parametrize("weights", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 2.0, 1.0)])
def test_equals_loops(weights: tuple[float, float, float]) -> None:
    audio, text, labels = batch()
    audio.requires_grad_()
    exact, teacher = audio.detach().double().requires_grad_(), text.double()
    u, v = functional.normalize(exact, dim=1), functional.normalize(teacher, dim=1)
    p, q = prototypes(u, LABELS), prototypes(v, LABELS)
    parts = naive_distance(u, v), naive_angle(u, v), naive_distance(p, q) + naive_angle(p, q)
    expected = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    value = RelationalProxy(*weights, vertices=0, ends=0)(audio, text, labels)
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    value.backward()
    expected.backward()
    torch.testing.assert_close(audio.grad, exact.grad.float(), rtol=1e-3, atol=1e-5)


def test_cross_equals_loops() -> None:
    audio, text, labels = batch()
    u, v = audio.double(), text.double()
    between = [(v[i] - v[j]).norm() for i in range(6) for j in range(6)]
    scale = sum(between) / sum(d > 1e-6 for d in between)
    terms = [huber(((u[i] - v[j]).norm() - (v[i] - v[j]).norm()) / scale) for i in range(6) for j in range(6)]
    assert CrossRelational()(audio, text, labels).item() == pytest.approx((sum(terms) / 36).item(), rel=1e-4)


def test_zero_for_equal_and_for_rotated_audio() -> None:
    text, labels = unit(40, 16), torch.arange(40)
    rotation = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(3))).Q
    rotated = text @ rotation
    assert (text * rotated).sum(1).mean() < 0.3
    loss = RelationalProxy()
    assert loss(text, text, labels).item() < 1e-9
    assert loss(rotated, text, labels).item() < 1e-9
    assert CrossRelational()(text, text, labels).item() < 1e-9
    assert CrossRelational()(rotated, text, labels).item() > 0.01


@pytest.mark.parametrize("loss", [RelationalProxy(), CrossRelational()])
def test_no_gradient_reaches_text(loss: torch.nn.Module) -> None:
    audio, text, labels = batch()
    audio.requires_grad_()
    text.requires_grad_()
    loss(audio, text, labels).backward()
    assert text.grad is None
    assert audio.grad.abs().sum() > 0


def test_sampled_angles_estimate_all_angles() -> None:
    torch.manual_seed(0)
    audio, text, labels = unit(60, 8, seed=1), unit(60, 8), torch.arange(60)
    everything = RelationalProxy(0, 1, 0, vertices=0, ends=0)(audio, text, labels).item()
    sample = RelationalProxy(0, 1, 0, vertices=10, ends=20)
    draws = torch.tensor([sample(audio, text, labels).item() for _ in range(200)])
    assert draws.std() > 0
    assert draws.mean().item() == pytest.approx(everything, rel=0.015)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_coinciding_and_single_rows_have_finite_gradients(dtype: torch.dtype) -> None:
    same = unit(1)[[0, 0, 0, 0]].to(dtype).requires_grad_()
    one = unit(1).to(dtype).requires_grad_()
    for loss in (RelationalProxy(), CrossRelational()):
        for audio in (same, one):
            audio.grad = None
            value = loss(audio, unit(4)[: len(audio)].to(dtype), torch.arange(len(audio)))
            value.backward()
            assert value.dtype == torch.float32
            assert value.isfinite()
            assert audio.grad.isfinite().all()
