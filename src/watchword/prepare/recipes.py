"""Lhotse's recipes of corpora of sounds, and packs of the recordings that they find."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from watchword.audio import AudioError, read
from watchword.data.segment import SegmentError
from watchword.data.sounds import packed_size, write_pack
from watchword.prepare.known_corpora import Corpus

Progress = Callable[[int, int | None], None]


def run_recipe(corpus: Corpus, call: Callable[[Any], Any]) -> Any:
    """Returns what `call` gets of the module `lhotse.recipes`; a recipe's complaints become a SegmentError."""
    try:
        from lhotse import recipes
    except ImportError as error:
        raise SegmentError(
            f'{corpus.name}: needs the package {error.name or "lhotse"}; pip install "watchword[lhotse]"'
        ) from None
    try:
        return call(recipes)
    except Exception as error:  # whatever a recipe of another project may raise
        why = " ".join(str(error).split())[:200]
        raise SegmentError(f"{corpus.name}: Lhotse's recipe gave up ({type(error).__name__}: {why})") from None


def audio_paths(recordings: Iterable[Any]) -> list[Path]:
    """The files of Lhotse's recordings, sorted."""
    return sorted(Path(one.sources[0].source) for one in recordings)


def read_sounds(paths: Iterable[Path]) -> Iterator[np.ndarray]:
    """Reads files one by one as mono float32 at 16 kHz. Raises SegmentError for a damaged one."""
    for path in paths:
        try:
            yield read(path)
        except AudioError as error:
            raise SegmentError(str(error)) from None


def pack_all(
    corpus: Corpus,
    paths: Mapping[str, Sequence[Path]],
    out: Path,
    *,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
    progress: Progress | None = None,
) -> dict[str, tuple[int, float]]:
    """Packs each kind's files below `out`, each recording changed by `change`; returns how many, and hours, by kind.

    A pack of as many recordings that is there already is kept, so that an interrupted call goes on with the next."""
    done, total = 0, sum(map(len, paths.values()))
    packed: dict[str, tuple[int, float]] = {}

    def counted(sounds: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal done
        for sound in sounds:
            yield change(sound) if change else sound
            done += 1
            if progress:
                progress(done, total)

    for kind, files in paths.items():
        there = packed_size(out, kind, corpus.name)
        if there and there[0] == len(files):
            packed[kind] = there
            done += len(files)
        else:
            packed[kind] = write_pack(out, kind, corpus.name, counted(read_sounds(files)), corpus.licence)
    return packed
