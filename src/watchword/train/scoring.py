"""One scorer for every run: the cosine of two embeddings, or a baseline's log-odds that a clip says a text."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE, num_frames
from watchword.evaluate.clips import Audio, Scorer, cosines
from watchword.model.baselines.pair_model import PairModel
from watchword.model.keyword_model import KeywordModel, ModelConfig, gather_spans
from watchword.text.phonemes import encode
from watchword.text.pronounce import default_pronouncer
from watchword.train.runs import load_run

# A clip is set in this much silence where frames see their surroundings, as half of the training crops are.
CLIP_BEFORE_SECONDS, CLIP_AFTER_SECONDS = 0.5, 0.3
CLIPS_AT_ONCE, TEXTS_AT_ONCE, PAIRS_AT_ONCE = 64, 256, 1024
REMEMBERED_TEXTS = 20_000


def run_scorer(run: Path) -> Scorer:
    """Returns the scorer of a run's newest checkpoint; raises what `load_run` does."""
    return model_scorer(load_run(run).model)


def model_scorer(model: KeywordModel | PairModel) -> Scorer:
    """Returns the scorer of a model as it stands: clips and texts to [clips, texts], higher = more alike.

    Cosines of utterance embeddings, or a baseline's log-odds of a match (its probability would round to 1 where the
    order of the surest ones still counts). Texts are taken by their first
    pronunciation and encoded once, however the scorer is called; a clip is encoded once a call."""
    if isinstance(model, PairModel):
        return _PairScorer(model)
    texts = _Remembered(lambda said: list(embed_phonemes(model, said)))

    def scorer(clips: list[Audio], wanted: list[str]) -> NDArray[np.floating]:
        blocks = range(0, len(clips), CLIPS_AT_ONCE)
        audio = np.concatenate([embed_clips(model, clips[at : at + CLIPS_AT_ONCE]) for at in blocks])
        return cosines(audio, np.stack(texts(wanted)))

    return scorer


def embed_clips(model: KeywordModel, clips: list[Audio]) -> NDArray[np.float32]:
    """Embeds each clip whole, [clips, dim]; a model of local context hears it set in silence."""
    audio, lengths, spans = as_crops(model.config, clips)
    with torch.inference_mode():
        frames, counts = model.eval().frames(audio, lengths)
        assert int((spans[:, 2] - counts).max()) <= 0
        return model.acoustic.pool(*gather_spans(frames, spans)).numpy()


def embed_texts(model: KeywordModel, texts: list[str]) -> NDArray[np.float32]:
    """Embeds texts by their first pronunciation: [texts, dim]."""
    return embed_phonemes(model, [first_pronunciation(text) for text in texts])


def embed_phonemes(model: KeywordModel, said: list[list[int]]) -> NDArray[np.float32]:
    """Embeds phoneme ids: [texts, dim]."""
    with torch.inference_mode():
        return model.eval().textual(*padded(said))[1].numpy()


class _PairScorer:
    """Compares clips with texts in blocks of so many pairs."""

    sparse = True
    """Each pair has its price, so that benchmarks ask for those of their trials alone."""

    def __init__(self, model: PairModel) -> None:
        self.model = model
        self.texts = _Remembered(self._tokens)

    def __call__(self, clips: list[Audio], wanted: list[str]) -> NDArray[np.floating]:
        texts = self.texts(wanted)
        lengths = torch.tensor([len(text) for text in texts])
        tokens = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(text) for text in texts], batch_first=True)
        scores = np.empty((len(clips), len(texts)), np.float32)
        with torch.inference_mode():
            for first in range(0, len(clips), CLIPS_AT_ONCE):
                here = slice(first, first + CLIPS_AT_ONCE)
                frames, frame_lengths = self.model.eval().spoken(*as_crops(self.model.config, clips[here]))
                n = len(frames)
                size = max(1, PAIRS_AT_ONCE // n)
                for at in range(0, len(texts), size):
                    asked, asked_lengths = tokens[at : at + size], lengths[at : at + size]
                    asked = asked[:, : int(asked_lengths.max())]
                    logits = self.model.compare(
                        frames,
                        frame_lengths,
                        asked[None].expand(n, -1, -1, -1),
                        asked_lengths[None].expand(n, -1),
                    ).logits
                    scores[here, at : at + size] = logits.numpy()
        return scores

    def _tokens(self, said: list[list[int]]) -> list[NDArray[np.float32]]:
        phonemes, lengths = padded(said)
        with torch.inference_mode():
            tokens = self.model.eval().textual.tokens(phonemes, lengths).numpy()
        return [row[:length].copy() for row, length in zip(tokens, lengths.tolist(), strict=True)]


class _Remembered:
    """Encodings of texts, each made once for as long as there is room."""

    def __init__(self, encode_phonemes: Callable[[list[list[int]]], list[NDArray[np.float32]]]) -> None:
        self._encode = encode_phonemes
        self._known: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: list[str]) -> list[NDArray[np.float32]]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if len(self._known) + len(new) > REMEMBERED_TEXTS:
            self._known, new = {}, list(dict.fromkeys(texts))
        for at in range(0, len(new), TEXTS_AT_ONCE):
            block = new[at : at + TEXTS_AT_ONCE]
            self._known.update(zip(block, self._encode([first_pronunciation(text) for text in block]), strict=True))
        return [self._known[text] for text in texts]


def first_pronunciation(text: str) -> list[int]:
    """Phoneme ids of a text's first pronunciation."""
    return encode(default_pronouncer().variants(text)[0])


def padded(said: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Phoneme ids as a model is given them: [texts, tokens], 0 behind the end, and lengths [texts]."""
    phonemes = torch.zeros(len(said), max(map(len, said)), dtype=torch.int64)
    for row, ids in enumerate(said):
        phonemes[row, : len(ids)] = torch.tensor(ids)
    return phonemes, torch.tensor([len(ids) for ids in said])


def as_crops(config: ModelConfig, clips: list[Audio]) -> tuple[Tensor, Tensor, Tensor]:
    """Clips as a model is given them: audio [clips, samples], lengths [clips], and the span that each clip is in it."""
    local = config.acoustic.context == "local"
    before, after = (round(s * SAMPLE_RATE) if local else 0 for s in (CLIP_BEFORE_SECONDS, CLIP_AFTER_SECONDS))
    sizes = [max(len(clip), FRAME_SAMPLES) for clip in clips]
    audio = torch.zeros(len(clips), before + max(sizes) + after)
    for row, clip in enumerate(clips):
        audio[row, before : before + len(clip)] = torch.from_numpy(np.ascontiguousarray(clip, np.float32))
    first = before // HOP_SAMPLES
    spans = [(row, first, first + num_frames(size)) for row, size in enumerate(sizes)]
    return audio, torch.tensor([before + size + after for size in sizes]), torch.tensor(spans)
