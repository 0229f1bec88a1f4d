"""What the gate saves: CPU with and without it, on recordings of which a quarter or so is speech, in one run.

    python benchmarks/gate.py

The examples are repeated with pauses between, of silence, or of pink noise at so many dB below full scale; the stream
is fed 100 ms at a time. The detections of both are compared, as is what the gate still finds when speech is faint.
"""

import time
from pathlib import Path

import numpy as np

from watchword import Spotter
from watchword.audio import SAMPLE_RATE, read
from watchword.runtime import Detection

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
TEXTS = ["kitchen lights", "good morning", "hey nova", "umbrella", "front door", "this evening", "the weather"]
TEXTS += ["what is", "lisbon today", "remember to"]
SPEECH = [read(EXAMPLES / f"{name}.flac") for name in ("morning", "kitchen")]
MINUTES = 8


def recording(pause_seconds: float, noise_db: float | None, speech_gain: float) -> tuple[np.ndarray, float]:
    """Speech and pauses in turn for `MINUTES`, float32 at 16 kHz; and how much of it is speech."""
    rng, pieces, spoken, number = np.random.default_rng(0), [], 0, 0
    while sum(map(len, pieces)) < MINUTES * 60 * SAMPLE_RATE:
        speech = SPEECH[number % len(SPEECH)]
        pieces += [np.zeros(round(pause_seconds * SAMPLE_RATE), np.float32), speech_gain * speech]
        spoken, number = spoken + len(speech), number + 1
    audio = np.concatenate(pieces)
    if noise_db is not None:
        spectrum = np.fft.rfft(rng.standard_normal(len(audio)))
        pink = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), len(audio))
        audio = audio + 10 ** (noise_db / 20) * pink / pink.std()
    return audio.astype(np.float32), spoken / len(audio)


def listen(spotter: Spotter, audio: np.ndarray, gate: bool) -> tuple[float, list[Detection]]:
    """CPU seconds, and what was found."""
    stream, hits = spotter.stream(gate=gate), []
    began = time.process_time()
    for first in range(0, len(audio), 1600):
        hits += stream.feed(audio[first : first + 1600])
    hits += stream.flush()
    return time.process_time() - began, hits


def main() -> None:
    """Prints one table."""
    spotter = Spotter(TEXTS)
    listen(spotter, SPEECH[0], False)
    print("pause s  noise dB  speech gain  speech   CPU without     with   ratio   detections  same")
    rows = [(27.0, None, 1.0), (27.0, -60.0, 1.0), (27.0, -40.0, 1.0), (27.0, -30.0, 1.0), (120.0, -60.0, 1.0)]
    rows += [(10.0, -60.0, 1.0), (27.0, -80.0, 0.1), (27.0, -80.0, 0.01), (27.0, None, 0.003)]
    for pause, noise, gain in rows:
        audio, share = recording(pause, noise, gain)
        seconds = len(audio) / SAMPLE_RATE
        (alone, expected), (gated, found) = (listen(spotter, audio, gate) for gate in (False, True))
        places = {(hit.keyword, round(hit.end_seconds, 2), round(hit.score, 3)) for hit in expected}
        same = sum((hit.keyword, round(hit.end_seconds, 2), round(hit.score, 3)) in places for hit in found)
        print(
            f"{pause:7.0f}  {'-' if noise is None else format(noise, '.0f'):>8}  {gain:11.3f}  {share:6.0%}  "
            f"{alone / seconds:11.3%}  {gated / seconds:7.3%}  {gated / alone:6.2f}  "
            f"{len(expected):4} {len(found):5}  {same:5}",
            flush=True,
        )


if __name__ == "__main__":
    main()
