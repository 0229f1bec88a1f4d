"""The benchmark `stream` of `watchword evaluate`: long recordings searched, misses at rates of false alarms printed."""

import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from watchword.cli.progress import progress_bar
from watchword.evaluate.benchmarks import Result, Settings
from watchword.evaluate.metrics import Figure
from watchword.evaluate.sources import (
    FOLDER_OF_SPEECH_COMMANDS,
    BenchmarkError,
    aligned_manifests,
    speech_commands_folder,
)
from watchword.evaluate.stream import LOWEST_SCORE, BundleSearch, hear, sweeps
from watchword.evaluate.stream_audio import CONDITIONS, Renderer
from watchword.evaluate.stream_keywords import LEAST_SYLLABLES
from watchword.evaluate.stream_plan import Plan, plan_commands, plan_speech, write_plan
from watchword.evaluate.stream_scoring import RATES, TOGETHER, Sweep

NOISE_FOLDER = "noise"


@dataclass(frozen=True)
class StreamSettings:
    """What decides the recordings of the benchmark, and how they are worked through."""

    seed: int = 0
    split: str = "test"
    hours: float = 1.0
    keywords: int = 20
    syllables: int = LEAST_SYLLABLES
    said: int = 8
    conditions: tuple[str, ...] = tuple(CONDITIONS)
    noise: Path | None = None
    jobs: int | None = None
    det: Path | None = None

    def options(self) -> str:
        """What a command line says of these beyond other benchmarks' options, where it is not the default."""
        usual = StreamSettings()
        words = [] if self.hours == usual.hours else ["--hours", f"{self.hours:g}"]
        words += [] if self.keywords == usual.keywords else ["--keywords", str(self.keywords)]
        words += [] if self.syllables == usual.syllables else ["--syllables", str(self.syllables)]
        words += [] if self.said == usual.said else ["--said", str(self.said)]
        if self.conditions != usual.conditions:
            words += [word for condition in self.conditions for word in ("--condition", condition)]
        return "".join(f" {shlex.quote(word)}" for word in words)


def find_plans(places: Sequence[Path], settings: StreamSettings) -> list[Plan]:
    """The recordings of aligned speech, and, of the test split, those with Speech Commands where they are found.

    Raises BenchmarkError where there is no aligned speech."""
    from watchword.data.segment import read_segments
    from watchword.evaluate.speech_commands import build_speech_commands

    sources = sorted(aligned_manifests(places, settings.split), key=lambda source: source.corpus)
    spoken = (s for source in sources for s in read_segments(source.path) if s.split == settings.split and s.words)
    # The same utterance may stand in several manifests of a folder.
    segments = list({(s.audio, s.start_seconds, s.end_seconds): s for s in spoken}.values())
    if not segments:
        searched = ", ".join(map(str, places)) or "neither WATCHWORD_DATA nor --data is set"
        raise BenchmarkError(
            f"stream: no speech with word times in split {settings.split!r} ({searched}); run `watchword prepare "
            "align` first, then give its segments.jsonl (or their folder) by --data"
        )
    shared = {"seed": settings.seed, "hours": settings.hours, "least_syllables": settings.syllables}
    plans = [plan_speech(segments, num_keywords=settings.keywords, least=settings.said, **shared)]
    folders = speech_commands_folder(places, settings.split) if settings.split == "test" else []
    if folders:
        clips = build_speech_commands(folders[0].path)
        plans.append(plan_commands(clips, segments, **shared))
    elif settings.split == "test":
        typer.echo(f"left out: spoken commands; no folder {FOLDER_OF_SPEECH_COMMANDS} was found", err=True)
    return plans


def find_noise(places: Sequence[Path]) -> Path | None:
    """The first folder of background noise below the places where data lies."""
    return next((place / NOISE_FOLDER for place in places if (place / NOISE_FOLDER).is_dir()), None)


