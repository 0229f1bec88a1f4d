"""Folders with a `manifest.tsv` (path, text, speaker, seconds, corpus, split) as segments."""

import csv
from collections.abc import Iterator
from pathlib import Path

from watchword.data.segment import Segment, SegmentError

_COLUMNS = ("path", "text", "speaker", "seconds", "corpus", "split")


def read_manifest(folder: Path, licence: str = "") -> Iterator[Segment]:
    """Reads `folder/manifest.tsv`; its paths start at the folder above. Raises SegmentError naming file and line."""
    path = Path(folder) / "manifest.tsv"
    if not path.exists():
        raise SegmentError(
            f"{path}: no such file; the folder must hold a manifest.tsv with the columns {', '.join(_COLUMNS)}"
        )
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise SegmentError(f"{path}, line 1: has no column {missing[0]!r}; needed are {', '.join(_COLUMNS)}")
        for number, row in enumerate(rows, 2):
            try:
                seconds = float(row["seconds"])
            except (TypeError, ValueError):
                raise SegmentError(f"{path}, line {number}: seconds is {row['seconds']!r}, not a number") from None
            yield Segment(
                str(path.parent.parent / row["path"]),
                row["text"] or "",
                0.0,
                seconds,
                row["speaker"],
                row["corpus"],
                row["split"],
                licence,
            )
