"""The benchmarks by name: where their data lies, their trials, and their figures under a scorer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from watchword.data.segment import Segment, read_segments
from watchword.evaluate.clips import Pairs, Progress, Scorer, score_blocks, score_trials
from watchword.evaluate.figures import trial_figures
from watchword.evaluate.libriphrase_style import build_libriphrase_style
from watchword.evaluate.metrics import Figure
from watchword.evaluate.speech_commands import build_speech_commands, speech_commands_figures
from watchword.evaluate.trials import Trial, read_trials, trials_hash, write_trials
from watchword.evaluate.wsj_protocol import build_wsj_protocol

SPEECH_COMMANDS = "speech-commands"
FOLDER_OF_SPEECH_COMMANDS = "speech_commands_v2_test"


class BenchmarkError(ValueError):
    """A benchmark that does not exist, or whose data cannot be found."""


@dataclass(frozen=True)
class Source:
    """Data that a benchmark can run on: an aligned manifest, or the Speech Commands folder."""

    path: Path
    corpus: str


@dataclass(frozen=True)
class Settings:
    """What decides a benchmark's trials and intervals; `size` None means the benchmark's own number of segments.

    `aligned` says that the scorer aligns phonemes, which is reported apart from plain cosines."""

    seed: int = 0
    split: str = "test"
    size: int | None = None
    context_seconds: float = 0.0
    resamples: int = 1000
    aligned: bool = False


@dataclass(frozen=True)
class Result:
    """One benchmark on one corpus: figures, counts, hours of audio, and the hash of the trials."""

    benchmark: str
    corpus: str
    figures: dict[str, Figure]
    counts: dict[str, int]
    hours: float
    trials_sha256: str
    trials_file: str
    settings: Settings
    seconds: float


def _words(segments: list[Segment], settings: Settings) -> list[Trial]:
    return build_wsj_protocol(segments, seed=settings.seed, split=settings.split, num_segments=settings.size or 3000)


def _phrases(segments: list[Segment], settings: Settings) -> list[Trial]:
    return build_libriphrase_style(segments, seed=settings.seed, split=settings.split, num_clips=settings.size or 4000)


_ON_MANIFESTS: dict[str, Callable[[list[Segment], Settings], list[Trial]]] = {
    "wsj-protocol": _words,
    "libriphrase-style": _phrases,
}
BENCHMARKS = (*_ON_MANIFESTS, SPEECH_COMMANDS)


def check_name(name: str) -> str:
    """Returns a benchmark's name, or raises BenchmarkError with the names that exist."""
    if name not in BENCHMARKS:
        raise BenchmarkError(f"evaluate: no benchmark {name!r}; choose all or one of {', '.join(BENCHMARKS)}")
    return name


def find_sources(name: str, places: Sequence[Path], split: str = "test") -> list[Source]:
    """The data for a benchmark among files and folders (a folder's `aligned` subfolder is searched too).

    Of the manifests in a folder, those with word times of `split` count. Raises BenchmarkError when there are none.
    """
    found = _speech_commands(places) if check_name(name) == SPEECH_COMMANDS else _manifests(places, split)
    if found:
        return found
    searched = ", ".join(str(place) for place in places) or "neither WATCHWORD_DATA nor --data is set"
    if name == SPEECH_COMMANDS:
        needed = f"set WATCHWORD_DATA to the folder above {FOLDER_OF_SPEECH_COMMANDS}, or give that folder by --data"
    else:
        needed = "run `watchword prepare align` first, then give its segments.jsonl (or their folder) by --data"
    raise BenchmarkError(f"{name}: no data found ({searched}); {needed}")


def run_benchmark(
    name: str,
    source: Source,
    scorer: Scorer,
    settings: Settings,
    trials_folder: Path,
    progress: Progress | None = None,
) -> Result:
    """Builds the trials, writes them to disk and reads them back, scores them and measures the figures."""
    began = time.monotonic()
    if check_name(name) == SPEECH_COMMANDS:
        built = build_speech_commands(source.path)
        if settings.size:
            chosen = np.random.default_rng(settings.seed).permutation(len(built))[: settings.size]
            built = [built[index] for index in sorted(chosen)]
    else:
        built = _ON_MANIFESTS[name](list(read_segments(source.path)), settings)
    sha256 = trials_hash(built)
    path = trials_folder / f"{name}-{source.corpus}-seed{settings.seed}-{sha256[:12]}.tsv"
    if not path.exists():
        write_trials(path, built)
    trials = read_trials(path, sha256)
    pairs = Pairs.of(trials)
    if name == SPEECH_COMMANDS:
        matrix = _matrix(trials, pairs, scorer, settings, progress)
        num_trials = matrix.size
        figures = speech_commands_figures(trials, pairs.texts, matrix, seed=settings.seed, resamples=settings.resamples)
    else:
        scores = score_trials(
            trials, scorer, context_seconds=settings.context_seconds, sparse=settings.aligned, progress=progress
        )
        num_trials = len(trials)
        figures = trial_figures(trials, scores, seed=settings.seed, resamples=settings.resamples)
    counts = {
        "trials": num_trials,
        "matches": sum(trial.is_match for trial in trials),
        "clips": len(pairs.clips),
        "texts": len(pairs.texts),
        "speakers": len({trial.speaker for trial in trials}),
    }
    took = time.monotonic() - began
    told = f"{name}, aligned" if settings.aligned else name
    return Result(told, source.corpus, figures, counts, pairs.hours, sha256, path.name, settings, took)


def _matrix(
    trials: list[Trial], pairs: Pairs, scorer: Scorer, settings: Settings, progress: Progress | None
) -> NDArray[np.floating]:
    blocks = score_blocks(pairs.clips, pairs.texts, scorer, context_seconds=settings.context_seconds, progress=progress)
    return np.concatenate([matrix for _, matrix in blocks])[pairs.clip_of]


def _speech_commands(places: Sequence[Path]) -> list[Source]:
    for place in places:
        for folder in (place / FOLDER_OF_SPEECH_COMMANDS, place):
            if (folder / "manifest.tsv").is_file():
                return [Source(folder, "speech_commands")]
    return []


def _manifests(places: Sequence[Path], split: str) -> list[Source]:
    sources: dict[Path, Source] = {}
    for place in places:
        if place.is_dir():
            nearby = sorted([*place.glob("*segments.jsonl"), *place.glob("aligned/*segments.jsonl")])
            for path in (path for path in nearby if _has_words(path, split)):
                sources[path.resolve()] = Source(path, _corpus(path))
        elif place.suffix == ".jsonl" or not place.exists():
            if not _has_words(place, split):
                raise BenchmarkError(
                    f"{place}: no word times in split {split!r}; run `watchword prepare align` on it first"
                )
            sources[place.resolve()] = Source(place, _corpus(place))
    return list(sources.values())


def _has_words(path: Path, split: str) -> bool:
    return any(segment.words and segment.split == split for segment in read_segments(path))


def _corpus(path: Path) -> str:
    """The manifest's own name (librispeech.segments.jsonl), else the corpus that its first line names."""
    own = path.name.removesuffix(".jsonl").removesuffix("segments").rstrip(".-_")
    first = next(iter(read_segments(path)), None)
    return own or (first.corpus if first else "") or "manifest"
