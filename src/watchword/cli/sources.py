"""Where live sound comes from: standard input, or a microphone that may be lost and found again."""

import contextlib
import queue
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from watchword.audio import AudioError

STANDARD_INPUT = "standard input"
BLOCK_SECONDS = 0.1
_SILENT_SECONDS, _WAITING_SECONDS = 3.0, 30.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
_SAMPLE_BYTES = 2
_PCM, _EXTENSIBLE = 1, 0xFFFE
_OTHER_FORMATS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3\x03": "MP3", b"ID3\x04": "MP3"}


class SourceError(ValueError):
    """A source of sound that cannot be opened; the message says what to do instead."""


class SourceLost(Exception):  # noqa: N818
    """A source that was open has gone away; it may come back."""


class Source(Protocol):
    """Sound that comes in blocks of mono int16 samples at `sample_rate`, until it ends."""

    name: str
    sample_rate: int

    def blocks(self) -> Iterator[NDArray[np.int16]]:
        """The blocks, as they come. Raises SourceLost."""
        ...

    def close(self) -> None:
        """Lets go of it."""
        ...


class PipedSource:
    """Standard input: raw 16-bit little-endian mono samples at `sample_rate`, or a WAV file of such samples, which says
    by itself at which rate and how many channels (they are averaged). Raises AudioError for what is neither."""

    def __init__(self, stream: BinaryIO, sample_rate: int) -> None:
        if stream.isatty():
            raise AudioError("-: standard input is a terminal; pipe sound into it, or leave - out for the microphone")
        self.name, self.sample_rate = STANDARD_INPUT, sample_rate
        self._stream, self._channels = stream, 1
        head = self._exactly(4)
        if len(head) < _SAMPLE_BYTES:
            raise AudioError("-: no audio on standard input (0 samples)")
        if other := _OTHER_FORMATS.get(head):
            raise AudioError(f"-: {other} on standard input; pipe WAV or raw 16-bit mono PCM")
        self._begun = b"" if head == b"RIFF" else head
        if head == b"RIFF":
            self._read_header()

    def blocks(self) -> Iterator[NDArray[np.int16]]:
        """The samples, as they come."""
        frame = _SAMPLE_BYTES * self._channels
        size = max(1, round(BLOCK_SECONDS * self.sample_rate)) * frame
        pending = self._begun
        while piece := self._stream.read1(size):  # type: ignore[attr-defined]
            pending += piece
            whole = len(pending) - len(pending) % frame
            yield self._mono(pending[:whole])
            pending = pending[whole:]
        if len(pending) >= frame:
            yield self._mono(pending[: len(pending) - len(pending) % frame])

    def close(self) -> None:
        """Standard input is not ours to close."""

    def _mono(self, data: bytes) -> NDArray[np.int16]:
        samples = np.frombuffer(data, "<i2").astype(np.int16)
        if self._channels == 1:
            return samples
        return samples.reshape(-1, self._channels).mean(axis=1).round().astype(np.int16)

    def _read_header(self) -> None:
        """Reads a WAV's chunks up to its samples."""
        self._exactly(8)  # the size of all, which a pipe cannot know, and "WAVE"
        while len(head := self._exactly(8)) == 8:
            kind, size = head[:4], struct.unpack("<I", head[4:])[0]
            if kind == b"data":
                return
            body = self._exactly(size + size % 2) if size < 1 << 16 else b""
            if kind == b"fmt " and len(body) >= 16:
                coding, self._channels, self.sample_rate = struct.unpack("<HHI", body[:8])
                bits = struct.unpack("<H", body[14:16])[0]
                if coding not in (_PCM, _EXTENSIBLE) or bits != 16 or not self._channels:
                    raise AudioError("-: a WAV that is not 16-bit PCM on standard input; convert it, or name the file")
        raise AudioError("-: a WAV without samples on standard input")

    def _exactly(self, size: int) -> bytes:
        """So many bytes, or those that there are."""
        got = b""
        while len(got) < size and (piece := self._stream.read(size - len(got))):
            got += piece
        return got


