"""The whole model: audio and texts in, a Match out."""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional

from watchword.model.acoustic import AcousticConfig, AcousticEncoder, frame_mask
from watchword.model.embedding_front import PAIR, EmbeddingEncoder, Teacher
from watchword.model.features import LogMel, frame_counts
from watchword.model.matcher import CrossAttention, Match
from watchword.model.textual import TextEncoder, TextualConfig
from watchword.text.phonemes import PHONEMES


class ModelConfig(BaseModel):
    """Both encoders and what matches them: the paper's model, or a baseline of `watchword.model.baselines`.

    `pair_units` is the width of a baseline's GRU. `frame_head` adds a phoneme classifier on the frames, which the paper
    does not have; `teacher` the public speech embedding, which teaches the frames and is itself left as it is;
    `taught_values` a linear layer that tells so many values of a teacher that was asked beforehand (`data.teaching`);
    `mask_bins` and `mask_frames` SpecAugment, in training alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["adml", "cmcd", "phonmatchnet", "phonmatchnet_original"] = "adml"
    pair_units: int = 128
    acoustic: AcousticConfig = AcousticConfig()
    textual: TextualConfig = TextualConfig()
    attention_projection: Literal["none", "qk", "qkv"] = "qk"
    frame_head: bool = False
    teacher: bool = False
    taught_values: int = 0
    mask_bins: int = 0
    mask_frames: int = 0


class KeywordModel(nn.Module):
    """Features, acoustic encoder, text encoder and cross-attention."""

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ModelConfig()
        self.features = LogMel(config.mask_bins, config.mask_frames)
        self.acoustic = build_acoustic(config.acoustic)
        self.textual = TextEncoder(config.textual)
        self.attention = CrossAttention(config.acoustic.dim, config.attention_projection)
        self.frame_head = nn.Linear(config.acoustic.dim, len(PHONEMES)) if config.frame_head else None
        self.teacher = Teacher(config.acoustic.dim) if config.teacher else None
        self.taught = nn.Linear(config.acoustic.dim, config.taught_values) if config.taught_values else None

    def frames(self, audio: Tensor, audio_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes audio [crops, samples] to frames [crops, t, dim] and their numbers [crops]."""
        lengths = frame_counts(audio_lengths)
        return self.acoustic(self.features(audio), lengths), lengths

    @torch.no_grad()
    def answers(
        self, audio: Tensor, audio_lengths: Tensor, spans: Tensor, phonemes: Tensor, phoneme_lengths: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What it would teach a smaller one: frames [crops, t, dim], embeddings of spans and of texts [n, dim]."""
        frames, _ = self.frames(audio, audio_lengths)
        return frames, self.acoustic.pool(*gather_spans(frames, spans)), self.textual(phonemes, phoneme_lengths)[1]

    def forward(
        self,
        audio: Tensor,
        audio_lengths: Tensor,
        spans: Tensor,
        labels: Tensor,
        phonemes: Tensor,
        phoneme_lengths: Tensor,
        frame_phonemes: Tensor | None = None,
        negative_spans: Tensor | None = None,
        negative_pairs: Tensor | None = None,
        extra_phonemes: Tensor | None = None,
        extra_lengths: Tensor | None = None,
        clean: Tensor | None = None,
        teaching: Tensor | None = None,
        teaching_places: Tensor | None = None,
        larger: "KeywordModel | None" = None,
    ) -> Match:
        """Encodes crops [crops, samples] once, pools `spans` of them and encodes their `phonemes` [n, tokens].

        A span is (crop, first frame, last frame exclusive); see Match for what comes out. Spans without a text and
        texts without a span come with the others through both encoders, and out apart. A `larger` model with as long
        embeddings hears and reads the same, and teaches all of them; of `clean` audio, where that is given."""
        frames, numbers = self.frames(audio, audio_lengths)
        taught = None
        if self.teacher is not None and clean is not None:
            taught, teaching = self.teacher(frames, self.features.plain(clean), numbers)
        elif self.taught is not None and teaching is not None and teaching_places is not None:
            taught, teaching = self.taught(frames[*teaching_places.T]), teaching.to(frames.dtype)
        every = spans if negative_spans is None else torch.cat([spans, negative_spans])
        spoken, span_lengths = gather_spans(frames, every)
        pooled = self.acoustic.pool(spoken, span_lengths)
        spoken, span_lengths = spoken[: len(spans)], span_lengths[: len(spans)]
        first, place = distinct(labels)
        written, lengths = phonemes[first], phoneme_lengths[first]
        if extra_phonemes is not None and extra_lengths is not None:
            written = torch.cat([_widened(written, extra_phonemes), _widened(extra_phonemes, written)])
            lengths = torch.cat([lengths, extra_lengths])
        tokens, texts = self.textual(written, lengths)
        embedded = told = None
        if larger is not None:
            theirs, *both = larger.answers(audio if clean is None else clean, audio_lengths, every, written, lengths)
            real = frame_mask(numbers, frames.shape[1])[:, ::PAIR]
            taught, teaching = frames[:, ::PAIR][real], theirs[:, ::PAIR][real]
            embedded, told = torch.cat([pooled, texts]), torch.cat(both)
        spoken_mask = frame_mask(span_lengths, spoken.shape[1])
        tokens = tokens[place, : phonemes.shape[1]]
        token_mask = frame_mask(phoneme_lengths, phonemes.shape[1])
        aligned, affinity = self.attention(tokens, spoken, spoken_mask)
        return Match(
            audio=pooled[: len(spans)],
            text=texts[place],
            labels=labels,
            phoneme_audio=aligned[token_mask],
            phoneme_text=tokens[token_mask],
            phoneme_labels=phonemes[token_mask],
            affinity=affinity,
            phoneme_mask=token_mask,
            frame_mask=spoken_mask,
            frame_logits=None if self.frame_head is None else self.frame_head(frames),
            frame_phonemes=frame_phonemes,
            taught=taught,
            teaching=teaching,
            taught_embeddings=embedded,
            teaching_embeddings=told,
            negative_audio=None if negative_spans is None else pooled[len(spans) :],
            extra_text=None if extra_phonemes is None else texts[len(first) :],
            negative_pairs=negative_pairs,
        )


def build_acoustic(config: AcousticConfig) -> AcousticEncoder | EmbeddingEncoder:
    """Builds the acoustic encoder that a configuration asks for."""
    return AcousticEncoder(config) if config.front == "none" else EmbeddingEncoder(config)


def distinct(labels: Tensor) -> tuple[Tensor, Tensor]:
    """The first row of each label among labels [n], and each row's place among those, [n]: rows of one label share one
    text, which is encoded once. Sorted ids keep this deterministic."""
    unique, place = torch.unique(labels, return_inverse=True)
    rows = torch.arange(len(labels), device=labels.device)
    return torch.full_like(unique, len(labels)).scatter_reduce(0, place, rows, "amin"), place


def _widened(phonemes: Tensor, other: Tensor) -> Tensor:
    """Pads ids [n, tokens] with 0 to the width of others, where that is more."""
    return functional.pad(phonemes, (0, max(0, other.shape[1] - phonemes.shape[1])))


def gather_spans(frames: Tensor, spans: Tensor) -> tuple[Tensor, Tensor]:
    """Cuts spans [n, 3] out of frames [crops, t, dim]: [n, longest, dim], zero past each end, and lengths [n]."""
    lengths = spans[:, 2] - spans[:, 1]
    longest = int(lengths.max())
    offsets = torch.arange(longest, device=frames.device)[None]
    mask = offsets < lengths[:, None]
    places = spans[:, :1] * frames.shape[1] + (spans[:, 1:2] + offsets).clamp_max(frames.shape[1] - 1)
    rows = frames.reshape(-1, frames.shape[2]).index_select(0, places.reshape(-1))
    return rows.reshape(len(spans), longest, -1) * mask[..., None], lengths
