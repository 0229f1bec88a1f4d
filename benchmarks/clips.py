"""Scores clips against typed texts by Watchword and by its opponents, on the very trials of `watchword evaluate`.

    python benchmarks/clips.py --data WORK --data DATA --out FOLDER

Benchmarks: Speech Commands (every clip against all 35 words: top-1, EER) and phrases as in LibriPhrase, of each corpus
that is found aligned (EER of easy and hard negatives). Systems: Watchword by the cosine alone and as detections are
scored; the phoneme recogniser of hama by CTC; pocketsphinx's keyphrases. With --size, so many clips drawn by the seed;
its list has a hash of its own. Intervals are 95 %, over speakers.

What is measured is kept in --out: an interrupted run goes on. --choose prints instead what the recogniser's settings
give on the speakers that the bundle's recipe holds out of the train split; the defaults of clip_opponents.py are those.
"""

import argparse
import hashlib
import itertools
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from clip_opponents import PhonemeCtcClips, PocketsphinxClips
from numpy.typing import NDArray

from watchword.bundle import Bundle, bundle_hash
from watchword.cli.progress import progress_bar
from watchword.data.segment import read_segments
from watchword.evaluate.benchmarks import Prepared, Settings, find_sources, prepare_benchmark
from watchword.evaluate.clips import Audio, Pairs, Scorer, score_pairs
from watchword.evaluate.figures import trial_figures
from watchword.evaluate.libriphrase_style import build_libriphrase_style
from watchword.evaluate.sources import aligned_manifests
from watchword.evaluate.through_runtime import load_scorer

BENCHMARKS = ("speech-commands", "libriphrase-style")
SHOWN = {"top1": "top-1", "eer": "EER", "easy_eer": "EER easy", "hard_eer": "EER hard"}
CHOSEN_ON = 240


def systems(bundle: Path | None) -> dict[str, tuple[str, Callable[[], Scorer]]]:
    """Each system's name: what its scores follow from, and what makes its scorer."""
    weights = bundle_hash(Bundle.load(bundle).path)
    ctc, keyphrases = PhonemeCtcClips(), PocketsphinxClips()
    return {
        "Watchword, one cosine": (f"{weights} cosine", lambda: load_scorer(bundle)[1]),
        "Watchword, two stages": (f"{weights} aligned", lambda: load_scorer(bundle, aligned=True)[1]),
        "phoneme CTC (hama)": (repr(ctc), lambda: ctc),
        "pocketsphinx": (repr(keyphrases), lambda: keyphrases),
    }


def measured(prepared: Prepared, name: str, identity: str, make: Callable[[], Scorer], kept: Path) -> dict[str, Any]:
    """The figures of one system by one benchmark: those kept, or measured now and kept."""
    settings = prepared.settings
    stated = f"{prepared.trials_sha256} {settings.seed} {settings.resamples} {identity}"
    path = kept / f"{prepared.benchmark}-{prepared.corpus}-{hashlib.sha256(stated.encode()).hexdigest()[:16]}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    sparse = "two stages" in name
    with progress_bar(f"{prepared.benchmark}, {prepared.corpus}, {name}") as progress:
        if sparse:  # one stage is a matrix product, two cost something for each pair
            settings = replace(settings, aligned=True)
        found = replace(prepared, settings=settings).measure(make(), progress)
    row = {"system": name, "seconds": round(found.seconds, 1)}
    row |= {"figures": {key: figure.as_dict() for key, figure in found.figures.items()}}
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)
    return row


