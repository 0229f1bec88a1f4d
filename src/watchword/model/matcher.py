"""The matcher: cross-attention that aligns audio to text (Eq. 1), and Match, what the losses are given."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Match:
    """n spans beside their texts. Phoneme rows are flattened once, in the same order for audio, text and labels.

    Models that compare pairs (the baselines) ask of each span whether it says its own text, and whether some others."""

    audio: Tensor
    """Utterance embeddings of the spans, [n, dim]."""
    text: Tensor
    """Utterance embeddings of their texts, [n, dim]."""
    labels: Tensor
    """Keyword classes, [n]."""
    phoneme_audio: Tensor
    """Text-aligned audio, [m, dim], m = number of phonemes of all texts."""
    phoneme_text: Tensor
    """Token embeddings, [m, dim]."""
    phoneme_labels: Tensor
    """Phoneme ids, [m]."""
    affinity: Tensor
    """A of Eq. 1, [n, tokens, frames]; rows sum to 1 over the real frames."""
    phoneme_mask: Tensor
    """Real tokens, [n, tokens]."""
    frame_mask: Tensor
    """Real frames, [n, frames]."""
    pair_logits: Tensor | None = None
    """Logits that a span says a text, one row for each of its own text and the others, [pairs]."""
    pair_is_match: Tensor | None = None
    """Whether that text is the span's own, [pairs]."""
    asked_logits: Tensor | None = None
    """Logits that a token of a text is what the span has at the token's place, [tokens of all pairs]."""
    asked_is_spoken: Tensor | None = None
    """Whether it is, [tokens of all pairs]."""
    frame_logits: Tensor | None = None
    """Phoneme logits of every crop's frames, [crops, frames, 72], where the model has a frame head."""
    frame_phonemes: Tensor | None = None
    """Phoneme ids by forced alignment, [crops, frames]; -1 unknown, 0 silence."""
    taught: Tensor | None = None
    """What real frames tell of a teacher's values, [taught, values], where there is one."""
    teaching: Tensor | None = None
    """The teacher's values for the same frames, [taught, values]."""
    taught_embeddings: Tensor | None = None
    """Utterance embeddings of all spans and all texts, [spans + texts, dim], where a larger model teaches them."""
    teaching_embeddings: Tensor | None = None
    """Those of the larger model, [spans + texts, dim]."""
    negative_audio: Tensor | None = None
    """Utterance embeddings of spans without a text, [negatives, dim], where the batch has such."""
    extra_text: Tensor | None = None
    """Utterance embeddings of texts that no span says, [extra, dim]."""
    negative_pairs: Tensor | None = None
    """Which texts (those of the spans, then the extra ones) each span without a text is pushed from, [negatives, n +
    extra]."""


class CrossAttention(nn.Module):
    """Eq. 1: softmax over frames of Q Kᵀ / √d, times V, with Q from text and K = V from audio.

    `projection` "qk" learns W_Q and W_K, begun at the identity (Eq. 1 exactly); "none" is the bare equation; "qkv" also
    projects V. V is E_a itself but for "qkv", so that the phoneme loss acts on the frames that are pooled."""

    def __init__(self, dim: int, projection: Literal["none", "qk", "qkv"] = "qk") -> None:
        super().__init__()
        self.scale = dim**-0.5
        self.query, self.key, self.value = (
            _identity(dim) if used else nn.Identity()
            for used in (projection != "none", projection != "none", projection == "qkv")
        )

    def forward(self, tokens: Tensor, frames: Tensor, frame_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Aligns frames [n, t, dim] to tokens [n, p, dim]: audio per token [n, p, dim] and the affinity [n, p, t]."""
        scores = self.query(tokens) @ self.key(frames).transpose(1, 2) * self.scale
        affinity = torch.softmax(scores.masked_fill(~frame_mask[:, None], float("-inf")), dim=2)
        return affinity @ self.value(frames), affinity


def _identity(dim: int) -> nn.Linear:
    layer = nn.Linear(dim, dim, bias=False)
    nn.init.eye_(layer.weight)
    return layer
