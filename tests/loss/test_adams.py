"""AdaMS: per-class values that stay in their box, move only with their class, and start at the fixed ones."""

import pytest
import torch
from torch import nn

from watchword.loss.adams import BOX
from watchword.loss.pairwise import AsymmetricProxy


def batch(labels: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(2, len(labels), 4, generator=generator)
    return rows[0], rows[1], torch.tensor(labels)


def test_starts_equal_to_the_fixed_loss() -> None:
    rows = batch([0, 0, 1, 2, 2])
    fixed = AsymmetricProxy()
    assert not list(fixed.parameters())
    assert not fixed.state_dict()
    for adaptive in ("raw", "boxed"):
        loss = AsymmetricProxy(adaptive=adaptive, num_classes=3)
        assert loss(*rows).item() == pytest.approx(fixed(*rows).item(), rel=1e-6)
        assert loss.last_offset.item() == pytest.approx(fixed.last_offset.item(), rel=1e-6)


def test_each_row_takes_the_values_of_its_class() -> None:
    audio, text, labels = batch([0, 1, 1, 0])
    loss = AsymmetricProxy(adaptive="raw", num_classes=2)
    with torch.no_grad():
        for values in loss.scales.parameters():
            values.copy_(torch.tensor([1.0, 3.0]) if values is not loss.scales.margin else torch.tensor([0.1, -0.2]))
    u, v = (nn.functional.normalize(x.double(), dim=1) for x in (audio, text))
    expected = torch.zeros((), dtype=torch.float64)
    for i in range(4):
        scale, margin = ((1.0, 0.1), (3.0, -0.2))[int(labels[i])]
        pull = sum(torch.exp(scale * (margin - v[i] @ u[j])) for j in range(4) if labels[j] == labels[i])
        push = [torch.log(1 + torch.exp(scale * (u[i] @ v[k] - margin))) for k in range(4) if labels[k] != labels[i]]
        expected += torch.log(1 + pull) / scale + sum(push) / len(push)
    assert loss(audio, text, labels).item() == pytest.approx(expected.item() / 4, rel=1e-6)


@pytest.mark.parametrize("adaptive", ["boxed", "normalised"])
def test_stays_in_the_box(adaptive: str) -> None:
    torch.manual_seed(0)
    loss = AsymmetricProxy(adaptive=adaptive, num_classes=5)
    optimizer = torch.optim.AdamW(loss.parameters(), lr=3e-2, weight_decay=0.0)
    for _ in range(2000):
        audio = torch.randn(8, 3)
        loss(audio, audio + torch.randn(8, 3), torch.randint(4, (8,))).backward()
        optimizer.step()
        loss.after_step()
        optimizer.zero_grad()
    for name, (low, high) in BOX.items():
        values = getattr(loss.scales, name)
        assert values.isfinite().all()
        assert values.min() >= low
        assert values.max() <= high
        assert values[4].item() == pytest.approx(loss.scales.initial[name])  # never in a batch
    # The gradient of alpha is never positive, so every class seen has moved up.
    assert loss.scales.pull_scale[:4].min() > 0.1


def test_report_tells_what_the_box_holds_back() -> None:
    loss = AsymmetricProxy(adaptive="boxed", num_classes=3)
    loss(*batch([0, 1])).backward()
    with torch.no_grad():
        loss.scales.push_scale[0] = 1.0
        loss.scales.margin[1] = 0.9
        loss.scales.margin[2] = 0.9  # absent: taken back, not held
    loss.after_step()
    report = loss.scales.report()
    assert report["held"] == pytest.approx(2 / 6)
    assert report["push_scale_min"] == 1.5
    assert report["margin_max"] == 0.5
    assert report["margin_mean"] == pytest.approx((0.01 + 0.5 + 0.01) / 3)


def test_absent_classes_do_not_drift_on_momentum() -> None:
    loss = AsymmetricProxy(adaptive="boxed", num_classes=3)
    optimizer = torch.optim.AdamW(loss.parameters(), lr=1e-2, weight_decay=0.0)

    def step(labels: list[int]) -> torch.Tensor:
        optimizer.zero_grad()
        loss(*batch(labels)).backward()
        optimizer.step()
        loss.after_step()
        return torch.stack([values.detach().clone() for values in loss.parameters()])

    both = step([0, 0, 1, 1])
    one = step([0, 0, 0, 2])
    assert torch.equal(one[:, 1], both[:, 1])
    assert (one[0, [0, 2]] > both[0, [0, 2]]).all()
    again = step([1, 2, 1, 2])
    assert again[0, 1] > one[0, 1]


def test_raw_leaves_the_box() -> None:
    loss = AsymmetricProxy(adaptive="raw", num_classes=2)
    loss(*batch([0, 1])).backward()
    with torch.no_grad():
        loss.scales.push_scale.fill_(0.7)
        loss.scales.margin.fill_(-3.0)
    loss.after_step()
    assert loss.scales.push_scale.tolist() == pytest.approx([0.7, 0.7])
    assert loss.scales.margin.tolist() == [-3.0, -3.0]
    assert loss.scales.report()["held"] == 0


def test_validation_between_forward_and_step_changes_nothing() -> None:
    loss = AsymmetricProxy(adaptive="boxed", num_classes=2)
    optimizer = torch.optim.AdamW(loss.parameters(), lr=1e-2)
    loss(*batch([0, 0])).backward()
    optimizer.step()
    moved = loss.scales.pull_scale[0].item()
    with torch.no_grad():
        loss(*batch([1, 1]))
    loss.after_step()
    assert loss.scales.pull_scale[0].item() == moved > 0.01
    assert loss.scales.pull_scale[1].item() == pytest.approx(0.01)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="needs num_classes"):
        AsymmetricProxy(adaptive="boxed")
    with pytest.raises(ValueError, match="must be above 0, not 0"):
        AsymmetricProxy(pull_scale=0)
