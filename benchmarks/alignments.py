"""Two alignments of the same speech: how far apart their words begin, and with which of them a third recogniser agrees.

    python benchmarks/alignments.py one.segments.jsonl other.segments.jsonl --corpus speechocean762 --split test

The third is the phoneme CTC of the package hama, forced through the same text: its spikes should lie within the words.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from clip_opponents import PhonemeCtcClips
from numpy.typing import NDArray

from watchword.audio import read
from watchword.data.segment import Segment, read_segments
from watchword.text.phonemes import encode
from watchword.text.pronounce import default_pronouncer

BEGIN_APART = (0.05, 0.1, 0.2, 0.3)
NEAR = 0.1
"""A spike is right that lies within a word, or so many seconds beside it."""
_STEP = 0.02
_FAR = 1e9


def spikes(costs: NDArray[np.floating], sizes: Sequence[int], ids: Sequence[int]) -> NDArray[np.float64] | None:
    """Where words are heard, [words] in seconds: the mean time of their phonemes on the cheapest path of CTC.

    `costs` [steps, phonemes + 1] has the blank last; `ids` are the phonemes of all words, `sizes` how many each word
    has. None where there are too few steps."""
    states = np.full(2 * len(ids) + 1, costs.shape[1] - 1)
    states[1::2] = ids
    emitted = costs[:, states]
    total = np.full(len(states), _FAR)
    total[:2] = emitted[0, :2]
    came = np.zeros(emitted.shape, np.int64)
    skips = np.zeros(len(states), bool)  # two different phonemes need no blank between them
    skips[3::2] = np.diff(ids) != 0
    for step in range(1, len(emitted)):
        ways = np.full((3, len(states)), _FAR)
        ways[0], ways[1, 1:], ways[2, 2:] = total, total[:-1], total[:-2]
        ways[2, ~skips] = _FAR
        came[step] = ways.argmin(axis=0)
        total = ways.min(axis=0) + emitted[step]
    state = len(states) - 1 if total[-1] < total[-2] else len(states) - 2
    if total[state] >= _FAR:
        return None
    owner = np.full(len(states), -1)
    owner[1::2] = np.repeat(np.arange(len(sizes)), sizes)
    heard: list[list[float]] = [[] for _ in sizes]
    for step in range(len(emitted) - 1, -1, -1):
        if owner[state] >= 0:
            heard[owner[state]].append((step + 0.5) * _STEP)
        state -= int(came[step, state])
    return np.array([np.mean(times) for times in heard])


def _named(paths: Sequence[Path], corpus: str, split: str) -> list[dict[tuple[str, int], Segment]]:
    return [
        {
            (segment.audio, round(1000 * segment.start_seconds)): segment
            for segment in read_segments(path)
            if segment.words and corpus in ("", segment.corpus) and split in ("", segment.split)
        }
        for path in paths
    ]


def _beside(heard: NDArray[np.float64], segment: Segment) -> NDArray[np.float64]:
    """How far each word's spikes lie outside of the word: [words] seconds."""
    starts, ends = (np.array(side) for side in zip(*(word.span for word in segment.words), strict=True))
    heard = heard + segment.start_seconds
    return np.maximum(0, np.maximum(starts - heard, heard - ends))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", nargs=2, type=Path)
    parser.add_argument("--corpus", default="")
    parser.add_argument("--split", default="")
    parser.add_argument("--apart", type=float, default=0.2, help="words are judged that begin so far apart")
    parser.add_argument("--utterances", type=int, default=80, help="how many utterances with such words are judged")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    one, other = _named(options.manifests, options.corpus, options.split)
    alike = [
        name
        for name in sorted(one.keys() & other.keys())
        if [w.text for w in one[name].words] == [w.text for w in other[name].words]
    ]
    apart = {
        name: np.abs(
            [a.start_seconds - b.start_seconds for a, b in zip(one[name].words, other[name].words, strict=True)]
        )
        for name in alike
    }
    everything = np.concatenate([*apart.values(), []])
    print(f"{len(one)} and {len(other)} utterances, {len(alike)} in both, {len(everything)} words; they begin apart by")
    print("   ".join(f"more than {least:g} s: {(everything > least).mean():.1%}" for least in BEGIN_APART))

    third = PhonemeCtcClips(pad_seconds=0.0)
    judged: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
    left = options.utterances
    for number in np.random.default_rng(options.seed).permutation(len(alike)):
        name = alike[number]
        differs = apart[name] > options.apart
        if left and differs.any():
            segment = one[name]
            samples = read(segment.audio)
            first, last = segment.bounds(len(samples))
            costs = third.costs(third.recognise(samples[first:last]))
            said = [encode(default_pronouncer().words(word.text)[0][1]) for word in segment.words]
            ids = [phoneme for phonemes in said for phoneme in phonemes]
            heard = spikes(costs, list(map(len, said)), ids)
            if heard is None:
                continue
            beside = np.stack([_beside(heard, one[name]), _beside(heard, other[name])], axis=1)
            for which in (True, False):
                judged[which].append(beside[differs == which])
            left -= 1
    print(f"of {options.utterances - left} utterances; spikes within {NEAR:g} s of the word as each has aligned it")
    for which, title in ((True, f"words that begin more than {options.apart:g} s apart"), (False, "the others")):
        beside = np.concatenate([*judged[which], np.empty((0, 2))])
        shares = " and ".join(f"{share:.1%}" for share in (beside < NEAR).mean(axis=0))
        nearer = f"{(beside[:, 0] < beside[:, 1]).mean():.0%} and {(beside[:, 0] > beside[:, 1]).mean():.0%}"
        print(f"{title}: {len(beside)}; {shares}; nearer to the spikes: {nearer}")


if __name__ == "__main__":
    main()
