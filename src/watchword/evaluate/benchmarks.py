"""The benchmarks by name: where their data lies, their trials, and their figures under a scorer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from watchword.data.segment import read_segments
from watchword.evaluate.clips import Pairs, Progress, Scorer, score_blocks, score_pairs
from watchword.evaluate.figures import trial_figures
from watchword.evaluate.libriphrase import libriphrase_figures, read_libriphrase
from watchword.evaluate.libriphrase_style import build_libriphrase_style
from watchword.evaluate.metrics import Figure
from watchword.evaluate.qualcomm import build_qualcomm
from watchword.evaluate.sources import (
    FOLDER_OF_QUALCOMM,
    FOLDER_OF_SPEECH_COMMANDS,
    BenchmarkError,
    Source,
    aligned_manifests,
    libriphrase_folder,
    qualcomm_folder,
    speech_commands_folder,
    wsj_manifests,
)
from watchword.evaluate.speech_commands import TEN_WORDS, build_speech_commands, speech_commands_figures
from watchword.evaluate.trials import Trial, read_trials, trials_hash, write_trials
from watchword.evaluate.wsj_protocol import build_wsj, build_wsj_protocol


@dataclass(frozen=True)
class Settings:
    """What decides a benchmark's trials and intervals; `size` None means the benchmark's own number of segments.

    `aligned` says that the scorer aligns phonemes, `distorted` that it hears rooms and noise: both reported apart."""

    seed: int = 0
    split: str = "test"
    size: int | None = None
    context_seconds: float = 0.0
    resamples: int = 1000
    aligned: bool = False
    distorted: bool = False


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


@dataclass(frozen=True)
class Prepared:
    """A benchmark on one corpus whose trials are built and fixed: any number of scorers can be measured by it."""

    benchmark: str
    corpus: str
    settings: Settings
    counts: dict[str, int]
    hours: float
    trials_sha256: str
    trials_file: str
    figures: Callable[[Scorer, Progress | None], dict[str, Figure]]

    def measure(self, scorer: Scorer, progress: Progress | None = None) -> Result:
        """Scores the trials and measures the figures."""
        began = time.monotonic()
        figures = self.figures(scorer, progress)
        marks = [name for name in ("aligned", "distorted") if getattr(self.settings, name)]
        return Result(
            ", ".join([self.benchmark, *marks]),
            self.corpus,
            figures,
            self.counts,
            self.hours,
            self.trials_sha256,
            self.trials_file,
            self.settings,
            time.monotonic() - began,
        )


@dataclass(frozen=True)
class _Benchmark:
    find: Callable[[Sequence[Path], str], list[Source]]
    prepare: Callable[[str, Source, Settings, Path], Prepared]
    needed: str


def check_name(name: str) -> str:
    """Returns a benchmark's name, or raises BenchmarkError with the names that exist."""
    if name not in BENCHMARKS:
        raise BenchmarkError(f"evaluate: no benchmark {name!r}; choose all or one of {', '.join(BENCHMARKS)}")
    return name


def find_sources(name: str, places: Sequence[Path], split: str = "test") -> list[Source]:
    """The data for a benchmark among files and folders; of manifests, those with word times of `split` count.

    Raises BenchmarkError when there are none."""
    benchmark = _BENCHMARKS[check_name(name)]
    found = benchmark.find(places, split)
    if found:
        return found
    searched = ", ".join(str(place) for place in places) or "neither WATCHWORD_DATA nor --data is set"
    raise BenchmarkError(f"{name}: no data found ({searched}); {benchmark.needed}")


def prepare_benchmark(name: str, source: Source, settings: Settings, trials_folder: Path) -> Prepared:
    """Builds a benchmark's trials, writes them to disk and reads them back."""
    return _BENCHMARKS[check_name(name)].prepare(name, source, settings, trials_folder)


def run_benchmark(
    name: str,
    source: Source,
    scorer: Scorer,
    settings: Settings,
    trials_folder: Path,
    progress: Progress | None = None,
) -> Result:
    """Prepares a benchmark and measures one scorer by it."""
    return prepare_benchmark(name, source, settings, trials_folder).measure(scorer, progress)


def _sparse(scorer: Scorer, settings: Settings) -> bool:
    """Whether a pair costs something by itself, so that only those of the list are scored."""
    return settings.aligned or bool(getattr(scorer, "sparse", False))


def _lists(build: Callable[[Source, Settings], list[Trial]]) -> Callable[[str, Source, Settings, Path], Prepared]:
    """A benchmark whose trials are a list on disk, with figures by the kinds of its negatives."""

    def prepare(name: str, source: Source, settings: Settings, folder: Path) -> Prepared:
        trials, sha256, file = _fixed(name, source, settings, build(source, settings), folder)
        pairs = Pairs.of(trials)

        def figures(scorer: Scorer, progress: Progress | None) -> dict[str, Figure]:
            scores = score_pairs(
                pairs,
                scorer,
                context_seconds=settings.context_seconds,
                sparse=_sparse(scorer, settings),
                progress=progress,
            )
            return trial_figures(trials, scores, seed=settings.seed, resamples=settings.resamples)

        counts = _counts(trials, pairs, len(trials))
        return Prepared(name, source.corpus, settings, counts, pairs.hours, sha256, file, figures)

    return prepare


