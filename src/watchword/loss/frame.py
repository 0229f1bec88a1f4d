"""Frame-level phoneme classification, an aid beside ADML that the paper does not have."""

from torch import Tensor, nn
from torch.nn import functional


class FramePhonemes(nn.Module):
    """Cross-entropy of frame logits against force-aligned phonemes; frames without a known phoneme (−1) do not count.

    >>> import torch
    >>> round(FramePhonemes()(torch.zeros(1, 2, 72), torch.tensor([[5, -1]])).item(), 4)  # log 72
    4.2767
    """

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Computes the loss of logits [b, t, phonemes] against targets [b, t]."""
        frames = min(logits.shape[1], targets.shape[1])
        logits, targets = logits[:, :frames].reshape(-1, logits.shape[2]).float(), targets[:, :frames].reshape(-1)
        if not (targets >= 0).any():
            return logits.sum() * 0.0
        return functional.cross_entropy(logits, targets, ignore_index=-1)
