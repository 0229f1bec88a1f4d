"""Speech Commands, zero-shot: every clip against every word; top-1, average precision and EER.

Reads a folder with a `manifest.tsv` (path, text, speaker, seconds, ...), paths relative to the folder above. The words
are those that the folder holds: all 35 of version 2 in the official 12-class test set, 25 of them as its unknown words.
Clips without a text (silence) are left out.
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from watchword.evaluate.metrics import Figure, ranking_figures, top_one_figure
from watchword.evaluate.trials import Trial, TrialError

_NEEDED = ("path", "text", "speaker", "seconds")


def build_speech_commands(folder: Path) -> list[Trial]:
    """One trial a spoken clip, with its own word, in the manifest's order. Raises TrialError for an unfit folder."""
    manifest = folder / "manifest.tsv"
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError) as error:
        raise TrialError(f"{manifest}: cannot be read ({error}); give a folder with a manifest.tsv") from error
    trials: list[Trial] = []
    for number, row in enumerate(rows, start=2):
        try:
            path, text, speaker, seconds = (row[name] for name in _NEEDED)
            if len(text.split()) > 1:
                raise ValueError(f"{text[:40]!r} is not one word")
            if text:
                audio = str(folder.parent / path)
                trials.append(Trial(audio, 0.0, round(float(seconds), 4), text.lower(), True, "own", 1, speaker))
        except (KeyError, TypeError, ValueError) as error:
            raise TrialError(
                f"{manifest}: line {number}: {error}; needed are one word a clip and the columns {', '.join(_NEEDED)}"
            ) from error
    if len({trial.text for trial in trials}) < 2:
        raise TrialError(f"{manifest}: fewer than two different words; give the Speech Commands test folder")
    return trials


def speech_commands_figures(
    trials: list[Trial], words: list[str], scores: NDArray[np.floating], *, seed: int = 0, resamples: int = 1000
) -> dict[str, Figure]:
    """Top-1 among `words`, AP and EER of every clip with every word, from `scores[trials, words]`."""
    columns = np.array([words.index(trial.text) for trial in trials])
    speakers = [trial.speaker or trial.audio for trial in trials]
    is_match = columns[:, None] == np.arange(len(words))
    repeated = np.repeat(np.asarray(speakers), len(words)).tolist()
    ranked = ranking_figures(
        is_match.ravel(), scores.ravel(), repeated, ("ap", "eer", "auc"), seed=seed, resamples=resamples
    )
    return {"top1": top_one_figure(scores, columns, speakers, seed=seed, resamples=resamples), **ranked}
