"""PhonMatchNet's own small encoders: two convolutions over the mel frames, one linear layer over phoneme embeddings."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from watchword.model.acoustic import frame_mask
from watchword.model.features import NUM_BINS
from watchword.text.phonemes import PHONEMES


class SmallAudioEncoder(nn.Module):
    """Two convolutions of width 3, the first of stride 2: 20 ms a frame. Lee & Cho 2023.

    The original adds Google's speech embedding to these frames, upsampled; it is left out, for its weights are
    another's. Log-mel features less their mean stand in for its linear mel."""

    def __init__(self, dim: int = 128) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(NUM_BINS, dim, 3, 2, 1), nn.Conv1d(dim, dim, 3, 1, 1)
        self.first_norm, self.second_norm = nn.BatchNorm1d(dim), nn.BatchNorm1d(dim)

    def forward(self, log_mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Turns log-mel [n, frames, 40] of `lengths` [n] into frames [n, frames / 2, dim], zero behind, and lengths."""
        mask = frame_mask(lengths, log_mel.shape[1])[:, :, None]
        mean = (log_mel * mask).sum(1, keepdim=True) / lengths[:, None, None]
        x = (log_mel - mean) * mask
        lengths = (lengths + 1) // 2
        mask = mask[:, ::2]
        for convolution, norm in ((self.first, self.first_norm), (self.second, self.second_norm)):
            x = convolution(x.transpose(1, 2)).transpose(1, 2)
            # Only real frames count in the batch's statistics.
            rows = torch.relu(norm(x[mask.squeeze(2)]))
            x = torch.zeros_like(x, dtype=rows.dtype).masked_scatter(mask.expand_as(x), rows)
        return x, lengths


class SmallTextEncoder(nn.Module):
    """One linear layer with a leaky rectifier over each phoneme's embedding; a phoneme knows nothing of its neighbours.

    The original's input is the state of a G2P network's decoder; a table that is learned stands in for it."""

    def __init__(self, embedding: int = 256, dim: int = 128) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(PHONEMES), embedding)
        self.output = nn.Linear(embedding, dim)

    def tokens(self, phonemes: Tensor, lengths: Tensor) -> Tensor:
        """Encodes ids [n, tokens] to [n, tokens, dim], zero past `lengths`."""
        tokens = functional.leaky_relu(self.output(self.embed(phonemes)), 0.3)
        return tokens * frame_mask(lengths, phonemes.shape[1])[:, :, None]
