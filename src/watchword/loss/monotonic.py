"""Monotonic matching: the affinity of a matching pair should run along the diagonal."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from watchword.loss.precision import in_float32


class MonotonicMatching(nn.Module):
    """L_MM: the affinity A of Eq. 1 against the block diagonal M, whose rows sum to 1. Shin et al. 2022.

    Formula: (1/N) Σ_i (1/T_t) Σ_n Σ_t d(A_nt, M_nt), with T_t tokens and T_a frames of matching pair i;
    "target": d = (A − M)²; "kl": d = −M log A; "guided": d = A (1 − e^{−((n + ½)/T_t − (t + ½)/T_a)² / 2 width²}),
    which asks for the diagonal but not for a width (Tachibana et al. 2018, with the middles of tokens and frames).

    A mean over all cells would be 40 times smaller, and nothing beside the other losses at weight 1.

    >>> uniform = torch.full((1, 2, 4), 0.25)
    >>> MonotonicMatching()(uniform, torch.ones(1, 2).bool(), torch.ones(1, 4).bool()).item()  # 4 · 0.25²
    0.25
    """

    def __init__(self, kind: Literal["target", "guided", "kl"] = "target", width: float = 0.2) -> None:
        super().__init__()
        if kind not in ("target", "guided", "kl"):
            raise ValueError(f"kind {kind!r} of MonotonicMatching is not known; known are 'target', 'guided' and 'kl'")
        self.kind, self.width = kind, width

    @in_float32
    def forward(
        self,
        affinity: Float[Tensor, "pair token frame"],
        phoneme_mask: Bool[Tensor, "pair token"],
        frame_mask: Bool[Tensor, "pair frame"],
    ) -> Float[Tensor, ""]:
        """Computes the loss of affinities; masks are true at real tokens and real frames."""
        tokens = phoneme_mask.sum(1).clamp_min(1)
        if self.kind == "guided":
            frames = frame_mask.sum(1).clamp_min(1)
            n = (torch.arange(affinity.shape[1], device=affinity.device) + 0.5)[None, :, None] / tokens[:, None, None]
            t = (torch.arange(affinity.shape[2], device=affinity.device) + 0.5)[None, None] / frames[:, None, None]
            cost = affinity * (1.0 - torch.exp(-(n - t).square() / (2 * self.width**2)))
        else:
            target = diagonal_target(phoneme_mask, frame_mask)
            cost = (affinity - target).square() if self.kind == "target" else -target * affinity.clamp_min(1e-8).log()
        both = phoneme_mask[:, :, None] & frame_mask[:, None]
        return (cost.masked_fill(~both, 0.0).sum((1, 2)) / tokens).mean()


def diagonal_target(
    phoneme_mask: Bool[Tensor, "pair token"], frame_mask: Bool[Tensor, "pair frame"]
) -> Float[Tensor, "pair token frame"]:
    """Builds M: frame t belongs to token min(⌊t T_t/T_a⌋, T_t − 1), and each token shares 1 among its frames.

    A token that gets no frame (more tokens than frames) takes the frame nearest to its place. Padding is 0.

    >>> diagonal_target(torch.ones(1, 2).bool(), torch.tensor([[True, True, True, False]]))
    tensor([[[0.5000, 0.5000, 0.0000, 0.0000],
             [0.0000, 0.0000, 1.0000, 0.0000]]])
    """
    tokens, frames = phoneme_mask.sum(1)[:, None, None], frame_mask.sum(1)[:, None, None].clamp_min(1)
    n = torch.arange(phoneme_mask.shape[1], device=phoneme_mask.device)[None, :, None]
    t = torch.arange(frame_mask.shape[1], device=frame_mask.device)[None, None]
    both = phoneme_mask[:, :, None] & frame_mask[:, None]
    owner = torch.minimum(torch.div(t * tokens, frames, rounding_mode="floor"), tokens - 1)
    block = (owner == n) & both
    nearest = torch.div((2 * n + 1) * frames, 2 * tokens.clamp_min(1), rounding_mode="floor")
    block = torch.where(block.any(2, keepdim=True), block, (t == nearest) & both).float()
    # Padded rows sum to 0: clamped before the division, else 0/0 spoils the gradients of the real ones.
    return block / block.sum(2, keepdim=True).clamp_min(1.0)
