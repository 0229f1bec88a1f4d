"""The pairwise losses equal plain loops in float64, in value and gradient."""

import math

import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import MultiSimilarityLoss, NTXentLoss
from torch import Tensor, nn

import watchword.loss.crossing as crossing
from watchword.loss.crossing import cross, extended_logsumexp, mean_softplus
from watchword.loss.pairwise import AsymmetricProxy, Clat, ProxyBD, ProxyMS

LABELS = {
    "mixed": [0, 1, 0, 2, 2, 0, 3, 1, 4, 4],
    "one class": [3, 3, 3, 3],
    "all distinct": [4, 0, 2, 1, 3],
    "one row": [1],
}


def rows(labels: list[int], seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Random audio; texts of which about half are copies, as two utterances of one keyword are."""
    generator = torch.Generator().manual_seed(seed)
    audio = torch.randn(len(labels), 6, generator=generator)
    texts = torch.randn(2, max(labels) + 1, 6, generator=generator)
    text = torch.stack([texts[place % 2, label] for place, label in enumerate(labels)])
    return audio.requires_grad_(), text.requires_grad_(), torch.tensor(labels)


def dot(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum() / (x.norm() * y.norm())


def naive_else(xs: list[Tensor]) -> Tensor:
    return torch.log(1 + sum(torch.exp(x) for x in xs)) if xs else torch.zeros((), dtype=torch.float64)


def naive_msp(xs: list[Tensor]) -> Tensor:
    return sum(torch.log(1 + torch.exp(x)) for x in xs) / max(len(xs), 1) + torch.zeros((), dtype=torch.float64)


def naive(name: str, audio: Tensor, text: Tensor, labels: Tensor, a: float, b: float, m: float) -> Tensor:
    n, total = len(labels), torch.zeros((), dtype=torch.float64)
    for i in range(n):
        same = [j for j in range(n) if labels[j] == labels[i]]
        others = [k for k in range(n) if labels[k] != labels[i]]
        push = [b * (dot(audio[i], text[k]) - m) for k in others]
        if name == "asyp":
            total = total + naive_else([a * (m - dot(text[i], audio[j])) for j in same]) / a + naive_msp(push)
        if name == "proxy_bd":
            total = total + naive_msp([a * (m - dot(audio[i], text[j])) for j in same]) + naive_msp(push)
        if name == "proxy_ms":
            pull = naive_else([a * (m - dot(audio[i], text[j])) for j in same]) / a
            total = total + pull + naive_else(push) / b
        if name == "clat":
            own = dot(audio[i], text[i])
            total = total - torch.log(
                torch.exp(own / a) / (torch.exp(own / a) + sum(torch.exp(dot(audio[i], text[k]) / a) for k in others))
            )
    return total / n


CASES = [
    ("asyp", AsymmetricProxy(0.01, 1.5, 0.01), (0.01, 1.5, 0.01)),
    ("asyp", AsymmetricProxy(2.0, 20.0, 0.3), (2.0, 20.0, 0.3)),
    ("proxy_bd", ProxyBD(2.0, 40.0, 0.5), (2.0, 40.0, 0.5)),
    ("proxy_ms", ProxyMS(2.0, 50.0, 0.5), (2.0, 50.0, 0.5)),
    ("proxy_ms", ProxyMS(0.01, 1.5, 0.01), (0.01, 1.5, 0.01)),
    ("clat", Clat(0.07), (0.07, 0.0, 0.0)),
]


def assert_equals_loops(loss: nn.Module, name: str, batch: tuple[Tensor, Tensor, Tensor], parameters: tuple) -> None:
    audio, text, labels = batch
    exact_audio, exact_text = (x.detach().double().requires_grad_() for x in (audio, text))
    expected = naive(name, exact_audio, exact_text, labels, *parameters)
    value = loss(audio, text, labels)
    assert value.dtype == torch.float32
    assert value.shape == ()
    assert value.item() == pytest.approx(expected.item(), rel=2e-6, abs=2e-6)
    expected.backward()
    value.backward()
    torch.testing.assert_close(audio.grad, exact_audio.grad.float(), rtol=1e-4, atol=1e-5)
    # Equal texts share their gradient evenly; clat by loops gives each the part of its own audio.
    equal = ((text[:, None] == text[None]).all(2) & (labels[:, None] == labels[None])).float()
    shared = equal / equal.sum(1, keepdim=True) @ exact_text.grad.float()
    torch.testing.assert_close(text.grad, shared, rtol=1e-4, atol=1e-5)
    if name != "clat":
        torch.testing.assert_close(text.grad, exact_text.grad.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize(("name", "loss", "parameters"), CASES, ids=[f"{c[0]} {c[2]}" for c in CASES])
def test_equals_loops(name: str, loss: nn.Module, parameters: tuple, kind: str) -> None:
    assert_equals_loops(loss, name, rows(LABELS[kind]), parameters)


@pytest.mark.parametrize(("name", "loss", "parameters"), CASES, ids=[f"{c[0]} {c[2]}" for c in CASES])
def test_equals_loops_in_pieces(name: str, loss: nn.Module, parameters: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossing, "MAX_CELLS", 20)
    batch = rows(LABELS["mixed"])
    assert len(list(cross(*batch).pieces("rows"))) == 4
    assert_equals_loops(loss, name, batch, parameters)


def test_operators_of_empty_and_singleton_sets() -> None:
    x, groups = torch.tensor([0.3, -2.0, 5.0, 700.0]), torch.tensor([0, 2, 2, 3])
    for operator, loops in ((extended_logsumexp, naive_else), (mean_softplus, naive_msp)):
        members = [[x[0]], [], [x[1], x[2]]]
        expected = [loops([member.double() for member in group]).item() for group in members] + [700.0]
        assert operator(x, groups, 4).tolist() == pytest.approx(expected, rel=1e-6)
        doubled = operator(x, groups, 4, torch.full_like(x, 2.0))
        twice = [loops([member.double() for member in group * 2]).item() for group in members]
        assert doubled[:3].tolist() == pytest.approx(twice, rel=1e-6)


def test_equal_texts_are_computed_once_but_not_across_classes() -> None:
    text = torch.tensor([[1.0, 2], [1, 2], [1, 2], [2, 1]])
    assert len(cross(text, text, torch.tensor([0, 0, 0, 0])).text) == 2
    homophones = cross(text, text, torch.tensor([0, 0, 1, 1]))
    assert sorted(homophones.copies.tolist()) == [1, 1, 2]
    assert homophones.own[0] == homophones.own[1]
    assert homophones.own.unique().tolist() == [0, 1, 2]
    torch.testing.assert_close(homophones.text[homophones.own], nn.functional.normalize(text, dim=1))


def test_texts_that_only_look_equal_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    # Swapping two coordinates of equal weight leaves the projection that proposes groups as it was.
    monkeypatch.setattr(torch, "linspace", lambda first, last, steps, **kwargs: torch.ones(steps, **kwargs))
    audio, text = torch.eye(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]])
    assert torch.equal(cross(audio, text, torch.tensor([5, 5])).copies, torch.ones(2))


def test_text_pulls_and_audio_pushes() -> None:
    audio, text, labels = rows(LABELS["mixed"])
    loss = AsymmetricProxy(4.0, 6.0, 0.1)
    forward, swapped = loss(audio, text, labels).item(), loss(text, audio, labels).item()
    exact = (audio.double(), text.double(), labels, 4.0, 6.0, 0.1)
    assert forward == pytest.approx(naive("asyp", *exact).item(), rel=1e-6)
    assert swapped == pytest.approx(naive("asyp", exact[1], exact[0], *exact[2:]).item(), rel=1e-6)
    assert abs(forward - swapped) > 1e-2
    # With texts of one class equal, audio rows of that class may trade places.
    trade = torch.tensor([5, 1, 0, 3, 4, 2, 6, 7, 8, 9])
    same_texts = torch.stack([text[labels.tolist().index(int(label))] for label in labels])
    assert loss(audio[trade], same_texts, labels).item() == pytest.approx(
        loss(audio, same_texts, labels).item(), rel=1e-6
    )


@pytest.mark.parametrize("alpha", [0.01, 1.0, 7.0])
def test_gradient_of_alpha_is_minus_entropy_over_alpha_squared(alpha: float) -> None:
    audio, text, labels = rows([0] * 7)  # one class: no push
    loss = AsymmetricProxy(alpha, 1.5, 0.2, adaptive="raw", num_classes=1)
    loss(audio, text, labels).backward()
    cosine = (nn.functional.normalize(text, dim=1) @ nn.functional.normalize(audio, dim=1).T).double()
    z = torch.cat([torch.zeros(7, 1), alpha * (0.2 - cosine)], dim=1)
    entropy = torch.distributions.Categorical(logits=z).entropy().mean().item()
    assert loss.scales.pull_scale.grad.item() == pytest.approx(-entropy / alpha**2, rel=1e-5)


def test_small_alpha_is_the_mean_positive_cosine() -> None:
    audio, text, labels = rows([0] * 5)
    loss = AsymmetricProxy(0.003, 1.5, 0.2)
    cosine = nn.functional.normalize(text, dim=1) @ nn.functional.normalize(audio, dim=1).T
    centred = loss(audio, text, labels) - loss.last_offset
    assert loss.last_offset.item() == pytest.approx(math.log(6) / 0.003)
    assert centred.item() == pytest.approx(5 / 6 * (0.2 - cosine.mean().item()), abs=2e-3)


def test_normalised_divides_the_push() -> None:
    audio, text, labels = rows(LABELS["all distinct"])
    whole = AsymmetricProxy(2.0, 5.0, 0.1)(audio, text, labels)
    divided = AsymmetricProxy(2.0, 5.0, 0.1, divide_push=True)(audio, text, labels)
    learned = AsymmetricProxy(2.0, 5.0, 0.1, adaptive="normalised", num_classes=5)(audio, text, labels)
    one_class = AsymmetricProxy(2.0, 5.0, 0.1)
    pull = sum(one_class(audio[i : i + 1], text[i : i + 1], labels[i : i + 1]) for i in range(5)) / 5
    assert (whole - pull).item() == pytest.approx(5 * (divided - pull).item(), rel=1e-4)
    assert learned.item() == pytest.approx(divided.item(), rel=1e-6)


def test_proxy_ms_is_multi_similarity_of_the_metric_learning_library() -> None:
    audio, text, labels = (x.detach() for x in rows(LABELS["mixed"]))
    oracle = MultiSimilarityLoss(alpha=2, beta=50, base=0.5)
    ours = ProxyMS()(audio, text, labels).item()
    assert ours == pytest.approx(oracle(audio, labels, ref_emb=text, ref_labels=labels.clone()).item(), rel=1e-6)
    # Given the very same labels object, the library drops every pair of a row with its own text.
    assert abs(ours - oracle(audio, labels, ref_emb=text, ref_labels=labels).item()) > 1e-3


@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 2]], ids=["once", "twice"])
def test_clat_is_the_contrastive_loss_of_the_metric_learning_library(labels: list[int]) -> None:
    """The library takes the mean over all positive pairs: the same, where both utterances of a word share one text."""
    generator, classes = torch.Generator().manual_seed(2), torch.tensor(labels)
    audio, text = (torch.randn(len(labels), 6, generator=generator) for _ in range(2))
    text = text[classes]
    oracle = NTXentLoss(temperature=0.07, distance=CosineSimilarity())
    expected = oracle(audio, classes, ref_emb=text, ref_labels=classes.clone()).item()
    assert Clat(0.07)(audio, text, classes).item() == pytest.approx(expected, rel=1e-5)


SYMMETRIC = {
    "proxy_bd": (ProxyBD, (2.0, 40.0, 0.5)),
    "proxy_ms": (ProxyMS, (2.0, 50.0, 0.5)),
    "clat": (Clat, (0.07,)),
}


@pytest.mark.parametrize("name", SYMMETRIC)
@pytest.mark.parametrize("kind", LABELS)
def test_the_anchor_may_be_text(name: str, kind: str) -> None:
    audio, text, labels = rows(LABELS[kind])
    loss, parameters = SYMMETRIC[name]
    exact_audio, exact_text = (x.detach().double().requires_grad_() for x in (audio, text))
    expected = naive(name, exact_text, exact_audio, labels, *(*parameters, 0.0, 0.0)[:3])
    value = loss(*parameters, anchor="text")(audio, text, labels)
    assert value.item() == pytest.approx(expected.item(), rel=2e-6, abs=2e-6)
    expected.backward()
    value.backward()
    torch.testing.assert_close(audio.grad, exact_audio.grad.float(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(text.grad, exact_text.grad.float(), rtol=1e-4, atol=1e-5)
    if kind == "mixed":
        assert abs(value.item() - loss(*parameters)(audio, text, labels).item()) > 1e-3
    with pytest.raises(ValueError, match="anchor 'frame' is not known; known are audio, text"):
        loss(anchor="frame")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", [case[1] for case in CASES], ids=[f"{c[0]} {c[2]}" for c in CASES])
def test_half_precision_and_autocast_are_left(loss: nn.Module, dtype: torch.dtype) -> None:
    audio, text, labels = (x.detach() for x in rows(LABELS["mixed"]))
    audio, text = audio.to(dtype).requires_grad_(), text.to(dtype).requires_grad_()
    expected = loss(audio.float(), text.float(), labels).item()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(audio, text, labels)
    assert value.dtype == torch.float32
    assert value.item() == expected
    value.backward()
    assert audio.grad.isfinite().all()
    assert text.grad.isfinite().all()


def test_zero_and_equal_rows_have_finite_gradients() -> None:
    for _, loss, _ in CASES:
        audio = torch.zeros(4, 3).requires_grad_()
        text = torch.ones(4, 3).requires_grad_()
        loss(audio, text, torch.tensor([0, 0, 1, 2])).backward()
        assert audio.grad.isfinite().all()
        assert text.grad.isfinite().all()
