"""Audio as the bytes of a WAV file, for a page to play."""

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from watchword.audio import SAMPLE_RATE


def wave(samples: NDArray[np.float32]) -> bytes:
    """A 16-bit WAV file of mono samples at 16 kHz."""
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()
