"""Long audio on the command line: raw samples from standard input, and how far a recording has been searched."""

import select
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from watchword.audio import SAMPLE_RATE, AudioError, to_float

_SAMPLE_BYTES = 2
# Work on live audio starts when this much has come; waiting for the rest of a fast pipe pays, for a slow one never.
_LEAST_SECONDS, _PATIENCE_SECONDS = 0.5, 0.02
_OTHER_FORMATS = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3\x03": "MP3", b"ID3\x04": "MP3"}
# Short work needs no progress; where standard error is no terminal, a line now and then.
_QUIET_SECONDS, _TERMINAL_SECONDS, _LINE_SECONDS = 1.0, 0.2, 10.0


def pcm_blocks(stream: BinaryIO, longest_seconds: float) -> Iterator[NDArray[np.float32]]:
    """Reads raw 16-bit little-endian mono samples at 16 kHz as they arrive: float32 blocks, long where the audio comes
    faster than it is searched. Raises AudioError for nothing at all, a terminal, or a file with a header."""
    if stream.isatty():
        raise AudioError("-: standard input is a terminal; pipe raw 16 kHz 16-bit mono PCM into it, or name a file")
    longest, least = (round(seconds * SAMPLE_RATE) * _SAMPLE_BYTES for seconds in (longest_seconds, _LEAST_SECONDS))
    pending, begun, ended = bytearray(), False, False
    while not ended:
        while not ended and len(pending) < longest and (len(pending) < least or _more_waits(stream)):
            piece = stream.read1(longest - len(pending))  # type: ignore[attr-defined]
            ended = not piece
            pending += piece
        if not begun:
            if len(pending) < _SAMPLE_BYTES:
                raise AudioError("-: no audio on standard input (0 samples)")
            if other := _OTHER_FORMATS.get(bytes(pending[:4])):
                raise AudioError(f"-: {other} on standard input; - reads raw 16 kHz 16-bit mono PCM, so name the file")
            begun = True
        whole = len(pending) - len(pending) % _SAMPLE_BYTES
        if whole:
            yield to_float(np.frombuffer(bytes(pending[:whole]), "<i2").astype(np.int16))
            del pending[:whole]


def _more_waits(stream: BinaryIO) -> bool:
    try:
        return bool(select.select([stream], [], [], _PATIENCE_SECONDS)[0])
    except (OSError, ValueError):  # no real file, or Windows: take what has come
        return False


class _Line:
    """A line on standard error that says how far something is: redrawn on a terminal, else a new one now and then."""

    def __init__(self) -> None:
        self._began = self._shown = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._visible = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Makes room on the terminal for something else."""
        if self._visible:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._visible = False

    def _took(self) -> float | None:
        """Seconds since the beginning, where it is time for a line; else None."""
        now = time.monotonic()
        took, between = now - self._began, _TERMINAL_SECONDS if self._terminal else _LINE_SECONDS
        if took < _QUIET_SECONDS or now - self._shown < between:
            return None
        self._shown = now
        return took

    def _show(self, line: str) -> None:
        print(f"\r\x1b[K{line}" if self._terminal else line, end="" if self._terminal else "\n", file=sys.stderr)
        sys.stderr.flush()
        self._visible = self._terminal


class SecondsDone(_Line):
    """Says on standard error how much of a recording is done, how fast, and how long the rest will take."""

    def __init__(self, name: str, total_seconds: float) -> None:
        super().__init__()
        self._name, self._total = name, total_seconds

    def update(self, done_seconds: float) -> None:
        """Tells how many seconds of the recording are done."""
        if done_seconds >= self._total or (took := self._took()) is None:
            return
        left = took * (self._total - done_seconds) / done_seconds
        speed = f"{done_seconds / took:.0f} times as fast as it was spoken"
        self._show(f"{self._name}: {_clock(done_seconds)} of {_clock(self._total)}, {speed}, {_clock(left)} left")


class FilesDone(_Line):
    """Says on standard error how many of many files are done, how fast, and how long the rest will take.

    Shares of files count by their size in bytes; how much audio that is, only the files that are finished say."""

    def __init__(self, files: int, total_bytes: float) -> None:
        super().__init__()
        self._files, self._total = files, max(total_bytes, 1.0)
        self._finished, self._seconds = 0, 0.0

    def finish(self, seconds: float) -> None:
        """Tells that one more file is finished, of so many seconds."""
        self._finished += 1
        self._seconds += seconds

    def update(self, done_bytes: float) -> None:
        """Tells how much of all files is done."""
        if not 0 < done_bytes < self._total or (took := self._took()) is None:
            return
        left = took * (self._total - done_bytes) / done_bytes
        speed = f", {self._seconds / took:.0f} times as fast as it was spoken" if self._finished else ""
        files = f"{self._finished} of {self._files} files"
        self._show(f"{files}, {_clock(self._seconds)} of audio{speed}, {_clock(left)} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
