"""Negatives: equal to plain loops, silent below the margin, and deaf to pairs that are not to be pushed apart."""

import math

import pytest
import torch
from torch import Tensor

from watchword.loss.negatives import ProxyNegatives


def rows() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(1, 4, generator=generator)
    audio, text, heard, extra = (centre + torch.randn(n, 4, generator=generator) for n in (5, 5, 3, 2))
    pairs = torch.rand(3, 7, generator=generator) < 0.6
    pairs[1] = False
    return [*(x.requires_grad_() for x in (audio, text, heard, extra)), pairs]


def pushed(cosines: list[Tensor], scale: float, margin: float) -> Tensor:
    total = torch.ones((), dtype=torch.float64)
    for cosine in cosines:
        total = total + torch.exp(scale * (cosine - margin))
    return torch.log(total) / scale


@pytest.mark.parametrize(("scale", "text_margin", "audio_margin"), [(50.0, 0.5, 0.5), (3.0, 0.1, -0.2)])
def test_equals_loops(scale: float, text_margin: float, audio_margin: float) -> None:
    given = rows()
    a, t, b, x = exact = [tensor.detach().double().requires_grad_() for tensor in given[:4]]
    pairs = given[4].tolist()

    def cosine(u: Tensor, v: Tensor) -> Tensor:
        return u @ v / (u.norm() * v.norm())

    expected = torch.zeros((), dtype=torch.float64)
    for i in range(5):
        expected = expected + pushed([cosine(a[i], x[k]) for k in range(2)], scale, text_margin) / 5
    for j in range(3):
        columns = [*t, *x]
        apart = [cosine(b[j], columns[k]) for k in range(7) if pairs[j][k]]
        expected = expected + pushed(apart, scale, audio_margin) / 3
    value = ProxyNegatives(scale, text_margin, audio_margin)(*given)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    value.backward()
    expected.backward()
    for single, wanted in zip(given[:4], exact, strict=True):
        assert single.grad is not None
        assert wanted.grad is not None
        torch.testing.assert_close(single.grad, wanted.grad.float(), rtol=1e-4, atol=1e-6)


def test_what_lies_below_its_margin_is_left_alone() -> None:
    """Half a word may sound somewhat like the word: only a cosine above the margin is pushed."""
    text = torch.eye(4)[:1]
    for cosine, moves in ((0.3, False), (0.8, True)):
        heard = torch.tensor([[cosine, math.sqrt(1 - cosine**2), 0.0, 0.0]]).requires_grad_()
        ProxyNegatives()(text, text, heard, torch.zeros(0, 4), torch.ones(1, 1, dtype=torch.bool)).backward()
        assert heard.grad is not None
        assert bool(heard.grad.abs().max() > 1e-3) == moves


def test_without_any_negative_it_is_zero() -> None:
    audio, none = torch.eye(3).requires_grad_(), torch.zeros(0, 3)
    value = ProxyNegatives()(audio, torch.eye(3), none, none, torch.zeros(0, 3, dtype=torch.bool))
    value.backward()
    assert value.item() == 0


def test_a_scale_that_pushes_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        ProxyNegatives(push_scale=0.0)
