"""Kaldi data folders: wav.scp, text, and segments, utt2spk and ctm where they are there."""

import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchword.data.segment import Segment, SegmentError, Timed, numbered_lines
from watchword.prepare.timed import fit_words, read_ctm


@dataclass(frozen=True)
class _Stretch:
    """Where an utterance lies in a recording; an end of -1 is the recording's."""

    recording: str
    start_seconds: float
    end_seconds: float


def read_kaldi(folder: Path, *, corpus: str = "", split: str = "train", licence: str = "") -> Iterator[Segment]:
    """Reads a Kaldi folder, one segment for each line of `text` (utterances without a text are left out).

    Relative audio paths start at the folder, or where nothing is there, at the working folder, as in Kaldi. Word times
    come from `ctm`, whose first column names recordings or utterances; where its words are not those of `text` the
    utterance comes without times. Raises SegmentError naming file and line."""
    folder = Path(folder).absolute()
    audio = {name: _audio(folder, name, path, where) for name, path, where in _table(folder / "wav.scp")}
    if (folder / "segments").exists():
        stretches = {name: _stretch(rest, where, audio) for name, rest, where in _table(folder / "segments")}
    else:
        stretches = {name: _Stretch(name, 0.0, -1.0) for name in audio}
    speakers = {}
    if (folder / "utt2spk").exists():
        speakers = {name: rest for name, rest, _ in _table(folder / "utt2spk")}
    times = _read_ctm(folder / "ctm", stretches, audio) if (folder / "ctm").exists() else {}
    for name, text, where in _table(folder / "text", empty=True):
        if name not in stretches:
            known = "segments" if (folder / "segments").exists() else "wav.scp"
            raise SegmentError(f"{where}: the utterance {name} is not in {known}; run Kaldi's fix_data_dir.sh")
        stretch = stretches[name]
        words = fit_words(text, times.get(name, ()))
        yield Segment(
            audio[stretch.recording], text, stretch.start_seconds, stretch.end_seconds, speakers.get(name, ""),
            corpus or folder.name, split, licence, words,
        )  # fmt: skip


def _table(path: Path, empty: bool = False) -> Iterator[tuple[str, str, str]]:
    """Yields (first column, the rest of the line, "FILE, line N") of a file with one id a line."""
    seen: set[str] = set()
    for number, line in numbered_lines(path):
        where = f"{path}, line {number}"
        name, *rest = line.split(maxsplit=1)[:2] or ("",)
        if not name or not (rest or empty):
            raise SegmentError(f"{where}: is not an id followed by {'a text' if empty else 'a value'}")
        if name in seen:
            raise SegmentError(f"{where}: {name} is there twice; keep one of its lines")
        seen.add(name)
        yield name, rest[0].strip() if rest else "", where
    if not seen:
        raise SegmentError(f"{path}: is empty")


def _audio(folder: Path, name: str, path: str, where: str) -> str:
    if path.endswith("|"):
        raise SegmentError(
            f"{where}: the audio of {name} is a command ({path[:60]}), which is not run; "
            "write its output to a file and name that (Kaldi's wav-copy does so)"
        )
    if path == "-" or (":" in path and path.rpartition(":")[2].isdigit()):
        raise SegmentError(
            f"{where}: the audio of {name} lies in an archive ({path[:60]}); write it to a file of its own"
        )
    beside = os.path.join(folder, path)
    return beside if os.path.exists(beside) else os.path.abspath(path)


def _stretch(rest: str, where: str, audio: dict[str, str]) -> _Stretch:
    columns = rest.split()
    try:
        recording, start, end = columns[0], float(columns[1]), float(columns[2])
    except (IndexError, ValueError):
        raise SegmentError(f"{where}: is not UTTERANCE RECORDING START END, times in seconds") from None
    if recording not in audio:
        raise SegmentError(f"{where}: the recording {recording} is not in wav.scp")
    if end != -1 and not 0 <= start < end:
        raise SegmentError(f"{where}: goes from {start} s to {end} s; the end must come after the start")
    return _Stretch(recording, start, end)


def _read_ctm(path: Path, stretches: dict[str, _Stretch], audio: dict[str, str]) -> dict[str, list[Timed]]:
    """Reads `NAME CHANNEL START DURATION WORD [CONFIDENCE]` into the words of each utterance."""
    times: dict[str, list[Timed]] = {}
    recorded: dict[str, list[Timed]] = {}
    for number, name, word in read_ctm(path):
        if name in audio:
            recorded.setdefault(name, []).append(word)
        elif name in stretches:
            first = stretches[name].start_seconds
            start, end = first + word.start_seconds, first + word.end_seconds
            times.setdefault(name, []).append(Timed(word.text, start, end))
        else:
            raise SegmentError(f"{path}, line {number}: {name} is neither a recording nor an utterance of this folder")
    for words in recorded.values():
        words.sort(key=_middle)
    for name, stretch in stretches.items():
        words = recorded.get(stretch.recording, [])
        first = bisect_left(words, stretch.start_seconds, key=_middle)
        last = bisect_left(words, stretch.end_seconds, key=_middle) if stretch.end_seconds >= 0 else len(words)
        if first < last:
            times.setdefault(name, []).extend(words[first:last])
    return {name: sorted(words, key=_middle) for name, words in times.items()}


def _middle(word: Timed) -> float:
    return (word.start_seconds + word.end_seconds) / 2
