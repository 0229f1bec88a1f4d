"""The adversary: encoders get the classifier's gradient reversed and scaled, the classifier its own whole."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from watchword.loss.adversarial import ModalityAdversary, reverse_gradient


def rows(n: int = 6, dim: int = 8) -> tuple[Tensor, Tensor]:
    both = torch.randn(2, n, dim, generator=torch.Generator().manual_seed(0))
    return both[0].requires_grad_(), both[1].requires_grad_()


def test_gradient_is_reversed_and_scaled() -> None:
    x = torch.randn(5, requires_grad=True)
    y = reverse_gradient(x, 0.1)
    assert torch.equal(y, x)
    (3 * y).sum().backward()
    torch.testing.assert_close(x.grad, torch.full((5,), -0.3))


@pytest.mark.parametrize("normalise", [True, False])
def test_equals_loops_and_eq_5(normalise: bool) -> None:
    torch.manual_seed(0)
    audio, text = rows()
    adversary = ModalityAdversary(8, strength=0.1, hidden=5, ramp="none", normalise=normalise)
    value = adversary(audio, text)
    gradients = torch.autograd.grad(value, [audio, text, *adversary.parameters()])
    total = torch.zeros(())
    for modality, batch in enumerate((audio, text)):
        for row in batch:
            scaled = row / row.norm() * math.sqrt(8) if normalise else row
            hidden = torch.relu(adversary.classifier.hidden.weight @ scaled + adversary.classifier.hidden.bias)
            logits = adversary.classifier.output.weight @ hidden + adversary.classifier.output.bias
            total = total - torch.log(torch.exp(logits[modality]) / torch.exp(logits).sum()) / 6
    assert value.item() == pytest.approx(total.item(), rel=1e-5)
    plain = torch.autograd.grad(total, [audio, text, *adversary.parameters()])
    for place, (gradient, wanted) in enumerate(zip(gradients, plain, strict=True)):
        torch.testing.assert_close(gradient, wanted * (-0.1 if place < 2 else 1.0), rtol=1e-4, atol=1e-6)


def test_chance_is_two_log_two_a_level() -> None:
    adversary = ModalityAdversary(8)
    for parameter in adversary.parameters():
        nn.init.zeros_(parameter)
    levels = [adversary(*rows(n)).item() for n in (1, 6, 50)]
    assert levels == pytest.approx([2 * math.log(2)] * 3, rel=1e-6)


def test_classifier_has_the_paper_size() -> None:
    assert sum(parameter.numel() for parameter in ModalityAdversary().parameters()) == 66_306


def test_ramp_rises_over_the_first_tenth() -> None:
    adversary = ModalityAdversary(8)
    assert adversary.rho == 0
    rhos = []
    for fraction in (0.0, 0.01, 0.05, 0.0999, 0.1, 1.0):
        adversary.set_progress(fraction)
        rhos.append(adversary.rho)
    assert rhos == sorted(rhos)
    assert rhos[1] == pytest.approx(2 / (1 + math.exp(-1)) - 1)
    assert rhos[-2:] == [1.0, 1.0]
    faithful = ModalityAdversary(8, ramp="none")
    faithful.set_progress(0.0)
    assert faithful.rho == 1


def test_before_the_ramp_the_classifier_learns_alone() -> None:
    audio, text = rows()
    adversary = ModalityAdversary(8)
    adversary(audio, text).backward()
    assert audio.grad.abs().sum() == 0
    assert adversary.classifier.output.weight.grad.abs().sum() > 0


def test_lengths_of_rows_do_not_matter_when_normalised() -> None:
    audio, text = rows()
    adversary = ModalityAdversary(8)
    assert adversary(audio * 7, text / 3).item() == pytest.approx(adversary(audio, text).item(), rel=1e-5)


def test_accuracy_follows_training_and_keeps_no_gradient() -> None:
    torch.manual_seed(0)
    audio, text = rows(40)
    audio = functional.normalize(audio + 1.0, dim=1).detach()
    adversary = ModalityAdversary(8)
    optimizer = torch.optim.Adam(adversary.parameters(), lr=1e-2)
    before = adversary.accuracy(audio, text)
    for _ in range(150):
        optimizer.zero_grad()
        adversary(audio, text).backward()
        optimizer.step()
    assert isinstance(before, float)
    assert adversary.accuracy(audio, text) > max(before, 0.85)
    optimizer.zero_grad()
    adversary.accuracy(audio, text)
    assert all(parameter.grad is None for parameter in adversary.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast_are_left(dtype: torch.dtype) -> None:
    audio, text = (x.detach().to(dtype).requires_grad_() for x in rows())
    adversary = ModalityAdversary(8, ramp="none")
    with torch.autocast("cpu", torch.bfloat16):
        value = adversary(audio, text)
    assert value.dtype == torch.float32
    assert value.item() == adversary(audio.float(), text.float()).item()
    value.backward()
    assert audio.grad.isfinite().all()


def test_unknown_ramp_is_named() -> None:
    with pytest.raises(ValueError, match="'linear' of ModalityAdversary is not known"):
        ModalityAdversary(8, ramp="linear")
