"""The monotonic target is a staircase whose rows sum to 1, and padding changes nothing."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from watchword.loss.monotonic import MonotonicMatching, diagonal_target


def masks(tokens: list[int], frames: list[int], extra: tuple[int, int] = (0, 0)) -> tuple[Tensor, Tensor]:
    phonemes = torch.arange(max(tokens) + extra[0])[None] < torch.tensor(tokens)[:, None]
    return phonemes, torch.arange(max(frames) + extra[1])[None] < torch.tensor(frames)[:, None]


def uniform(phonemes: Tensor, frames: Tensor) -> Tensor:
    return (frames / frames.sum(1, keepdim=True))[:, None].expand(-1, phonemes.shape[1], -1)


@pytest.mark.parametrize("tokens", range(1, 41))
def test_target_rows_sum_to_one(tokens: int) -> None:
    phonemes, frames = masks([tokens] * 40, list(range(1, 41)), extra=(5, 37))
    target = diagonal_target(phonemes, frames)
    torch.testing.assert_close(target.sum(2), phonemes.float())
    assert (target * ~frames[:, None]).sum() == 0
    # Each token's frames are one run, not before those of the token before it.
    place = (target * torch.arange(target.shape[2])).sum(2)[:, :tokens]
    assert (place.diff(dim=1) >= 0).all()


def naive_target(tokens: int, frames: int) -> list[list[float]]:
    target = [[0.0] * frames for _ in range(tokens)]
    for t in range(frames):
        target[min(math.floor(t * tokens / frames), tokens - 1)][t] = 1.0
    for n, row in enumerate(target):
        if not sum(row):
            row[math.floor((n + 0.5) * frames / tokens)] = 1.0
        target[n] = [value / sum(row) for value in row]
    return target


@pytest.mark.parametrize("kind", ["target", "guided", "kl"])
def test_equals_loops_whatever_the_padding(kind: str) -> None:
    tokens, frames = [3, 1, 6, 20], [11, 7, 4, 33]
    generator = torch.Generator().manual_seed(0)
    phonemes, real = masks(tokens, frames, extra=(5, 37))
    scores = torch.randn(4, phonemes.shape[1], real.shape[1], generator=generator)
    affinity = torch.softmax(scores.masked_fill(~real[:, None], -torch.inf), dim=2)
    expected = 0.0
    for i, (n_tokens, n_frames) in enumerate(zip(tokens, frames, strict=True)):
        target, total = naive_target(n_tokens, n_frames), 0.0
        for n in range(n_tokens):
            for t in range(n_frames):
                a = float(affinity[i, n, t])
                if kind == "target":
                    total += (a - target[n][t]) ** 2
                elif kind == "kl":
                    total -= target[n][t] * math.log(a)
                else:
                    apart = (n + 0.5) / n_tokens - (t + 0.5) / n_frames
                    total += a * (1 - math.exp(-(apart**2) / (2 * 0.2**2)))
        expected += total / n_tokens / 4
    loss = MonotonicMatching(kind)
    assert loss(affinity, phonemes, real).item() == pytest.approx(expected, rel=1e-5)
    cropped = affinity[:, : max(tokens), : max(frames)]
    assert loss(cropped, *masks(tokens, frames)).item() == pytest.approx(expected, rel=1e-5)


def test_uniform_attention_has_the_stated_size() -> None:
    for tokens in (3, 6, 20):
        phonemes, frames = masks([tokens], [9 * tokens])
        value = MonotonicMatching()(uniform(phonemes, frames), phonemes, frames).item()
        assert value == pytest.approx((tokens - 1) / (9 * tokens), rel=1e-5)
        assert 0.07 < value < 0.11
        guided = MonotonicMatching("guided")
        assert guided(uniform(phonemes, frames), phonemes, frames).item() == pytest.approx(0.57, abs=0.06)
        block = guided(diagonal_target(phonemes, frames), phonemes, frames).item()
        assert block == pytest.approx({3: 0.10, 6: 0.03, 20: 0.003}[tokens], rel=0.2)


def test_one_phoneme_word_costs_nothing_when_uniform() -> None:
    phonemes, frames = masks([1], [23])
    assert MonotonicMatching()(uniform(phonemes, frames), phonemes, frames).item() < 1e-12


@pytest.mark.parametrize("kind", ["target", "guided", "kl"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_finite_beside_padding(kind: str, dtype: torch.dtype) -> None:
    phonemes, frames = masks([2, 9], [30, 1])
    scores = torch.randn(2, 9, 30, dtype=dtype).requires_grad_()
    affinity = torch.softmax(scores.masked_fill(~frames[:, None], -torch.inf), dim=2)
    value = MonotonicMatching(kind)(affinity, phonemes, frames)
    value.backward()
    assert value.dtype == torch.float32
    assert scores.grad.isfinite().all()
    assert scores.grad[0, 2:].abs().sum() == 0


def test_training_on_it_finds_the_diagonal() -> None:
    phonemes, frames = masks([4], [20])
    scores = torch.zeros(1, 4, 20, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=0.3)
    for _ in range(100):
        optimizer.zero_grad()
        MonotonicMatching()(functional.softmax(scores, dim=2), phonemes, frames).backward()
        optimizer.step()
    assert torch.equal(scores[0].argmax(0), torch.arange(20) // 5)


def test_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="'mse' of MonotonicMatching is not known"):
        MonotonicMatching("mse")
