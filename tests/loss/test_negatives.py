"""Negatives: equal to plain loops, silent below a margin or far below what matches, and zero where there are none."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from watchword.loss.negatives import GapNegatives, ProxyNegatives


def rows() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(1, 4, generator=generator)
    audio, text, heard, extra = (centre + torch.randn(n, 4, generator=generator) for n in (5, 5, 3, 2))
    pairs = torch.rand(3, 7, generator=generator) < 0.6
    pairs[1] = False
    return [*(x.requires_grad_() for x in (audio, text, heard, extra)), pairs]


def pushed(cosines: list[Tensor], scale: float, margin: Tensor) -> Tensor:
    total = torch.ones((), dtype=torch.float64)
    for cosine in cosines:
        total = total + torch.exp(scale * (cosine - margin))
    return torch.log(total) / scale


def equals_loops(
    loss: nn.Module, scale: float, text_floor: Callable[[Tensor], Tensor], audio_floor: Callable[[Tensor], Tensor]
) -> None:
    """Value and gradients are those of loops; the floors follow from the cosines [5] of what matches."""
    given = rows()
    a, t, b, x = exact = [tensor.detach().double().requires_grad_() for tensor in given[:4]]
    pairs = given[4].tolist()

    def cosine(u: Tensor, v: Tensor) -> Tensor:
        return u @ v / (u.norm() * v.norm())

    matching = torch.stack([cosine(a[i], t[i]) for i in range(5)])
    expected = torch.zeros((), dtype=torch.float64)
    for i in range(5):
        expected = expected + pushed([cosine(a[i], x[k]) for k in range(2)], scale, text_floor(matching[i])) / 5
    for j in range(3):
        columns = [*t, *x]
        apart = [cosine(b[j], columns[k]) for k in range(7) if pairs[j][k]]
        expected = expected + pushed(apart, scale, audio_floor(matching)) / 3
    value = loss(*given)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    value.backward()
    expected.backward()
    for single, wanted in zip(given[:4], exact, strict=True):
        assert single.grad is not None
        assert wanted.grad is not None
        torch.testing.assert_close(single.grad, wanted.grad.float(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("scale", "text_margin", "audio_margin"), [(50.0, 0.5, 0.5), (3.0, 0.1, -0.2)])
def test_equals_loops(scale: float, text_margin: float, audio_margin: float) -> None:
    loss = ProxyNegatives(scale, text_margin, audio_margin)
    equals_loops(loss, scale, lambda _: torch.tensor(text_margin), lambda _: torch.tensor(audio_margin))


def test_what_lies_below_its_margin_is_left_alone() -> None:
    """Half a word may sound somewhat like the word: only a cosine above the margin is pushed."""
    text = torch.eye(4)[:1]
    for cosine, moves in ((0.3, False), (0.8, True)):
        heard = torch.tensor([[cosine, math.sqrt(1 - cosine**2), 0.0, 0.0]]).requires_grad_()
        ProxyNegatives()(text, text, heard, torch.zeros(0, 4), torch.ones(1, 1, dtype=torch.bool)).backward()
        assert heard.grad is not None
        assert bool(heard.grad.abs().max() > 1e-3) == moves


@pytest.mark.parametrize(("scale", "text_gap", "audio_gap"), [(20.0, 0.2, 0.2), (3.0, 0.1, 0.5), (50.0, 0.0, -0.3)])
def test_gaps_equals_loops(scale: float, text_gap: float, audio_gap: float) -> None:
    loss = GapNegatives(scale, text_gap, audio_gap)
    equals_loops(loss, scale, lambda own: own - text_gap, lambda matching: matching.mean() - audio_gap)


@pytest.mark.parametrize(
    ("matching", "cosine", "moves"), [(1.0, 0.4, 0), (1.0, 0.95, 1), (0.5, 0.45, 1), (0.5, 0.0, 0)]
)
def test_what_lies_well_below_what_matches_is_left_alone(matching: float, cosine: float, moves: bool) -> None:
    """Half a word may sound somewhat like the word; where it sounds too much so, both are driven apart."""
    text = torch.eye(4)[:1]
    audio, heard = (torch.tensor([[c, math.sqrt(1 - c**2) + 0.1, 0.0, 0.0]]) for c in (matching, cosine))
    audio.requires_grad_()
    heard.requires_grad_()
    GapNegatives()(audio, text, heard, torch.zeros(0, 4), torch.ones(1, 1, dtype=torch.bool)).backward()
    assert heard.grad is not None
    assert audio.grad is not None
    assert bool(heard.grad.abs().max() > 0.1) == moves
    assert bool(audio.grad.abs().max() > 0.05) == moves
    assert float(heard.grad[0, 0]) >= 0 >= float(audio.grad[0, 0])


@pytest.mark.parametrize("loss", [ProxyNegatives, GapNegatives])
def test_without_any_negative_it_is_zero(loss: type[ProxyNegatives | GapNegatives]) -> None:
    audio, none = torch.eye(3).requires_grad_(), torch.zeros(0, 3)
    value = loss()(audio, torch.eye(3), none, none, torch.zeros(0, 3, dtype=torch.bool))
    value.backward()
    assert value.item() == 0


@pytest.mark.parametrize("loss", [ProxyNegatives, GapNegatives])
def test_a_scale_that_pushes_nothing_is_refused(loss: type[ProxyNegatives | GapNegatives]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        loss(push_scale=0.0)
