"""The command `watchword evaluate`: scores a bundle on benchmarks, through the runtime that ships."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from watchword.evaluate.benchmarks import Prepared, Settings

_NAMES = (
    "wsj-protocol, libriphrase-style, speech-commands, speech-commands-10, wsj, libriphrase, qualcomm, all, or stream"
)
SETTINGS = ("WATCHWORD_WORK", "WATCHWORD_DATA")
_NEEDED_PACKAGES = ("sklearn", "scipy")


def evaluate(
    bundle: Annotated[
        Path | None, typer.Argument(help="The bundle's folder; without it, the bundle inside the package.")
    ] = None,
    benchmark: Annotated[list[str], typer.Option("--benchmark", "-b", help=f"{_NAMES}; may be repeated.")] = ["all"],  # noqa: B006
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Aligned segments.jsonl, a folder of them, or a benchmark's own folder; may be repeated."),
    ] = None,
    split: Annotated[str, typer.Option(help="The split of aligned manifests to take speech from.")] = "test",
    out: Annotated[Path | None, typer.Option(help="Write the report here, as JSON.")] = None,
    card: Annotated[bool, typer.Option("--card", help="Write the figures on the bundle's card, too.")] = False,
    trials: Annotated[Path | None, typer.Option(help="The folder for the trial lists.", show_default="cache")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Segments to take, in place of 3000 (wsj), 4000 (phrases) or all (words).")
    ] = None,
    context: Annotated[
        float, typer.Option(min=0.0, help="Seconds of real surroundings on both sides of a clip.")
    ] = 0.0,
    aligned: Annotated[
        bool,
        typer.Option("--aligned", help="Score as detections are, with phonemes aligned; else by the cosine alone."),
    ] = False,
    noise: Annotated[
        Path | None,
        typer.Option(help="Hear the clips in rooms and among the noise of this folder; else as they are."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides the trials and the bootstrap.")] = 0,
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap draws over speakers.")] = 1000,
    hours: Annotated[float, typer.Option(min=0.01, help="stream: hours of each set under each condition.")] = 1.0,
    keywords: Annotated[int, typer.Option(min=1, help="stream: words and phrases to look for.")] = 20,
    syllables: Annotated[int, typer.Option(min=1, help="stream: the fewest syllables of a keyword.")] = 2,
    said: Annotated[int, typer.Option(min=1, help="stream: how often a keyword is said at least, in all speech.")] = 8,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="stream: clean, 10 dB, 5 dB, 0 dB or room; may be repeated.", show_default="all"),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="stream: processes.", show_default="cores")] = None,
    det: Annotated[
        Path | None, typer.Option(help="stream: draw the curves into this .png, and write them beside it as .tsv.")
    ] = None,
) -> None:
    """Measure a bundle on benchmarks; figures come with 95 % intervals over speakers.

    `stream` is measured by itself: misses in long recordings at 0.1 to 10 false alarms an hour and keyword. For it,
    --noise names the background recordings, by default the folder `noise` below one of the places.

    Data is looked for in --data, else in the folders that WATCHWORD_WORK and WATCHWORD_DATA name.
    """
    try:
        from watchword.evaluate.benchmarks import Settings
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED_PACKAGES:
            raise
        _fail('evaluate: scikit-learn is not installed; run pip install "watchword[evaluate]"')
    settings = Settings(seed, split, size, context, resamples, aligned, noise is not None)
    try:
        if "stream" in benchmark:
            from watchword.cli.streaming import StreamSettings, evaluate_stream

            if benchmark != ["stream"]:
                _fail("evaluate: stream is measured by itself; run it and the other benchmarks one after the other")
            chosen = (tuple(condition),) if condition else ()
            streamed = StreamSettings(
                seed, split, hours, keywords, syllables, said, *chosen, noise=noise, jobs=jobs, det=det
            )
            command = _command(bundle, benchmark, data, noise, settings) + streamed.options()
            places, folder = data or default_places(), trials or trials_cache()
            evaluate_stream(bundle, places, streamed, folder, out, card, command)
            return
        prepared = _prepare(benchmark, data or default_places(), settings, trials or trials_cache())
        command = _command(bundle, benchmark, data, noise, settings)
        _run(bundle, prepared, settings, trials or trials_cache(), noise, out, card, command)
    except (ValueError, FileNotFoundError) as error:
        _fail(str(error))


def _prepare(benchmark: list[str], places: list[Path], settings: "Settings", folder: Path) -> "list[Prepared]":
    """The benchmarks with their trials; asked for by name, one must run; of `all`, those that can."""
    from watchword.evaluate.benchmarks import BENCHMARKS, BenchmarkError, check_name, find_sources, prepare_benchmark
    from watchword.evaluate.trials import TrialError

    names = list(BENCHMARKS) if "all" in benchmark else [check_name(name) for name in dict.fromkeys(benchmark)]
    prepared, missing = [], []
    for name in names:
        try:
            for source in find_sources(name, places, settings.split):
                prepared.append(prepare_benchmark(name, source, settings, folder))
        except (BenchmarkError, TrialError) as error:
            if "all" not in benchmark:
                raise
            missing.append(str(error))
    if missing and not prepared:
        _fail(missing[0])
    for sentence in missing:
        typer.echo(f"left out: {sentence}", err=True)
    return prepared


def _run(
    bundle: Path | None,
    prepared: "list[Prepared]",
    settings: "Settings",
    trials_folder: Path,
    noise: Path | None,
    out: Path | None,
    card: bool,
    command: str,
) -> None:
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from watchword.evaluate.report import CARD, build_report, merge_into_card, report_tables, write_report
    from watchword.evaluate.through_runtime import load_scorer

    folder, scorer = load_scorer(bundle, settings.aligned)
    if noise:
        from watchword.evaluate.distortion import Distorted

        scorer = Distorted(scorer, noise, settings.seed)
    results = []
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TextColumn("clips"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for one in prepared:
            task = progress.add_task(f"{one.benchmark} {one.corpus}", total=None)
            result = one.measure(
                scorer, lambda done, total, task=task: progress.update(task, completed=done, total=total)
            )
            results.append(result)
    report = build_report(folder, results, command)
    if out:
        write_report(out, report)
    if card:
        merge_into_card(folder / CARD, report)
    console = Console()
    for result, table in zip(results, report_tables(results), strict=True):
        console.print(table)
        typer.echo(f"trials: {trials_folder / result.trials_file}", err=True)
    typer.echo(f"bundle {report['bundle']['sha256'][:12]}   {command}")


def default_places() -> list[Path]:
    return [Path(os.environ[name]) for name in SETTINGS if os.environ.get(name)]


def trials_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchword" / "trials"


def _command(
    bundle: Path | None, benchmark: list[str], data: list[Path] | None, noise: Path | None, settings: "Settings"
) -> str:
    """The command that prints the same figures again, with what differs from the defaults."""
    words = ["watchword", "evaluate", *([_spelled(bundle)] if bundle else [])]
    for name in benchmark:
        words += ["--benchmark", shlex.quote(name)]
    for place in data or ():
        words += ["--data", _spelled(place)]
    words += ["--split", shlex.quote(settings.split)] if settings.split != "test" else []
    words += ["--size", str(settings.size)] if settings.size else []
    words += ["--context", str(settings.context_seconds)] if settings.context_seconds else []
    words += ["--aligned"] if settings.aligned else []
    words += ["--noise", _spelled(noise)] if noise else []
    words += ["--resamples", str(settings.resamples)] if settings.resamples != 1000 else []
    return " ".join([*words, "--seed", str(settings.seed)])


def _spelled(path: Path) -> str:
    """A path as a shell reads it; below a folder that a setting names, by that setting, which is the same anywhere."""
    for name in SETTINGS:
        folder = os.environ.get(name)
        if folder and path.absolute().is_relative_to(Path(folder).absolute()):
            inside = path.absolute().relative_to(Path(folder).absolute())
            return f"${name}" if inside == Path() else f"${name}/{shlex.quote(str(inside))}"
    return shlex.quote(str(path))


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(2)
