"""A whole baseline: two encoders, and a network that says whether a clip says a text."""

import torch
from torch import Tensor, nn

from watchword.model.acoustic import FrameEncoder, frame_mask
from watchword.model.baselines.cmcd import CMCD
from watchword.model.baselines.comparison import Comparison
from watchword.model.baselines.phonmatchnet import PhonMatchNet, same_phonemes
from watchword.model.baselines.small_encoders import SmallAudioEncoder, SmallTextEncoder
from watchword.model.features import LogMel, frame_counts
from watchword.model.keyword_model import ModelConfig, distinct, gather_spans
from watchword.model.matcher import Match
from watchword.model.textual import TokenEncoder


class PairModel(nn.Module):
    """CMCD or PhonMatchNet with the paper's encoders (which then have no pooling), or with PhonMatchNet's own.

    For the modality adversary at phoneme level, the audio beside a token E_t is the mean of the encoder's frames E_a
    weighted by the token's attention to them: in CMCD the affinity of its cross-attention, in PhonMatchNet that of the
    token's row of the self-attention, its part on the frames scaled to sum to 1. Both are taken before W_V, so that
    the adversary tells the encoders' outputs apart."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config, dim = config, config.acoustic.dim
        small = config.kind == "phonmatchnet_original"
        self.features = LogMel(config.mask_bins, config.mask_frames)
        self.acoustic = SmallAudioEncoder(dim) if small else FrameEncoder(config.acoustic)
        self.textual = SmallTextEncoder(config.textual.embedding, dim) if small else TokenEncoder(config.textual)
        network = CMCD if config.kind == "cmcd" else PhonMatchNet
        self.network = network(dim, config.pair_units)

    def spoken(self, audio: Tensor, audio_lengths: Tensor, spans: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes spans [n, 3] (crop, first frame, last frame exclusive) of audio [crops, samples].

        Returns frames [n, longest, dim], zero past each end, and lengths [n]; the small encoder halves the frames."""
        log_mel = self.features(audio)
        if isinstance(self.acoustic, SmallAudioEncoder):
            return self.acoustic(*gather_spans(log_mel, spans))
        return gather_spans(self.acoustic(log_mel, frame_counts(audio_lengths)), spans)

    def compare(self, frames: Tensor, frame_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Comparison:
        """Compares clips [n, frames, dim] with k texts each, [n, k, tokens, dim]; lengths [n] and [n, k]."""
        return self.network(frames, frame_lengths, tokens, token_lengths)

    def forward(
        self,
        audio: Tensor,
        audio_lengths: Tensor,
        spans: Tensor,
        labels: Tensor,
        phonemes: Tensor,
        phoneme_lengths: Tensor,
        frame_phonemes: Tensor | None = None,
        *,
        other_labels: Tensor,
        others: Tensor,
        other_lengths: Tensor,
    ) -> Match:
        """Compares each span with its own text, `phonemes` [n, tokens], and with `others` [n, k, tokens].

        Utterance embeddings of the match are plain means over frames and over tokens, which no loss of a baseline
        takes."""
        frames, frame_lengths = self.spoken(audio, audio_lengths, spans)
        n, width = len(labels), max(phonemes.shape[1], others.shape[2])
        asked = torch.cat([_widened(phonemes, width)[:, None], _widened(others, width)], dim=1)
        lengths = torch.cat([phoneme_lengths[:, None], other_lengths], dim=1)
        first, place = distinct(torch.cat([labels[:, None], other_labels], dim=1).reshape(-1))
        texts = self.textual.tokens(asked.reshape(-1, width)[first], lengths.reshape(-1)[first])
        tokens = texts[place].view(n, -1, width, texts.shape[2])
        compared = self.compare(frames, frame_lengths, tokens, lengths)

        own, own_mask = tokens[:, 0], frame_mask(phoneme_lengths, width)
        aligned = compared.affinity.to(frames.dtype) @ frames
        is_match = torch.zeros_like(lengths, dtype=torch.bool)
        is_match[:, 0] = True
        mask = frame_mask(lengths.reshape(-1), width).view_as(asked)
        phoneme_logits = compared.phoneme_logits
        return Match(
            audio=frames.sum(1) / frame_lengths[:, None],
            text=own.sum(1) / phoneme_lengths[:, None],
            labels=labels,
            phoneme_audio=aligned[own_mask],
            phoneme_text=own[own_mask],
            phoneme_labels=asked[:, 0][own_mask],
            affinity=compared.affinity,
            phoneme_mask=own_mask,
            frame_mask=frame_mask(frame_lengths, frames.shape[1]),
            pair_logits=compared.logits.reshape(-1),
            pair_is_match=is_match.reshape(-1),
            asked_logits=None if phoneme_logits is None else phoneme_logits[mask],
            asked_is_spoken=None if phoneme_logits is None else same_phonemes(phonemes, asked)[mask],
        )


def _widened(ids: Tensor, width: int) -> Tensor:
    return nn.functional.pad(ids, (0, width - ids.shape[-1]))
