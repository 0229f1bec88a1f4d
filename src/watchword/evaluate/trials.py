"""Trials: audio-text pairs to score, as a fixed tab-separated list with a hash.

A list is a TSV file with a header line and the columns of `Trial`. Its hash covers every column; audio paths enter it
relative to the folder that holds all the audio, so the same list has the same hash on another machine.
"""

import csv
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("audio", "start_seconds", "end_seconds", "text", "is_match", "kind", "num_words", "speaker")


class TrialError(ValueError):
    """A trial list that cannot be read, or is not the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One audio-text pair to score.

    Times are in seconds within the file, rounded to 0.1 ms; `kind` says how the text was chosen: "own", "random",
    "easy" or "hard".
    """

    audio: str
    start_seconds: float
    end_seconds: float
    text: str
    is_match: bool
    kind: str
    num_words: int
    speaker: str

    def row(self, audio: str | None = None) -> list[str]:
        """The trial as the cells of one line, with another audio path if one is given."""
        audio = self.audio if audio is None else audio
        times = [f"{self.start_seconds:.4f}", f"{self.end_seconds:.4f}"]
        return [audio, *times, self.text, str(int(self.is_match)), self.kind, str(self.num_words), self.speaker]


def trials_hash(trials: Sequence[Trial]) -> str:
    """SHA-256 of a list, the same on every machine that holds the audio in the same layout."""
    folders = {os.path.dirname(os.path.abspath(trial.audio)) for trial in trials}
    root = os.path.commonpath(folders) if folders else ""
    files = {trial.audio for trial in trials}
    relative = {audio: Path(os.path.relpath(audio, root)).as_posix() for audio in files}
    digest = hashlib.sha256()
    for trial in trials:
        digest.update(("\t".join(trial.row(relative[trial.audio])) + "\n").encode())
    return digest.hexdigest()


def write_trials(path: Path, trials: Sequence[Trial]) -> str:
    """Writes the list whole or not at all, reads it back, and returns its hash."""
    expected = trials_hash(trials)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(trial.row() for trial in trials)
            file.flush()
            os.fsync(file.fileno())
        read_trials(unfinished, expected)
        unfinished.replace(path)
    except OSError as error:
        raise TrialError(f"{path}: cannot be written ({error.strerror}); choose another folder for trials") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return expected


def read_trials(path: Path, sha256: str | None = None) -> list[Trial]:
    """Reads a list, refusing any but that of hash `sha256` if one is given; audio paths start at the list's folder."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            trials = list(_parse(path, csv.reader(file, delimiter="\t")))
    except (OSError, UnicodeDecodeError) as error:
        raise TrialError(f"{path}: not a readable trial list ({error}); give a TSV file") from error
    if sha256 is not None and (found := trials_hash(trials)) != sha256:
        raise TrialError(f"{path}: hash {found[:12]} instead of {sha256[:12]}; delete the file to have it built again")
    return trials


def _parse(path: Path, rows: Iterable[list[str]]) -> Iterable[Trial]:
    lines = enumerate(rows, start=1)
    _, header = next(lines, (1, []))
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise TrialError(f"{path}: line 1: no column {missing[0]!r}; a trial list has the columns {', '.join(COLUMNS)}")
    places = [header.index(name) for name in COLUMNS]
    folder = path.parent
    for number, cells in lines:
        try:
            audio, start, end, text, is_match, kind, num_words, speaker = (cells[place] for place in places)
            if is_match not in ("0", "1"):
                raise ValueError("is_match is neither 0 nor 1")
            yield Trial(
                os.path.join(folder, audio),
                float(start),
                float(end),
                text,
                is_match == "1",
                kind,
                int(num_words),
                speaker,
            )
        except (ValueError, IndexError) as error:
            raise TrialError(f"{path}: line {number}: {error}; expected {', '.join(COLUMNS)}") from error
