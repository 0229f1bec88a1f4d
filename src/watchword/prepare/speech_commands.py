"""Speech Commands v1 and v2 as released: a folder a word, the lists of the splits, and the background noises.

Lhotse's recipe takes the test split from a second archive, and drops listed files that are missing without a word;
this one keeps to the lists of the release, as the field's figures do."""

from collections.abc import Iterator
from pathlib import Path

from watchword.audio import SUFFIXES, read
from watchword.data.segment import Segment, SegmentError, numbered_lines
from watchword.data.sounds import write_pack
from watchword.prepare.known_corpora import SPEECH_COMMANDS

NOISE, UNKNOWN, SILENCE = "_background_noise_", "_unknown_", "_silence_"
_LISTS = {"validation_list.txt": "dev", "testing_list.txt": "test"}


def read_speech_commands(folder: Path) -> Iterator[Segment]:
    """Reads a release, its clips `train`, `dev` or `test` by the lists; or the 12-class test set, all `test`.

    Clips without a word (silence, noise) are left out. Raises SegmentError naming file and line."""
    folder = SPEECH_COMMANDS.folder(folder)
    words = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith((".", "_"))]
    if (folder / UNKNOWN).is_dir():
        splits, rest = {}, "test"
    elif missing := [name for name in _LISTS if not (folder / name).is_file()]:
        raise SPEECH_COMMANDS.unlike(folder, f"has no {missing[0]}")
    else:
        splits, rest = _read_lists(folder), "train"
    found = 0
    for word in words:
        for path in _clips(word):
            found += 1
            yield _segment(path, word.name, path.stem, splits.get(f"{word.name}/{path.name}", rest))
    for path in _clips(folder / UNKNOWN):
        # WORD_SPEAKER_nohash_N.wav
        text, _, name = path.stem.partition("_")
        yield _segment(path, text, name, "test")
    if not found:
        raise SPEECH_COMMANDS.unlike(folder, "holds no WORD/*.wav")


def pack_background(folder: Path, out: Path) -> tuple[int, float]:
    """Packs the background noises for `data.noise`; returns how many there are, and hours. Raises SegmentError."""
    place = SPEECH_COMMANDS.folder(folder) / NOISE
    if not (paths := _clips(place)):
        raise SPEECH_COMMANDS.unlike(place, "holds no *.wav")
    return write_pack(out, "noise", SPEECH_COMMANDS.name, (read(path) for path in paths), SPEECH_COMMANDS.licence)


def _clips(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []


def _segment(path: Path, text: str, name: str, split: str) -> Segment:
    speaker = name.partition("_nohash_")[0]
    return Segment(
        str(path), text.lower(), 0.0, -1.0, f"sc_{speaker}", SPEECH_COMMANDS.name, split, SPEECH_COMMANDS.licence
    )


def _read_lists(folder: Path) -> dict[str, str]:
    splits: dict[str, str] = {}
    for name, split in _LISTS.items():
        for number, line in numbered_lines(folder / name):
            clip, where = line.strip(), f"{folder / name}, line {number}"
            if not clip:
                continue
            if clip.count("/") != 1:
                raise SegmentError(f"{where}: {clip[:60]!r} is not WORD/SPEAKER_nohash_N.wav")
            if not (folder / clip).is_file():
                raise SegmentError(f"{where}: there is no {clip}; unpack the release again")
            if splits.setdefault(clip, split) != split:
                raise SegmentError(f"{where}: {clip} is in both lists; unpack the release again")
    return splits
