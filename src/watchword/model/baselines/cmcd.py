"""CMCD's comparison: what each phoneme of the text finds in the audio, read in order by a GRU."""

from torch import Tensor, nn

from watchword.model.acoustic import frame_mask
from watchword.model.baselines.comparison import Comparison, last_states
from watchword.model.matcher import CrossAttention


class CMCD(nn.Module):
    """Cross-attention of tokens to frames (projected queries, keys and values), a GRU over what the tokens find, its
    last state to one logit. Shin et al. 2022.

    The original's noise removal from audio embeddings and its target of random noise for the affinity of non-matching
    pairs are left out, as in the paper."""

    def __init__(self, dim: int = 256, units: int = 128) -> None:
        super().__init__()
        self.attention = CrossAttention(dim, "qkv")
        self.gru = nn.GRU(dim, units, batch_first=True)
        self.utterance = nn.Linear(units, 1)

    def forward(self, frames: Tensor, frame_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Comparison:
        """Compares clips [n, frames, dim] with k texts each, [n, k, tokens, dim]; lengths [n] and [n, k]."""
        n, k, p, dim = tokens.shape
        found, affinity = self.attention(
            tokens.reshape(n, k * p, dim), frames, frame_mask(frame_lengths, frames.shape[1])
        )
        state = last_states(self.gru, found.reshape(n * k, p, dim), token_lengths.reshape(-1))
        return Comparison(self.utterance(state).view(n, k), None, affinity[:, :p])
