"""Pairwise losses between audio and text rows of the same classes: Asymmetric-Proxy with AdaMS, Proxy-BD, Proxy-MS, clat."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


def extended_logsumexp(x: Tensor, member: Tensor) -> Tensor:
    """ELSE over each row's members: log(1 + Σ e^x). A row without members gives 0. Wang et al. 2019."""
    masked = x.masked_fill(~member, float("-inf"))
    return torch.logsumexp(functional.pad(masked, (1, 0)), dim=1)


def mean_softplus(x: Tensor, member: Tensor) -> Tensor:
    """MSP over each row's members: mean of log(1 + e^x). A row without members gives 0. Yi et al. 2014."""
    return (functional.softplus(x) * member).sum(1) / member.sum(1).clamp_min(1)


def cosines(rows: Tensor, columns: Tensor) -> Tensor:
    """Cosine similarity of all rows [n, d] with all columns [m, d], float32 [n, m]."""
    return functional.normalize(rows.float(), dim=1) @ functional.normalize(columns.float(), dim=1).T


class AsymmetricProxy(nn.Module):
    """AsyP, Eq. 2: (1/N) Σ_i { (1/α) ELSE_{j∈P_i} α(λ − S(t_i, a_j)) + MSP_{k∈N_i} β(S(a_i, t_k) − λ) }. Jung & Kim 2022.

    `adaptive` makes α, β and λ learnable per class (AdaMS, Jung & Kim 2023): "raw" as printed, "boxed" kept in bounds
    after each step (the printed form has directions without an optimum), "normalised" boxed with the second term over β.

    Args:
        pull_scale: alpha. push_scale: beta. margin: lambda.
        num_classes: how many classes the labels have; needed where `adaptive`.

    >>> a = torch.eye(2); loss = AsymmetricProxy(pull_scale=1.0, push_scale=1.0, margin=0.0)
    >>> round(loss(a, a, torch.tensor([0, 1])).item(), 4)  # log(1+e^-1) + log(1+e^0)
    1.0064
    """

    BOX = {"pull_scale": (0.01, 8.0), "push_scale": (1.5, 32.0), "margin": (-0.5, 0.5)}

    def __init__(
        self,
        pull_scale: float = 0.01,
        push_scale: float = 1.5,
        margin: float = 0.01,
        adaptive: Literal["none", "raw", "boxed", "normalised"] = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.adaptive = adaptive
        size = num_classes if adaptive != "none" else 1
        self.last_offset = 0.0
        for name, value in (("pull_scale", pull_scale), ("push_scale", push_scale), ("margin", margin)):
            initial = torch.full((size,), float(value))
            if adaptive == "none":
                self.register_buffer(name, initial, persistent=False)
            else:
                setattr(self, name, nn.Parameter(initial))

    def forward(self, audio: Tensor, text: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of rows audio [n, d] and text [n, d] with classes labels [n]."""
        which = labels if self.adaptive != "none" else torch.zeros_like(labels)
        alpha, beta, margin = (getattr(self, name)[which][:, None] for name in ("pull_scale", "push_scale", "margin"))
        similarity = cosines(text, audio)
        same = labels[:, None] == labels[None]
        pull = extended_logsumexp(alpha * (margin - similarity), same) / alpha[:, 0]
        push = mean_softplus(beta * (similarity.T - margin), ~same)
        if self.adaptive == "normalised":
            push = push / beta[:, 0]
        # The constant log(1 + m)/α dwarfs the rest at α = 0.01; it is kept in the loss and left out of what is logged.
        self.last_offset = float((torch.log1p(same.sum(1).float()) / alpha[:, 0].detach()).mean())
        return (pull + push).mean()

    @torch.no_grad()
    def after_step(self) -> None:
        """Puts AdaMS parameters back into their box."""
        if self.adaptive in ("boxed", "normalised"):
            for name, (low, high) in self.BOX.items():
                getattr(self, name).clamp_(low, high)


class ProxyBD(nn.Module):
    """Proxy binomial deviance: MSP_{P_i} α(λ − S_ij) + MSP_{N_i} β(S_ik − λ), anchor audio, proxies text. Yi et al. 2014.

    >>> loss = ProxyBD(pull_scale=1.0, push_scale=1.0, margin=0.0)
    >>> round(loss(torch.eye(2), torch.eye(2), torch.tensor([0, 1])).item(), 4)
    1.0064
    """

    def __init__(self, pull_scale: float = 2.0, push_scale: float = 40.0, margin: float = 0.5) -> None:
        super().__init__()
        self.pull_scale, self.push_scale, self.margin = pull_scale, push_scale, margin

    def forward(self, audio: Tensor, text: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of rows audio [n, d] and text [n, d] with classes labels [n]."""
        similarity, same = cosines(audio, text), labels[:, None] == labels[None]
        pull = mean_softplus(self.pull_scale * (self.margin - similarity), same)
        push = mean_softplus(self.push_scale * (similarity - self.margin), ~same)
        return (pull + push).mean()


class ProxyMS(nn.Module):
    """Proxy multi-similarity: (1/α) ELSE_{P_i} α(λ − S_ij) + (1/β) ELSE_{N_i} β(S_ik − λ), anchor audio. Wang et al. 2019.

    >>> loss = ProxyMS(pull_scale=1.0, push_scale=1.0, margin=0.0)
    >>> round(loss(torch.eye(2), torch.eye(2), torch.tensor([0, 1])).item(), 4)
    1.0064
    """

    def __init__(self, pull_scale: float = 2.0, push_scale: float = 50.0, margin: float = 0.5) -> None:
        super().__init__()
        self.pull_scale, self.push_scale, self.margin = pull_scale, push_scale, margin

    def forward(self, audio: Tensor, text: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of rows audio [n, d] and text [n, d] with classes labels [n]."""
        similarity, same = cosines(audio, text), labels[:, None] == labels[None]
        pull = extended_logsumexp(self.pull_scale * (self.margin - similarity), same) / self.pull_scale
        push = extended_logsumexp(self.push_scale * (similarity - self.margin), ~same) / self.push_scale
        return (pull + push).mean()


class Clat(nn.Module):
    """clat (InfoNCE): −log of row i's own text against texts of other classes, cosines over τ. Kewei et al. 2024.

    >>> loss = Clat(temperature=1.0)
    >>> round(loss(torch.eye(2), torch.eye(2), torch.tensor([0, 1])).item(), 4)  # log(1 + e^-1)
    0.3133
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, audio: Tensor, text: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of rows audio [n, d] and text [n, d] with classes labels [n]."""
        similarity = cosines(audio, text) / self.temperature
        other = labels[:, None] != labels[None]
        own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        return -torch.log_softmax(similarity.masked_fill(~(other | own), float("-inf")), dim=1).diagonal().mean()