def _every_text(build: Callable[[Source, str], list[Trial]]) -> Callable[[str, Source, Settings, Path], Prepared]:
    """A benchmark in which every clip meets every text: 1 match to as many non-matches as there are other texts."""

    def prepare(name: str, source: Source, settings: Settings, folder: Path) -> Prepared:
        built = build(source, settings.split)
        if settings.size:
            chosen = np.random.default_rng(settings.seed).permutation(len(built))[: settings.size]
            built = [built[index] for index in sorted(chosen)]
        trials, sha256, file = _fixed(name, source, settings, built, folder)
        pairs = Pairs.of(trials)

        def figures(scorer: Scorer, progress: Progress | None) -> dict[str, Figure]:
            context = settings.context_seconds
            blocks = score_blocks(pairs.clips, pairs.texts, scorer, context_seconds=context, progress=progress)
            matrix = np.concatenate([scores for _, scores in blocks])[pairs.clip_of]
            return speech_commands_figures(
                trials, pairs.texts, matrix, seed=settings.seed, resamples=settings.resamples
            )

        counts = _counts(trials, pairs, len(trials) * len(pairs.texts))
        return Prepared(name, source.corpus, settings, counts, pairs.hours, sha256, file, figures)

    return prepare


def _libriphrase(name: str, source: Source, settings: Settings, folder: Path) -> Prepared:
    lists = read_libriphrase(source.path)

    def figures(scorer: Scorer, progress: Progress | None) -> dict[str, Figure]:
        scores = score_pairs(lists.pairs, scorer, sparse=_sparse(scorer, settings), progress=progress)
        return libriphrase_figures(lists, scores, seed=settings.seed, resamples=settings.resamples)

    return Prepared(name, source.corpus, settings, lists.counts, lists.pairs.hours, lists.sha256, lists.files, figures)


def _fixed(
    name: str, source: Source, settings: Settings, built: list[Trial], folder: Path
) -> tuple[list[Trial], str, str]:
    sha256 = trials_hash(built)
    path = folder / f"{name}-{source.corpus}-seed{settings.seed}-{sha256[:12]}.tsv"
    if not path.exists():
        write_trials(path, built)
    return read_trials(path, sha256), sha256, path.name


def _counts(trials: list[Trial], pairs: Pairs, num_trials: int) -> dict[str, int]:
    return {
        "trials": num_trials,
        "matches": sum(trial.is_match for trial in trials),
        "clips": len(pairs.clips),
        "texts": len(pairs.texts),
        "speakers": len({trial.speaker for trial in trials}),
    }


def _words(source: Source, settings: Settings) -> list[Trial]:
    segments = list(read_segments(source.path))
    return build_wsj_protocol(segments, seed=settings.seed, split=settings.split, num_segments=settings.size or 3000)


def _phrases(source: Source, settings: Settings) -> list[Trial]:
    segments = list(read_segments(source.path))
    return build_libriphrase_style(segments, seed=settings.seed, split=settings.split, num_clips=settings.size or 4000)


def _wsj(source: Source, settings: Settings) -> list[Trial]:
    return build_wsj(list(read_segments(source.path)), seed=settings.seed, split=settings.split)


def _commands(source: Source, split: str) -> list[Trial]:
    return build_speech_commands(source.path, (), split)


def _ten_commands(source: Source, split: str) -> list[Trial]:
    return build_speech_commands(source.path, TEN_WORDS, split)


def _qualcomm(source: Source, split: str) -> list[Trial]:
    return build_qualcomm(source.path, split)


_ALIGN = "run `watchword prepare align` first, then give its segments.jsonl (or their folder) by --data"
_COMMANDS = f"set WATCHWORD_DATA to the folder above {FOLDER_OF_SPEECH_COMMANDS}, or give that folder by --data"
_BENCHMARKS = {
    "wsj-protocol": _Benchmark(aligned_manifests, _lists(_words), _ALIGN),
    "libriphrase-style": _Benchmark(aligned_manifests, _lists(_phrases), _ALIGN),
    "speech-commands": _Benchmark(speech_commands_folder, _every_text(_commands), _COMMANDS),
    "speech-commands-10": _Benchmark(speech_commands_folder, _every_text(_ten_commands), _COMMANDS),
    "wsj": _Benchmark(
        wsj_manifests,
        _lists(_wsj),
        "it needs the licensed corpus: run `watchword prepare wsj` and `watchword prepare align`, then give the "
        "manifest by --data; wsj-protocol makes the same kind of list from any aligned speech",
    ),
    "libriphrase": _Benchmark(
        libriphrase_folder,
        _libriphrase,
        "give the folder with the released lists (*_1word.csv to *_4word.csv) beside their audio by --data; "
        "libriphrase-style makes the same kind of list from any aligned speech",
    ),
    "qualcomm": _Benchmark(
        qualcomm_folder,
        _every_text(_qualcomm),
        f"give the folder {FOLDER_OF_QUALCOMM}, with a folder for each of its four phrases, by --data",
    ),
}
BENCHMARKS = tuple(_BENCHMARKS)
__all__ = [
    "BENCHMARKS",
    "BenchmarkError",
    "Prepared",
    "Result",
    "Settings",
    "Source",
    "check_name",
    "find_sources",
    "prepare_benchmark",
    "run_benchmark",
]
