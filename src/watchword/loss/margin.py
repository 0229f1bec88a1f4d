"""Margins of the keyword losses: their warm-up, and the angle they are added to."""

import math

import torch
from torch import Tensor


class Margin:
    """A margin that is 0 until `start` of training (a fraction), `full` from `end`, and linear between.

    >>> margin = Margin(0.2, start=0.2, end=0.4)
    >>> [round(margin.at(fraction), 2) for fraction in (0.0, 0.2, 0.3, 0.4, 1.0)]
    [0.0, 0.0, 0.1, 0.2, 0.2]
    >>> Margin(0.2, start=0.0, end=0.0).at(0.0)
    0.2
    """

    def __init__(self, full: float, start: float, end: float) -> None:
        if not 0 <= start <= end:
            raise ValueError(f"warm_up_start must lie in 0 to warm_up_end, not {start} with warm_up_end {end}")
        self.full, self.start, self.end = full, start, end

    def at(self, fraction: float) -> float:
        """Returns the margin when that share of training is done."""
        if fraction >= self.end:
            return self.full
        return self.full * max(0.0, (fraction - self.start) / (self.end - self.start))


def widen(cosine: Tensor, margin: float) -> Tensor:
    """cos(angle + margin); where that would leave 0 to pi, it goes on as the cosine itself, shifted to meet it.

    The gradient stays finite at ±1.

    >>> [round(x, 4) for x in widen(torch.tensor([0.0, 1.0, -1.0]), 0.2).tolist()]
    [-0.1987, 0.9799, -1.0199]
    """
    sine = (1.0 - cosine.square()).clamp_min(1e-6).sqrt()
    turned = cosine * math.cos(margin) - sine * math.sin(margin)
    shift = 1.0 - math.cos(margin)
    if margin >= 0:
        return torch.where(cosine > -math.cos(margin), turned, cosine - shift)
    return torch.where(cosine < math.cos(margin), turned, cosine + shift)
