"""The Qualcomm keyword speech dataset: four phrases, a folder each, speakers inside."""

from collections.abc import Iterator
from pathlib import Path

from watchword.audio import SUFFIXES
from watchword.data.segment import Segment
from watchword.prepare.known_corpora import QUALCOMM

PHRASES = ("hey_android", "hey_snapdragon", "hi_galaxy", "hi_lumina")


def read_qualcomm(folder: Path, split: str = "test") -> Iterator[Segment]:
    """Reads PHRASE/SPEAKER/*.wav, all of one split: the dataset has none. Raises SegmentError for a missing phrase."""
    folder = QUALCOMM.folder(folder)
    inner = folder / "qualcomm_keyword_speech_dataset"
    folder = inner if inner.is_dir() else folder
    clips = {phrase: sorted(p for p in (folder / phrase).rglob("*") if _is_audio(p)) for phrase in PHRASES}
    if missing := [phrase for phrase, paths in clips.items() if not paths]:
        raise QUALCOMM.unlike(folder, f"has no {missing[0]}/**/*.wav")
    for phrase, paths in clips.items():
        for path in paths:
            speaker = path.parent.name if path.parent != folder / phrase else ""
            yield Segment(
                str(path), phrase.replace("_", " "), 0.0, -1.0, f"qualcomm_{speaker}" if speaker else "",
                QUALCOMM.name, split, QUALCOMM.licence,
            )  # fmt: skip


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
