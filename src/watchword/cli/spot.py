"""The command `watchword spot`: finds keywords in files, folders, or raw audio on standard input."""

import hashlib
import json as jsonlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from watchword.audio import SUFFIXES, AudioError, blocks, duration
from watchword.cli.options import BundleFolder, FalseAlarms
from watchword.cli.scanning import (
    Outcome,
    Sought,
    number_of_processes,
    said_of,
    search_by_processes,
    search_in_turn,
)

if TYPE_CHECKING:
    from watchword.runtime import Detection, Spotter

Printer: TypeAlias = "Callable[[str, Detection], None]"
STDIN = "-"
_IPA = re.compile(r"(?<!\S)/[^/]*/(?!\S)")


class SpotError(ValueError):
    """Arguments that leave nothing to do."""


def spot(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEYWORD... PATH...",
            help="What exists as a file or folder is searched, and - is raw 16 kHz 16-bit mono PCM on standard input; "
            'all else is a keyword, whose pronunciation may be given: "hey {N OW1 V AH0}" or "hey /ˈnoʊvə/".',
        ),
    ] = None,
    keyword: Annotated[
        list[str] | None, typer.Option("--keyword", "-k", help="A keyword, whatever it looks like; may be repeated.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Report scores from this on; -1 reports whatever is proposed.", show_default="the bundle's"),
    ] = None,
    false_alarms_per_hour: FalseAlarms = None,
    bundle: BundleFolder = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, as soon as found.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads for each network.")] = 1,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes, each with a file of its own.", show_default="cores")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Keep what is found in this file, as JSON lines; files that it has finished are skipped."),
    ] = None,
) -> None:
    """Find words or phrases in audio. Exit status: 0 found, 1 nothing found, 2 error."""
    keywords, paths = sort_arguments(arguments or [], keyword or [])
    if resume is not None and Path(STDIN) in paths:
        raise SpotError(
            "spot: standard input cannot be searched again, so --resume is for files; leave one of them out"
        )
    from watchword.runtime import Spotter

    spotter = Spotter(keywords, bundle, threshold, threads=threads, false_alarms_per_hour=false_alarms_per_hour)
    sought = Sought(tuple(keywords), bundle, spotter.threshold, threads)
    if resume is not None:
        found, broken = _search_and_keep(spotter, sought, paths, jobs, resume)
    else:
        printer = _print_json if json else _Table(keywords)
        sizes = [_size(path) for path in paths]
        processes = 1 if Path(STDIN) in paths else number_of_processes(jobs, sizes, threads)
        if processes > 1:
            outcomes = _in_order(_searched(spotter, sought, paths, sizes, processes))
            found, broken = _print_outcomes(outcomes, paths, printer)
        else:
            found, broken = _search_and_print(spotter, paths, printer)
        if not found and not broken and not json:
            lowest = min(keyword.threshold or 0.0 for keyword in spotter.keywords)
            sentence = f"nothing found: no score reached {lowest:.2f}; --threshold finds more, and more wrongly"
            typer.echo(sentence, err=True)
    raise typer.Exit(2 if broken else 0 if found else 1)


def _search_and_print(spotter: "Spotter", paths: Sequence[Path], printer: "Printer") -> tuple[int, int]:
    """Searches one path after another, and prints each detection as soon as it is certain."""
    found, broken = 0, 0
    for path in paths:
        try:
            for hit in _hits(spotter, path):
                printer(str(path), hit)
                found += 1
        except (AudioError, PermissionError) as error:
            typer.echo(said_of(path, error), err=True)
            broken += 1
    return found, broken


def _print_outcomes(outcomes: Iterator[Outcome], paths: Sequence[Path], printer: "Printer") -> tuple[int, int]:
    found, broken = 0, 0
    for outcome in outcomes:
        if outcome.error:
            typer.echo(outcome.error, err=True)
            broken += 1
        for hit in outcome.found:
            printer(str(paths[outcome.number]), hit)
            found += 1
    return found, broken


def _search_and_keep(
    spotter: "Spotter", sought: Sought, paths: Sequence[Path], jobs: int | None, resume: Path
) -> tuple[int, int]:
    """Searches what the record has not finished, and adds every file to it as soon as it is."""
    from watchword.cli.scan_record import ScanRecord

    found, broken, new = 0, 0, 0
    with ScanRecord(resume, _what(spotter)) as record:
        sizes = {path: _size(path) for path in paths}
        left = [path for path in paths if not record.holds(str(path), sizes[path])]
        before = [path for path in paths if record.holds(str(path), sizes[path])]
        found += sum(record.found_before(str(path), sizes[path]) for path in before)
        of_left = [sizes[path] for path in left]
        processes = number_of_processes(jobs, of_left, sought.threads)
        try:
            for outcome in _searched(spotter, sought, left, of_left, processes):
                name = str(left[outcome.number])
                if outcome.error:
                    typer.echo(outcome.error, err=True)
                    record.fail(name, outcome.error)
                    broken += 1
                    continue
                rows = [_row(name, hit) for hit in outcome.found]
                record.add(name, rows, outcome.seconds, sizes[left[outcome.number]])
                found, new = found + len(rows), new + 1
        except KeyboardInterrupt:
            done = len(before) + new
            typer.echo(
                f"{resume}: {done} of {len(paths)} files are done; the same command goes on from there", err=True
            )
            raise
        record.put_in_order([str(path) for path in paths])
    done = f"{len(before) + new} of {len(paths)} files" + (f", {len(before)} of them before" if before else "")
    typer.echo(f"{resume}: {found} detections in {done}", err=True)
    return found, broken


