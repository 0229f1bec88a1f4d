"""Hard negatives: audio that says no text of the batch, and texts that no audio of the batch says, pushed off."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from watchword.loss.precision import in_float32


class _Negatives(nn.Module):
    """What both losses do; they differ in the cosine below which they hardly push."""

    def __init__(self, push_scale: float) -> None:
        super().__init__()
        if push_scale <= 0:
            raise ValueError(f"push_scale is {push_scale}; it must be above 0")
        self.push_scale = push_scale

    def _floors(self, matching: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """The floors of spans beside extra texts and of spans without a text, given the cosines [n, 1] of matches."""
        raise NotImplementedError

    @in_float32
    def forward(
        self,
        audio: Float[Tensor, "row dim"],
        text: Float[Tensor, "row dim"],
        negative_audio: Float[Tensor, "negative dim"],
        extra_text: Float[Tensor, "extra dim"],
        pairs: Bool[Tensor, "negative column"],
    ) -> Float[Tensor, ""]:
        """Computes the loss of matching rows of audio and text, audio without a text, and texts without audio.

        `pairs` says which texts (those of the rows, then the extra ones) each audio without a text is pushed from."""
        spans, heard = functional.normalize(audio, dim=1), functional.normalize(negative_audio, dim=1)
        rows, extra = functional.normalize(text, dim=1), functional.normalize(extra_text, dim=1)
        matching = (spans * rows).sum(1, keepdim=True)
        text_floor, audio_floor = self._floors(matching)
        total = matching.sum() * 0.0
        if len(extra):
            total = total + self._push(spans @ extra.T - text_floor)
        if len(heard):
            above = heard @ torch.cat([rows, extra]).T - audio_floor
            total = total + self._push(above.masked_fill(~pairs, float("-inf")))
        return total

    def _push(self, above: Tensor) -> Tensor:
        """The mean of log[1 + Σ e^{beta · above}] / beta over rows."""
        # The column of zeros is the 1 of the formula, and keeps a row that is pushed from nothing finite.
        return (torch.logsumexp(functional.pad(self.push_scale * above, (1, 0)), dim=1) / self.push_scale).mean()


class ProxyNegatives(_Negatives):
    """The push of multi-similarity for rows without a match. Wang et al. 2019; not in the paper.

    Formula: (1/N) Σ_i (1/beta) log[1 + Σ_k e^{beta (S(a_i, x_k) − text_margin)}]
           + (1/M) Σ_j (1/beta) log[1 + Σ_{t ∈ T_j} e^{beta (S(b_j, t) − audio_margin)}]

    a the N spans and x the extra texts; b the M spans without a text (parts of words, what straddles two words, noise)
    and T_j the texts of the batch, extra ones included, that b_j does not say. Nothing is pushed that lies below its
    margin: the first half of a word does sound like the word, and only must not pass for it.

    Args:
        push_scale: beta; the larger, the more the nearest text alone counts.
        text_margin: the cosine above which a span is pushed from an extra text.
        audio_margin: the cosine above which a span without a text is pushed from a text.

    >>> loss, none = ProxyNegatives(push_scale=1.0, text_margin=0.0, audio_margin=0.0), torch.zeros(0, 2)
    >>> round(loss(torch.eye(2), torch.eye(2), none, torch.eye(2)[:1], torch.ones(0, 3) > 0).item(), 4)
    1.0032
    """

    def __init__(self, push_scale: float = 50.0, text_margin: float = 0.5, audio_margin: float = 0.5) -> None:
        super().__init__(push_scale)
        self.text_margin, self.audio_margin = text_margin, audio_margin

    def _floors(self, matching: Tensor) -> tuple[Tensor | float, Tensor | float]:
        return self.text_margin, self.audio_margin


class GapNegatives(_Negatives):
    """What matches comes before what nearly does, by a gap. After multi-similarity, Wang et al. 2019; not in the paper.

    Formula: (1/N) Σ_i (1/beta) log[1 + Σ_k e^{beta (S(a_i, x_k) − S(a_i, t_i) + text_gap)}]
           + (1/M) Σ_j (1/beta) log[1 + Σ_{t ∈ T_j} e^{beta (S(b_j, t) − s + audio_gap)}],  s = (1/N) Σ_i S(a_i, t_i)

    a the N spans with their texts t, and x the extra texts; b the M spans without a text (parts of words, what
    straddles two words, noise) and T_j the texts of the batch, extra ones included, that b_j does not say. What lies a
    gap below what matches is hardly pushed: the first half of a word does sound like the word, and only must not pass
    for it. Gradients reach what matches too; with a margin that they do not reach, words sink along with their parts.

    Args:
        push_scale: beta; the larger, the more the nearest text alone counts.
        text_gap: how far below a span's cosine with its own text that with an extra one shall be.
        audio_gap: how far below the mean of such cosines those of a span without a text shall be.

    >>> loss, none = GapNegatives(push_scale=1.0, text_gap=0.0), torch.zeros(0, 2)
    >>> round(loss(torch.eye(2), torch.eye(2), none, torch.eye(2)[:1], torch.ones(0, 3) > 0).item(), 4)
    0.5032
    """

    def __init__(self, push_scale: float = 20.0, text_gap: float = 0.2, audio_gap: float = 0.2) -> None:
        super().__init__(push_scale)
        self.text_gap, self.audio_gap = text_gap, audio_gap

    def _floors(self, matching: Tensor) -> tuple[Tensor | float, Tensor | float]:
        return matching - self.text_gap, matching.mean() - self.audio_gap
