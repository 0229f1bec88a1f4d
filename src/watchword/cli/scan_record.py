"""A file of JSON lines that keeps what a scan of many recordings found, and lets an interrupted one go on.

    {"scan": {"keywords": [...], ...}}                                  what was looked for: the first line
    {"file": …, "keyword": …, "score": …, "start": …, "end": …, …}      a detection
    {"file": …, "finished": true, "seconds": …, "detections": 2, …}     the end of a file, after its detections
    {"file": …, "error": "…"}                                           a file that could not be searched

All lines of one file come together, with the end last, in one write. So whatever is not followed by its end, a line cut
short included, is of a file that was not finished, and is dropped when the scan goes on; such files are searched again,
and so are those that could not be searched or have another size now.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADER, END, ERROR = "scan", "finished", "error"


class RecordError(ValueError):
    """A file that scans cannot be kept in; the message says why, and what to do instead."""


@dataclass(frozen=True)
class _Group:
    """The lines of one file within the record: from `start` to `end` in bytes."""

    file: str
    start: int
    end: int
    detections: int = 0
    size: int | None = None
    """The size of the file that was searched; None where it could not be."""


class ScanRecord:
    """The record at `path` of a scan for what `sought` says, which is created, or taken up where it was left.

    Raises RecordError for a file of anything else, which stays as it is, or for a place that cannot be written."""

    def __init__(self, path: Path, sought: dict[str, Any]) -> None:
        self.path = path
        self._header = _line({HEADER: sought})
        try:
            kept, whole = self._read(sought)
            self._groups = kept
            if not whole:
                self._rewrite(kept)
            self._file = path.open("ab")
        except OSError as error:
            raise RecordError(
                f"{path}: cannot be written ({(error.strerror or str(error)).lower()}); name another place"
            ) from error
        self._before = {(group.file, group.size): group.detections for group in kept}

    def __enter__(self) -> "ScanRecord":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def holds(self, file: str, size: int) -> bool:
        """Whether a file of this name and size is finished."""
        return (file, size) in self._before

    def found_before(self, file: str, size: int) -> int:
        """How many detections are kept of a finished file."""
        return self._before[file, size]

    def add(self, file: str, rows: Sequence[dict[str, Any]], seconds: float, size: int) -> None:
        """Keeps a finished file's detections, and its end."""
        end = {"file": file, END: True, "seconds": round(seconds, 3), "detections": len(rows), "bytes": size}
        self._append(file, [*rows, end], len(rows), size)

    def fail(self, file: str, sentence: str) -> None:
        """Keeps why a file could not be searched."""
        self._append(file, [{"file": file, ERROR: sentence}], 0, None)

    def put_in_order(self, files: Sequence[str]) -> None:
        """Sorts the record by the order of `files`, after those of other scans; of each file, the latest lines."""
        place = {file: number for number, file in enumerate(files)}
        latest = {group.file: group for group in self._groups}
        ordered = sorted(latest.values(), key=lambda group: place.get(group.file, -1))
        if ordered != self._groups:
            self._file.close()
            self._rewrite(ordered)
            self._file = self.path.open("ab")

    def _append(self, file: str, rows: Sequence[dict[str, Any]], detections: int, size: int | None) -> None:
        lines = b"".join(map(_line, rows))
        start = self._file.tell()
        self._file.write(lines)
        self._file.flush()
        self._groups.append(_Group(file, start, start + len(lines), detections, size))

    def _read(self, sought: dict[str, Any]) -> tuple[list[_Group], bool]:
        """The finished files of the record, and whether there is nothing else in it."""
        if not self.path.exists() or not self.path.stat().st_size:
            return [], False
        groups: list[_Group] = []
        first = place = begun = rows = 0
        name = ""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                start, place = place, place + len(line)
                is_whole = line.endswith(b"\n")
                if number == 1:
                    first = place
                    if not is_whole and self._header.startswith(line):
                        return [], False
                    self._check_header(line, sought)
                    continue
                if not is_whole:
                    return groups, False
                table = self._parse(line, number)
                if table.get("file") != name:
                    begun, rows, name = start, 0, str(table.get("file"))
                if table.get(END):
                    groups.append(_Group(name, begun, place, rows, table.get("bytes")))
                    name = ""
                elif ERROR in table:
                    name = ""
                rows += 1
        return groups, sum(group.end - group.start for group in groups) + first == place

    def _check_header(self, line: bytes, sought: dict[str, Any]) -> None:
        try:
            found = json.loads(line)[HEADER]
        except (ValueError, KeyError, TypeError):
            raise RecordError(f"{self.path}: is not what `watchword spot --resume` writes; name another file") from None
        if found != sought:
            keys = [key for key in sought if not isinstance(found, dict) or found.get(key) != sought[key]]
            raise RecordError(
                f"{self.path}: was made with other {', '.join(keys) or 'settings'}; name another one, or delete it"
            )

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            table = json.loads(line)
            if isinstance(table, dict) and isinstance(table.get("file"), str):
                return table
        except ValueError:
            pass
        raise RecordError(
            f"{self.path}, line {number}: is not what `watchword spot --resume` writes; name another file"
        )

    def _rewrite(self, groups: Sequence[_Group]) -> None:
        """Writes the record anew with these groups alone, whole or not at all."""
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        moved: list[_Group] = []
        try:
            with aside.open("wb") as new:
                new.write(self._header)
                if groups:
                    with self.path.open("rb") as old:
                        for group in groups:
                            old.seek(group.start)
                            start = new.tell()
                            new.write(old.read(group.end - group.start))
                            moved.append(_Group(group.file, start, new.tell(), group.detections, group.size))
                new.flush()
                os.fsync(new.fileno())
            aside.replace(self.path)
        finally:
            aside.unlink(missing_ok=True)
        self._groups = moved


def _line(row: dict[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()
