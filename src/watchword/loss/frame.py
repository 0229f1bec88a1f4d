"""Frame-level phoneme classification: an aid beside ADML that the paper does not have."""

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from watchword.loss.precision import in_float32


class FramePhonemes(nn.Module):
    """Cross-entropy of frame logits against force-aligned phonemes.

    Formula: mean of −log softmax(logits)[phoneme] over the frames whose phoneme is known (not −1); 0 if none is.

    >>> import torch
    >>> round(FramePhonemes()(torch.zeros(1, 2, 72), torch.tensor([[5, -1]])).item(), 4)  # log 72
    4.2767
    """

    @in_float32
    def forward(
        self, logits: Float[Tensor, "crop frame phoneme"], targets: Int[Tensor, "crop target"]
    ) -> Float[Tensor, ""]:
        """Computes the loss of logits and phoneme ids; where one has more frames, the rest does not count."""
        frames = min(logits.shape[1], targets.shape[1])
        logits, targets = logits[:, :frames].flatten(0, 1), targets[:, :frames].flatten()
        costs = functional.cross_entropy(logits, targets, ignore_index=-1, reduction="sum")
        return costs / (targets >= 0).sum().clamp_min(1)
