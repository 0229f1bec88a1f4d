"""Long recordings with known keyword places, as a fixed list with a hash: which speech lies where, and what counts.

Utterances follow one another with pauses, five minutes a recording. At most half of the time goes to those that hold
keywords, one for each keyword in turn, the rest to others, while there are any. `stream_keywords` says what counts.
"""

import contextlib
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from watchword.data.segment import Segment
from watchword.evaluate.pronunciations import Pronunciations
from watchword.evaluate.sources import BenchmarkError
from watchword.evaluate.stream_keywords import LEAST_SYLLABLES, Occurrence, Places, choose_stream_keywords, syllables
from watchword.evaluate.trials import Trial
from watchword.text.pronounce import Pronouncer, default_pronouncer

PAUSE_SECONDS, CLIP_PAUSE_SECONDS, ALONE_PAUSE_SECONDS = (0.3, 1.5), (0.3, 0.8), (2.0, 6.0)
RECORDING_SECONDS = 300.0


@dataclass(frozen=True)
class Piece:
    """A stretch of an audio file that lies in a recording from `at_seconds` on."""

    audio: str
    start_seconds: float
    end_seconds: float
    at_seconds: float
    speaker: str


@dataclass(frozen=True)
class Recording:
    """One long recording: what lies in it, and what of it is a keyword."""

    name: str
    seconds: float
    pieces: tuple[Piece, ...]
    occurrences: tuple[Occurrence, ...]


@dataclass(frozen=True)
class Plan:
    """A set of recordings in which the same keywords are looked for."""

    name: str
    seed: int
    keywords: tuple[str, ...]
    recordings: tuple[Recording, ...]

    @property
    def hours(self) -> float:
        """Hours of all recordings."""
        return sum(recording.seconds for recording in self.recordings) / 3600

    @property
    def counted(self) -> int:
        """How often keywords are said."""
        return sum(place.counts for recording in self.recordings for place in recording.occurrences)

    @property
    def speakers(self) -> int:
        """How many people speak."""
        return len({piece.speaker for recording in self.recordings for piece in recording.pieces})

    def lines(self, absolute: bool = False) -> Iterator[str]:
        """The plan as lines of JSON, audio named from the folder that holds it all, unless `absolute`."""
        folders = {os.path.dirname(os.path.abspath(p.audio)) for r in self.recordings for p in r.pieces}
        root = "" if absolute or not folders else os.path.commonpath(folders)
        yield json.dumps({"name": self.name, "seed": self.seed, "keywords": self.keywords}, ensure_ascii=False)
        for recording in self.recordings:
            table = asdict(recording)
            for piece in table["pieces"]:
                if root:
                    piece["audio"] = Path(os.path.relpath(piece["audio"], root)).as_posix()
            yield json.dumps(table, ensure_ascii=False)

    @property
    def sha256(self) -> str:
        """The hash of the plan, the same on every machine that holds the audio in the same layout."""
        return hashlib.sha256("".join(line + "\n" for line in self.lines()).encode()).hexdigest()


