"""A file that a client sends: kept in a temporary file, searched block by block, played back in clips."""

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from watchword.audio import SAMPLE_RATE, AudioError, blocks, duration
from watchword.runtime import Spotter
from watchword.serve.listening import Drawing, Heard, Listening
from watchword.serve.messages import MessageError, Wanted
from watchword.serve.waves import wave

# So often a file's progress is told; and so much is enough to draw it, however long it is.
_PIECES, _SHORTEST_PIECE_SECONDS, _LONGEST_PIECE_SECONDS = 100, 2.0, 20.0
_COLUMNS, _FINEST_COLUMN_SECONDS = 1000, 0.02
_POINTS = 1000


class Upload:
    """A file of `size` bytes called `name` by the client."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self.seconds = name, 0.0
        self.cancelled = False
        self._size, self._got = size, 0
        handle, path = tempfile.mkstemp(prefix="watchword-")
        self._path, self._file = Path(path), os.fdopen(handle, "wb")
        self._blocks: Iterator[NDArray[np.float32]] | None = None
        self._listening: Listening | None = None

    @property
    def complete(self) -> bool:
        """Whether all of it is here."""
        return self._got == self._size

    def write(self, data: bytes) -> None:
        """Takes the next bytes. Raises MessageError for more than were announced."""
        if self._got + len(data) > self._size:
            raise MessageError(f"{self.name}: more bytes came than the {self._size} announced; send it again")
        self._file.write(data)
        self._got += len(data)
        if self.complete:
            self._file.close()

    def search(self, spotter: Spotter, wanted: Sequence[Wanted]) -> Listening:
        """Begins to search it, anew. Raises AudioError for what is no audio."""
        self.cancelled = False
        try:
            self.seconds = duration(self._path)
        except AudioError as error:
            raise self._named(error) from None
        steps = self.seconds / spotter.settings.step_seconds
        drawing = Drawing(max(_FINEST_COLUMN_SECONDS, self.seconds / _COLUMNS), math.ceil(max(1, steps / _POINTS)))
        piece = min(max(self.seconds / _PIECES, _SHORTEST_PIECE_SECONDS), _LONGEST_PIECE_SECONDS)
        self._blocks = blocks(self._path, piece)
        self._listening = Listening(spotter, wanted, SAMPLE_RATE, drawing)
        return self._listening

    def next(self) -> Heard | None:
        """Searches the next block; None when all has been. Raises AudioError for what is damaged."""
        assert self._blocks is not None
        assert self._listening is not None
        if self._listening.ended:
            return None
        try:
            block = next(self._blocks, None)
        except AudioError as error:
            raise self._named(error) from None
        return self._listening.flush() if block is None else self._listening.feed(block)

    def clip(self, start: float, end: float) -> bytes:
        """The audio between two times, as a WAV file."""
        try:
            with soundfile.SoundFile(self._path) as file:
                first = min(round(start * file.samplerate), file.frames)
                file.seek(first)
                samples = file.read(round((end - start) * file.samplerate), dtype="float32", always_2d=True)
                mono = soxr.resample(samples.mean(axis=1), file.samplerate, SAMPLE_RATE)
        except soundfile.LibsndfileError:
            raise MessageError(f"{self.name}: {start:g} to {end:g} s cannot be read") from None
        return wave(mono)

    def close(self) -> None:
        """Deletes the temporary file."""
        self.cancelled = True
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _named(self, error: AudioError) -> AudioError:
        """The error under the name that the client knows."""
        return AudioError(str(error).replace(str(self._path), self.name))
