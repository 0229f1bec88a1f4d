"""Other voices out of one: pitch and formants moved together, at the tempo of before, as of a child."""

import numpy as np
import soxr

from watchword.audio import SAMPLE_RATE

_HOP = 320
_REACH = 96
"""20 ms between pieces, each moved by 6 ms at most to where it goes on best: less than a frame."""
_SHIFTS = np.arange(2 * _REACH + 1)


def shifted(audio: np.ndarray, factor: float) -> np.ndarray:
    """Multiplies all frequencies of float32 samples by a factor; length and places stay, to 6 ms.

    Played faster by resampling, then stretched back (WSOLA, Verhelst & Roelands 1993): 1 ms a second of audio."""
    faster = soxr.resample(audio, SAMPLE_RATE * factor, SAMPLE_RATE, quality="LQ")
    return stretched(faster, len(audio))


def stretched(audio: np.ndarray, size: int) -> np.ndarray:
    """Makes float32 samples last for `size` samples without changing their pitch: pieces of 40 ms are laid over each
    other, each from where it resembles what would have followed the one before."""
    if len(audio) < 4 * _HOP or size < 4 * _HOP:
        return np.resize(audio, size) if len(audio) else np.zeros(size, np.float32)
    count = -(-size // _HOP) + 1
    window = (0.5 - 0.5 * np.cos(np.pi * np.arange(2 * _HOP) / _HOP)).astype(np.float32)
    padded = np.pad(audio, (_HOP + _REACH, 3 * _HOP + 2 * _REACH))
    out = np.zeros((count + 1) * _HOP, np.float32)
    rate, place = len(audio) / size, _REACH
    for piece in range(count):
        wanted = min(round(piece * _HOP * rate), len(audio) + _HOP)
        if piece:
            follows = padded[place + _HOP : place + 2 * _HOP]
            around = padded[wanted : wanted + 2 * _REACH + _HOP]
            likeness = np.correlate(around, follows, "valid")
            energy = np.concatenate([[0.0], np.cumsum(around * around)])
            likeness /= np.sqrt(energy[_SHIFTS + _HOP] - energy[_SHIFTS] + 1e-6)
            place = wanted + int(np.argmax(likeness))
        out[piece * _HOP : (piece + 2) * _HOP] += window * padded[place : place + 2 * _HOP]
    return out[_HOP : _HOP + size]
