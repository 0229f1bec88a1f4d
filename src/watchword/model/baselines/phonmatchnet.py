"""PhonMatchNet's comparison: causal self-attention and a GRU over the audio's frames and then the text's tokens."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from watchword.model.acoustic import frame_mask
from watchword.model.baselines.comparison import Comparison, attention_weights, begin_as_keras, last_states


class PhonMatchNet(nn.Module):
    """Frames and tokens joined in time: single-head self-attention in which a row sees itself and those before it, a
    GRU over what it gives, its last state to the utterance's logit; each token's row to a logit of its own. Lee & Cho
    2023.

    Because of the mask a frame's row, and the GRU's state after the last frame, know nothing of the text. So they are
    computed once a clip, and only the tokens' rows once a pair: the same numbers as over the whole, at a fraction of
    the cost. `affinity` is the attention of the tokens' rows to the frames alone, scaled to sum to 1."""

    def __init__(self, dim: int = 256, units: int = 128) -> None:
        super().__init__()
        self.scale = dim**-0.5
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.gru = nn.GRU(dim, units, batch_first=True)
        self.utterance = nn.Linear(units, 1)
        self.phoneme = nn.Linear(dim, 1)
        begin_as_keras(self)

    def forward(self, frames: Tensor, frame_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Comparison:
        """Compares clips [n, frames, dim] with k texts each, [n, k, tokens, dim]; lengths [n] and [n, k]."""
        n, k, p, dim = tokens.shape
        t = frames.shape[1]
        keys, values = self.key(frames), self.value(frames)
        scores = self.query(frames) @ keys.transpose(1, 2) * self.scale
        heard = attention_weights(scores, _no_later(t, frames.device)) @ values
        heard = last_states(self.gru, heard, frame_lengths)

        queries = self.query(tokens)
        to_frames = (queries.reshape(n, k * p, dim) @ keys.transpose(1, 2)).view(n, k, p, t) * self.scale
        to_tokens = queries @ self.key(tokens).transpose(2, 3) * self.scale
        real = frame_mask(frame_lengths, t)[:, None, None].expand(n, k, p, t)
        mask = torch.cat([real, _no_later(p, tokens.device).expand(n, k, p, p)], dim=3)
        weights = attention_weights(torch.cat([to_frames, to_tokens], dim=3), mask)
        found = (weights[..., :t].reshape(n, k * p, t) @ values).view(n, k, p, dim)
        found = found + weights[..., t:] @ self.value(tokens)
        states = heard[:, None].expand(n, k, -1).reshape(n * k, -1)
        state = last_states(self.gru, found.reshape(n * k, p, dim), token_lengths.reshape(-1), states)
        affinity = attention_weights(to_frames[:, 0], real[:, 0])
        return Comparison(self.utterance(state).view(n, k), self.phoneme(found).squeeze(3), affinity)


def same_phonemes(spoken: Tensor, asked: Tensor) -> Tensor:
    """Tells of each asked-for phoneme whether the spoken one at its place is equal, without any alignment: ids
    [n, spoken] and [n, k, tokens], 0 where padded, to booleans [n, k, tokens]. Lee & Cho 2023.

    >>> same_phonemes(torch.tensor([[5, 6]]), torch.tensor([[[5, 7, 8, 0]]]))
    tensor([[[ True, False, False,  True]]])
    """
    width = asked.shape[2]
    return functional.pad(spoken, (0, max(0, width - spoken.shape[1])))[:, None, :width] == asked


def _no_later(size: int, device: torch.device) -> Tensor:
    return torch.ones(size, size, dtype=torch.bool, device=device).tril()
