"""What listening and scanning cost: processor time by the number of keywords, speed, memory, latency, start-up.

    python benchmarks/listening.py [RECORDING ...]

Without a recording the examples are repeated for two minutes. Times are processor time of one thread, so other work
on the machine disturbs them less, but does; `watchword spot` is timed by the clock. Memory is what Linux tells.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from watchword import Spotter
from watchword.audio import SAMPLE_RATE, blocks, read

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
WORDS = ROOT / "recipes" / "texts" / "words.txt"
CHUNK_SECONDS = 0.1
REPEATED_SECONDS = 120
SCANNED = ("front door", "good morning")


def phrases(count: int) -> list[str]:
    """Phrases of two words, always the same."""
    words = [word for word in WORDS.read_text(encoding="utf-8").split("\n") if 4 <= len(word) <= 9]
    rng = random.Random(0)
    return [" ".join(rng.sample(words, 2)) for _ in range(count)]


def recording(paths: Sequence[Path], seconds: float) -> np.ndarray:
    """The first seconds of recordings, or the examples again and again."""
    if paths:
        pieces = (piece for path in paths for piece in blocks(path, 10.0))
        return np.concatenate(list(_up_to(pieces, seconds)))
    both = np.concatenate([read(path) for path in sorted(EXAMPLES.glob("*.flac"))])
    return np.resize(both, round(seconds * SAMPLE_RATE))


def _up_to(pieces: Iterator[np.ndarray], seconds: float) -> Iterator[np.ndarray]:
    left = seconds * SAMPLE_RATE
    for piece in pieces:
        yield piece
        left -= len(piece)
        if left <= 0:
            return


def listening_cost(keywords: Sequence[str], audio: np.ndarray, bundle: str) -> float:
    """Processor seconds a second of audio that comes 100 ms at a time, the first 2 s left out."""
    stream, chunk = Spotter(list(keywords), bundle).stream(), round(CHUNK_SECONDS * SAMPLE_RATE)
    stream.feed(audio[: 2 * SAMPLE_RATE])
    began = time.process_time()
    for first in range(2 * SAMPLE_RATE, len(audio), chunk):
        stream.feed(audio[first : first + chunk])
    return (time.process_time() - began) / (len(audio) / SAMPLE_RATE - 2)


def scanning_speed(keywords: Sequence[str], audio: np.ndarray, bundle: str) -> float:
    """Seconds of audio a processor second."""
    spotter = Spotter(list(keywords), bundle)
    spotter.scan(audio[: 10 * SAMPLE_RATE])
    began = time.process_time()
    spotter.scan(audio)
    return len(audio) / SAMPLE_RATE / (time.process_time() - began)


def latencies(bundle: str) -> list[float]:
    """Seconds from the end of each found word of the examples, as their list has it, to the decision."""
    rows = [line.split("\t") for line in (EXAMPLES / "places.tsv").read_text().splitlines()[1:]]
    found = []
    for path in sorted(EXAMPLES.glob("*.flac")):
        said = [(word, float(start), float(end)) for file, word, start, end in rows if file == path.name]
        pairs = [(f"{one} {other}", start, end) for (one, start, _), (other, _, end) in pairwise(said)]
        for hit in Spotter(sorted({text for text, _, _ in pairs}), bundle).scan(path):
            ends = [end for text, start, end in pairs if text == hit.keyword and abs(end - hit.end_seconds) < 0.3]
            found += [hit.decided_seconds - end for end in ends[:1]]
    return found


def in_a_process(program: str, *arguments: str) -> dict[str, float]:
    """Runs a Python program of its own, which prints one JSON object."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, env=environment
    )
    return json.loads(ended.stdout)


START = """
import sys, time
from watchword import Spotter
from watchword.audio import read
spotter = Spotter(["front door"], sys.argv[2])
hits = iter(spotter.detect([read(sys.argv[1])]))
next(hits)
print('{"cpu": %f}' % time.process_time())
"""
MEMORY = """
import json, re, sys
from watchword import Spotter
from watchword.audio import blocks
spotter = Spotter(json.loads(sys.argv[1]), sys.argv[3])
count = 0
def pieces():
    total = 0.0
    while total < 300:
        for piece in blocks(sys.argv[2], spotter.settings.block_seconds):
            total += len(piece) / 16000
            yield piece
            if total >= 300:
                return
list(spotter.detect(pieces()))
# Not getrusage: that counts what the parent had when it forked.
most = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
print('{"mb": %f}' % (int(most.group(1)) / 1024))
"""


def two_at_once(path: Path, bundle: str) -> tuple[float, float]:
    """Speed of `watchword spot` on one recording, and of two processes on one each, by the clock."""
    command = [sys.executable, "-m", "watchword", "spot", "--json", "--bundle", bundle, *SCANNED, str(path)]
    seconds = sum(len(piece) for piece in blocks(path, 60.0)) / SAMPLE_RATE
    speeds = []
    for processes in (1, 2):
        began = time.perf_counter()
        quiet = subprocess.DEVNULL
        for running in [subprocess.Popen(command, stdout=quiet, stderr=quiet) for _ in range(processes)]:
            running.wait()
        speeds.append(processes * seconds / (time.perf_counter() - began))
    return speeds[0], speeds[1]


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="*", type=Path, help="speech; the first two minutes are used")
    parser.add_argument("--keywords", nargs="+", type=int, default=[1, 10, 100, 1000])
    parser.add_argument("--bundle", default="default", help="a bundle's folder, or the name of one in the package")
    arguments = parser.parse_args()
    bundle = arguments.bundle
    audio = recording(arguments.recordings, REPEATED_SECONDS)
    first = (arguments.recordings or sorted(EXAMPLES.glob("*.flac")))[0]
    print(f"{len(audio) / SAMPLE_RATE:.0f} s of audio, one thread\n")
    print("| keywords | listening, % of a core | scanning, times real time | memory of a scan, MB |")
    print("|---|---|---|---|", flush=True)
    for count in arguments.keywords:
        texts = phrases(count)
        cost, speed = listening_cost(texts, audio, bundle), scanning_speed(texts, audio, bundle)
        memory = in_a_process(MEMORY, json.dumps(texts), str(first), bundle)["mb"]
        print(f"| {count} | {100 * cost:.2f} | {speed:.0f} | {memory:.0f} |", flush=True)
    if arguments.recordings:
        one, two = two_at_once(first, bundle)
        print(f"\nwatchword spot by the clock: {one:.0f} times real time, two processes {two:.0f}")
    start = min(in_a_process(START, str(EXAMPLES / "kitchen.flac"), bundle)["cpu"] for _ in range(3))
    late = np.array(latencies(bundle))
    print(f"from nothing to the first detection: {start:.2f} s of processor time")
    print(
        f"from a word's end to its detection: {np.median(late):.2f} s (median of {len(late)}; most {late.max():.2f} s)"
    )


if __name__ == "__main__":
    main()
