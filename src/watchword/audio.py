"""Reading audio: any file to mono 16 kHz float samples, whole or in blocks, and the frame grid that all share."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

SAMPLE_RATE = 16000
FRAME_SAMPLES = 400
HOP_SAMPLES = 160
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".oga", ".aif", ".aiff")

# Writers into a pipe state such sizes since they cannot know; others miscount by the length of a header.
_UNKNOWN_SIZE, _SIZE_SLACK = 0x7FFFF000, 64


class AudioError(ValueError):
    """Audio that cannot be used; the message says which file, why, and what to do instead."""


def num_frames(num_samples: int) -> int:
    """Returns how many whole 25 ms frames, one every 10 ms, fit into `num_samples` at 16 kHz.

    >>> num_frames(399), num_frames(400), num_frames(560)
    (0, 1, 2)
    """
    return 0 if num_samples < FRAME_SAMPLES else 1 + (num_samples - FRAME_SAMPLES) // HOP_SAMPLES


def span_frames(start_sample: int, end_sample: int, frames: int) -> tuple[int, int]:
    """Gives the frames (first, last exclusive) whose centre, 160 i + 200, lies in [start, end): at least one, clipped.

    >>> span_frames(0, 16000, 98), span_frames(1600, 1601, 98)
    ((0, 98), (9, 10))
    """
    half = FRAME_SAMPLES // 2
    first = max(0, -(-(start_sample - half) // HOP_SAMPLES))
    last = min(frames, -(-(end_sample - half) // HOP_SAMPLES))
    first = min(first, frames - 1)
    return first, max(last, first + 1)


def to_float(samples: np.ndarray) -> np.ndarray:
    """Converts int16 (or any float) samples to float32 in [-1, 1]. Raises AudioError for other types."""
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / 32768.0
    if np.issubdtype(samples.dtype, np.floating):
        return samples.astype(np.float32, copy=False)
    raise AudioError(f"audio: samples are {samples.dtype}; give int16 or float")


def read(path: str | Path, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Reads a file (wav, flac, ogg, opus, mp3) as mono float32 at `sample_rate`; channels are averaged.

    Raises AudioError for what is missing, empty, cut short, not audio, or holds NaN."""
    pieces = list(blocks(path, 30.0, sample_rate))
    return np.concatenate(pieces)


def blocks(path: str | Path, seconds: float, sample_rate: int = SAMPLE_RATE) -> Iterator[np.ndarray]:
    """Reads a file piece by piece, so that hours of audio need little memory: mono float32 at `sample_rate`, about
    `seconds` each; joined together they equal `read`. Raises AudioError as `read` does."""
    path = Path(path)
    _check(path)
    try:
        with soundfile.SoundFile(path) as file:
            expected, got = file.frames, 0
            if expected == 0:
                raise AudioError(f"{path}: holds no audio (0 seconds)")
            resampler = None
            if file.samplerate != sample_rate:
                resampler = soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32")
            size = max(1, round(seconds * file.samplerate))
            while True:
                piece = file.read(size, dtype="float32", always_2d=True)
                got += len(piece)
                ended = len(piece) < size
                mono = piece[:, 0] if piece.shape[1] == 1 else piece.mean(axis=1)
                if not np.isfinite(mono).all():
                    raise AudioError(
                        f"{path}: holds samples that are not numbers (NaN or infinite); repair or re-encode it"
                    )
                if resampler is not None:
                    mono = resampler.resample_chunk(np.ascontiguousarray(mono), last=ended)
                if len(mono):
                    yield np.ascontiguousarray(mono)
                if ended:
                    break
            # MP3 and Opus lengths are estimates; the lossless formats state theirs exactly.
            if got < expected and file.format in ("WAV", "FLAC", "AIFF"):
                raise AudioError(
                    f"{path}: cut short, {got} of {expected} samples could be read; fetch or record it again"
                )
    except soundfile.LibsndfileError as error:
        raise _unreadable(path, error) from None


def duration(path: str | Path) -> float:
    """How long a file is, in seconds; of MP3, an estimate. Raises AudioError as `read` does."""
    path = Path(path)
    _check(path)
    try:
        return float(soundfile.info(path).duration)
    except soundfile.LibsndfileError as error:
        raise _unreadable(path, error) from None


def write(path: str | Path, samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
    """Writes mono samples as 16-bit WAV or FLAC, by the suffix."""
    soundfile.write(path, samples, sample_rate, subtype="PCM_16")


def _unreadable(path: Path, error: soundfile.LibsndfileError) -> AudioError:
    why = error.error_string.rstrip(".")
    return AudioError(f"{path}: cannot be read as audio ({why}); is it damaged, or another kind of file?")


def _check(path: Path) -> None:
    if not path.exists():
        raise AudioError(f"{path}: no such file")
    if path.is_dir():
        raise AudioError(f"{path}: is a folder, not an audio file")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: is empty (0 bytes)")
    # libsndfile takes a WAV that was cut short for a shorter one.
    with path.open("rb") as file:
        head = file.read(12)
    stated = int.from_bytes(head[4:8], "little")
    if head[:4] == b"RIFF" and head[8:] == b"WAVE" and stated < _UNKNOWN_SIZE:
        there = path.stat().st_size
        if stated + 8 > there + _SIZE_SLACK:
            raise AudioError(f"{path}: cut short, {there} of {stated + 8} bytes are there; fetch or record it again")
