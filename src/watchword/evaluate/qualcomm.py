"""Qualcomm keyword speech: every clip against the dataset's four phrases, one match to three non-matches."""

from pathlib import Path

from watchword.audio import SUFFIXES, duration
from watchword.evaluate.sources import QUALCOMM_FOLDERS
from watchword.evaluate.speech_commands import whole_clips
from watchword.evaluate.trials import Trial, TrialError


def build_qualcomm(folder: Path, split: str = "test") -> list[Trial]:
    """One trial a clip, with its own phrase: PHRASE/SPEAKER/*.wav, in the order of paths.

    Instead of a folder, a segments.jsonl gives its clips of `split`. Raises TrialError where one of the four phrases is
    missing."""
    if folder.is_file():
        trials = whole_clips(folder, split)
        texts = {trial.text for trial in trials}
        if texts != {name.replace("_", " ") for name in QUALCOMM_FOLDERS}:
            raise TrialError(
                f"{folder}: split {split!r} says {', '.join(sorted(texts))}; the benchmark compares four phrases, so "
                f"give a manifest of all ({', '.join(QUALCOMM_FOLDERS)})"
            )
        return trials
    trials = []
    for name in QUALCOMM_FOLDERS:
        paths = sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise TrialError(
                f"{folder / name}: no audio; the benchmark compares four phrases, so give the whole dataset "
                f"({', '.join(QUALCOMM_FOLDERS)})"
            )
        text = name.replace("_", " ")
        for path in paths:
            speaker = path.parent.relative_to(folder / name).as_posix()
            seconds = round(duration(path), 4)
            trials.append(Trial(str(path), 0.0, seconds, text, True, "own", 2, "" if speaker == "." else speaker))
    return trials
