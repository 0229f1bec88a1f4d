"""AdaMS: the scales and the margin of Eq. 2, fixed or learned for each class."""

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Adaptive = Literal["none", "raw", "boxed", "normalised"]

BOX = {"pull_scale": (0.01, 8.0), "push_scale": (1.5, 32.0), "margin": (-0.5, 0.5)}
"""Bounds of "boxed" and "normalised"."""


class ClassScales(nn.Module):
    """alpha, beta and lambda of Eq. 2 for each row's class. AdaMS: Jung & Kim 2023; per phoneme class as in the paper.

    The printed loss gives them no optimum: d/d alpha = −H/alpha² is never positive, and once beta is below the pull's
    strength lambda and beta run away together until nothing repels (simulated on the paper's schedule: beta 0.01,
    lambda −3.3). So after each step they go back into a box, which blocks those directions alone; "raw" does not.

    Values are plain, not logarithms: on a log scale the paper's learning rates move alpha no further than 0.26.
    `after_step()` must follow every optimiser step. Keep them out of weight decay and of gradient clipping (their first
    gradients are about 10⁴).
    """

    pull_scale: Tensor
    push_scale: Tensor
    margin: Tensor

    def __init__(
        self, pull_scale: float, push_scale: float, margin: float, adaptive: Adaptive = "none", num_classes: int = 0
    ) -> None:
        super().__init__()
        if adaptive not in get_args(Adaptive):
            raise ValueError(f"adaptive {adaptive!r} is not known; known are {', '.join(get_args(Adaptive))}")
        if min(pull_scale, push_scale) <= 0:
            raise ValueError(f"pull_scale and push_scale must be above 0, not {pull_scale} and {push_scale}")
        if adaptive != "none" and num_classes < 1:
            raise ValueError(f"adaptive = {adaptive!r} needs num_classes, one set of scales a class")
        self.adaptive = adaptive
        self.initial = {"pull_scale": pull_scale, "push_scale": push_scale, "margin": margin}
        for name, value in self.initial.items():
            values = torch.full((num_classes if adaptive != "none" else 1,), float(value))
            if adaptive == "none":
                self.register_buffer(name, values, persistent=False)
            else:
                self.register_parameter(name, nn.Parameter(values))
        self._before: dict[str, Tensor] = {}
        self._held = torch.zeros(())

    def forward(self, labels: Int[Tensor, " row"]) -> tuple[Tensor, Tensor, Tensor]:
        """Returns alpha, beta and lambda of each row's class, each [row]."""
        if self.adaptive == "none":
            return tuple(getattr(self, name).expand(len(labels)) for name in self.initial)  # type: ignore[return-value]
        if self.training and torch.is_grad_enabled():
            self._before = {name: getattr(self, name).detach().clone() for name in self.initial}
        return tuple(getattr(self, name).index_select(0, labels) for name in self.initial)  # type: ignore[return-value]

    @torch.no_grad()
    def after_step(self) -> None:
        """Takes back what the optimiser did to classes absent from the batch, then puts all into the box."""
        gradient = self.pull_scale.grad
        if self.adaptive == "none" or gradient is None or not self._before:
            return
        # Adam's momentum goes on moving absent classes. Their gradient is exactly 0 (on every process, where gradients
        # are averaged over processes); that of present ones never is.
        absent = gradient == 0
        held = []
        for name, (low, high) in BOX.items():
            values = getattr(self, name)
            wanted = torch.where(absent, self._before[name], values)
            values.copy_(wanted if self.adaptive == "raw" else wanted.clamp(low, high))
            held.append(values != wanted)
        self._held = torch.stack(held).sum() / (~absent).sum().clamp_min(1) / len(held)

    @torch.no_grad()
    def report(self) -> dict[str, float]:
        """Returns min, mean and max of each value over classes, and `held`: the share of the last step's values that
        the box moved back."""
        values: dict[str, Float[Tensor, " class"]] = {name: getattr(self, name) for name in self.initial}
        result = {f"{name}_min": float(value.min()) for name, value in values.items()}
        result |= {f"{name}_mean": float(value.mean()) for name, value in values.items()}
        result |= {f"{name}_max": float(value.max()) for name, value in values.items()}
        return result | {"held": float(self._held)}
