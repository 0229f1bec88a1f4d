"""The command `watchword spot`: finds keywords in files, folders, or raw audio on standard input."""

import json as jsonlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.audio import SUFFIXES, AudioError, blocks, duration

if TYPE_CHECKING:
    from watchword.runtime import Detection, Spotter

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
        typer.Option(help="Report scores from this on; -1 reports every peak.", show_default="the bundle's"),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle's folder.", show_default="the one inside the package")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, as soon as found.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads for each network.")] = 1,
) -> None:
    """Find words or phrases in audio. Exit status: 0 found, 1 nothing found, 2 error."""
    keywords, paths = sort_arguments(arguments or [], keyword or [])
    from watchword.runtime import Spotter

    spotter = Spotter(keywords, bundle, threshold, threads=threads)
    found, broken = 0, 0
    printer = _print_json if json else _Table(keywords)
    for path in paths:
        name = str(path)
        try:
            for hit in _hits(spotter, path):
                printer(name, hit)
                found += 1
        except (AudioError, PermissionError) as error:
            sentence = str(error) if isinstance(error, AudioError) else f"{path}: you may not read it"
            typer.echo(sentence, err=True)
            broken += 1
    if not found and not broken and not json:
        lowest = min(keyword.threshold or 0.0 for keyword in spotter.keywords)
        typer.echo(f"nothing found: no score reached {lowest:.2f}; --threshold finds more, and more wrongly", err=True)
    raise typer.Exit(2 if broken else 0 if found else 1)


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
    row = {
        "file": file,
        "keyword": hit.keyword,
        "score": round(hit.score, 5),
        "start": round(hit.start_seconds, 3),
        "end": round(hit.end_seconds, 3),
        "threshold": hit.threshold,
    }
    print(jsonlib.dumps(row, ensure_ascii=False), flush=True)


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
