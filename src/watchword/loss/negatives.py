"""Hard negatives: audio that says no text of the batch, and texts that no audio of the batch says, pushed off."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from watchword.loss.precision import in_float32


class ProxyNegatives(nn.Module):
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
        super().__init__()
        self.push_scale = _positive(push_scale)
        self.text_margin, self.audio_margin = text_margin, audio_margin

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
        total = audio.sum() * 0.0 + text.sum() * 0.0
        if len(extra):
            total = total + _mean_push(spans @ extra.T - self.text_margin, self.push_scale)
        if len(heard):
            above = heard @ torch.cat([rows, extra]).T - self.audio_margin
            total = total + _mean_push(above.masked_fill(~pairs, float("-inf")), self.push_scale)
        return total


class GapNegatives(nn.Module):
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
        super().__init__()
        self.push_scale = _positive(push_scale)
        self.text_gap, self.audio_gap = text_gap, audio_gap

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
        total = matching.sum() * 0.0
        if len(extra):
            total = total + _mean_push(spans @ extra.T - matching + self.text_gap, self.push_scale)
        if len(heard):
            above = heard @ torch.cat([rows, extra]).T - matching.mean() + self.audio_gap
            total = total + _mean_push(above.masked_fill(~pairs, float("-inf")), self.push_scale)
        return total


def _positive(push_scale: float) -> float:
    if push_scale <= 0:
        raise ValueError(f"push_scale is {push_scale}; it must be above 0")
    return push_scale


def _mean_push(above: Tensor, scale: float) -> Tensor:
    """The mean of log[1 + Σ e^{scale · above}] / scale over rows."""
    # The column of zeros is the 1 of the formula, and keeps a row that is pushed from nothing finite.
    return (torch.logsumexp(functional.pad(scale * above, (1, 0)), dim=1) / scale).mean()
