"""The text encoder: phonemes through a two-layer bi-LSTM to token embeddings and one utterance embedding."""

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from watchword.model.acoustic import frame_mask
from watchword.text.phonemes import PHONEMES


class TextualConfig(BaseModel):
    """Sizes of SPEC 2.2: 256 units a direction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    embedding: int = 256
    hidden_per_direction: int = 256
    layers: int = 2
    dim: int = 256
    dropout: float = 0.1


class TokenEncoder(nn.Module):
    """Phoneme ids to token embeddings E_t: the text encoder without its pooling, for models that compare phonemes."""

    def __init__(self, config: TextualConfig | None = None) -> None:
        super().__init__()
        config = config or TextualConfig()
        self.embed = nn.Embedding(len(PHONEMES), config.embedding)
        self.lstm = nn.LSTM(
            config.embedding,
            config.hidden_per_direction,
            config.layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout,
        )
        self.project = nn.Linear(2 * config.hidden_per_direction, config.dim)

    def tokens(self, phonemes: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encodes ids [n, tokens] to [n, tokens, dim], zero past `lengths`; 0 pads; no lengths: unpadded."""
        embedded = self.embed(phonemes)
        if lengths is None:
            return self.project(self.lstm(embedded)[0])
        # Packed, so that the backward direction starts at the last real phoneme.
        packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=phonemes.shape[1])
        return self.project(hidden) * frame_mask(lengths, phonemes.shape[1]).unsqueeze(2)


class TextEncoder(TokenEncoder):
    """Phoneme ids to E_t (per token) and, by global average pooling and a linear layer, the text embedding."""

    def __init__(self, config: TextualConfig | None = None) -> None:
        config = config or TextualConfig()
        super().__init__(config)
        self.output = nn.Linear(config.dim, config.dim)

    def forward(self, phonemes: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encodes ids [n, tokens] to tokens [n, tokens, dim] and utterances [n, dim]; 0 pads; no lengths: unpadded."""
        tokens = self.tokens(phonemes, lengths)
        mean = tokens.mean(dim=1) if lengths is None else tokens.sum(dim=1) / lengths[:, None].to(tokens.dtype)
        return tokens, self.output(mean)
