"""LibriSpeech as OpenSLR lays it out, with its public alignments (TextGrids) or without any."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from watchword.audio import SUFFIXES
from watchword.data.segment import Segment, SegmentError, numbered_lines
from watchword.prepare.textgrid import read_textgrid
from watchword.prepare.timed import fit_phones, fit_words

LICENCE = "CC BY 4.0"


def read_librispeech(folder: Path, *, alignments: Path | None = None, subsets: Sequence[str] = ()) -> Iterator[Segment]:
    """Reads `folder/SUBSET/SPEAKER/CHAPTER/*.trans.txt`; the split is `train`, `dev` or `test`, by the subset's name.

    `alignments` holds `*.TextGrid` files, each named after its utterance, in any folders, with tiers "words" and
    "phones". Utterances that have none, or whose words differ, come without times. `subsets` chooses by name (all).
    Raises SegmentError naming file and line."""
    folder = Path(folder).absolute()
    if (folder / "LibriSpeech").is_dir():
        folder = folder / "LibriSpeech"
    speakers = _read_speakers(folder / "SPEAKERS.TXT")
    found = sorted({path.parents[2].name for path in folder.glob("*/*/*/*.trans.txt")})
    if not found:
        raise SegmentError(
            f"{folder}: holds no SUBSET/SPEAKER/CHAPTER/*.trans.txt; give the folder that holds SPEAKERS.TXT"
        )
    if missing := [subset for subset in subsets if subset not in found]:
        raise SegmentError(f"{folder}: has no subset {missing[0]!r}; there are {', '.join(found)}")
    grids = _find_grids(alignments) if alignments else {}
    for subset in subsets or found:
        for transcript in sorted((folder / subset).glob("*/*/*.trans.txt")):
            for segment, name in _read_chapter(transcript, subset, speakers):
                yield _with_times(segment, grids[name]) if name in grids else segment


def _read_speakers(path: Path) -> set[str]:
    """Reads the ids of SPEAKERS.TXT: `14   | F | train-clean-360  | 25.03 | Kristin LeMoine`, comments after `;`."""
    speakers = set()
    for number, line in numbered_lines(path):
        if not line.strip() or line.startswith(";"):
            continue
        columns = [column.strip() for column in line.split("|", 4)]
        if len(columns) < 5 or not columns[0].isdigit():
            raise SegmentError(f"{path}, line {number}: is not ID | SEX | SUBSET | MINUTES | NAME")
        speakers.add(columns[0])
    return speakers


def _find_grids(folder: Path) -> dict[str, Path]:
    grids = {path.stem: path for path in sorted(Path(folder).absolute().rglob("*.TextGrid"))}
    if not grids:
        raise SegmentError(f"{folder}: holds no *.TextGrid; give the unpacked folder of the alignments, or none")
    return grids


def _read_chapter(transcript: Path, subset: str, speakers: set[str]) -> Iterator[tuple[Segment, str]]:
    speaker = transcript.parents[1].name
    if speaker not in speakers:
        raise SegmentError(f"{transcript}: its speaker {speaker} is not in SPEAKERS.TXT; is it whole?")
    audio = {path.stem: path for path in sorted(transcript.parent.iterdir()) if path.suffix.lower() in SUFFIXES}
    for number, line in numbered_lines(transcript):
        if not line.strip():
            continue
        name, _, text = line.strip().partition(" ")
        if not text.strip():
            raise SegmentError(f"{transcript}, line {number}: has no text after {name!r}")
        if name not in audio:
            raise SegmentError(
                f"{transcript}, line {number}: there is no {name}.flac beside it; unpack the subset again"
            )
        yield (
            Segment(str(audio[name]), text.strip().lower(), 0.0, -1.0, speaker, f"librispeech:{subset}",
                    subset.split("-")[0], LICENCE),
            name,
        )  # fmt: skip


def _with_times(segment: Segment, grid: Path) -> Segment:
    tiers = {name.casefold(): intervals for name, intervals in read_textgrid(grid).items()}
    if "words" not in tiers:
        raise SegmentError(f'{grid}: has no tier "words"; its tiers are {", ".join(tiers) or "none"}')
    words = fit_words(segment.text, tiers["words"])
    return replace(segment, words=words, phones=fit_phones(tiers.get("phones", ())) if words else ())
