"""SphereFace2 and AAM-Softmax equal plain loops, start balanced, and stay finite at the ends."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss
from torch import Tensor
from torch.nn import functional

import watchword.loss.keyword as keyword
from watchword.loss.keyword import AAMSoftmax, SphereFace2, balanced_bias
from watchword.loss.margin import widen

LABELS = torch.tensor([0, 3, 3, 6, 1])


def audio_rows(dim: int = 4) -> Tensor:
    return torch.randn(5, dim, generator=torch.Generator().manual_seed(0)).requires_grad_()


def turned(cosine: Tensor, margin: float) -> Tensor:
    """cos(θ + margin) with its continuation, by angles."""
    angle = torch.arccos(cosine)
    if margin >= 0:
        return torch.cos(angle + margin) if angle + margin < math.pi else cosine - (1 + math.cos(math.pi - margin))
    return torch.cos(angle + margin) if angle + margin > 0 else cosine + (1 - math.cos(margin))


def naive_sphereface2(loss: SphereFace2, audio: Tensor) -> Tensor:
    u = functional.normalize(audio.double(), dim=1)
    w = functional.normalize(loss.classes.double(), dim=1)
    m, r, b = loss.margin, loss.scale, loss.bias.double()[0]

    def g(z: Tensor) -> Tensor:
        return 2 * ((z + 1) / 2).clamp_min(0) ** loss.power - 1

    total = torch.zeros((), dtype=torch.float64)
    for i, y in enumerate(LABELS.tolist()):
        for c in range(len(w)):
            cosine = u[i] @ w[c]
            if c == y:
                curve = g(cosine) - m if loss.kind == "C" else g(turned(cosine, m))
                total = total + loss.positive_weight * torch.log(1 + torch.exp(-r * curve - b))
            else:
                curve = g(cosine) + m if loss.kind == "C" else g(turned(cosine, -m))
                total = total + (1 - loss.positive_weight) * torch.log(1 + torch.exp(r * curve + b))
    return total / len(LABELS)


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("kind", "power"), [("A", 3.0), ("C", 3.0), ("C", 2.5)])
@pytest.mark.parametrize("cells", [10_000, 10])
def test_sphereface2_equals_loops(
    kind: str, power: float, progress: float, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyword, "MAX_CELLS", cells)
    torch.manual_seed(1)
    audio, loss = audio_rows(), SphereFace2(8, 4, kind=kind, power=power)
    loss.set_progress(progress)
    value = loss(audio, LABELS)
    gradients = torch.autograd.grad(value, [audio, loss.classes, loss.bias])
    expected = naive_sphereface2(loss, audio)
    expected_gradients = torch.autograd.grad(expected, [audio, loss.classes, loss.bias])
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-4)


def negatives_at_cosine_zero(loss: SphereFace2) -> float:
    """The weighted sum over all negatives of a row that is orthogonal to every class."""
    total = len(loss.classes)
    with torch.no_grad():
        loss.classes.zero_()[:, 0] = 1.0
        row, label = torch.tensor([[0.0, 1.0]]), torch.tensor([0])
        positive = functional.softplus(-loss._logits(torch.zeros(()), -1) - loss.bias).item()
        assert total == 1 or loss.positive_weight * positive > 1
        return loss(row, label).item() - loss.positive_weight * positive


@pytest.mark.parametrize("kind", ["A", "C"])
@pytest.mark.parametrize("classes", [100, 1000, 10_000, 210_000])
def test_negatives_weigh_as_much_as_the_positive_at_the_start(kind: str, classes: int) -> None:
    warmed = SphereFace2(classes, 2, kind=kind)
    assert warmed.margin == 0
    assert negatives_at_cosine_zero(warmed) == pytest.approx(0.7, abs=0.01)
    full = SphereFace2(classes, 2, kind=kind, warm_up_start=0, warm_up_end=0)
    assert full.margin == {"A": 0.15, "C": 0.2}[kind]
    assert negatives_at_cosine_zero(full) == pytest.approx(0.7, abs=0.01)
    zero = SphereFace2(classes, 2, kind=kind, first_bias="zero", warm_up_start=0, warm_up_end=0)
    assert zero.bias.item() == 0
    assert negatives_at_cosine_zero(zero) < 0.01


def test_bias_of_the_closed_form() -> None:
    own, other = 32 * (2 * 0.125 - 1 - 0.2), 32 * (2 * 0.125 - 1 + 0.2)
    biases = [balanced_bias(classes, own, other, 0.7) for classes in (100, 1000, 10_000, 210_000)]
    assert biases == pytest.approx([13.9, 11.5, 9.2, 6.2], abs=0.06)
    full = SphereFace2(1000, 2, warm_up_start=0, warm_up_end=0)
    assert full.bias.item() == pytest.approx(biases[1], abs=1e-4)
    assert SphereFace2(1, 2).bias.item() == 0


@pytest.mark.parametrize("loss_class", [SphereFace2, AAMSoftmax])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_finite_where_cosines_are_one(loss_class: type, dtype: torch.dtype) -> None:
    for options in ({"kind": "A"}, {"kind": "C", "power": 2.5}) if loss_class is SphereFace2 else ({},):
        loss = loss_class(3, 2, scale=40.0, **options)
        with torch.no_grad():
            loss.classes.copy_(torch.tensor([[1.0, 0], [-1, 0], [0, 1]]))
        loss.set_progress(1.0)
        audio = torch.tensor([[1.0, 0], [1, 0], [-1, 0]], dtype=dtype).requires_grad_()
        value = loss(audio, torch.tensor([0, 1, 2]))
        value.backward()
        assert value.dtype == torch.float32
        assert value.isfinite()
        for gradient in (audio.grad, loss.classes.grad):
            assert gradient.isfinite().all()


def test_sampled_negatives_estimate_all_of_them() -> None:
    torch.manual_seed(0)
    audio, labels = audio_rows().detach(), LABELS
    whole, sampled = SphereFace2(40, 4, scale=4.0), SphereFace2(40, 4, scale=4.0, sampled=10)
    sampled.load_state_dict(whole.state_dict())
    draws = torch.tensor([sampled(audio, labels).item() for _ in range(600)])
    assert draws.std() > 0
    assert draws.mean().item() == pytest.approx(whole(audio, labels).item(), rel=0.01)
    everything = SphereFace2(40, 4, scale=4.0, sampled=40)
    everything.load_state_dict(whole.state_dict())
    assert everything(audio, labels).item() == whole(audio, labels).item()


def test_aam_softmax_equals_loops_and_the_metric_learning_library() -> None:
    torch.manual_seed(2)
    audio, loss = audio_rows(), AAMSoftmax(8, 4, scale=16.0)
    loss.set_progress(1.0)
    value = loss(audio, LABELS)
    u, w = functional.normalize(audio.double(), dim=1), functional.normalize(loss.classes.double(), dim=1)
    expected = torch.zeros((), dtype=torch.float64)
    for i, y in enumerate(LABELS.tolist()):
        logits = [16 * (turned(u[i] @ w[c], 0.2) if c == y else u[i] @ w[c]) for c in range(8)]
        expected = expected - torch.log(torch.exp(logits[y]) / sum(torch.exp(x) for x in logits)) / 5
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    oracle = ArcFaceLoss(num_classes=8, embedding_size=4, margin=math.degrees(0.2), scale=16)
    with torch.no_grad():
        oracle.W.copy_(loss.classes.T)
    assert value.item() == pytest.approx(oracle(audio, LABELS).item(), rel=1e-5)


@pytest.mark.parametrize("margin", [0.2, -0.2])
def test_widening_is_continuous_and_rises_with_the_cosine(margin: float) -> None:
    cosines = torch.linspace(-1, 1, 20_001, dtype=torch.float64)
    widened = widen(cosines, margin)
    steps = widened.diff()
    assert (steps > 0).all()
    assert steps.max() < 0.01
    inside = torch.arccos(cosines) + margin
    inside = (inside > 0.01) & (inside < math.pi - 0.01) & (cosines.abs() < 0.999)
    torch.testing.assert_close(widened[inside], torch.cos(torch.arccos(cosines[inside]) + margin))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="'B' of SphereFace2 is not known"):
        SphereFace2(3, 2, kind="B")
    with pytest.raises(ValueError, match="'nought' of SphereFace2 is not known"):
        SphereFace2(3, 2, first_bias="nought")
    with pytest.raises(ValueError, match="warm_up_start must lie"):
        AAMSoftmax(3, 2, warm_up_start=0.5)
