"""Folders with a `manifest.tsv` (path, text, speaker, seconds, corpus, split) as segments."""

import math
from collections.abc import Iterator
from pathlib import Path

from watchword.data.segment import Segment, SegmentError, numbered_lines

_COLUMNS = ("path", "text", "speaker", "seconds", "corpus", "split")


def read_manifest(folder: Path, licence: str = "") -> Iterator[Segment]:
    """Reads `folder/manifest.tsv`; its paths start at the folder above. Raises SegmentError naming file and line."""
    path = Path(folder).absolute() / "manifest.tsv"
    if not path.exists():
        raise SegmentError(
            f"{path}: no such file; the folder must hold a manifest.tsv with the columns {', '.join(_COLUMNS)}"
        )
    lines = numbered_lines(path)
    head = next(lines, (1, ""))[1].split("\t")
    missing = [column for column in _COLUMNS if column not in head]
    if missing:
        raise SegmentError(f"{path}, line 1: has no column {missing[0]!r}; needed are {', '.join(_COLUMNS)}")
    for number, line in lines:
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != len(head):
            raise SegmentError(f"{path}, line {number}: has {len(fields)} columns, the first line {len(head)}")
        row = dict(zip(head, fields, strict=True))
        try:
            seconds = float(row["seconds"])
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < math.inf:
            raise SegmentError(f"{path}, line {number}: seconds is {row['seconds']!r}, not a positive number")
        audio = str(path.parent.parent / row["path"])
        yield Segment(audio, row["text"], 0.0, seconds, row["speaker"], row["corpus"], row["split"], licence)
