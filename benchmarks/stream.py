"""Compares ways to find typed keywords on the same long recordings: misses, false alarms, processor time, one picture.

    python benchmarks/stream.py --data WORK --data DATA --in-context BUNDLE --cut-out BUNDLE --out FOLDER

Systems: Watchword (found by phonemes, verified by the cosine); Watchword by the cosine alone; one small network trained
in context and on cut-out words, both ways (left out where their bundles are not named); pocketsphinx's keyphrases; a
search of the phoneme probabilities of hama's recogniser. All hear the same recordings (what `watchword evaluate
--benchmark stream` hears), in one run. CPU seconds are those of searching whole recordings; listening, in small steps,
costs Watchword more: listening_opponents.py.

What each system found is kept in --out as it comes: an interrupted run goes on. Delete the folder to measure afresh.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opponents import PhonemeCtcSearch, PocketsphinxSearch

from watchword.cli.progress import progress_bar
from watchword.cli.streaming import StreamSettings, find_noise, find_plans
from watchword.evaluate.det import draw_panels, write_curves
from watchword.evaluate.stream import BundleSearch, Heard, MakeSearch, hear, sweeps
from watchword.evaluate.stream_audio import CONDITIONS, Renderer
from watchword.evaluate.stream_keywords import LEAST_SYLLABLES
from watchword.evaluate.stream_plan import Plan
from watchword.evaluate.stream_scoring import RATES, TOGETHER, Sweep, pooled

ALONE = (("by_phonemes", False), ("phoneme_weight", 0.0))
DISTORTED = "noise and rooms"


@dataclass(frozen=True)
class Outcome:
    """What one system did on one plan: its curves, clean and distorted, and its cost."""

    parts: Mapping[str, Sweep]
    cpu_per_second: float


def systems(arguments: argparse.Namespace) -> dict[str, MakeSearch]:
    """The systems by name, those with a bundle that is not named left out."""
    found: dict[str, MakeSearch] = {
        "Watchword": BundleSearch(arguments.bundle),
        "Watchword, one cosine": BundleSearch(arguments.bundle, settings=ALONE),
    }
    for name, bundle in (("small, in context", arguments.in_context), ("small, cut out", arguments.cut_out)):
        if bundle:
            found[name] = BundleSearch(bundle)
            found[f"{name}, one cosine"] = BundleSearch(bundle, settings=ALONE)
    found["phoneme CTC (hama)"] = PhonemeCtcSearch()
    found["pocketsphinx"] = PocketsphinxSearch()
    if arguments.system:
        unknown = sorted(set(arguments.system) - set(found))
        if unknown:
            sys.exit(f"stream: no system {unknown[0]!r}; there are {', '.join(found)}")
        found = {name: make for name, make in found.items() if name in arguments.system}
    return found


def outcome(plan: Plan, heard: Sequence[Heard]) -> Outcome:
    """Judges what a system heard: the clean recordings, and all others together."""
    judged = sweeps(plan, heard)
    parts = {"clean": judged["clean"]} if "clean" in judged else {}
    if others := {name: sweep for name, sweep in judged.items() if name != "clean"}:
        parts[DISTORTED] = pooled(others)
    return Outcome(parts | others, sum(h.cpu_seconds for h in heard) / sum(h.seconds for h in heard))


def print_table(plan: Plan, outcomes: Mapping[str, Outcome]) -> None:
    """One line a system and part: misses at each rate, with a common threshold and with own ones, and the cost."""
    print(
        f"\n{plan.name}: {plan.hours:.2f} h a condition, {len(plan.keywords)} keywords said {plan.counted} times by "
        f"{plan.speakers} speakers; recordings {plan.sha256[:12]}\nkeywords: {', '.join(plan.keywords)}"
    )
    rates = "".join(f"{f'{rate:g}/h':>8}" for rate in RATES)
    # "all 1/h": one threshold, and all keywords together raise one alarm an hour.
    rest = f"{'all 1/h':>9}{'own 1/h':>9}{'CPU s/s':>10}{'times':>7}"
    print(f"{'missed, %, at false alarms an hour and keyword':<46}{rates}{rest}")
    first = next(iter(outcomes.values())).cpu_per_second
    for part in next(iter(outcomes.values())).parts:
        for name, found in outcomes.items():
            sweep = found.parts[part]
            misses = "".join(f"{100 * sweep.common(rate).miss:8.1f}" for rate in RATES)
            cost = f"{found.cpu_per_second:10.4f}{found.cpu_per_second / first:7.1f}"
            others = f"{100 * sweep.together(TOGETHER).miss:9.1f}{100 * sweep.own(1.0).miss:9.1f}"
            print(f"{part:<17}{name:<29}{misses}{others}{cost}")


def main() -> None:
    """Measures all systems, prints the tables, and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="folders with the data; repeat")
    parser.add_argument("--out", type=Path, required=True, help="the folder of results, from which a run goes on")
    parser.add_argument("--bundle", type=Path, help="Watchword's bundle (the one inside the package)")
    parser.add_argument("--in-context", type=Path, help="a bundle of a network trained in context")
    parser.add_argument("--cut-out", type=Path, help="a bundle of the same network trained on cut-out words")
    parser.add_argument("--hours", type=float, default=0.3, help="hours of each set under each condition (0.3)")
    parser.add_argument("--keywords", type=int, default=20)
    parser.add_argument("--syllables", type=int, default=LEAST_SYLLABLES, help="the fewest of a keyword (2)")
    parser.add_argument("--said", type=int, default=8, help="how often a keyword is said at least, in all speech (8)")
    parser.add_argument("--condition", action="append", help=f"{', '.join(CONDITIONS)}; repeat (all)")
    parser.add_argument("--system", action="append", help="only this system; repeat (all)")
    parser.add_argument("--set", action="append", choices=("speech", "commands"), help="repeat (both)")
    parser.add_argument("--split", default="test", help="the speakers: test, or train to choose settings on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--picture", type=Path, help="draw the curves of read speech here, as .png")
    arguments = parser.parse_args()
    conditions = tuple(arguments.condition or CONDITIONS)
    settings = StreamSettings(
        arguments.seed,
        arguments.split,
        arguments.hours,
        arguments.keywords,
        arguments.syllables,
        arguments.said,
        conditions,
    )
    render = Renderer(settings.seed, find_noise(arguments.data))
    report = {}
    for plan in find_plans(arguments.data, settings):
        if arguments.set and plan.name not in arguments.set:
            continue
        outcomes: dict[str, Outcome] = {}
        for name, make in systems(arguments).items():
            keep = arguments.out / f"{plan.name}-{name.replace(' ', '_').replace(',', '')}.jsonl"
            with progress_bar(f"{plan.name}, {name}") as progress:
                heard = hear(plan, conditions, make, render, jobs=arguments.jobs, keep=keep, progress=progress)
            outcomes[name] = outcome(plan, heard)
            report[f"{plan.name}/{name}"] = {
                "plan": plan.sha256,
                "cpu_seconds_per_second": round(outcomes[name].cpu_per_second, 5),
                **{part: sweep.as_dict() for part, sweep in outcomes[name].parts.items()},
            }
        print_table(plan, outcomes)
        (arguments.out / "results.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n")
        panels = {
            part: {name: found.parts[part].curve() for name, found in outcomes.items()}
            for part in ("clean", DISTORTED)
            if part in next(iter(outcomes.values())).parts
        }
        for part, curves in panels.items():
            write_curves(arguments.out / f"{plan.name}-{part.replace(' ', '_')}.tsv", curves)
        if arguments.picture and plan.name == "speech":
            draw_panels(arguments.picture, panels)


if __name__ == "__main__":
    main()
