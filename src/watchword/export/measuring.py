"""Figures and a threshold of the exported graphs themselves: on held-out speakers, else on words of the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE, num_frames
from watchword.data.store import Store
from watchword.evaluate.metrics import ranking_figures
from watchword.evaluate.validation import Validation
from watchword.export.parity import Array, Sessions, cosines
from watchword.text.phonemes import encode
from watchword.text.pronounce import default_pronouncer

STORE_CLIPS, STORE_TEXTS = 300, 100
FALSE_ACCEPTS, FALLBACK_THRESHOLD = 1e-3, 0.5


@dataclass(frozen=True)
class Trials:
    """Clips and phonemes to embed, and what is measured of their embeddings [clips, dim] and [texts, dim]."""

    clips: list[Array]
    phonemes: Sequence[Sequence[int]]
    figures: Callable[[Array, Array], dict[str, float]]
    word_negatives: Callable[[Array, Array], NDArray[np.floating]]
    """Scores of words against other words."""
    word_positives: Callable[[Array, Array], NDArray[np.floating]] | None = None
    """Scores of words against their own text, where training saw these very words."""


def validation_trials(validation: Validation) -> Trials:
    """The trials on held-out speakers, each text by its first pronunciation."""
    pairs = validation.pairs
    kinds = np.array([trial.kind for trial in validation.trials])

    def word_negatives(audio: Array, text: Array) -> NDArray[np.floating]:
        among = kinds == "random"
        return cosines(audio, text)[pairs.clip_of[among], pairs.text_of[among]]

    said = [encode(default_pronouncer().variants(text)[0]) for text in pairs.texts]
    return Trials(list(validation.audio()), said, validation.figures, word_negatives)


def store_trials(store: Store, seed: int = 0) -> Trials:
    """Words that the model was trained on, each against up to 100 texts: they show what quantisation loses, and how far
    apart the scores of trained and other words are."""
    rng = np.random.default_rng(seed)
    chosen = store.items[rng.permutation(len(store.items))[:STORE_CLIPS]]
    labels = np.unique(chosen["label"])
    labels = np.sort(rng.permutation(labels)[:STORE_TEXTS])
    chosen = chosen[np.isin(chosen["label"], labels)]
    clips = []
    for item in chosen:
        cut = store.audio(int(item["utterance"]))[int(item["start"]) : int(item["end"])]
        cut = np.pad(cut, (0, max(0, FRAME_SAMPLES - len(cut))))
        clips.append(cut.astype(np.float32) / 32768.0)
    is_match = (chosen["label"][:, None] == labels[None]).ravel()

    def figures(audio: Array, text: Array) -> dict[str, float]:
        if is_match.all():  # a store of one class has no other to be confused with
            return {}
        names, everyone = ("ap", "eer"), ["store"] * len(is_match)
        found = ranking_figures(is_match, cosines(audio, text).ravel(), everyone, names, resamples=0)
        return {name: figure.value for name, figure in found.items()}

    def scores(audio: Array, text: Array, matching: bool) -> NDArray[np.floating]:
        return cosines(audio, text).ravel()[is_match == matching]

    said = [store.phonemes[label].tolist() for label in labels.tolist()]
    return Trials(clips, said, figures, partial(scores, matching=False), partial(scores, matching=True))


def embed_clip(sessions: Sessions, clip: Array, before_seconds: float, after_seconds: float) -> Array:
    """Embeds a clip (16 kHz, 400 samples or more) set in that much digital silence: [dim]."""
    before, after = round(before_seconds * SAMPLE_RATE), round(after_seconds * SAMPLE_RATE)
    log_mel = sessions.log_mel(np.pad(clip, (before, after + HOP_SAMPLES))[None])
    frames = sessions.frames(log_mel[:, : log_mel.shape[1] // sessions.multiple * sessions.multiple])
    first, count = before // HOP_SAMPLES, num_frames(len(clip))
    return sessions.pool(frames[:, first : first + count], [count])[0]


def embed_clips(sessions: Sessions, clips: Sequence[Array], before_seconds: float, after_seconds: float) -> Array:
    """Embeds clips one by one: [clips, dim]."""
    return np.stack([embed_clip(sessions, clip, before_seconds, after_seconds) for clip in clips])


def embed_texts(sessions: Sessions, phonemes: Sequence[Sequence[int]]) -> Array:
    """Embeds phoneme ids: [texts, dim]."""
    return np.concatenate([sessions.text(ids)[1] for ids in phonemes])


def choose_threshold(word_negatives: NDArray[np.floating], word_positives: NDArray[np.floating] | None = None) -> float:
    """The default threshold: the score that 1 in 1000 random other words reaches, said by held-out speakers.

    Without held-out speakers `word_positives` are scores of trained words: then half-way from there to their median,
    since other words of running speech score higher than those trained against. 0.5 where there are fewer than 1000
    negatives."""
    if len(word_negatives) < 1 / FALSE_ACCEPTS:
        return FALLBACK_THRESHOLD
    reached = float(np.quantile(word_negatives, 1 - FALSE_ACCEPTS))
    if word_positives is not None and len(word_positives):
        reached = (reached + max(reached, float(np.median(word_positives)))) / 2
    return round(reached, 4)
