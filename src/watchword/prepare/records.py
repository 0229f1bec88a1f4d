"""Finished work as lines of JSON in a folder of parts, so that a preparation step that was stopped can go on."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """Yields the records of all parts; a line that a kill cut short is left out, and its work is done again."""
    for part in sorted(folder.glob("*.jsonl")):
        for line in part.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(record, dict):
                yield record


class RecordWriter:
    """Appends records to a new part of a folder, each flushed as it is written. A context manager.

    Raises OSError, of a full disk for instance, and takes back what was half-written."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        number = sum(1 for _ in folder.glob("*.jsonl"))
        # A name of its own, sorted after those of earlier runs: no line is ever appended to one that was cut short.
        while True:
            try:
                self.path = folder / f"z{number:05d}-{os.getpid()}.jsonl"
                self._file = self.path.open("xb", buffering=0)
                break
            except FileExistsError:
                number += 1

    def write(self, record: dict[str, Any]) -> None:
        """Writes one record as one line."""
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        place = self._file.tell()
        while line:
            try:
                line = line[self._file.write(line) :]
            except OSError:
                self._file.truncate(place)
                raise

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self.path.stat().st_size:
            self.path.unlink()
