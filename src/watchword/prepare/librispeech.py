"""LibriSpeech as OpenSLR lays it out, with its public alignments (TextGrids) or without any."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from watchword.audio import SUFFIXES
from watchword.data.segment import Segment, SegmentError, numbered_lines
from watchword.prepare.alignments import Alignments
from watchword.prepare.download import Archive, fetch, unpack
from watchword.prepare.known_corpora import LIBRISPEECH

LICENCE = LIBRISPEECH.licence
MIRROR = "https://www.openslr.org/resources/12"
# As www.openslr.org/resources/12/md5sum.txt states them.
CHECKSUMS = {
    "dev-clean": "42e2234ba48799c1f50f24a7926300a1",
    "dev-other": "c8d0bcc9cca99d4f8b62fcc847357931",
    "test-clean": "32fa31d27d2e1cad72775fee3f4849a9",
    "test-other": "fb5a50374b501bb3bac4815ee91d3135",
    "train-clean-100": "2a93770f6d5c6c964bc36631d331a522",
    "train-clean-360": "c0e676e450a7ff2f54aeade5171606fa",
    "train-other-500": "d1a0fd59409feb2c614ce4d30c387708",
}
SHORT_NAMES = {"100": "train-clean-100", "360": "train-clean-360", "500": "train-other-500"}
# TextGrids of all subsets, CC BY 4.0 (Lugosch et al. 2019).
ALIGNMENTS = Archive(
    "https://zenodo.org/records/2619474/files/librispeech_alignments.zip?download=1", "2bab567d0ace651a4ba254e813629f46"
)


def download_librispeech(
    folder: Path,
    subsets: Sequence[str],
    *,
    mirror: str = MIRROR,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Downloads and unpacks subsets into `folder/LibriSpeech`; what is unpacked already is left as it is.

    Raises SegmentError for an unknown subset, DownloadError where the network fails (the next call goes on)."""
    names = [SHORT_NAMES.get(subset, subset) for subset in subsets]
    if unknown := [name for name in names if name not in CHECKSUMS]:
        raise SegmentError(f"librispeech: no subset {unknown[0]!r} to download; there are {', '.join(CHECKSUMS)}")
    for name in names:
        archive = Archive(f"{mirror.rstrip('/')}/{name}.tar.gz", CHECKSUMS[name])
        if not (folder / f".{archive.name}.unpacked").exists():
            unpack(fetch(archive, folder, progress), folder)


def download_alignments(
    folder: Path, archive: Archive = ALIGNMENTS, progress: Callable[[int, int | None], None] | None = None
) -> Path:
    """Downloads and unpacks the public alignments below `folder`; returns where they are. Raises DownloadError."""
    place = folder / "alignments"
    if not (place / f".{archive.name}.unpacked").exists():
        unpack(fetch(archive, folder, progress), place)
    return place


def read_librispeech(folder: Path, *, alignments: Path | None = None, subsets: Sequence[str] = ()) -> Iterator[Segment]:
    """Reads `folder/SUBSET/SPEAKER/CHAPTER/*.trans.txt`; the split is `train`, `dev` or `test`, by the subset's name.

    `alignments` holds `*.TextGrid` files, each named after its utterance, in any folders, with tiers "words" and
    "phones", or is a CTM file. Utterances that have none, or whose words differ, come without times. `subsets` chooses
    by name, or as 100, 360 and 500 (all).
    Raises SegmentError naming file and line."""
    folder = LIBRISPEECH.folder(folder)
    if (folder / "LibriSpeech").is_dir():
        folder = folder / "LibriSpeech"
    if not (folder / "SPEAKERS.TXT").is_file():
        raise LIBRISPEECH.unlike(folder, "has no SPEAKERS.TXT")
    speakers = _read_speakers(folder / "SPEAKERS.TXT")
    subsets = [SHORT_NAMES.get(subset, subset) for subset in subsets]
    found = sorted({path.parents[2].name for path in folder.glob("*/*/*/*.trans.txt")})
    if not found:
        raise LIBRISPEECH.unlike(folder, "holds no *.trans.txt")
    if missing := [subset for subset in subsets if subset not in found]:
        raise SegmentError(f"{folder}: has no subset {missing[0]!r}; there are {', '.join(found)}")
    times = Alignments(alignments) if alignments else None
    for subset in subsets or found:
        for transcript in sorted((folder / subset).glob("*/*/*.trans.txt")):
            for segment, name in _read_chapter(transcript, subset, speakers):
                yield times.laid_on(segment, name) if times else segment


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
