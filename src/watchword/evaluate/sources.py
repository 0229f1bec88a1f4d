"""Where a benchmark's data lies: aligned manifests, folders of spoken words, released lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchword.data.segment import read_segments

FOLDER_OF_SPEECH_COMMANDS = "speech_commands_v2_test"
FOLDER_OF_QUALCOMM = "qualcomm_keyword_speech_dataset"
FOLDER_OF_LIBRIPHRASE = "libriphrase"
QUALCOMM_FOLDERS = ("hey_android", "hey_snapdragon", "hi_galaxy", "hi_lumina")


class BenchmarkError(ValueError):
    """A benchmark that does not exist, or whose data cannot be found."""


@dataclass(frozen=True)
class Source:
    """Data that a benchmark can run on: an aligned manifest, or a folder."""

    path: Path
    corpus: str


def aligned_manifests(places: Sequence[Path], split: str) -> list[Source]:
    """Manifests with word times of `split` among files and folders; a folder's `aligned` subfolder is searched too.

    Raises BenchmarkError for a file that is named and has none."""
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


def wsj_manifests(places: Sequence[Path], split: str) -> list[Source]:
    """Those of the aligned manifests that say they are of the Wall Street Journal corpus."""
    return [source for source in aligned_manifests(places, split) if _says_corpus(source, "wsj")]


def speech_commands_folder(places: Sequence[Path], split: str) -> list[Source]:
    """Speech Commands: manifests of it, else the first folder with a manifest.tsv, or as it is released (a folder a
    word)."""

    def fits(folder: Path) -> bool:
        return (folder / "manifest.tsv").is_file() or (folder / "yes").is_dir()

    return _spoken_manifests(places, "speech_commands", split) or _first(
        places, (FOLDER_OF_SPEECH_COMMANDS, "speech_commands", "google_speech_commands"), fits, "speech_commands"
    )


def qualcomm_folder(places: Sequence[Path], split: str) -> list[Source]:
    """The Qualcomm keyword speech dataset: manifests of it, else the first folder as it is released (one a phrase)."""
    return _spoken_manifests(places, "qualcomm", split) or _first(
        places,
        (FOLDER_OF_QUALCOMM, "qualcomm"),
        lambda folder: any((folder / name).is_dir() for name in QUALCOMM_FOLDERS),
        "qualcomm",
    )


def libriphrase_folder(places: Sequence[Path], split: str) -> list[Source]:
    """The first folder that holds released LibriPhrase lists, `*_1word.csv` to `*_4word.csv`."""
    names = (FOLDER_OF_LIBRIPHRASE, "LibriPhrase", "LibriPhrase/data", "libriphrase/data")
    return _first(places, names, lambda folder: any(folder.glob("*_[1-4]word.csv")), "libriphrase")


def _spoken_manifests(places: Sequence[Path], corpus: str, split: str) -> list[Source]:
    """Manifests of a corpus whose segments of `split` are each one whole clip."""
    found: dict[Path, Source] = {}
    for place in places:
        nearby = sorted(place.glob("*segments.jsonl")) if place.is_dir() else [place]
        for path in (path for path in nearby if path.suffix == ".jsonl" and path.is_file()):
            ours = _says_corpus(Source(path, ""), corpus)
            if ours and any(segment.split == split for segment in read_segments(path)):
                found[path.resolve()] = Source(path, corpus)
    return list(found.values())


def _first(places: Sequence[Path], names: Sequence[str], fits: Callable[[Path], bool], corpus: str) -> list[Source]:
    for place in places:
        for folder in (place, *(place / name for name in names)):
            if folder.is_dir() and fits(folder):
                return [Source(folder, corpus)]
    return []


def _has_words(path: Path, split: str) -> bool:
    return any(segment.words and segment.split == split for segment in read_segments(path))


def _says_corpus(source: Source, corpus: str) -> bool:
    first = next(iter(read_segments(source.path)), None)
    return source.corpus.startswith(corpus) or (first is not None and first.corpus.startswith(corpus))


def _corpus(path: Path) -> str:
    """The manifest's own name (librispeech.segments.jsonl), else the corpus that its first line names."""
    own = path.name.removesuffix(".jsonl").removesuffix("segments").rstrip(".-_")
    first = next(iter(read_segments(path)), None)
    return own or (first.corpus if first else "") or "manifest"
