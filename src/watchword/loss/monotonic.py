"""Monotonic matching: the affinity of a matching pair should run along the diagonal."""

from typing import Literal

import torch
from torch import Tensor, nn


class MonotonicMatching(nn.Module):
    """L_MM: (1/N) Σ_i (1/T_t) Σ_n Σ_t d(A_nt, M_nt) over matching pairs, M the block diagonal with rows that sum to 1.

    `kind` "target" is d = squared error (Shin et al. 2022); "guided" is A times 1 − exp(−(n/T_t − t/T_a)²/2g²)
    (Tachibana et al. 2018); "kl" is −M log A.

    >>> block = torch.tensor([[[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]])
    >>> MonotonicMatching()(block, torch.ones(1, 2).bool(), torch.ones(1, 4).bool()).item()
    0.0
    """

    def __init__(self, kind: Literal["target", "guided", "kl"] = "target", width: float = 0.2) -> None:
        super().__init__()
        self.kind, self.width = kind, width

    def forward(self, affinity: Tensor, phoneme_mask: Tensor, frame_mask: Tensor) -> Tensor:
        """Computes the loss of affinity [b, p, t] under phoneme_mask [b, p] and frame_mask [b, t]."""
        affinity = affinity.float()
        tokens = phoneme_mask.sum(1).float()
        both = phoneme_mask[:, :, None] & frame_mask[:, None]
        if self.kind == "guided":
            frames = frame_mask.sum(1).float()
            n = torch.arange(affinity.shape[1], device=affinity.device)[None, :, None] / tokens[:, None, None]
            t = torch.arange(affinity.shape[2], device=affinity.device)[None, None] / frames[:, None, None]
            cost = affinity * (1.0 - torch.exp(-((n - t) ** 2) / (2 * self.width**2)))
        else:
            target = diagonal_target(phoneme_mask, frame_mask)
            cost = (affinity - target) ** 2 if self.kind == "target" else -target * affinity.clamp_min(1e-8).log()
        return ((cost * both).sum((1, 2)) / tokens.clamp_min(1)).mean()


def diagonal_target(phoneme_mask: Tensor, frame_mask: Tensor) -> Tensor:
    """Builds M [b, p, t]: frame t belongs to token min(⌊t T_t/T_a⌋, T_t − 1), each row shared equally; a token without
    frames (more tokens than frames) takes the one nearest its place. Padded rows are zero: no 0/0."""
    device = frame_mask.device
    tokens, frames = phoneme_mask.sum(1)[:, None, None], frame_mask.sum(1)[:, None, None]
    n = torch.arange(phoneme_mask.shape[1], device=device)[None, :, None]
    t = torch.arange(frame_mask.shape[1], device=device)[None, None]
    owner = torch.minimum(torch.div(t * tokens, frames, rounding_mode="floor"), tokens - 1)
    both = phoneme_mask[:, :, None] & frame_mask[:, None]
    block = ((owner == n) & both).float()
    nearest = torch.div((2 * n + 1) * frames, 2 * tokens.clamp_min(1), rounding_mode="floor").clamp_min(0)
    nearest = torch.minimum(nearest, frames - 1)
    block = torch.where(block.sum(2, keepdim=True) > 0, block, ((t == nearest) & both).float())
    return block / block.sum(2, keepdim=True).clamp_min(1)
