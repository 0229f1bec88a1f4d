"""What listening costs, beside pocketsphinx's keyphrase search and a phoneme CTC search, on the same audio in one run.

    python benchmarks/listening_opponents.py [RECORDING] --keywords 1 10 100

CPU seconds a second of audio for each number of keywords, and how many times Watchword's that is. Watchword listens as
a stream, fed 100 ms at a time; pocketsphinx takes pieces of that length; the recogniser of hama cannot stream and gets
28 s at a time, which flatters it. Without a recording, the examples are repeated.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from opponents import PhonemeCtcSearch, PocketsphinxSearch

from watchword import Spotter
from watchword.audio import SAMPLE_RATE, read
from watchword.evaluate.stream_audio import Audio

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PHRASES = Path(__file__).resolve().parents[1] / "recipes" / "texts" / "words.txt"
CHUNK_SECONDS = 0.1


def listening(keywords: Sequence[str]) -> Callable[[Audio], object]:
    """Watchword as a stream, at the bundle's threshold."""
    spotter = Spotter(list(keywords))
    chunk = round(CHUNK_SECONDS * SAMPLE_RATE)

    def listen(audio: Audio) -> None:
        stream = spotter.stream()
        for first in range(0, len(audio), chunk):
            stream.feed(audio[first : first + chunk])
        stream.flush()

    return listen


SYSTEMS: dict[str, Callable[[Sequence[str]], Callable[[Audio], object]]] = {
    "Watchword": listening,
    "pocketsphinx, 1e-20": PocketsphinxSearch(1e-20, CHUNK_SECONDS),
    "phoneme CTC (hama)": PhonemeCtcSearch(lowest=-1.0),
}


def cost(make: Callable[[Sequence[str]], Callable[[Audio], object]], keywords: Sequence[str], audio: Audio) -> float:
    """CPU seconds a second of audio, the start and the first 3 s left out."""
    search = make(keywords)
    search(audio[: 3 * SAMPLE_RATE])
    began = time.process_time()
    search(audio)
    return (time.process_time() - began) / (len(audio) / SAMPLE_RATE)


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=60.0, help="how much of it to listen to (60)")
    parser.add_argument("--keywords", type=int, nargs="+", default=[1, 10, 100])
    arguments = parser.parse_args()
    files = [arguments.recording] if arguments.recording else sorted(EXAMPLES.glob("*.flac"))
    audio = np.resize(np.concatenate([read(file) for file in files]), round(arguments.seconds * SAMPLE_RATE))
    words = [line.strip() for line in PHRASES.read_text(encoding="utf-8").splitlines() if line.strip()]
    words = random.Random(0).sample(words, max(arguments.keywords))
    print(f"{'CPU s a second of audio, keywords:':<36}" + "".join(f"{number:>18}" for number in arguments.keywords))
    ours: list[float] = []
    for name, make in SYSTEMS.items():
        costs = [cost(make, words[:number], audio) for number in arguments.keywords]
        ours = ours or costs
        print(
            f"{name:<36}" + "".join(f"{c:>10.4f}{c / o:>7.1f}×" for c, o in zip(costs, ours, strict=True)), flush=True
        )


if __name__ == "__main__":
    main()
