"""Speaks the recordings in examples/ with Kokoro and writes where their words lie to examples/places.tsv.

python scripts/make_examples.py VOICES    (the `voices` folder of the npm package kokoro-js)
"""

import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr

from watchword.audio import SAMPLE_RATE, read
from watchword.prepare.align import Aligner
from watchword.prepare.voices import kokoro

EXAMPLES = Path(__file__).parent.parent / "examples"
SPOKEN = {
    "kitchen": (
        "When you leave the house this evening, please remember to turn the kitchen lights off.",
        "Then lock the front door and call your sister.",
    ),
    "morning": (
        "Good morning, hey nova, what is the weather like in Lisbon today?",
        "I would like to know whether to take an umbrella.",
    ),
}
SEED = 7
PAUSE_SECONDS = 0.5


def main(arguments: list[str]) -> int:
    """Writes examples/NAME.flac and examples/places.tsv; returns the exit status."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    speak, aligner = kokoro(arguments[0]), Aligner()
    places = ["file\tword\tstart\tend"]
    for number, (name, sentences) in enumerate(SPOKEN.items()):
        rng = np.random.default_rng([SEED, number])
        pause = np.zeros(round(PAUSE_SECONDS * SAMPLE_RATE), np.float32)
        pieces = [pause]
        for sentence in sentences:
            spoken = speak(sentence, np.random.default_rng(rng.integers(1 << 30)))
            pieces += [soxr.resample(spoken.samples, spoken.sample_rate, SAMPLE_RATE), pause]
        samples = np.concatenate(pieces)
        path = EXAMPLES / f"{name}.flac"
        soundfile.write(path, samples * (0.6 / np.abs(samples).max()), SAMPLE_RATE, subtype="PCM_16")
        alignment = aligner.align(read(path), " ".join(sentences))
        if isinstance(alignment, str):
            print(f"{name}: {alignment}", file=sys.stderr)
            return 1
        places += [f"{path.name}\t{w.text}\t{w.start_seconds:.2f}\t{w.end_seconds:.2f}" for w in alignment.words]
    (EXAMPLES / "places.tsv").write_text("\n".join(places) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
