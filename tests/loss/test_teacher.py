"""Teaching by a network's values: against loops, and what does not matter to it."""

import math

import pytest
import torch

from watchword.loss.teacher import TeacherCosine, TeacherDistance


def test_teacher_equals_loops() -> None:
    torch.manual_seed(0)
    taught, teaching = torch.randn(7, 5), torch.randn(7, 5)
    total = 0.0
    for row in range(7):
        a, b = taught[row].double().tolist(), teaching[row].double().tolist()
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        total += 1 - dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))
    assert TeacherCosine()(taught, teaching).item() == pytest.approx(total / 7, rel=1e-5)


def test_lengths_do_not_matter_and_no_frame_costs_nothing() -> None:
    torch.manual_seed(1)
    taught, teaching = torch.randn(4, 3), torch.randn(4, 3)
    loss = TeacherCosine()
    torch.testing.assert_close(loss(5 * taught, 0.1 * teaching), loss(taught, teaching))
    assert loss(teaching, teaching).item() == pytest.approx(0, abs=1e-6)
    assert loss(taught[:0], teaching[:0]).item() == 0


def test_distance_equals_loops() -> None:
    torch.manual_seed(2)
    taught, teaching = torch.randn(6, 3), torch.randn(6, 3)
    apart = length = 0.0
    for a, b in zip(taught.double().flatten().tolist(), teaching.double().flatten().tolist(), strict=True):
        apart += (a - b) ** 2
        length += b**2
    loss = TeacherDistance()
    assert loss(taught, teaching).item() == pytest.approx(apart / length, rel=1e-5)
    assert loss(teaching, teaching).item() == 0
    assert loss(2 * teaching, teaching).item() == pytest.approx(1, rel=1e-6)  # lengths count
    assert loss(taught[:0], teaching[:0]).item() == 0
