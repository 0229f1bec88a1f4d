"""Speech Commands, zero-shot: every clip against every word; top-1, average precision and EER.

Reads a folder with a `manifest.tsv` (path, text, speaker, seconds, ...), paths relative to the folder above, or the
released layout (a folder a word), of which the test set is taken (`testing_list.txt`). The words are those that the
folder holds: all 35 of version 2 in the official 12-class test set, 25 of them as its unknown words; or the ten of the
field's 1:9 trials. Clips without a text (silence) are left out.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from watchword.audio import duration
from watchword.data.segment import read_segments
from watchword.evaluate.metrics import Figure, ranking_figures, top_one_figure
from watchword.evaluate.trials import Trial, TrialError

TEN_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
_NEEDED = ("path", "text", "speaker", "seconds")


def build_speech_commands(folder: Path, words: Sequence[str] = (), split: str = "test") -> list[Trial]:
    """One trial a spoken clip, with its own word, in the manifest's order; of `words` alone if some are given.

    Instead of a folder, a segments.jsonl gives its clips of `split`. Raises TrialError for unfit data."""
    if folder.is_file():
        trials = whole_clips(folder, split)
    else:
        trials = _from_manifest(folder) if (folder / "manifest.tsv").is_file() else _from_release(folder)
    trials = [trial for trial in trials if not words or trial.text in words]
    found = {trial.text for trial in trials}
    if words and found != set(words):
        raise TrialError(f"{folder}: no clip of {sorted(set(words) - found)[0]!r}; give the whole test set")
    if len(found) < 2:
        raise TrialError(f"{folder}: fewer than two different words; give the Speech Commands test folder")
    return trials


def whole_clips(manifest: Path, split: str) -> list[Trial]:
    """One trial for each segment of `split`, with its own text, in the manifest's order."""
    trials = []
    for segment in read_segments(manifest):
        if segment.split != split or not segment.text:
            continue
        end = segment.end_seconds if segment.end_seconds >= 0 else duration(segment.audio)
        text = segment.text.lower()
        times = round(segment.start_seconds, 4), round(end, 4)
        trials.append(Trial(segment.audio, *times, text, True, "own", len(text.split()), segment.speaker))
    return trials


def _from_manifest(folder: Path) -> list[Trial]:
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
    return trials


def _from_release(folder: Path) -> list[Trial]:
    """WORD/SPEAKER_nohash_N.wav for each line of testing_list.txt."""
    listed = folder / "testing_list.txt"
    try:
        names = listed.read_text(encoding="utf-8").split()
    except OSError as error:
        raise TrialError(
            f"{listed}: cannot be read ({error.strerror}); give the released Speech Commands folder"
        ) from None
    absent = next((name for name in names if not (folder / name).is_file()), None)
    if absent:
        raise TrialError(f"{folder / absent}: listed in testing_list.txt and not there; unpack the release again")
    return [
        Trial(
            str(folder / name),
            0.0,
            round(duration(folder / name), 4),
            name.split("/")[0].lower(),
            True,
            "own",
            1,
            name.split("/")[-1].split("_nohash_")[0],
        )
        for name in names
    ]


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
