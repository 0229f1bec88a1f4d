"""Figures and a threshold of the exported graphs themselves: on held-out speakers, else on words of the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    word_negatives: Callable[[Array, Array], NDArray[np.floating]] | None = None
    """Scores of words against random other words; None where the trials may not set a threshold."""


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
    """Words that the model was trained on, each against up to 100 texts: they show what quantisation loses, but are too
    easy to set a threshold by."""
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

    return Trials(clips, [store.phonemes[label].tolist() for label in labels.tolist()], figures)


def embed_clip(sessions: Sessions, clip: Array, before_seconds: float, after_seconds: float) -> Array:
    """Embeds a clip (16 kHz, 400 samples or more) set in that much digital silence: [dim]."""
    before, after = round(before_seconds * SAMPLE_RATE), round(after_seconds * SAMPLE_RATE)
    frames = sessions.frames(sessions.log_mel(np.pad(clip, (before, after))[None]))
    first, count = before // HOP_SAMPLES, num_frames(len(clip))
    return sessions.pool(frames[:, first : first + count], [count])[0]


def embed_clips(sessions: Sessions, clips: Sequence[Array], before_seconds: float, after_seconds: float) -> Array:
    """Embeds clips one by one: [clips, dim]."""
    return np.stack([embed_clip(sessions, clip, before_seconds, after_seconds) for clip in clips])


def embed_texts(sessions: Sessions, phonemes: Sequence[Sequence[int]]) -> Array:
    """Embeds phoneme ids: [texts, dim]."""
    return np.concatenate([sessions.text(ids)[1] for ids in phonemes])


def choose_threshold(word_negatives: NDArray[np.floating] | None) -> float:
    """The default threshold: the score that 1 in 1000 random other words reaches, said by held-out speakers.

    0.5 where there are no such trials, or fewer than 1000."""
    if word_negatives is None or len(word_negatives) < 1 / FALSE_ACCEPTS:
        return FALLBACK_THRESHOLD
    return round(float(np.quantile(word_negatives, 1 - FALSE_ACCEPTS)), 4)
