"""Clips cut out of recordings, and the scores of trials on them: each distinct clip and text is handled once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from watchword.audio import FRAME_SAMPLES, SAMPLE_RATE, read
from watchword.evaluate.trials import Trial

Audio: TypeAlias = NDArray[np.float32]
Scorer: TypeAlias = Callable[[list[Audio], list[str]], NDArray[np.floating]]
"""Scores clips (16 kHz mono) against texts: an array [clips, texts], higher = more alike."""
Progress: TypeAlias = Callable[[int, int], None]
"""Told how many clips of how many are done."""

CLIPS_AT_ONCE = 64


class Clip(NamedTuple):
    """A stretch of an audio file, in seconds."""

    audio: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class Pairs:
    """The distinct clips (in file order) and texts of a trial list, and each trial's place among them."""

    clips: list[Clip]
    texts: list[str]
    clip_of: NDArray[np.int64]
    text_of: NDArray[np.int64]

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> "Pairs":
        """Collects the clips and texts of `trials`."""
        wanted = [Clip(trial.audio, trial.start_seconds, trial.end_seconds) for trial in trials]
        clips, texts = sorted(set(wanted)), sorted({trial.text for trial in trials})
        clip_place = {clip: place for place, clip in enumerate(clips)}
        text_place = {text: place for place, text in enumerate(texts)}
        clip_of = np.array([clip_place[clip] for clip in wanted], dtype=np.int64)
        return cls(clips, texts, clip_of, np.array([text_place[trial.text] for trial in trials], dtype=np.int64))

    @property
    def hours(self) -> float:
        """Hours of audio in the distinct clips."""
        return sum(clip.end_seconds - clip.start_seconds for clip in self.clips) / 3600


def read_clips(clips: Sequence[Clip], context_seconds: float = 0.0) -> Iterator[Audio]:
    """Cuts the clips out of their files, with `context_seconds` of what really surrounds them on both sides.

    A file is decoded once as long as its clips follow one another. Raises AudioError for a file that cannot be read.
    """
    opened, samples = "", np.empty(0, dtype=np.float32)
    for clip in clips:
        if clip.audio != opened:
            opened, samples = clip.audio, read(clip.audio)
        first = max(0, round((clip.start_seconds - context_seconds) * SAMPLE_RATE))
        last = max(round((clip.end_seconds + context_seconds) * SAMPLE_RATE), first + FRAME_SAMPLES)
        cut = samples[first:last]
        yield np.pad(cut, (0, max(0, FRAME_SAMPLES - len(cut))))


def score_blocks(
    clips: Sequence[Clip],
    texts: list[str],
    scorer: Scorer,
    *,
    context_seconds: float = 0.0,
    progress: Progress | None = None,
) -> Iterator[tuple[int, NDArray[np.floating]]]:
    """Yields the score matrix [clips, texts] block by block, each with the index of its first clip."""
    cut = read_clips(clips, context_seconds)
    for first in range(0, len(clips), CLIPS_AT_ONCE):
        block = [next(cut) for _ in range(min(CLIPS_AT_ONCE, len(clips) - first))]
        yield first, np.asarray(scorer(block, texts))
        if progress:
            progress(first + len(block), len(clips))


def score_trials(
    trials: Sequence[Trial],
    scorer: Scorer,
    *,
    context_seconds: float = 0.0,
    sparse: bool = False,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """The score of each trial, in the order of the list; see `score_pairs`."""
    return score_pairs(Pairs.of(trials), scorer, context_seconds=context_seconds, sparse=sparse, progress=progress)


def score_pairs(
    pairs: Pairs,
    scorer: Scorer,
    *,
    context_seconds: float = 0.0,
    sparse: bool = False,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """The score of each pair of clip and text, in the order of `pairs`.

    All clips meet all texts, which costs nothing where a score is a cosine; `sparse`: each clip meets its own alone."""
    scores = np.empty(len(pairs.clip_of), dtype=np.float32)
    by_clip = np.argsort(pairs.clip_of, kind="stable")
    clip_of = pairs.clip_of[by_clip]
    if sparse:
        for number, clip in enumerate(read_clips(pairs.clips, context_seconds)):
            own = by_clip[slice(*np.searchsorted(clip_of, [number, number + 1]))]
            texts, place = np.unique(pairs.text_of[own], return_inverse=True)
            scores[own] = np.asarray(scorer([clip], [pairs.texts[text] for text in texts]))[0, place]
            if progress:
                progress(number + 1, len(pairs.clips))
        return scores
    blocks = score_blocks(pairs.clips, pairs.texts, scorer, context_seconds=context_seconds, progress=progress)
    for first, matrix in blocks:
        here = slice(*np.searchsorted(clip_of, [first, first + len(matrix)]))
        scores[by_clip[here]] = matrix[clip_of[here] - first, pairs.text_of[by_clip[here]]]
    return scores


def cosines(audio: NDArray[np.floating], text: NDArray[np.floating]) -> NDArray[np.float32]:
    """Cosine of each row of `audio[clips, dim]` with each row of `text[texts, dim]`; a zero row scores 0."""
    return _unit(audio) @ _unit(text).T


def embedding_scorer(
    embed_audio: Callable[[list[Audio]], NDArray[np.floating]], embed_text: Callable[[list[str]], NDArray[np.floating]]
) -> Scorer:
    """A scorer by the cosine of two embeddings, [clips, dim] and [texts, dim]; the same texts are embedded once."""
    known: list[tuple[list[str], NDArray[np.floating]]] = []

    def scorer(clips: list[Audio], texts: list[str]) -> NDArray[np.floating]:
        if not known or known[0][0] != texts:
            known[:] = [(list(texts), embed_text(texts))]
        return cosines(embed_audio(clips), known[0][1])

    return scorer


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    single = np.asarray(rows, dtype=np.float32)
    return single / np.maximum(np.linalg.norm(single, axis=1, keepdims=True), 1e-12)
