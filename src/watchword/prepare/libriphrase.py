"""LibriPhrase: the released lists checked against their counts, and their phrases found, or cut out of LibriSpeech.

The lists name clips `…/985-126228-0004_1word_0.wav` that are cut from the utterance 985-126228-0004, by their text and
duration alone. Where these clips are at hand they are only looked up; else each phrase is found in the utterance's
alignment, the TextGrids that the lists were made from, and cut out of LibriSpeech once."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from watchword.audio import SUFFIXES, AudioError, read, write
from watchword.data.segment import SegmentError, Timed
from watchword.prepare.known_corpora import LIBRIPHRASE
from watchword.prepare.textgrid import read_textgrid
from watchword.prepare.timed import is_silence

COLUMNS = (
    "anchor", "anchor_spk", "anchor_text", "anchor_dur", "comparison", "comparison_spk", "comparison_text",
    "comparison_dur", "type", "target", "class",
)  # fmt: skip
# Episodes of 1, 2, 3 and 4 words, each with nine rows of each type (Shin et al. 2022).
EPISODES = (4391, 2605, 467, 56)
ROWS = {words: 27 * episodes for words, episodes in enumerate(EPISODES, 1)}
TYPES = ("diffspk_positive", "diffspk_easyneg", "diffspk_hardneg")
_CLIP = re.compile(r"(?P<utterance>\d+-\d+-\d+)_(?P<words>[1-4])word_\d+")
_TOLERANCE_SECONDS = 0.006

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Prepared:
    """What was written: rows by number of words, clips that were cut, and rows left out since their audio is not."""

    rows: dict[int, int]
    cut: int
    lacking: list[str]


def prepare_libriphrase(
    lists: Path,
    audio: Path,
    out: Path,
    *,
    alignments: Path | None = None,
    partial: bool = False,
    progress: Progress | None = None,
) -> Prepared:
    """Writes `out/libriphrase_{1,2,3,4}word.csv` with the columns of the released lists and paths that are there.

    `audio` holds the clips themselves, or LibriSpeech's train-other-500, which needs its `alignments` (TextGrids).
    Clips that were cut are kept in `out/clips`, so that an interrupted call goes on. Raises SegmentError for lists
    that are not the released ones in number or form, or whose audio is not all there; `partial` lets these pass."""
    files = _find_lists(lists)
    if (missing := [words for words in ROWS if words not in files]) and not partial:
        raise LIBRIPHRASE.unlike(Path(lists).absolute(), f"has no *_{missing[0]}word.csv")
    total = sum(_checked_size(path, words, partial) for words, path in files.items())
    if not Path(audio).is_dir():
        raise LIBRIPHRASE.unlike(Path(audio).absolute(), "no such folder of audio")
    finder = _Finder(Path(audio).absolute(), alignments, out.absolute() / "clips")
    done, lacking = 0, []
    out.mkdir(parents=True, exist_ok=True)
    written = {}
    for words, path in files.items():
        kept = []
        for where, row in _read_list(path):
            try:
                for side in ("anchor", "comparison"):
                    row[side] = str(finder.find(row[side], row[f"{side}_text"], row[f"{side}_dur"], where))
                kept.append(row)
            except SegmentError as error:
                if not partial:
                    raise
                lacking.append(str(error))
            done += 1
            if progress:
                progress(done, total)
        _write(out / f"libriphrase_{words}word.csv", kept)
        written[words] = len(kept)
    return Prepared(written, finder.cut, lacking)


class _Finder:
    """Finds the clip of a path of the lists, or cuts it."""

    def __init__(self, root: Path, alignments: Path | None, clips: Path) -> None:
        self._root, self._clips, self.cut = root, clips, 0
        self._utterances: dict[str, Path] | None = None
        self._grids = {path.stem: path for path in Path(alignments).rglob("*.TextGrid")} if alignments else {}
        if alignments and not self._grids:
            raise SegmentError(f"{alignments}: holds no *.TextGrid; give the unpacked folder of the alignments")
        self._aligned: tuple[str, list[Timed]] = "", []
        self._first: int | None = None

    def find(self, listed: str, text: str, seconds: str, where: str) -> Path:
        """Returns the audio of one side of a row. Raises SegmentError where there is none."""
        if ready := self._ready(listed):
            return ready
        clip = _CLIP.fullmatch(Path(listed).stem)
        if clip is None:
            raise SegmentError(f"{where}: there is no {listed} below {self._root}, nor does its name say an utterance")
        if not self._grids:
            raise SegmentError(
                f"{where}: there is no {listed} below {self._root}; give the folder of the released clips, or "
                "LibriSpeech's train-other-500 with --alignments, to cut them"
            )
        return self._cut(clip["utterance"], text, seconds, where)

    def _ready(self, listed: str) -> Path | None:
        """The clip as it is listed below the root, or below folders that the lists name twice or not at all."""
        parts = Path(listed).parts
        for first in range(len(parts)) if self._first is None else (self._first,):
            path = self._root.joinpath(*parts[first:])
            if path.is_file():
                self._first = first
                return path
        return None

    def _cut(self, utterance: str, text: str, seconds: str, where: str) -> Path:
        source = self._sources().get(utterance)
        if source is None:
            raise SegmentError(
                f"{where}: there is no {utterance}.flac below {self._root}; unpack train-other-500 again"
            )
        if utterance not in self._grids:
            raise SegmentError(f"{where}: the alignments lack {utterance}.TextGrid; give those of train-other-500")
        span = self._span(utterance, text, float(seconds))
        if span is None:
            raise SegmentError(
                f"{where}: {text!r} of {float(seconds):.2f} s is not in {self._grids[utterance]}; give the alignments "
                "of Lugosch et al. (https://zenodo.org/records/2619474), of which the lists were made"
            )
        start, end = (round(edge * 1000) for edge in span)
        path = self._clips / utterance.partition("-")[0] / f"{utterance}_{start}_{end}.flac"
        if not path.is_file():
            self._write_clip(source, path, start, end)
        return path

    def _write_clip(self, source: Path, path: Path, start: int, end: int) -> None:
        """Cuts milliseconds [start, end) out of an utterance; the clip appears whole or not at all."""
        try:
            samples = read(source)[start * 16 : end * 16]
        except AudioError as error:
            raise SegmentError(str(error)) from None
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".tmp.flac")
        try:
            write(aside, samples)
            aside.replace(path)
        except soundfile.LibsndfileError as error:
            raise SegmentError(f"{path}: cannot be written ({error.error_string}); is the disk full?") from None
        finally:
            aside.unlink(missing_ok=True)
        self.cut += 1

    def _span(self, utterance: str, text: str, seconds: float) -> tuple[float, float] | None:
        """Where the words of a phrase stand whose durations, pauses aside, come to `seconds`; the nearest such."""
        if self._aligned[0] != utterance:
            tiers = {name.casefold(): words for name, words in read_textgrid(self._grids[utterance]).items()}
            self._aligned = utterance, list(tiers.get("words", ()))
        words, aligned = text.lower().split(), self._aligned[1]
        nearest, span = _TOLERANCE_SECONDS, None
        for first in range(len(aligned) - len(words) + 1):
            run = aligned[first : first + len(words)]
            if [word.text.lower() for word in run] != words or any(is_silence(word.text) for word in run):
                continue
            away = abs(sum(word.end_seconds - word.start_seconds for word in run) - seconds)
            if away < nearest:
                nearest, span = away, (run[0].start_seconds, run[-1].end_seconds)
        return span

    def _sources(self) -> dict[str, Path]:
        if self._utterances is None:
            self._utterances = {path.stem: path for path in self._root.rglob("*") if path.suffix.lower() in SUFFIXES}
        return self._utterances


def _find_lists(folder: Path) -> dict[int, Path]:
    folder = LIBRIPHRASE.folder(folder)
    files = {}
    for words in ROWS:
        found = sorted({*folder.glob(f"*_{words}word.csv"), *folder.glob(f"*/*_{words}word.csv")})
        if len(found) > 1:
            raise SegmentError(f"{folder}: holds {len(found)} lists *_{words}word.csv; give a folder with one of each")
        if found:
            files[words] = found[0]
    if not files:
        raise LIBRIPHRASE.unlike(folder, "holds no *_1word.csv")
    return files


def _read_list(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields "FILE, line N" and the row, its columns brought into their order."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise SegmentError(f"{path}, line 1: has no column {missing[0]!r}; needed are {', '.join(COLUMNS)}")
            for number, row in enumerate(reader, 2):
                where = f"{path}, line {number}"
                if None in row or None in row.values():
                    raise SegmentError(f"{where}: has not {len(COLUMNS)} columns; fetch the list again")
                yield where, _checked({name: str(row[name]).strip() for name in COLUMNS}, where)
    except UnicodeDecodeError:
        raise SegmentError(f"{path}: is not UTF-8 text; fetch the list again") from None


def _checked(row: dict[str, str], where: str) -> dict[str, str]:
    positive = row["type"] == "diffspk_positive"
    if row["type"] not in TYPES or row["target"] not in (("1", "1.0") if positive else ("0", "0.0")):
        raise SegmentError(
            f"{where}: type {row['type']!r} with target {row['target']!r}; give the lists of mode diffspk_all"
        )
    for side in ("anchor", "comparison"):
        if not row[side] or not row[f"{side}_text"]:
            raise SegmentError(f"{where}: the {side} has no path or no text")
        try:
            seconds = float(row[f"{side}_dur"])
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < 60:
            raise SegmentError(f"{where}: {side}_dur is {row[f'{side}_dur']!r}, no number of seconds")
    return row


def _checked_size(path: Path, words: int, partial: bool) -> int:
    """How many rows a list has; raises SegmentError where a type has another number of them than when released."""
    counts = Counter(row["type"] for _, row in _read_list(path))
    for kind in TYPES:
        wanted = ROWS[words] // len(TYPES)
        if counts[kind] != wanted and not partial:
            raise SegmentError(
                f"{path}: has {counts[kind]:,} rows of type {kind}, and the released list {wanted:,}; fetch it again "
                f"({LIBRIPHRASE.where}), or let other lists pass with --partial"
            )
    return counts.total()


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    aside = path.with_name(path.name + ".tmp")
    try:
        with aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows([row[name] for name in COLUMNS] for row in rows)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