def evaluate_stream(
    bundle: Path | None,
    places: Sequence[Path],
    settings: StreamSettings,
    folder: Path,
    out: Path | None,
    card: bool,
    command: str,
) -> None:
    """Measures a bundle and prints its tables; `folder` takes the lists, and what an interrupted run has found."""
    from rich.console import Console

    from watchword.bundle import Bundle
    from watchword.evaluate.report import CARD, build_report, bundle_hash, merge_into_card, write_report

    loaded = Bundle.load(bundle)
    render = Renderer(settings.seed, settings.noise or find_noise(places))
    render.check(settings.conditions)
    results: list[Result] = []
    details: dict[str, Sweep] = {}
    found_before: list[Path] = []
    for plan in find_plans(places, settings):
        listed = write_plan(folder, plan)
        keep = folder / f"stream-{bundle_hash(loaded.path)[:12]}-{plan.sha256[:12]}.found.jsonl"
        if keep.exists():
            typer.echo(f"going on from {keep}; delete it if Watchword has changed since", err=True)
        found_before.append(keep)
        began = time.monotonic()
        with progress_bar(f"stream, {plan.name}") as progress:
            jobs = settings.jobs or os.cpu_count() or 1
            search = BundleSearch(loaded.path, LOWEST_SCORE)
            heard = hear(plan, settings.conditions, search, render, jobs=jobs, keep=keep, progress=progress)
        took = time.monotonic() - began
        for condition, sweep in sweeps(plan, heard).items():
            details[f"{plan.name}, {condition}"] = sweep
            results.append(_result(plan, condition, sweep, listed.name, settings, took / len(settings.conditions)))
    report = build_report(loaded.path, results, command)
    report["stream"] = {name: sweep.as_dict() for name, sweep in details.items()}
    if out:
        write_report(out, report)
    if card:
        merge_into_card(loaded.path / CARD, report)
    if settings.det:
        from watchword.evaluate.det import draw_curves, write_curves

        curves = {name: sweep.curve() for name, sweep in details.items()}
        draw_curves(settings.det, curves)
        write_curves(settings.det.with_suffix(".tsv"), curves)
    for path in found_before:
        path.unlink(missing_ok=True)
    console = Console() if sys.stdout.isatty() else Console(width=110)
    for table in tables(details):
        console.print(table)
    for name in dict.fromkeys(result.trials_file for result in results):
        typer.echo(f"recordings: {folder / name}", err=True)
    typer.echo(f"bundle {report['bundle']['sha256'][:12]}   {command}")


def tables(details: dict[str, Sweep]):
    """Tables for people: misses with their intervals under a common threshold, then own thresholds and times."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    rates = [f"{rate:g} FA/h" for rate in RATES]
    together = f"{TOGETHER:g} FA/h of all"
    heads = "missed, % (95 %), one threshold for all keywords", "missed, %, own thresholds; times: median / 90 %, s"
    first = Table("recordings", "hours", "said", together, *rates, title=heads[0], box=SIMPLE_HEAD)
    second = Table("recordings", *rates, "start", "end", "latency", title=heads[1], box=SIMPLE_HEAD)
    for name, sweep in details.items():
        points = [sweep.together(TOGETHER), *(sweep.common(rate) for rate in RATES)]
        cells = [f"{_percent(p.miss)} ({'–'.join(map(_percent, p.miss_interval))})" for p in points]
        first.add_row(name, f"{sweep.hours:.2f}", str(points[0].occurrences), *cells)
        times = sweep.times()
        shown = [
            f"{times[f'{of}_median_seconds']:.2f} / {times[f'{of}_90_seconds']:.2f}"
            if f"{of}_median_seconds" in times
            else "–"
            for of in ("start", "end", "latency")
        ]
        second.add_row(name, *(_percent(sweep.own(rate).miss) for rate in RATES), *shown)
    return first, second


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _result(plan: Plan, condition: str, sweep: Sweep, listed: str, settings: StreamSettings, took: float) -> Result:
    figures = {}
    for kind, point_at in (("", sweep.common), (", own thresholds", sweep.own)):
        for rate in RATES:
            point = point_at(rate)
            figures[f"miss at {rate:g} FA/h{kind}"] = Figure(point.miss, *point.miss_interval)
    point = sweep.together(TOGETHER)
    figures[f"miss at {TOGETHER:g} FA/h together"] = Figure(point.miss, *point.miss_interval)
    said = sum(sweep.occurrences.values())
    counts = {
        "trials": said,
        "matches": said,
        "clips": len(plan.recordings),
        "texts": len(plan.keywords),
        "speakers": plan.speakers,
    }
    shared = Settings(seed=settings.seed, split=settings.split, size=settings.keywords)
    corpus = f"{plan.name}, {condition}"
    return Result("stream", corpus, figures, counts, sweep.hours, plan.sha256, listed, shared, took)