def _searched(
    spotter: "Spotter", sought: Sought, paths: Sequence[Path], sizes: Sequence[int], processes: int
) -> Iterator[Outcome]:
    """The outcomes of files as they are finished, with progress on standard error."""
    from watchword.cli.listening import FilesDone

    with FilesDone(len(paths), sum(sizes)) as progress:
        if processes > 1:
            outcomes = search_by_processes(sought, paths, sizes, processes, progress.update)
        else:
            outcomes = search_in_turn(spotter, paths, sizes, progress.update)
        for outcome in outcomes:
            progress.finish(outcome.seconds)
            progress.clear()
            yield outcome


def _in_order(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    """Outcomes in the order of their files: each when all before it are there; at Ctrl-C, whatever is there."""
    early: dict[int, Outcome] = {}
    following = 0
    try:
        for outcome in outcomes:
            early[outcome.number] = outcome
            while following in early:
                yield early.pop(following)
                following += 1
    except KeyboardInterrupt:
        yield from (early[number] for number in sorted(early))
        raise


def _what(spotter: "Spotter") -> dict[str, Any]:
    """What a record says was looked for: with anything else it would be another scan."""
    card = spotter.bundle.card
    decides = [card["files"], card.get("scan", {})]
    if spotter.calibration is not None:
        decides.append(spotter.bundle.calibration["score"])
    deciding = jsonlib.dumps(decides, sort_keys=True)
    return {
        "keywords": [[keyword.text, keyword.threshold] for keyword in spotter.keywords],
        "bundle": f"{spotter.bundle.name} {hashlib.sha256(deciding.encode()).hexdigest()[:12]}",
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def sort_arguments(arguments: list[str], keywords: list[str]) -> tuple[list[str], list[Path]]:
    """Parts keywords from paths, and replaces folders by the audio files below them; both without duplicates.

    Raises SpotError where either is missing, AudioError for what looks like a path and does not exist."""
    keywords, paths = list(keywords), []
    for argument in arguments:
        if not argument:  # as a path it would be the folder here
            keywords.append(argument)
        elif argument == STDIN or Path(argument).is_file():
            paths.append(Path(argument))
        elif Path(argument).is_dir():
            paths += _files_below(Path(argument))
        elif Path(argument).suffix.lower() in SUFFIXES or "/" in _IPA.sub("", argument):
            raise AudioError(f"{argument}: no such file; if it is a keyword, write --keyword {argument!r}")
        else:
            keywords.append(argument)
    if not keywords:
        there = f" ({arguments[0]!r} exists as a file or folder)" if arguments else ""
        raise SpotError(
            f"spot: no keyword given{there}; write one, as in: watchword spot --keyword 'hey nova' talk.wav"
        )
    if not paths:
        raise SpotError(
            f"spot: no file given, only keywords ({', '.join(map(repr, keywords))}); name a file, a folder, "
            "or - for raw 16 kHz 16-bit mono PCM on standard input"
        )
    return list(dict.fromkeys(keywords)), list(dict.fromkeys(paths))


def _files_below(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise AudioError(f"{folder}: no audio file below it ({' '.join(SUFFIXES)})")
    return files


def _hits(spotter: "Spotter", path: Path) -> "Iterator[Detection]":
    from watchword.cli.listening import SecondsDone, pcm_blocks

    seconds = spotter.settings.block_seconds
    if str(path) == STDIN:
        yield from spotter.detect(pcm_blocks(sys.stdin.buffer, seconds))
        return
    with SecondsDone(str(path), duration(path)) as progress:
        for hit in spotter.detect(blocks(path, seconds), progress=progress.update):
            progress.clear()
            yield hit


def _print_json(file: str, hit: "Detection") -> None:
    print(jsonlib.dumps(_row(file, hit), ensure_ascii=False), flush=True)


def _row(file: str, hit: "Detection") -> dict[str, Any]:
    return {
        "file": file,
        "keyword": hit.keyword,
        "score": round(hit.score, 5),
        "start": round(hit.start_seconds, 3),
        "end": round(hit.end_seconds, 3),
        "threshold": hit.threshold,
    }


class _Table:
    """Prints rows as they are found, under a header."""

    def __init__(self, keywords: list[str]) -> None:
        self._width = max(len("keyword"), *map(len, keywords))
        self._begun = False

    def __call__(self, file: str, hit: "Detection") -> None:
        if not self._begun:
            print(f"{'start':>10}  {'end':>10}  {'score':>5}  {'keyword':<{self._width}}  file")
            self._begun = True
        start, end = map(_clock, (hit.start_seconds, hit.end_seconds))
        print(f"{start:>10}  {end:>10}  {hit.score:5.2f}  {hit.keyword:<{self._width}}  {file}", flush=True)


def _clock(seconds: float) -> str:
    """Seconds as h:mm:ss.ss, hours only where there are any.

    >>> _clock(83.456), _clock(3723.5)
    ('1:23.46', '1:02:03.50')
    """
    minutes, rest = divmod(round(seconds * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02d}:{rest / 100:05.2f}" if hours else f"{minutes}:{rest / 100:05.2f}"
    return f"{hours}:{text}" if hours else text
