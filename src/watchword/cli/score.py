"""The command `watchword score`: scores any list of audio paths and keyword texts, and writes it back."""

import csv
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.options import BundleFolder

if TYPE_CHECKING:
    from watchword.runtime import Spotter

_AUDIO = ("audio", "path", "file", "audio_path", "audio_filepath", "wav")
_TEXT = ("text", "keyword", "keyword_text", "phrase")
_START = ("start_seconds", "start")
_END = ("end_seconds", "end")
_SCORE = "score"


class ListError(ValueError):
    """A list of trials that cannot be read; the message names its line."""


@dataclass(frozen=True)
class _Row:
    """One line: its number, its cells, and what they say. An end of None is the end of the file."""

    number: int
    cells: list[str]
    audio: Path
    text: str
    start_seconds: float
    end_seconds: float | None


def score(
    trials: Annotated[
        Path,
        typer.Argument(
            help="Tab-separated, with columns audio and text, and start_seconds and end_seconds if not the whole file "
            "is meant; or, without a header, path and text.",
            show_default=False,
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Write here instead of standard output.")] = None,
    bundle: BundleFolder = None,
    cosine: Annotated[
        bool, typer.Option("--cosine", help="The cosine of two embeddings alone, as in the paper, without alignment.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads for each network.")] = 1,
) -> None:
    """Score a list of (audio path, keyword text) pairs: the list comes back with a score column."""
    from watchword.cli.progress import progress_bar
    from watchword.runtime import Spotter

    if out and not out.parent.is_dir():
        raise ListError(f"{out}: there is no folder {out.parent} to write into; make it first")
    spotter = Spotter([], bundle, threads=threads)
    header, rows = read_list(trials, spotter)
    scores: dict[int, float] = {}
    by_file: defaultdict[Path, list[_Row]] = defaultdict(list)
    for row in rows:
        by_file[row.audio].append(row)
    with progress_bar("scoring") as progress:
        for of_file in by_file.values():
            scores.update(_score_file(trials, spotter, of_file, aligned=not cosine))
            progress(len(scores), len(rows))
    _write(out, header, rows, scores)


def read_list(path: Path, spotter: "Spotter") -> tuple[list[str] | None, list[_Row]]:
    """Reads and checks a list: its header, if it has one, and its rows. Raises ListError, naming the first bad line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, cells) for number, cells in enumerate(csv.reader(file, delimiter="\t"), start=1) if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ListError(f"{path}: cannot be read ({str(why).lower()}); give a tab-separated text file") from None
    if not lines:
        raise ListError(f"{path}: is empty; give lines of an audio path, a tab, and a keyword")
    header = [cell.strip().lower() for cell in lines[0][1]]
    places = [next((header.index(name) for name in names if name in header), None) for names in (_AUDIO, _TEXT)]
    if places == [None, None]:
        original, places = None, [0, 1, None, None]
    else:
        original, lines = lines[0][1], lines[1:]
        for place, names in zip(places, (_AUDIO, _TEXT), strict=True):
            if place is None:
                raise ListError(f"{path}: line 1: no column {names[0]!r} (or {', '.join(names[1:])}) in the header")
        places += [next((header.index(n) for n in names if n in header), None) for names in (_START, _END)]
    rows, bad = [], []
    for number, cells in lines:
        try:
            rows.append(_row(path, number, cells, places, spotter))
        except ValueError as error:
            bad.append(f"{path}: line {number}: {error}")
    if bad:
        raise ListError(bad[0] + (f" (and {len(bad) - 1} more bad lines)" if len(bad) > 1 else ""))
    return original, rows


def _row(path: Path, number: int, cells: list[str], places: list[int | None], spotter: "Spotter") -> _Row:
    wanted = 1 + max(place for place in places if place is not None)
    if len(cells) < wanted:
        raise ValueError(f"{len(cells)} columns instead of {wanted}; they are separated by tabs")
    audio, text, start, end = (None if place is None else cells[place].strip() for place in places)
    assert audio is not None
    assert text is not None
    found = next((p for p in (path.parent / audio, Path(audio)) if audio and p.is_file()), None)
    if found is None:
        raise ValueError(f"no such file {audio!r}; relative paths start at the list's folder, or here")
    spotter.encoder.text_variants(text)
    times = [float(time) if time else None for time in (start, end)]
    first, last = times[0] or 0.0, times[1]
    if not 0 <= first < (float("inf") if last is None else last):
        raise ValueError(f"from {start} s to {end} s is no stretch of audio")
    return _Row(number, cells, found, text, first, last)


def _score_file(trials: Path, spotter: "Spotter", rows: Sequence[_Row], aligned: bool) -> dict[int, float]:
    """The scores of the rows of one file, by line number."""
    from watchword.audio import SAMPLE_RATE, AudioError, read

    try:
        samples = read(rows[0].audio)
    except AudioError as error:
        raise ListError(f"{trials}: line {rows[0].number}: {error}") from None
    stretches = {(row.start_seconds, row.end_seconds): index for index, row in reversed(list(enumerate(rows)))}
    clips, texts = [], list(dict.fromkeys(row.text for row in rows))
    for (start, end), index in stretches.items():
        clip = samples[round(start * SAMPLE_RATE) : None if end is None else round(end * SAMPLE_RATE)]
        if not len(clip):
            seconds = len(samples) / SAMPLE_RATE
            raise ListError(f"{trials}: line {rows[index].number}: {start} s is past the file's end, {seconds:.2f} s")
        clips.append(clip)
    matrix = spotter.score_clips(clips, texts, aligned=aligned)
    clip_of, text_of = {s: i for i, s in enumerate(stretches)}, {t: i for i, t in enumerate(texts)}
    return {row.number: float(matrix[clip_of[row.start_seconds, row.end_seconds], text_of[row.text]]) for row in rows}


def _write(out: Path | None, header: list[str] | None, rows: Sequence[_Row], scores: dict[int, float]) -> None:
    """Writes the list with its scores, to a file whole or not at all; a score column that is there is replaced."""
    old = header.index(_SCORE) if header and _SCORE in header else None
    table = [] if header is None else [_with(header, _SCORE, old)]
    table += [_with(row.cells, f"{scores[row.number]:.6f}", old) for row in rows]
    if out is None:
        csv.writer(sys.stdout, delimiter="\t", lineterminator="\n").writerows(table)
        return
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows(table)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)


def _with(cells: list[str], value: str, place: int | None) -> list[str]:
    return [*cells, value] if place is None else [*cells[:place], value, *cells[place + 1 :]]
