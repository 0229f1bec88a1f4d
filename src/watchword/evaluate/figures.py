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
    kinds = np.array([trial.kind for trial in trials])
    is_match = np.array([trial.is_match for trial in trials])
    num_words = np.array([trial.num_words for trial in trials])
    speakers = np.array([trial.speaker or trial.audio for trial in trials])

    def measure(among: NDArray[np.bool_], names: Sequence[str]) -> dict[str, Figure]:
        chosen = speakers[among].tolist()
        return ranking_figures(is_match[among], scores[among], chosen, names, seed=seed, resamples=resamples)

    figures: dict[str, Figure] = {}
    if (kinds == "random").any():
        figures |= measure(is_match | (kinds == "random"), ("ap",))
    for kind in ("easy", "hard"):
        among = is_match | (kinds == kind)
        if not (kinds == kind).any():
            continue
        figures |= {f"{kind}_{name}": figure for name, figure in measure(among, ("eer", "auc")).items()}
        lengths = np.unique(num_words[among]) if by_words else []
        for length in lengths:
            words = f"{length}_word" if length == 1 else f"{length}_words"
            found = measure(among & (num_words == length), ("eer", "auc"))
            figures |= {f"{kind}_{name}_{words}": figure for name, figure in found.items()}
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
