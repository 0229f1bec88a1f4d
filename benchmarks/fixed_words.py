"""Compares Watchword with engines that know one word each, on alexa, hey jarvis, hey mycroft and okay nabu.

    pip install pyopen-wakeword pymicro-wakeword
    python benchmarks/fixed_words.py --voices package/voices --data WORK --data DATA --out FOLDER

openWakeWord (pyopen-wakeword, fires above 0.5) and microWakeWord (pymicro-wakeword, above what each model's file says)
were trained for these words alone; Watchword is given their text. The words are spoken by Kokoro's Spanish, French,
Hindi, Italian and Portuguese voices, which no recipe trains on, mixed, at random speeds and pitches, one every few
seconds; then come hours of test speakers who say none of them. All that in the clear, in noise and in rooms. Kokoro's
English voices are among those that Watchword is trained on, so its synthesiser is not new to it, only these voices are.

A detection is a peak of an engine's score, the best within 2 s. What each system found is kept in --out, and so are the
spoken words: an interrupted run goes on. Delete the folder to measure afresh.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from watchword.audio import SAMPLE_RATE, duration, write
from watchword.bundle import Bundle
from watchword.cli.progress import progress_bar
from watchword.cli.streaming import find_noise
from watchword.data.segment import Segment, read_segments
from watchword.data.store import trim_silence
from watchword.evaluate.det import write_curves
from watchword.evaluate.sources import aligned_manifests
from watchword.evaluate.stream import BundleSearch, Heard, MakeSearch, Search, hear
from watchword.evaluate.stream_audio import Audio, Renderer
from watchword.evaluate.stream_keywords import Occurrence
from watchword.evaluate.stream_plan import Piece, Plan, Recording, write_plan
from watchword.evaluate.stream_scoring import Found, Point, Sweep

# Each word as it is enrolled and spoken, and the name of its models. A dictionary has no "nabu".
WORDS = {
    "alexa": "alexa",
    "hey jarvis": "hey_jarvis",
    "hey mycroft": "hey_mycroft",
    "okay {N AA1 B UW0}": "okay_nabu",
}
UNTRAINED = ("ef", "em", "ff", "hf", "hm", "if", "im", "pf", "pm")
CONDITIONS = ("clean", "10 dB", "room")
RATES = (0.5, 1.0, 10.0)
PITCH = (0.9, 1.12)
PAUSE_SECONDS, APART_SECONDS, RECORDING_SECONDS = (2.0, 4.0), 2.0, 300.0
# Engines answer up to a second after a word's end.
LATE_SECONDS, SPAN_SECONDS = 0.4, 1.0
CHUNK = 1280


@dataclass(frozen=True)
class OpenWakeWordSearch:
    """Makes a search by openWakeWord's models: probabilities every 80 ms."""

    lowest: float = 0.02

    def __call__(self, keywords: Sequence[str]) -> Search:
        """The search for `keywords`, all with one run of the speech embedding."""
        import pyopen_wakeword as package

        features = package.OpenWakeWordFeatures.from_builtin()
        models = {keyword: package.OpenWakeWord.from_builtin(package.Model(WORDS[keyword])) for keyword in keywords}

        def search(audio: Audio) -> list[Found]:
            features.reset()
            scores: dict[str, list[tuple[float, float]]] = {keyword: [] for keyword in models}
            for model in models.values():
                model.reset()
            for until, chunk in _chunks(audio):
                for embedding in features.process_streaming(chunk):
                    for keyword, model in models.items():
                        scores[keyword] += [(until, float(p)) for p in model.process_streaming(embedding)]
            return [one for keyword, points in scores.items() for one in peaks(keyword, points, self.lowest)]

        return search


