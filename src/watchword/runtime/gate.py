"""A gate before the networks: while nobody speaks they rest, and what was held back is caught up when somebody does."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from watchword.audio import HOP_SAMPLES, SAMPLE_RATE
from watchword.runtime.encoder import Encoder
from watchword.runtime.frames import frame_stream

Voice: TypeAlias = Callable[[NDArray[np.float32]], bool]
"""Told a recording at 16 kHz piece by piece; says of each piece whether somebody may speak in it."""

HANGOVER_SECONDS = 1.0
_BLOCK = 160  # 10 ms, the shortest that WebRTC's detector takes
_MODE, _HEARD, _OF = 1, 4, 20


class GateError(ValueError):
    """A gate that cannot be had; the message says what to do instead."""


class WebRtcVoice:
    """WebRTC's voice activity detector, of the package webrtcvad-wheels: some 0.01 % of a core.

    A piece has voice if of any 200 ms that end in it 40 ms have. That misses little, and lets noise through."""

    def __init__(self) -> None:
        try:
            import webrtcvad  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError:
            raise GateError('gate: the package webrtcvad is not installed; run pip install "watchword[gate]"') from None
        self._detector = webrtcvad.Vad(_MODE)
        self._waiting = np.empty(0, np.int16)
        self._latest: deque[bool] = deque(maxlen=_OF)

    def __call__(self, samples: NDArray[np.float32]) -> bool:
        """Whether somebody may speak in these samples at 16 kHz."""
        whole = np.concatenate([self._waiting, (np.clip(samples, -1, 1) * 32767).astype(np.int16)])
        heard = False
        for first in range(0, len(whole) - _BLOCK + 1, _BLOCK):
            self._latest.append(self._detector.is_speech(whole[first : first + _BLOCK].tobytes(), SAMPLE_RATE))
            heard |= sum(self._latest) >= _HEARD
        self._waiting = whole[len(whole) - len(whole) % _BLOCK :]
        return heard


class GatedSteps:
    """What `FrameSteps` does, but frames are computed only while there is voice, and `HANGOVER_SECONDS` after it.

    What comes then is held back. When voice comes back it is caught up: all of it or, where more was held back than
    any place in the voice can depend on, the `before_frames` before the voice (rounded up to steps), for which the
    audio of `left_context_frames` more is heard but not given out. So the frames given out are those that there would
    be without a gate, with gaps. A gate works in whole steps, whatever pieces the audio comes in."""

    def __init__(self, encoder: Encoder, step_samples: int, voice: Voice, before_frames: int) -> None:
        self._encoder, self._size, self._voice = encoder, step_samples, voice
        self._inexact = encoder.bundle.left_context_frames if encoder.is_local else 0
        self._most = -(-(before_frames + self._inexact) * HOP_SAMPLES // step_samples)  # steps that are held back
        self._stream = frame_stream(encoder)
        self._waiting = np.empty(0, np.float32)
        self._held: deque[NDArray[np.float32]] = deque()
        self._lost = False  # whether some of what was held back is gone
        self._hangover = 0  # samples for which the networks go on without voice
        self._next, self._drop = 0, 0  # the number of the frame that comes next; how many before it are not given out
        self.heard, self.first, self.woken, self.computed = 0, 0, 0, 0
        """Samples taken in steps; the number of the first frame just given out; samples taken when the networks last
        began; frames computed."""

    @property
    def rests(self) -> bool:
        """Whether the networks rest."""
        return not self._hangover

    def feed(self, samples: NDArray[np.float32], last: bool = False) -> Iterator[tuple[NDArray[np.float32], bool]]:
        """Takes samples at 16 kHz and yields frames [new, width], and whether they are the recording's last."""
        self._waiting = np.concatenate([self._waiting, samples])
        while len(self._waiting) >= self._size:
            piece, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
            yield from self._step(piece)
        if last:
            # A rest that lasts to the end leaves nothing to be found, but what was heard is to be decided.
            yield from self._step(self._waiting)
            yield self._rows(np.empty(0, np.float32), last=not self.rests), True

    def _step(self, piece: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.float32], bool]]:
        self.heard += len(piece)
        if self._voice(piece):
            if self.rests:
                self.woken = self.heard
                piece = self._caught_up(piece)
            self._hangover = round(HANGOVER_SECONDS * SAMPLE_RATE)
        elif self.rests:
            self._held.append(piece.copy())
            if len(self._held) > self._most:
                self._held.popleft()
                self._lost = True
            return
        else:
            self._hangover = max(0, self._hangover - len(piece))
        yield self._rows(piece), False

    def _caught_up(self, piece: NDArray[np.float32]) -> NDArray[np.float32]:
        """The audio that is computed when this piece has voice."""
        audio = np.concatenate([*self._held, piece])
        if self._lost:
            start = self.heard - len(audio)
            self._stream, self._drop = frame_stream(self._encoder, begins=False), self._inexact
            self._next = (start + self._encoder.silence_samples[0]) // HOP_SAMPLES + self._inexact
        self._held.clear()
        self._lost = False
        return audio

    def _rows(self, audio: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """The new frames of the audio."""
        self.first = self._next
        if not (len(audio) or last):
            return np.empty((0, self._encoder.width), np.float32)
        rows = self._stream.feed(audio, last)
        self.computed += len(rows)
        dropped = min(self._drop, len(rows))
        self._drop -= dropped
        self._next += len(rows) - dropped
        return rows[dropped:]
