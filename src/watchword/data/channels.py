"""What a line does to sound: codecs of telephones, music players and calls, and a microphone's uneven response."""

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
import soundfile
import soxr
from scipy.signal import lfilter

from watchword.audio import SAMPLE_RATE

_TELEPHONE_HZ = 8000
_CODECS: dict[str, tuple[str, str, int, float | None]] = {
    "mu_law": ("WAV", "ULAW", _TELEPHONE_HZ, None),
    "gsm": ("WAV", "GSM610", _TELEPHONE_HZ, None),
    "mp3": ("MP3", "MPEG_LAYER_III", SAMPLE_RATE, None),
    "vorbis": ("OGG", "VORBIS", SAMPLE_RATE, 1.0),
    "opus": ("OGG", "OPUS", SAMPLE_RATE, 1.0),
}
"""Container, coding, rate, and how much is pressed out. A second of audio takes 0.4, 2, 4, 2 and 13 ms, and 8,000,
1,600, 4,300, 4,000 and 1,100 bytes."""


_CHANCES = {"mu_law": 0.3, "gsm": 0.25, "mp3": 0.15, "vorbis": 0.25, "opus": 0.05}
"""How often each is chosen: the dear ones seldom."""


@cache
def codecs() -> tuple[Sequence[str], Sequence[float]]:
    """Names the codecs that this libsndfile has, and how often each is to be chosen."""
    found = [name for name, (kind, coding, *_) in _CODECS.items() if coding in soundfile.available_subtypes(kind)]
    whole = sum(_CHANCES[name] for name in found)
    return found, [_CHANCES[name] / whole for name in found]


def coded(audio: np.ndarray, codec: str) -> np.ndarray:
    """Sends float32 samples at 16 kHz through a codec and back; length and places stay, and the peak is kept to 1."""
    kind, coding, rate, level = _CODECS[codec]
    peak = max(1.0, float(np.abs(audio).max(initial=0.0)))
    sent = soxr.resample(audio / peak, SAMPLE_RATE, rate, quality="LQ") if rate != SAMPLE_RATE else audio / peak
    box = io.BytesIO()
    soundfile.write(box, sent, rate, format=kind, subtype=coding, compression_level=level)
    box.seek(0)
    found = np.asarray(soundfile.read(box, dtype="float32")[0])
    if rate != SAMPLE_RATE:
        found = soxr.resample(found, rate, SAMPLE_RATE, quality="LQ")
    # Coders end with a whole block; a resampler may give a sample more or less.
    return np.asarray(np.pad(found, (0, max(0, len(audio) - len(found))))[: len(audio)], np.float32)


def tilted(audio: np.ndarray, low_db: float, high_db: float, corner_hz: float) -> np.ndarray:
    """Raises what lies below a corner by `low_db` and what lies above it by `high_db`, by one pole: 6 dB an octave."""
    warped = np.tan(np.pi * corner_hz / SAMPLE_RATE)
    low, high = 10 ** (low_db / 20), 10 ** (high_db / 20)
    # (low · ω + high · s) / (ω + s) by the bilinear transform.
    above = np.array([low * warped + high, low * warped - high]) / (warped + 1)
    return np.asarray(lfilter(above, [1.0, (warped - 1) / (warped + 1)], audio), np.float32)
