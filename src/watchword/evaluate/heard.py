"""Recordings as they are heard under conditions: as they are, in noise, in rooms, whole and at their own times."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from watchword import audio
from watchword.evaluate.stream_audio import Renderer
from watchword.evaluate.stream_plan import Piece, Recording

Heard: TypeAlias = Callable[[str], str | NDArray[np.float32]]
"""Gives a file's samples (mono, 16 kHz) as they are heard, or the file itself where nothing is changed."""

DISTORTED = ("10 dB", "room")


def conditions(noise: Path | None, seed: int) -> dict[str, Heard]:
    """Ways to hear a file, by name: `clean`, as it is; with a folder of `noise`, `10 dB` and `room` (see
    `stream_audio`) as well. Each file sounds the same every time. Raises BenchmarkError for a folder without noise."""
    ways: dict[str, Heard] = {"clean": lambda path: path}
    if noise is not None:
        renderer = Renderer(seed, noise)
        renderer.check(DISTORTED)
        ways |= {condition: _under(renderer, condition) for condition in DISTORTED}
    return ways


def _under(renderer: Renderer, condition: str) -> Heard:
    def heard(path: str) -> NDArray[np.float32]:
        seconds = audio.duration(path)
        whole = Piece(path, 0.0, seconds, 0.0, "")
        return renderer(Recording(Path(path).name, seconds, (whole,), ()), condition)

    return heard
