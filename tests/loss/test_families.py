"""Every registered loss keeps its family's signature and returns one finite float32 number with finite gradients."""

import ast
import inspect
from pathlib import Path

import pytest
import torch
from beartype import beartype
from jaxtyping import jaxtyped
from torch import Tensor, nn

from watchword.loss import FAMILIES

EVERY = [(family, name) for family, members in FAMILIES.items() for name in members]
# Words of one phoneme, classes seen once, a batch in which nothing is alike.
LABELS = torch.tensor([3, 0, 3, 1, 2])


def build(family: str, name: str) -> nn.Module:
    loss = FAMILIES[family][name]
    known = inspect.signature(loss).parameters
    return loss(**{key: value for key, value in {"num_classes": 5, "dim": 6}.items() if key in known})


def inputs(family: str, labels: Tensor) -> list[Tensor]:
    n = len(labels)
    audio, text = torch.randn(n, 6).requires_grad_(), torch.randn(5, 6)[labels].requires_grad_()
    if family in ("pairwise", "relational"):
        return [audio, text, labels]
    if family == "keyword":
        return [audio, labels]
    if family == "adversarial":
        return [audio, text]
    if family == "monotonic":
        affinity = torch.softmax(torch.randn(n, 1, 9), dim=2).requires_grad_()
        return [affinity, torch.ones(n, 1, dtype=torch.bool), torch.ones(n, 9, dtype=torch.bool)]
    if family == "teacher":
        return [audio, torch.randn(n, 6)]
    if family == "verification":
        return [torch.randn(n).requires_grad_(), labels > 1]
    if family == "negatives":
        # One audio row without a text is pushed from nothing, and all rows are above the margin.
        alike = (torch.eye(6)[:1] + 0.2 * torch.randn(7, 6)).requires_grad_()
        pairs = torch.ones(3, n + 4, dtype=torch.bool)
        pairs[0] = False
        return [audio, text, alike[:3].detach().requires_grad_(), alike[3:].detach().requires_grad_(), pairs]
    return [torch.randn(n, 4, 72).requires_grad_(), torch.randint(-1, 72, (n, 4))]


@pytest.mark.parametrize(
    "labels", [LABELS, torch.arange(5), LABELS[:1], LABELS[[0, 2]]], ids=["mixed", "alone", "1", "same"]
)
@pytest.mark.parametrize(("family", "name"), EVERY)
def test_value_and_gradients_are_finite(family: str, name: str, labels: Tensor) -> None:
    torch.manual_seed(0)
    loss, tensors = build(family, name), inputs(family, labels)
    # Shapes and dtypes as annotated, checked on the way in and out.
    value = jaxtyped(typechecker=beartype)(inspect.unwrap(type(loss).forward))(loss, *tensors)
    assert value.item() == loss(*tensors).item() or family == "relational"
    assert value.shape == ()
    assert value.dtype == torch.float32
    value.backward()
    for tensor in [*tensors, *loss.parameters()]:
        assert tensor.grad is None or tensor.grad.isfinite().all()
    assert torch.stack([x.grad.abs().sum() for x in tensors if x.requires_grad and x.grad is not None]).isfinite().all()


@pytest.mark.parametrize(("family", "name"), EVERY)
def test_signature_is_the_family_one(family: str, name: str) -> None:
    members = [list(inspect.signature(loss.forward).parameters) for loss in FAMILIES[family].values()]
    assert list(inspect.signature(FAMILIES[family][name].forward).parameters) == members[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("family", "name"), EVERY)
def test_half_precision_is_left_at_the_door(family: str, name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    loss = build(family, name)
    halves = [x.detach().to(dtype).requires_grad_() if x.is_floating_point() else x for x in inputs(family, LABELS)]
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(*halves)
    assert value.dtype == torch.float32
    torch.manual_seed(1)
    exact = loss(*(x.detach().float() if x.is_floating_point() else x for x in halves))
    torch.manual_seed(1)
    assert loss(*halves).item() == exact.item()
    value.backward()
    gradients = [x.grad for x in halves if x.requires_grad and x.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients) or family == "adversarial"  # the ramp starts at 0


def test_every_loss_is_compared_with_plain_loops() -> None:
    """A test module with a test of that name holds each registered class."""
    compared = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and "equals_loops" in node.name for node in tree.body):
            compared |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    lacking = {loss.__name__ for members in FAMILIES.values() for loss in members.values()} - compared
    assert lacking == set(), "write a test_equals_loops for it: docs/losses.md"


def test_arguments_may_be_named() -> None:
    audio, text, labels = inputs("pairwise", LABELS)
    loss = build("pairwise", "asyp")
    assert (
        loss(audio=audio.half(), text=text.half(), labels=labels).item()
        == loss(audio.half(), text.half(), labels).item()
    )


@pytest.mark.parametrize(("family", "name"), EVERY)
def test_saved_and_loaded_alike(family: str, name: str) -> None:
    torch.manual_seed(0)
    loss, tensors = build(family, name), inputs(family, LABELS)
    fresh = build(family, name)
    fresh.load_state_dict(loss.state_dict())
    torch.manual_seed(1)
    value = loss(*tensors).item()
    torch.manual_seed(1)
    assert fresh(*tensors).item() == value