@dataclass(frozen=True)
class MicroWakeWordSearch:
    """Makes a search by microWakeWord's models: the mean of five probabilities, every 30 ms."""

    lowest: float = 0.05

    def __call__(self, keywords: Sequence[str]) -> Search:
        """The search for `keywords`."""
        import pymicro_wakeword as package

        models = {keyword: package.MicroWakeWord.from_builtin(package.Model(WORDS[keyword])) for keyword in keywords}

        def search(audio: Audio) -> list[Found]:
            features = package.MicroWakeWordFeatures()
            scores: dict[str, list[tuple[float, float]]] = {keyword: [] for keyword in models}
            for model in models.values():
                model.reset()
            for until, chunk in _chunks(audio):
                for feature in features.process_streaming(chunk):
                    for keyword, model in models.items():
                        probability = model.process_streaming_prob(feature)
                        if probability:
                            scores[keyword].append((until, float(probability)))
            return [one for keyword, points in scores.items() for one in peaks(keyword, points, self.lowest)]

        return search


def micro_cutoffs(keywords: Sequence[str]) -> dict[str, float]:
    """The thresholds that microWakeWord's models come with."""
    import pymicro_wakeword as package

    folder = Path(package.__file__).parent / "models"
    return {k: json.loads((folder / f"{WORDS[k]}.json").read_text())["micro"]["probability_cutoff"] for k in keywords}


def peaks(keyword: str, points: Sequence[tuple[float, float]], lowest: float) -> list[Found]:
    """The best of (time, score), none within 2 s of a better one; of equals the first."""
    kept: list[Found] = []
    for time, score in sorted((p for p in points if p[1] >= lowest), key=lambda point: (-point[1], point[0])):
        if all(abs(time - other.end_seconds) >= APART_SECONDS for other in kept):
            kept.append(Found(keyword, score, time - SPAN_SECONDS, time, time))
    return kept


def _chunks(audio: Audio) -> Iterator[tuple[float, bytes]]:
    samples = (np.clip(audio, -1, 1) * 32767).astype("<i2")
    for first in range(0, len(samples) - CHUNK + 1, CHUNK):
        yield (first + CHUNK) / SAMPLE_RATE, samples[first : first + CHUNK].tobytes()


