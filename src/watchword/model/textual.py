"""The text encoder: phonemes through a two-layer bi-LSTM to token embeddings and one utterance embedding."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from watchword.model.acoustic import frame_mask
from watchword.text.phonemes import PHONEMES


class TextualConfig(BaseModel):
    """Sizes of the bi-LSTM: "256 hidden units", read as 256 a direction and a linear layer to `dim`.

    Read as 256 for both, it is 128 a direction with `token_projection` off: a token is what the two directions give."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    embedding: int = 256
    hidden_per_direction: int = 256
    layers: int = 2
    token_projection: bool = True
    dim: int = 256
    dropout: float = 0.1

    @model_validator(mode="after")
    def _tokens_have_dim(self) -> Self:
        if not self.token_projection and 2 * self.hidden_per_direction != self.dim:
            raise ValueError(f"token_projection = false needs hidden_per_direction = {self.dim // 2}, half of dim")
        return self


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
        projected = config.token_projection
        self.project = nn.Linear(2 * config.hidden_per_direction, config.dim) if projected else nn.Identity()

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
