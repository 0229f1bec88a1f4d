"""Figures of a scored trial list, by the kinds of negatives that it holds.

random        ap                                (WSJ-style)
easy, hard    easy_eer, easy_auc, hard_eer ...  and each by number of words: hard_eer_2_words
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from watchword.evaluate.clips import Audio, embedding_scorer, score_trials
from watchword.evaluate.metrics import Figure, ranking_figures
from watchword.evaluate.trials import Trial


def trial_figures(
    trials: Sequence[Trial],
    scores: NDArray[np.floating],
    *,
    seed: int = 0,
    resamples: int = 1000,
    by_words: bool = True,
) -> dict[str, Figure]:
    """All figures that the list supports, each with its interval over speakers (files where no speaker is named)."""
    return figures_by_kind(
        np.array([trial.kind for trial in trials]),
        np.array([trial.is_match for trial in trials]),
        np.array([trial.num_words for trial in trials]),
        np.array([trial.speaker or trial.audio for trial in trials]),
        scores,
        seed=seed,
        resamples=resamples,
        by_words=by_words,
    )


def figures_by_kind(
    kinds: NDArray[np.str_],
    is_match: NDArray[np.bool_],
    num_words: NDArray[np.integer],
    speakers: NDArray[np.str_],
    scores: NDArray[np.floating],
    *,
    seed: int = 0,
    resamples: int = 1000,
    by_words: bool = True,
) -> dict[str, Figure]:
    """As `trial_figures`, of a list in columns. A match of kind "own" belongs to every kind of negatives, one of kind
    "easy" or "hard" to those alone."""

    def measure(among: NDArray[np.bool_], names: Sequence[str]) -> dict[str, Figure]:
        chosen = speakers[among].tolist()
        return ranking_figures(is_match[among], scores[among], chosen, names, seed=seed, resamples=resamples)

    figures: dict[str, Figure] = {}
    for kind, names in (("random", ("ap",)), ("easy", ("eer", "auc")), ("hard", ("eer", "auc"))):
        among = (kinds == "own") | (kinds == kind)
        if not (kinds == kind).any():
            continue
        prefix = "" if kind == "random" else f"{kind}_"
        figures |= {f"{prefix}{name}": figure for name, figure in measure(among, names).items()}
        for length in np.unique(num_words[among]) if by_words and prefix else ():
            words = f"{length}_word" if length == 1 else f"{length}_words"
            found = measure(among & (num_words == length), names)
            figures |= {f"{prefix}{name}_{words}": figure for name, figure in found.items()}
    return figures


def evaluate_trials(
    trials: Sequence[Trial],
    embed_audio: Callable[[list[Audio]], NDArray[np.floating]],
    embed_text: Callable[[list[str]], NDArray[np.floating]],
    *,
    context_seconds: float = 0.0,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Figure]:
    """Figures of a list by the cosine of embeddings, [clips, dim] and [texts, dim]; each embedded once."""
    scores = score_trials(trials, embedding_scorer(embed_audio, embed_text), context_seconds=context_seconds)
    return trial_figures(trials, scores, seed=seed, resamples=resamples)