def speak_words(folder: Path, voices: Path, count: int, seed: int) -> dict[str, list[Path]]:
    """Has each word spoken `count` times by voices that no recipe trains on; what is there already is kept."""
    from watchword.prepare.kokoro import kokoro

    wanted = {word: [folder / f"{name}-{seed}-{n}.flac" for n in range(count)] for word, name in WORDS.items()}
    missing = [(w, n, p) for w, paths in wanted.items() for n, p in enumerate(paths) if not p.exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        speak = kokoro(str(voices), UNTRAINED)
        with progress_bar("speaking the words") as progress:
            for done, (word, number, path) in enumerate(missing, 1):
                rng = np.random.default_rng([seed, list(WORDS).index(word), number])
                spoken = speak(word, rng)
                rate = spoken.sample_rate * rng.uniform(*PITCH)
                samples = soxr.resample(np.asarray(spoken.samples, np.float32), rate, SAMPLE_RATE)
                start, end = trim_silence(samples)
                unfinished = path.with_suffix(".part.flac")
                write(unfinished, samples[start:end] * np.float32(0.5 / np.abs(samples).max()))
                unfinished.replace(path)
                progress(done, len(missing))
    return wanted


def plan_words(spoken: Mapping[str, Sequence[Path]], speech: Sequence[Segment], hours: float, seed: int) -> Plan:
    """One word after another with pauses, each word in recordings of its own; then `hours` of speech without them."""
    rng = np.random.default_rng([seed, 3])
    recordings = []
    for word, paths in spoken.items():
        at, pieces, places = 1.0, [], []
        for path in paths:
            seconds = round(duration(path), 4)
            pieces.append(Piece(str(path), 0.0, seconds, round(at, 3), WORDS[word]))
            places.append(Occurrence(word, round(at, 3), round(at + seconds + LATE_SECONDS, 4), timed=False))
            at += seconds + float(rng.uniform(*PAUSE_SECONDS))
        recordings.append(Recording(WORDS[word], round(at, 3), tuple(pieces), tuple(places)))
    at, pieces, filled = 0.5, [], 0.0
    for index in rng.permutation(len(speech)):
        segment = speech[int(index)]
        seconds = segment.end_seconds - segment.start_seconds
        pieces.append(Piece(segment.audio, segment.start_seconds, segment.end_seconds, round(at, 3), segment.speaker))
        at += seconds + 0.5
        filled += seconds + 0.5
        if at > RECORDING_SECONDS or filled >= 3600 * hours:
            recordings.append(Recording(f"speech {len(recordings)}", round(at, 3), tuple(pieces), ()))
            at, pieces = 0.5, []
        if filled >= 3600 * hours:
            break
    return Plan("fixed words", seed, tuple(spoken), tuple(recordings))


def test_speech(places: Sequence[Path]) -> list[Segment]:
    """The aligned speech of test speakers in which none of the words is said."""
    spoken = (s for source in aligned_manifests(places, "test") for s in read_segments(source.path))
    of_test = {(s.audio, s.start_seconds): s for s in spoken if s.split == "test" and s.words}
    names = [name.split("_")[-1] for name in WORDS.values()]
    return [s for s in of_test.values() if not any(name in s.text.lower() for name in names)]


def judged(plan: Plan, heard: Sequence[Heard], condition: str, keyword: str) -> Sweep:
    """What a system found of one word under a condition: in its own recording, and in the speech."""
    own, sweep = WORDS[keyword], Sweep([keyword])
    recordings = {r.name: r for r in plan.recordings if r.name == own or r.name not in WORDS.values()}
    for one in heard:
        if one.condition == condition and one.recording in recordings:
            sweep.add(recordings[one.recording], [found for found in one.found if found.keyword == keyword])
    return sweep


def others_taken(plan: Plan, heard: Sequence[Heard], condition: str, keyword: str, threshold: float) -> int:
    """How often a word is found where one of the other three is said."""
    others = {name for word, name in WORDS.items() if word != keyword}
    return sum(
        found.keyword == keyword and found.score > threshold
        for one in heard
        if one.condition == condition and one.recording in others
        for found in one.found
    )


def at_threshold(sweep: Sweep, threshold: float) -> tuple[int, int]:
    """Misses and false alarms at a threshold, above which an engine fires."""
    hits = sum(one.place is not None and one.found.score > threshold for one in sweep.judged)
    alarms = sum(one.place is None and one.found.score > threshold for one in sweep.judged)
    return sum(sweep.occurrences.values()) - hits, alarms


def with_alarms(sweep: Sweep, alarms: int) -> Point:
    """Misses at the lowest threshold that gives at most so many false alarms on these recordings."""
    return sweep.common((alarms + 0.5) / sweep.hours)


def print_tables(plan: Plan, heard: Mapping[str, Sequence[Heard]], defaults: Mapping[str, Mapping[str, float]]) -> dict:
    """Prints a table a condition: each system at its own threshold, and Watchword at each one's false alarms."""
    report: dict[str, dict] = {}
    ours = next(iter(heard))
    for condition in CONDITIONS:
        if not any(one.condition == condition for one in heard[ours]):
            continue
        sweeps = {
            (name, word): judged(plan, of, condition, word) for name, of in heard.items() for word in plan.keywords
        }
        hours = next(iter(sweeps.values())).hours
        rates = "".join(f"{f'{rate:g}/h':>7}" for rate in RATES)
        print(f"\n{condition}: {hours:.2f} h a word. Missed of so many said; [false alarms]; taken: of the other words")
        heads = f"{'said':>6}{'own threshold':>16}{'taken':>7}  {ours + ' at these alarms':<30}{'missed, %:':>10}"
        print(f"{'':<34}{heads}{rates}")
        for word in plan.keywords:
            for name, of in heard.items():
                sweep, threshold = sweeps[name, word], defaults[name][word]
                missed, alarms = at_threshold(sweep, threshold)
                taken = others_taken(plan, of, condition, word, threshold)
                equal = with_alarms(sweeps[ours, word], alarms)
                curve = {rate: sweep.common(rate).miss for rate in RATES}
                beside = "" if name == ours else f"{equal.missed} [{equal.alarms}]"
                misses = "".join(f"{100 * miss:7.1f}" for miss in curve.values())
                said = sum(sweep.occurrences.values())
                print(
                    f"{word:<20}{name:<14}{said:>6}{f'{missed} [{alarms}]':>16}{taken:>7}  {beside:<40}{misses}",
                    flush=True,
                )
                report[f"{condition}/{word}/{name}"] = {
                    "said": said, "hours": round(sweep.hours, 4), "threshold": threshold, "missed": missed,
                    "alarms": alarms, "taken": taken, "ours_at_these_alarms": equal.as_dict(),
                    "miss_at_rates": {f"{rate:g}": round(miss, 5) for rate, miss in curve.items()},
                }  # fmt: skip
        for name in heard:
            sums = [at_threshold(sweeps[name, word], defaults[name][word]) for word in plan.keywords]
            pairs = zip(plan.keywords, sums, strict=True)
            equal = [with_alarms(sweeps[ours, word], alarms).missed for word, (_, alarms) in pairs]
            beside = "" if name == ours else f"{sum(equal)} [{sum(alarms for _, alarms in sums)}]"
            shown = f"{sum(missed for missed, _ in sums)} [{sum(alarms for _, alarms in sums)}]"
            said = sum(sum(sweeps[name, word].occurrences.values()) for word in plan.keywords)
            print(f"{'all words':<20}{name:<14}{said:>6}{shown:>16}{'':>7}  {beside}")
    return report


def main() -> None:
    """Has the words spoken, lets all systems hear them, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", type=Path, required=True, help="the folder package/voices of kokoro-js")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folders with the data; repeat")
    parser.add_argument("--out", type=Path, required=True, help="the folder of results, from which a run goes on")
    parser.add_argument("--bundle", type=Path, help="Watchword's bundle (the one inside the package)")
    parser.add_argument("--clips", type=int, default=60, help="how often each word is said (60)")
    parser.add_argument("--hours", type=float, default=0.3, help="hours of other speech (0.3)")
    parser.add_argument("--condition", action="append", choices=CONDITIONS, help="repeat (all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    arguments = parser.parse_args()
    speech = test_speech(arguments.data)
    if not speech:
        sys.exit("fixed_words: no aligned speech of the split test below --data; run `watchword prepare align` first")
    spoken = speak_words(arguments.out / "spoken", arguments.voices, arguments.clips, arguments.seed)
    plan = plan_words(spoken, speech, arguments.hours, arguments.seed)
    write_plan(arguments.out, plan)
    render = Renderer(arguments.seed, find_noise(arguments.data))
    bundle = Bundle.load(arguments.bundle)
    makes: dict[str, tuple[MakeSearch, dict[str, float]]] = {
        "Watchword": (BundleSearch(bundle.path), dict.fromkeys(plan.keywords, bundle.threshold)),
        "openWakeWord": (OpenWakeWordSearch(), dict.fromkeys(plan.keywords, 0.5)),
        "microWakeWord": (MicroWakeWordSearch(), micro_cutoffs(plan.keywords)),
    }
    conditions = tuple(arguments.condition or CONDITIONS)
    heard: dict[str, list[Heard]] = {}
    for name, (make, _) in makes.items():
        marks = bundle.sha256[:12] if name == "Watchword" else "all"
        keep = arguments.out / f"{name}-{marks}-{plan.sha256[:12]}.jsonl"
        with progress_bar(name) as progress:
            heard[name] = hear(plan, conditions, make, render, jobs=arguments.jobs, keep=keep, progress=progress)
    print(
        f"{len(plan.recordings)} recordings {plan.sha256[:12]}, {plan.hours:.2f} h, {arguments.clips} times each word"
    )
    report = print_tables(plan, heard, {name: thresholds for name, (_, thresholds) in makes.items()})
    (arguments.out / "results.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    for condition in conditions:
        curves = {
            f"{word}, {name}": judged(plan, of, condition, word).curve()
            for name, of in heard.items()
            for word in plan.keywords
        }
        write_curves(arguments.out / f"{condition.replace(' ', '_')}.tsv", curves)
    for name, of in heard.items():
        print(f"{name}: {sum(h.cpu_seconds for h in of) / sum(h.seconds for h in of):.4f} CPU s a second, four words")


if __name__ == "__main__":
    main()
