"""The frames of a recording that arrives piece by piece: the same as if it had been there whole."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, num_frames
from watchword.runtime.encoder import Encoder


class FrameStream:
    """Turns audio of one recording, fed in order, into the rows that spans are cut from.

    The recording is set in the silence that clips are set in, so that words at its very start and end are found;
    frame 0 is the first of that silence. A piece is computed with the `left_context_frames` before it, and its last
    `lookahead_frames` only when what follows them is known. Where the recording is one that does not begin here
    (`begins`), there is no silence, and the first `left_context_frames` are not those of the whole recording."""

    def __init__(self, encoder: Encoder, begins: bool = True) -> None:
        self._encoder = encoder
        before, self._after = encoder.silence_samples
        bundle = encoder.bundle
        self._left, self._lookahead = (
            (bundle.left_context_frames, bundle.lookahead_frames) if encoder.is_local else (0, 0)
        )
        self._audio = np.zeros(before if begins else 0, np.float32)
        self._first = 0  # the frame at which the kept audio starts
        self._given = 0  # frames given out so far

    def feed(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Takes samples at 16 kHz and returns the frames [new, width] that are now certain; all of them if `last`."""
        after = np.zeros(self._after if last else 0, np.float32)
        self._audio = np.concatenate([self._audio, samples, after])
        frames = num_frames(len(self._audio))
        known = self._first + frames - (0 if last else self._lookahead)
        if known <= self._given:
            return np.empty((0, self._encoder.width), np.float32)
        rows = self._encoder.rows(self._audio)[self._given - self._first : known - self._first]
        self._given = known
        dropped = max(0, known - self._left - self._first)
        self._audio = self._audio[dropped * HOP_SAMPLES :].copy()
        self._first += dropped
        return rows


class StateStream:
    """What `FrameStream` does, for a bundle with a graph that keeps its state: each frame is computed once."""

    def __init__(self, encoder: Encoder, begins: bool = True) -> None:
        self._encoder = encoder
        before, self._after = encoder.silence_samples
        self._lookahead = encoder.bundle.lookahead_frames
        self._audio = np.zeros(before if begins else 0, np.float32)
        self._state: Sequence[NDArray[np.float32]] = ()

    def feed(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Takes samples at 16 kHz and returns the frames [new, width] that are now certain; all of them if `last`."""
        self._audio = np.concatenate([self._audio, samples, np.zeros(self._after if last else 0, np.float32)])
        frames = num_frames(len(self._audio))
        multiple, waiting = self._encoder.bundle.frame_multiple, 0
        if last:
            # As many frames more as never come out, so that the last of the recording's do.
            waiting = -(frames + self._lookahead) % multiple
            more = self._lookahead + waiting
            self._audio = np.pad(self._audio, (0, more * HOP_SAMPLES))
            frames += more
        frames -= frames % multiple
        if frames <= (0 if self._state else self._lookahead):
            return np.empty((0, self._encoder.width), np.float32)
        heard = self._audio[: (frames - 1) * HOP_SAMPLES + FRAME_SAMPLES]
        rows, self._state = self._encoder.stream_rows(heard, self._state)
        self._audio = self._audio[frames * HOP_SAMPLES :].copy()
        return rows[: len(rows) - waiting]


def frame_stream(encoder: Encoder, begins: bool = True) -> FrameStream | StateStream:
    """Makes what turns a recording's audio into frames, in the way that the bundle's graph allows."""
    return (StateStream if encoder.streams else FrameStream)(encoder, begins)


class FrameSteps:
    """The frames of a recording in steps of `step_samples`: the same steps, whatever pieces the audio comes in."""

    def __init__(self, encoder: Encoder, step_samples: int) -> None:
        self._stream = frame_stream(encoder)
        self._size = self._missing = step_samples
        self._waiting: list[NDArray[np.float32]] = []
        self._given = 0
        self.heard, self.first, self.woken = 0, 0, 0
        """Samples that the frames given out so far have taken; the number of the first frame just given out; and how
        many samples were heard when the first of them was computed, where that was late (see `GatedSteps`)."""

    def feed(self, samples: NDArray[np.float32], last: bool = False) -> Iterator[tuple[NDArray[np.float32], bool]]:
        """Takes samples at 16 kHz and yields steps of frames [new, width], and whether it is the recording's last step:
        with `last`, that one has all that is left."""
        while len(samples) >= self._missing:
            piece = np.concatenate([*self._waiting, samples[: self._missing]])
            samples = samples[self._missing :]
            self._waiting, self._missing = [], self._size
            self.heard += len(piece)
            yield self._rows(piece), False
        self._waiting.append(samples.copy())
        self._missing -= len(samples)
        if last:
            piece = np.concatenate(self._waiting)
            self.heard += len(piece)
            yield self._rows(piece, last=True), True

    def _rows(self, piece: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        rows = self._stream.feed(piece, last)
        self.first, self._given = self._given, self._given + len(rows)
        return rows
