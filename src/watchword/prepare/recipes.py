"""Lhotse's recipes of corpora of sounds, and what they find as audio to pack."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from watchword.audio import AudioError, read
from watchword.data.segment import SegmentError
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


class Counter:
    """Passes sounds on and tells how many there were, over several calls."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, sounds: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yields the sounds as they come."""
        for sound in sounds:
            yield sound
            self._done += 1
            if self._progress:
                self._progress(self._done, self._total)
