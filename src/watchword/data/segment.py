"""Segments: stretches of speech with their text, one JSON object a line in `segments.jsonl`."""

import gzip
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from watchword.audio import SAMPLE_RATE

_ALIASES = {
    "audio": ("audio", "audio_filepath", "audio_path", "wav", "path"),
    "text": ("text", "transcript", "sentence"),
    "start_seconds": ("start_seconds", "start", "offset"),
    "end_seconds": ("end_seconds", "end"),
}


class SegmentError(ValueError):
    """A manifest cannot be read; the message names the file and the line."""


@dataclass(frozen=True)
class Timed:
    """A word or phone with its place in the audio file, in seconds."""

    text: str
    start_seconds: float
    end_seconds: float

    @property
    def span(self) -> tuple[float, float]:
        """The start and the end, in seconds."""
        return self.start_seconds, self.end_seconds


@dataclass(frozen=True)
class Segment:
    """A stretch of an audio file with its text; `words` and `phones`, where aligned, are placed in the whole file."""

    audio: str
    text: str
    start_seconds: float
    end_seconds: float
    speaker: str = ""
    corpus: str = ""
    split: str = "train"
    licence: str = ""
    words: tuple[Timed, ...] = ()
    phones: tuple[Timed, ...] = ()

    def bounds(self, size: int) -> tuple[int, int]:
        """Returns the first sample and the one behind the last, at 16 kHz, in a file of `size` samples."""
        last = size if self.end_seconds < 0 else min(size, round(self.end_seconds * SAMPLE_RATE))
        return max(0, round(self.start_seconds * SAMPLE_RATE)), last

    def to_json(self) -> str:
        """Returns the segment as one line of JSON."""
        table: dict[str, Any] = asdict(self)
        for key in ("words", "phones"):
            table[key] = [[t.text, round(t.start_seconds, 4), round(t.end_seconds, 4)] for t in getattr(self, key)]
            if not table[key]:
                del table[key]
        return json.dumps(table, ensure_ascii=False)


def read_segments(path: str | Path) -> Iterator[Segment]:
    """Reads a manifest; audio paths come back absolute, those that are relative taken from the manifest's folder.

    NeMo's `audio_filepath`, `offset`, `duration` and the like are understood. A missing end means the file's end (-1).
    Raises SegmentError naming the file and the line."""
    path = Path(path)
    for number, line in numbered_lines(path):
        if line.strip():
            yield _parse(line, path, number)


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields a text file's lines with their numbers from 1; `*.gz` is unpacked.

    Raises SegmentError for a file that cannot be read, and names the line where it is not UTF-8."""
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SegmentError(f"{path}, line {number}: not UTF-8 text; save the file as UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:
        why = str(getattr(error, "strerror", None) or error)
        why += f" after line {number}; is it whole?" if number else ""
        raise SegmentError(f"{path}: cannot be read ({why})") from None


def write_segments(path: str | Path, segments: Iterable[Segment]) -> None:
    """Writes a manifest whole or not at all; audio below its folder is named from there, so both can move."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    below = os.path.join(path.parent.absolute(), "")
    try:
        with aside.open("w", encoding="utf-8") as file:
            for segment in segments:
                if segment.audio.startswith(below):
                    segment = replace(segment, audio=segment.audio[len(below) :])
                file.write(segment.to_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _parse(line: str, path: Path, number: int) -> Segment:
    where = f"{path}, line {number}"
    try:
        table = json.loads(line)
    except json.JSONDecodeError as error:
        raise SegmentError(
            f'{where}: not JSON ({error.msg}); each line is one object such as {{"audio": …, "text": …}}'
        ) from None
    if not isinstance(table, dict):
        raise SegmentError(f"{where}: not a JSON object")
    found = {key: next((table[a] for a in aliases if a in table), None) for key, aliases in _ALIASES.items()}
    for key in ("audio", "text"):
        if not isinstance(found[key], str):
            raise SegmentError(f"{where}: has no {key!r}; each line needs audio and text")
    try:
        start = float(found["start_seconds"] or 0.0)
        end = found["end_seconds"]
        end = (
            start + float(table["duration"])
            if end is None and "duration" in table
            else float(-1 if end is None else end)
        )
        words, phones = (
            tuple(Timed(str(t), float(s), float(e)) for t, s, e in table.get(k, ())) for k in ("words", "phones")
        )
    except (TypeError, ValueError):
        raise SegmentError(f"{where}: times must be numbers in seconds (words as [text, start, end])") from None
    if start < 0 or not all(map(math.isfinite, (start, end, *(t for w in (*words, *phones) for t in w.span)))):
        raise SegmentError(f"{where}: a time is negative or not finite; times are seconds from the file's start")
    if 0 <= end <= start:
        raise SegmentError(f"{where}: ends at {end} s, before or where it starts ({start} s)")
    rest = {
        key: str(table.get(key, default))
        for key, default in (("speaker", ""), ("corpus", ""), ("split", "train"), ("licence", ""))
    }
    audio = str(found["audio"])
    return Segment(
        audio if os.path.isabs(audio) else os.path.join(path.parent.absolute(), audio),
        str(found["text"]),
        start,
        end,
        **rest,
        words=words,
        phones=phones,
    )
