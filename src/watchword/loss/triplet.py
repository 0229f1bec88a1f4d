"""Triplet losses: batch-hard on audio alone, and the multi-view loss between audio and words."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from watchword.loss.precision import in_float32


class Triplet(nn.Module):
    """Batch-hard triplets of audio rows. Hermans et al. 2017.

    Formula: mean_i max(0, margin + max_{k∈N_i} S(a_i, a_k) − min_{j∈P_i, j≠i} S(a_i, a_j)), over rows with both.

    >>> audio = torch.tensor([[1.0, 0], [0.8, 0.6], [0, 1], [0, 1]])
    >>> round(Triplet(margin=0.5)(audio, torch.tensor([0, 0, 1, 1])).item(), 4)  # mean of 0, 0.3, 0.1, 0.1
    0.125
    """

    def __init__(self, margin: float = 0.5) -> None:
        super().__init__()
        self.margin = margin

    @in_float32
    def forward(self, audio: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]) -> Float[Tensor, ""]:
        """Computes the loss of audio embeddings and their keyword classes."""
        unit = functional.normalize(audio, dim=1)
        cosine = unit @ unit.T
        same = labels[:, None] == labels[None]
        mates = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        usable = mates.any(1) & ~same.all(1)
        hardest = cosine.masked_fill(same, -2.0).amax(1)
        farthest = cosine.masked_fill(~mates, 2.0).amin(1)
        violations = (self.margin + hardest - farthest).clamp_min(0.0)
        return (violations * usable).sum() / usable.sum().clamp_min(1)


class MultiviewTriplet(nn.Module):
    """Multi-view triplets between audio rows and words. He et al. 2017, with the hardest K of Settle et al. 2019.

    Formula: mean_i mean_{k=1..K} { [m + S(a_i, w_k) − s_i]⁺ + [m + S(w_y, w_k) − s_i]⁺ + [m + S(w_y, a_k) − s_i]⁺ },
    s_i = S(a_i, w_y) with the row's own word w_y; k runs over the K hardest others: words for the row, words for its
    word, audio for its word. Others nearer than the row's own word are left out of the first and third, as too hard.

    Args:
        margin: m.
        hardest: K at the start of training.
        hardest_at_end: K at its end; falls evenly with `set_progress`.

    >>> audio, words = torch.tensor([[1.0, 0], [0.6, 0.8]]), torch.eye(2)
    >>> round(MultiviewTriplet(margin=0.5)(audio, words, torch.tensor([0, 1])).item(), 4)
    0.2
    """

    def __init__(self, margin: float = 0.5, hardest: int = 16, hardest_at_end: int = 8) -> None:
        super().__init__()
        self.margin, self.first, self.last, self.hardest = margin, hardest, hardest_at_end, hardest
        self.last_offset = torch.zeros(())

    def set_progress(self, fraction: float) -> None:
        """Sets K for the share of training that is done, 0 to 1."""
        self.hardest = round(self.first + (self.last - self.first) * fraction)

    @in_float32
    def forward(
        self, audio: Float[Tensor, "row dim"], text: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]
    ) -> Float[Tensor, ""]:
        """Computes the loss of audio and text rows in the same order; rows of one class share their text."""
        classes, place = torch.unique(labels, return_inverse=True)
        copies = torch.bincount(place).to(text.dtype)
        words = torch.zeros(len(classes), text.shape[1], device=text.device).index_add(0, place, text) / copies[:, None]
        words, audio = functional.normalize(words, dim=1), functional.normalize(audio, dim=1)
        cosine = audio @ words.T
        own = cosine.gather(1, place[:, None])
        other = place[:, None] != torch.arange(len(classes), device=place.device)
        fair = other & (cosine <= own)
        distinct = ~torch.eye(len(classes), dtype=torch.bool, device=place.device)
        words_for_word, audio_for_word = self._top(words @ words.T, distinct), self._top(cosine.T, fair.T)
        hard = torch.stack([self._top(cosine, fair), words_for_word[place], audio_for_word[place]])
        count = max(1, min(self.hardest, len(classes) - 1))
        return (self.margin + hard - own).clamp_min(0.0).sum() / (count * len(audio))

    def _top(self, cosine: Tensor, allowed: Bool[Tensor, "row column"]) -> Tensor:
        """The K hardest of each row; −3, which violates no margin below 2, fills up where fewer are allowed."""
        masked = functional.pad(cosine.masked_fill(~allowed, -3.0), (0, self.hardest), value=-3.0)
        return masked.topk(self.hardest, dim=1).values