def print_table(prepared: Prepared, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """One line a system: the main figures in per cent with their intervals."""
    counts = prepared.counts
    print(
        f"\n{prepared.benchmark}, {prepared.corpus}: {counts['clips']} clips, {counts['texts']} texts, "
        f"{counts['speakers']} speakers; trials {prepared.trials_sha256[:12]}"
    )
    shown = [key for key in SHOWN if key in next(iter(rows.values()))["figures"]]
    print(f"{'%':<24}" + "".join(f"{SHOWN[key]:>22}" for key in shown) + f"{'s':>8}")
    for name, row in rows.items():
        cells = []
        for key in shown:
            figure = row["figures"][key]
            ends = f" ({100 * figure['low']:.1f}-{100 * figure['high']:.1f})" if figure.get("low") is not None else ""
            cells.append(f"{100 * figure['value']:.2f}{ends}")
        print(f"{name:<24}" + "".join(f"{cell:>22}" for cell in cells) + f"{row['seconds']:>8.0f}", flush=True)


def choose(places: list[Path], seed: int) -> None:
    """Prints what settings of the recogniser's score give on held-out speakers of the train split."""
    held_out = set(Bundle.load().card["recipe"]["data"]["validation_speakers"])
    spoken = (s for source in aligned_manifests(places, "train") for s in read_segments(source.path))
    segments = list({(s.audio, s.start_seconds): s for s in spoken if s.speaker in held_out and s.words}.values())
    if not segments:
        sys.exit("clips: none of the held-out speakers is in --data; give the folder with their aligned manifests")
    trials = build_libriphrase_style(segments, seed=seed, split="train", num_clips=CHOSEN_ON)
    pairs = Pairs.of(trials)
    print(f"{len(pairs.clips)} clips of {len(held_out)} held-out speakers; EER easy / hard, %")
    heard: dict[tuple[float, bytes], NDArray[np.float32]] = {}

    class Remembering(PhonemeCtcClips):
        def recognise(self, clip: Audio) -> NDArray[np.float32]:
            key = self.pad_seconds, clip.tobytes()
            if key not in heard:
                heard[key] = super().recognise(clip)
            return heard[key]

    def figures(scorer: Scorer) -> str:
        found = trial_figures(trials, score_pairs(pairs, scorer, sparse=True), resamples=0, by_words=False)
        return f"{100 * found['easy_eer'].value:6.2f} / {100 * found['hard_eer'].value:5.2f}"

    pads, nears, costs = (0.3, 0.0), (0.1, 0.0), (8.0, 4.0, 16.0)
    for pad, near, most in itertools.product(pads, nears, costs):
        if sum((pad != pads[0], near != nears[0], most != costs[0])) > 1:
            continue  # one thing at a time beside the best of the others
        for span, paths in itertools.product(("whole", "within"), ("all", "best")):
            rows = [
                f"per {per}: {figures(Remembering(paths, span, per, near, most, pad))}"
                for per in ("phoneme", "root", "frame", "clip")
            ]
            print(f"{pad:g} s of silence, near {near:g}, most {most:g}, {span}, {paths}: {'; '.join(rows)}", flush=True)
    for power in (0.0, 0.5, 1.0):
        print(f"pocketsphinx, over phonemes to the power {power:g}: {figures(PocketsphinxClips(power=power))}")


def main() -> None:
    """Measures all systems by all benchmarks and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="folders with the data; repeat")
    parser.add_argument("--out", type=Path, help="the folder of results, from which a run goes on")
    parser.add_argument("--bundle", type=Path, help="Watchword's bundle (the one inside the package)")
    parser.add_argument("--size", type=int, default=600, help="clips of each benchmark (600); 0: all")
    parser.add_argument("--benchmark", action="append", choices=BENCHMARKS, help="repeat (both)")
    parser.add_argument("--system", action="append", help="only this system; repeat (all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--choose", action="store_true", help="compare settings on held-out speakers instead")
    arguments = parser.parse_args()
    if arguments.choose:
        choose(arguments.data, arguments.seed)
        return
    if arguments.out is None:
        parser.error("--out: name a folder for the results")
    known = systems(arguments.bundle)
    if unknown := sorted(set(arguments.system or ()) - set(known)):
        sys.exit(f"clips: no system {unknown[0]!r}; there are {', '.join(known)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = Settings(seed=arguments.seed, size=arguments.size or None)
    report = {}
    for benchmark in arguments.benchmark or BENCHMARKS:
        for source in find_sources(benchmark, arguments.data):
            prepared = prepare_benchmark(benchmark, source, settings, arguments.out / "trials")
            rows = {
                name: measured(prepared, name, identity, make, arguments.out)
                for name, (identity, make) in known.items()
                if not arguments.system or name in arguments.system
            }
            print_table(prepared, rows)
            report[f"{benchmark}/{source.corpus}"] = {"trials_sha256": prepared.trials_sha256, "systems": rows}
    (arguments.out / "results.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
