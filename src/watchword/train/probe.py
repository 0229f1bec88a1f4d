"""The modality probe: a fresh linear classifier tries to tell audio embeddings from text embeddings of unseen words."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from watchword.data.store import Store
from watchword.evaluate.clips import read_clips
from watchword.evaluate.validation import Validation
from watchword.model.baselines.pair_model import PairModel
from watchword.model.keyword_model import KeywordModel
from watchword.train.experiment import held_out
from watchword.train.recipe import Recipe, resolve
from watchword.train.runs import RunError, load_run
from watchword.train.scoring import as_crops, first_pronunciation, padded

WORDS_AT_ONCE = 64
DRAWS = 1000
FEWEST_CLASSES = 4


class Word(NamedTuple):
    """A spoken word: 16 kHz samples, phoneme ids, and its keyword class."""

    audio: NDArray[np.float32]
    phonemes: list[int]
    label: int


@dataclass(frozen=True)
class Level:
    """Rows of one level, the same number of each modality; `words` are the keyword classes that the rows belong to."""

    audio: NDArray[np.floating]
    text: NDArray[np.floating]
    words: NDArray[np.int64]


@dataclass(frozen=True)
class Probed:
    """What a probe found at one level: the share of test rows told rightly, and its 95 % interval over keywords."""

    level: str
    accuracy: float
    low: float
    high: float
    rows: int
    keywords: int

    def to_json(self) -> str:
        """One line of JSON, shares rounded to 4 decimals."""
        rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(self).items()}
        return json.dumps(rounded)


def probe_run(
    run: Path,
    *,
    checkpoint: Path | None = None,
    num_words: int = 2000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, list[Probed]]:
    """Probes a run's model on up to `num_words` spoken words; returns the checkpoint's step and a figure a level.

    The words are those of the recipe's held-out speakers, or of its store where it names none. Raises RunError for what
    is no run or where there are too few keywords; CheckpointError, StoreError or RecipeError for what is lacking."""
    recipe, model, state = load_run(run, checkpoint)
    words = spoken_words(recipe, num_words, seed)
    levels = embed_words(model, words, progress)
    return int(state["step"]), [probe(name, level, seed) for name, level in levels.items()]


def probe(name: str, level: Level, seed: int = 0) -> Probed:
    """Fits logistic regression to unit rows (audio or text) of half of the keywords, and tests it on the other half.

    0.5 means that modality cannot be read off an embedding. Nothing but `seed` decides the halves and the bootstrap of
    the interval, which draws keywords. Raises RunError for fewer than four keywords."""
    keywords = np.unique(level.words)
    if len(keywords) < FEWEST_CLASSES:
        raise RunError(f"probe: {len(keywords)} keywords with embeddings, and two halves need {FEWEST_CLASSES} or more")
    rng = np.random.default_rng(seed)
    fitted = np.isin(level.words, rng.permutation(keywords)[: len(keywords) // 2])
    # √d brings unit rows to the size that the classifier's default penalty is meant for.
    audio, text = (_unit(rows) * np.sqrt(rows.shape[1]) for rows in (level.audio, level.text))
    rows = np.concatenate([audio[fitted], text[fitted]])
    classifier = LogisticRegression(max_iter=2000).fit(rows, np.repeat([0, 1], int(fitted.sum())))
    right = (classifier.predict(audio[~fitted]) == 0).astype(float) + (classifier.predict(text[~fitted]) == 1)
    tested, place = np.unique(level.words[~fitted], return_inverse=True)
    told, shown = np.bincount(place, right), 2.0 * np.bincount(place)
    weights = rng.multinomial(len(tested), np.full(len(tested), 1 / len(tested)), size=DRAWS)
    low, high = np.percentile((weights @ told) / (weights @ shown), [2.5, 97.5])
    return Probed(name, float(told.sum() / shown.sum()), float(low), float(high), int(shown.sum()), len(tested))


def spoken_words(recipe: Recipe, count: int, seed: int = 0) -> list[Word]:
    """Up to `count` single words of the recipe's held-out speakers, or of its store where it names none."""
    validation = held_out(recipe)
    words = _store_words(Store(resolve(recipe.data.store)), count, seed) if validation is None else _own(validation)
    return [words[i] for i in np.sort(np.random.default_rng(seed).permutation(len(words))[:count])]


@torch.inference_mode()
def embed_words(
    model: KeywordModel | PairModel, words: Sequence[Word], progress: Callable[[int, int], None] | None = None
) -> dict[str, Level]:
    """Embeds words: `phoneme` is aligned audio beside tokens, `utterance` (not in baselines) clips beside texts."""
    model.eval()
    # Blocks of like length hold little padding, and the same words give the same blocks.
    words = sorted(words, key=lambda word: len(word.audio))
    levels: dict[str, list[Level]] = {"phoneme": [], "utterance": []}
    for first in range(0, len(words), WORDS_AT_ONCE):
        block = words[first : first + WORDS_AT_ONCE]
        match = model(**_inputs(model, block))
        labels = np.array([word.label for word in block])
        of = match.phoneme_mask.nonzero()[:, 0].numpy()
        levels["phoneme"].append(Level(match.phoneme_audio.numpy(), match.phoneme_text.numpy(), labels[of]))
        levels["utterance"].append(Level(match.audio.numpy(), match.text.numpy(), labels))
        if progress:
            progress(first + len(block), len(words))
    if isinstance(model, PairModel):
        del levels["utterance"]
    return {
        name: Level(
            np.concatenate([part.audio for part in parts]),
            np.concatenate([part.text for part in parts]),
            np.concatenate([part.words for part in parts]),
        )
        for name, parts in levels.items()
        if parts
    }


def _inputs(model: KeywordModel | PairModel, words: Sequence[Word]) -> dict[str, torch.Tensor]:
    audio, audio_lengths, spans = as_crops(model.config, [word.audio for word in words])
    phonemes, lengths = padded([word.phonemes for word in words])
    labels = torch.tensor([word.label for word in words])
    given = {"audio": audio, "audio_lengths": audio_lengths, "spans": spans, "labels": labels, "phonemes": phonemes}
    given["phoneme_lengths"] = lengths
    if isinstance(model, PairModel):  # which also asks for other texts: its own will do
        given |= {"other_labels": labels[:, None], "others": phonemes[:, None], "other_lengths": lengths[:, None]}
    return given


def _store_words(store: Store, count: int, seed: int) -> list[Word]:
    items = store.items[store.items["num_words"] == 1]
    items = items if len(items) else store.items
    chosen = np.sort(np.random.default_rng(seed).permutation(len(items))[:count])
    return [
        Word(
            store.audio(int(item["utterance"]))[int(item["start"]) : int(item["end"])].astype(np.float32) / 32768.0,
            store.phonemes[int(item["label"])].tolist(),
            int(item["label"]),
        )
        for item in items[chosen]
    ]


def _own(validation: Validation) -> list[Word]:
    """The words of validation, each clip beside its own text."""
    own = {
        int(clip): trial.text
        for trial, clip in zip(validation.trials, validation.pairs.clip_of, strict=True)
        if trial.is_match and trial.num_words == 1
    }
    label = {text: number for number, text in enumerate(sorted(set(own.values())))}
    said = {text: first_pronunciation(text) for text in label}
    clips = sorted(own)
    cut = read_clips([validation.pairs.clips[clip] for clip in clips])
    return [Word(audio, said[own[clip]], label[own[clip]]) for clip, audio in zip(clips, cut, strict=True)]


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    exact = rows.astype(np.float64)
    return exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)