def _sounddevice(again: bool = False) -> Any:
    """The package sounddevice, with PortAudio; `again` looks anew at which devices there are."""
    try:
        import sounddevice
    except OSError:
        raise SourceError(
            "listen: PortAudio is not installed; run apt install libportaudio2 (Debian, Ubuntu), "
            "or pipe sound in: arecord -t raw -f S16_LE -r 16000 | watchword listen KEYWORD -"
        ) from None
    if again:
        sounddevice._terminate()
        sounddevice._initialize()
    return sounddevice


def microphones() -> list[str]:
    """The microphones that there are, the one used by default marked."""
    sound = _sounddevice()
    usual = sound.default.device[0]
    return [
        f"{device['index']:3}  {device['name']}{'  (default)' if device['index'] == usual else ''}"
        for device in sound.query_devices()
        if device["max_input_channels"] > 0
    ]


class Microphone:
    """A microphone through PortAudio: the default one, or one by number or a part of its name. Raises SourceError.

    Half a minute of sound may wait to be taken; what comes beyond that is left out, and `say` is told so once."""

    def __init__(self, device: str | None, again: bool, say: Callable[[str], None]) -> None:
        sound = _sounddevice(again)
        chosen = int(device) if device is not None and device.isdigit() else device
        try:
            found = sound.query_devices(chosen, "input")
            self.name, self.sample_rate = str(found["name"]), int(found["default_samplerate"])
            self._queue: queue.Queue[bytes] = queue.Queue(round(_WAITING_SECONDS / BLOCK_SECONDS))
            self._say, self._left_out, self._told = say, False, False
            self._stream = sound.RawInputStream(
                samplerate=self.sample_rate,
                blocksize=round(BLOCK_SECONDS * self.sample_rate),
                device=chosen,
                channels=1,
                dtype="int16",
                callback=self._take,
            )
            self._stream.start()
        except (sound.PortAudioError, ValueError) as error:
            which = "no microphone was found" if device is None else f"no microphone {device!r} can be opened"
            why = str(error).splitlines()[0] if str(error) else "nothing more is known"
            raise SourceError(f"listen: {which} ({why}); see watchword listen --list-devices") from None

    def _take(self, data: Any, *_: object) -> None:
        """Called by PortAudio's thread, which may not be kept waiting."""
        try:
            self._queue.put_nowait(bytes(data))
        except queue.Full:
            self._left_out = True

    def blocks(self) -> Iterator[NDArray[np.int16]]:
        """The samples, as they come."""
        while True:
            if self._left_out and not self._told:
                self._told = True
                self._say("listen: sound comes faster than this machine can search it; some was left out")
            try:
                data = self._queue.get(timeout=_SILENT_SECONDS)
            except queue.Empty:
                raise SourceLost(self.name) from None
            yield np.frombuffer(data, np.int16)

    def close(self) -> None:
        """Stops the microphone; one that is gone, too."""
        with contextlib.suppress(Exception):  # PortAudio may say anything of a device that is gone
            self._stream.close(ignore_errors=True)


def kept_open(
    open_source: Callable[[bool], Source],
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[Source, Iterator[NDArray[np.int16]]]]:
    """Opens a source, and again whenever it is lost, with growing waits: yields each with its blocks, which end when it
    is lost. `open_source` is told whether it is opened again; `say` is told what people should know.

    Raises SourceError where it cannot be opened the first time."""
    source = open_source(False)
    while True:
        lost: list[str] = []

        def blocks(source: Source = source, lost: list[str] = lost) -> Iterator[NDArray[np.int16]]:
            try:
                yield from source.blocks()
            except SourceLost:
                lost.append(source.name)

        try:
            yield source, blocks()
        finally:
            source.close()
        if not lost:
            return
        say(f"listen: {source.name} is gone; waiting for it to come back (Ctrl-C ends)")
        wait = _FIRST_WAIT
        while True:
            sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
            try:
                source = open_source(True)
                break
            except SourceError:
                continue
        say(f"listen: {source.name} is back")


def standard_input(sample_rate: int) -> PipedSource:
    """Standard input as a source."""
    return PipedSource(sys.stdin.buffer, sample_rate)