def write_plan(folder: Path, plan: Plan) -> Path:
    """Writes the plan as JSON lines into `folder`, whole or not at all, under a name with its hash."""
    path = folder / f"stream-{plan.name.replace(' ', '-')}-seed{plan.seed}-{plan.sha256[:12]}.jsonl"
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished.write_text("".join(line + "\n" for line in plan.lines(absolute=True)), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return path


@dataclass
class _Tape:
    """A recording being laid out: pieces, one after another, with pauses."""

    name: str
    rng: np.random.Generator
    seconds: float = 0.5
    pieces: list[Piece] = field(default_factory=list)
    occurrences: list[Occurrence] = field(default_factory=list)

    def lay(self, audio: str, start: float, end: float, speaker: str, places: Sequence[Occurrence]) -> None:
        at = round(self.seconds, 3)
        self.pieces.append(Piece(audio, start, end, at, speaker))
        for place in places:
            span = round(place.start_seconds - start + at, 4), round(place.end_seconds - start + at, 4)
            self.occurrences.append(Occurrence(place.keyword, *span, place.counts, place.timed))
        self.seconds = at + end - start

    def pause(self, between: tuple[float, float]) -> None:
        self.seconds += float(self.rng.uniform(*between))

    def done(self) -> Recording:
        return Recording(self.name, round(self.seconds + 0.5, 3), tuple(self.pieces), tuple(self.occurrences))


def plan_speech(
    segments: Sequence[Segment],
    *,
    seed: int,
    hours: float,
    num_keywords: int = 20,
    least: int = 8,
    least_syllables: int = LEAST_SYLLABLES,
    pronouncer: Pronouncer | None = None,
) -> Plan:
    """Utterances of aligned `segments` joined into recordings of `hours` in all, or as long as the speech lasts.

    Raises BenchmarkError where too few words are said often enough."""
    spoken = [segment for segment in segments if segment.words and segment.end_seconds > 0]
    pronunciations = Pronunciations(pronouncer or default_pronouncer())
    keywords = choose_stream_keywords(spoken, num_keywords, seed, least, pronunciations, least_syllables)
    places = Places(keywords, pronunciations)
    found = [places.of(segment) for segment in spoken]
    rng = np.random.default_rng([seed, 1])
    holding, others = _in_turn([{p.keyword for p in of if p.counts} for of in found], keywords, rng)
    pause = sum(PAUSE_SECONDS) / 2
    chosen = _as_long(holding, others, [s.end_seconds - s.start_seconds + pause for s in spoken], 3600 * hours)
    recordings: list[Recording] = []
    tape = _Tape("speech 0", rng)
    for index in (chosen[place] for place in rng.permutation(len(chosen))):
        if tape.seconds > RECORDING_SECONDS:
            recordings.append(tape.done())
            tape = _Tape(f"speech {len(recordings)}", rng)
        segment = spoken[index]
        tape.lay(segment.audio, segment.start_seconds, segment.end_seconds, segment.speaker, found[index])
        tape.pause(PAUSE_SECONDS)
    return Plan("speech", seed, tuple(keywords), (*recordings, tape.done()))


def plan_commands(
    clips: Sequence[Trial],
    segments: Sequence[Segment],
    *,
    seed: int,
    hours: float,
    least: int = 5,
    least_syllables: int = LEAST_SYLLABLES,
    pronouncer: Pronouncer | None = None,
) -> Plan:
    """Clips of single words, of those of so many syllables or more: half of them between utterances of `segments`, half
    alone, with nothing but the condition's noise (or silence) between; `hours` in all, at most.

    Raises BenchmarkError where there are no such clips."""
    pronunciations = Pronunciations(pronouncer or default_pronouncer())
    by_word: defaultdict[str, list[Trial]] = defaultdict(list)
    for clip in clips:
        by_word[clip.text].append(clip)
    keywords = [
        word
        for word, said in sorted(by_word.items())
        if len(said) >= least and syllables(pronunciations.of(word)) >= least_syllables
    ]
    if not keywords:
        raise BenchmarkError(f"stream: no spoken word of {least_syllables} syllables has {least} clips or more")
    rng = np.random.default_rng([seed, 2])
    usable = [clip for clip in clips if clip.text in keywords]
    order, _ = _in_turn([{clip.text} for clip in usable], keywords, rng)
    # All clips where there is time for them: one every 13 s, of which one in 5 s is alone and one in 21 s in speech.
    chosen = [usable[index] for index in order[: max(len(keywords), round(3600 * hours / 13))]]
    spoken = [segment for segment in segments if segment.words and segment.end_seconds > 0]
    speech = iter([spoken[index] for index in rng.permutation(len(spoken))])
    between = max(2, round((3600 * hours - 2.6 * len(chosen)) / (len(chosen) / 2) / 5))
    places = Places(keywords, pronunciations)
    recordings: list[Recording] = []
    for is_alone, of_kind in ((False, chosen[0::2]), (True, chosen[1::2])):
        tape = _Tape(f"commands {len(recordings)}", rng)
        for clip in of_kind:
            if tape.seconds > RECORDING_SECONDS:
                recordings.append(tape.done())
                tape = _Tape(f"commands {len(recordings)}", rng)
            for segment in () if is_alone else (s for _, s in zip(range(between), speech, strict=False)):
                span = segment.start_seconds, segment.end_seconds
                tape.lay(segment.audio, *span, segment.speaker, places.of(segment))
                tape.pause(CLIP_PAUSE_SECONDS)
            place = Occurrence(clip.text, clip.start_seconds, clip.end_seconds, timed=False)
            tape.lay(clip.audio, clip.start_seconds, clip.end_seconds, clip.speaker, [place])
            tape.pause(ALONE_PAUSE_SECONDS if is_alone else CLIP_PAUSE_SECONDS)
        if tape.pieces:
            recordings.append(tape.done())
    return Plan("commands", seed, tuple(keywords), tuple(recordings))


def _in_turn(
    holds: Sequence[set[str]], keywords: Sequence[str], rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """The indices that hold keywords, one for each keyword in turn, and the others at random."""
    shuffled = rng.permutation(len(holds)).tolist()
    waiting = {keyword: [index for index in shuffled if keyword in holds[index]] for keyword in keywords}
    order: dict[int, None] = {}
    for turn in range(max(map(len, waiting.values()), default=0)):
        for keyword in keywords:
            for index in waiting[keyword][turn : turn + 1]:
                order.setdefault(index)
    return list(order), [index for index in shuffled if index not in order]


def _as_long(holding: Sequence[int], others: Sequence[int], seconds: Sequence[float], total: float) -> list[int]:
    """Half of `total` seconds of those that hold keywords, then of the others, then whatever is left."""
    chosen: dict[int, None] = {}
    filled = 0.0
    for source, until in ((holding, total / 2), (others, total), (holding, total)):
        for index in source:
            if filled >= until:
                break
            if index not in chosen:
                chosen[index] = None
                filled += seconds[index]
    return list(chosen)
