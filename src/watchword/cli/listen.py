"""The command `watchword listen`: keywords heard live, from a microphone or standard input, and what is done then."""

import json as jsonlib
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
import typer
from numpy.typing import NDArray

from watchword.cli.options import BundleFolder, FalseAlarms
from watchword.cli.reactions import Clips, Command
from watchword.cli.sources import STANDARD_INPUT, Microphone, Source, kept_open, microphones, standard_input
from watchword.runtime import Detection, Spotter
from watchword.runtime.stream import Stream

STDIN = "-"
_KEPT_SECONDS, _MARGIN_SECONDS = 15.0, 0.3


class ListenError(ValueError):
    """Arguments that leave nothing to do."""


def listen(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEYWORD... [-]",
            help="Words or phrases, whose pronunciation may be given as in watchword spot; and - for standard input "
            "(WAV, or raw 16-bit mono PCM) instead of the microphone.",
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Report scores from this on.", show_default="the bundle's")
    ] = None,
    false_alarms_per_hour: FalseAlarms = None,
    bundle: BundleFolder = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, on a terminal, too.")] = False,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="CMD",
            help="Run this at each detection, with {keyword}, {score}, {start}, {end} and {clip} replaced, and "
            "WATCHWORD_KEYWORD and the like in its environment.",
        ),
    ] = None,
    shell: Annotated[bool, typer.Option("--shell", help="Run --exec through a shell, nothing replaced.")] = False,
    save_clips: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the sound of each detection there, as WAV.")
    ] = None,
    rate: Annotated[int, typer.Option(min=4000, max=192000, help="The sample rate of raw standard input.")] = 16000,
    device: Annotated[
        str | None, typer.Option(help="A microphone: its number, or a part of its name.", show_default="the default")
    ] = None,
    gate: Annotated[
        bool,
        typer.Option(
            "--gate", help="Rest while nobody speaks, which saves power; needs pip install 'watchword[gate]'."
        ),
    ] = False,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="List the microphones, and end.")] = False,
) -> None:
    """Listen for words or phrases. Ctrl-C ends it; with standard input, exit status 0 found, 1 nothing found."""
    if list_devices:
        for line in microphones() or ["no microphone was found"]:
            typer.echo(line)
        return
    keywords = list(dict.fromkeys(argument for argument in arguments or [] if argument != STDIN))
    if not keywords:
        raise ListenError("listen: no keyword given; write one, as in: watchword listen 'hey nova'")
    piped = STDIN in (arguments or [])
    spotter = Spotter(keywords, bundle, threshold, false_alarms_per_hour=false_alarms_per_hour)
    clips = Clips(save_clips) if save_clips is not None else None
    found = 0
    with _Terminal(spotter) if sys.stdout.isatty() and not json else _Lines() as screen:
        run = Command(command, shell, screen.say) if command is not None else None
        sources = kept_open(
            lambda again: standard_input(rate) if piped else Microphone(device, again, screen.say), screen.say
        )
        for hit, samples in hear(spotter, sources, screen, gate):
            found += 1
            path = clips.save(hit, samples) if clips else None
            screen.found(hit, path)
            if run:
                run(hit, path)
    if run:
        run.finish()
    raise typer.Exit(0 if found else 1)


class Screen(Protocol):
    """What is told of live sound."""

    def begin(self, source: str) -> None:
        """A source is open."""
        ...

    def hear(self, samples: NDArray[np.int16], seconds: float, levels: Mapping[str, float]) -> None:
        """The latest samples, how much was heard, and each keyword's score."""
        ...

    def found(self, hit: Detection, clip: Path | None) -> None:
        """A detection, and where its sound lies."""
        ...

    def say(self, sentence: str) -> None:
        """Something that people should know."""
        ...


def hear(
    spotter: Spotter,
    sources: Iterable[tuple[Source, Iterable[NDArray[np.int16]]]],
    screen: Screen,
    gate: bool = False,
) -> Iterator[tuple[Detection, NDArray[np.float32]]]:
    """Listens to sources, one after the other, and yields detections with their sound at 16 kHz.

    Times go on from source to source, the time between included. Ctrl-C ends it as the end of the sound does: what is
    undecided is yielded, then KeyboardInterrupt goes on."""
    began = None
    for source, blocks in sources:
        offset = 0.0 if began is None else time.monotonic() - began
        began = time.monotonic() if began is None else began
        stream = spotter.stream(source.sample_rate, keep_seconds=_KEPT_SECONDS, gate=gate)
        screen.begin(source.name)

        def placed(
            hits: Iterable[Detection], stream: Stream = stream, offset: float = offset
        ) -> Iterator[tuple[Detection, NDArray[np.float32]]]:
            for hit in hits:
                there = {
                    name: getattr(hit, name) + offset for name in ("start_seconds", "end_seconds", "decided_seconds")
                }
                yield replace(hit, **there), stream.clip(hit, _MARGIN_SECONDS, _MARGIN_SECONDS)

        try:
            for block in blocks:
                hits = stream.feed(block)
                screen.hear(block, offset + stream.seconds, stream.levels())
                yield from placed(hits)
        except KeyboardInterrupt:
            yield from placed(stream.flush())
            raise
        yield from placed(stream.flush())


class _Lines:
    """One JSON object a line on standard output."""

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, source: str) -> None:
        if source != STANDARD_INPUT:
            self.say(f"listen: hears {source}; Ctrl-C ends")

    def hear(self, samples: NDArray[np.int16], seconds: float, levels: Mapping[str, float]) -> None:
        pass

    def found(self, hit: Detection, clip: Path | None) -> None:
        row = {
            "keyword": hit.keyword,
            "score": round(hit.score, 5),
            "start": round(hit.start_seconds, 3),
            "end": round(hit.end_seconds, 3),
            "threshold": hit.threshold,
            "decided": round(hit.decided_seconds, 3),
        }
        if clip is not None:
            row["clip"] = str(clip)
        print(jsonlib.dumps(row, ensure_ascii=False), flush=True)

    def say(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)


class _Terminal:
    """A live view on the terminal."""

    def __init__(self, spotter: Spotter) -> None:
        from rich.console import Console

        from watchword.cli.live_view import LiveView

        self._view = LiveView(spotter.keywords, Console())

    def __enter__(self) -> "_Terminal":
        self._view.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._view.__exit__()

    def begin(self, source: str) -> None:
        self._view.source = source

    def hear(self, samples: NDArray[np.int16], seconds: float, levels: Mapping[str, float]) -> None:
        self._view.hear(samples, seconds, levels)

    def found(self, hit: Detection, clip: Path | None) -> None:
        self._view.found(hit)

    def say(self, sentence: str) -> None:
        self._view.say(sentence)
