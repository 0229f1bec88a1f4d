"""A spoken corpus from a list of words and sentences: many offline voices, resumable, with a rejection step."""

import functools
import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from watchword.audio import SAMPLE_RATE
from watchword.data.segment import Segment, Timed, write_segments
from watchword.data.workers import WorkerKilledError, run_workers
from watchword.prepare.composing import check_carriers, compose, text_at
from watchword.prepare.intelligibility import hama_listener, phoneme_error
from watchword.prepare.records import RecordWriter, read_records
from watchword.prepare.voices import ENGINES, LICENCES, Engine, SpeechError, Spoken, VoiceError
from watchword.text.pronounce import PhonemeError, TextError, default_pronouncer

# An engine that fails this often before it has spoken at all is broken, and not the texts.
_FAILURES_OF_BROKEN_ENGINE = 10
Listener = Callable[[np.ndarray], list[str]]


@dataclass(frozen=True)
class SynthesisPlan:
    """What to speak: every clip follows from the plan and its own number, so a run can stop and go on anywhere.

    `shares` gives each engine's share of the clips; `reject_above` is the phoneme error above which a clip is dropped
    (None: no recogniser is asked), `check_share` the share of the clips that the recogniser is asked about. With
    `carriers`, sentences with {} where texts go, a clip says several texts (see `composing`), else one; and
    `utterances` of them in a row, with pauses between."""

    texts: tuple[str, ...]
    clips: int
    shares: tuple[tuple[str, float], ...]
    seed: int = 1
    voice_folder: str = ""
    reject_above: float | None = 0.5
    corpus: str = "synthesis"
    check_share: float = 1.0
    carriers: tuple[str, ...] = ()
    utterances: int = 1


def clip_choice(plan: SynthesisPlan, clip: int) -> tuple[str, str, np.random.Generator]:
    """Chooses a clip's text, its engine and its random generator. Every text is used once before any is used again."""
    rng = np.random.default_rng([plan.seed, clip])
    if plan.carriers:
        numbers = range(clip * plan.utterances, (clip + 1) * plan.utterances)
        text = ", ".join(compose(plan.texts, plan.carriers, plan.seed, number) for number in numbers)
    else:
        text = text_at(plan.texts, plan.seed, clip)
    names, weights = zip(*plan.shares, strict=True)
    engine = str(rng.choice(names, p=np.asarray(weights) / sum(weights)))
    return text, engine, rng


def trim(samples: np.ndarray, margin_seconds: float = 0.08, floor_db: float = -45.0) -> np.ndarray:
    """Cuts silence off both ends of 16 kHz samples, but for a margin; the floor is relative to the loudest 10 ms."""
    first, last = _sound(samples, margin_seconds, floor_db)
    return samples[first:last]


def _sound(samples: np.ndarray, margin_seconds: float = 0.08, floor_db: float = -45.0) -> tuple[int, int]:
    hop = SAMPLE_RATE // 100
    power = np.add.reduceat(samples.astype(np.float64) ** 2, np.arange(0, max(len(samples), 1), hop)) / hop
    loud = np.flatnonzero(power > power.max() * 10 ** (floor_db / 10))
    if power.max() <= 0 or not len(loud):
        return 0, 0
    margin = round(margin_seconds * SAMPLE_RATE)
    return max(0, int(loud[0]) * hop - margin), min(len(samples), (int(loud[-1]) + 1) * hop + margin)


def _trimmed(spoken: Spoken) -> tuple[np.ndarray, dict[str, list[tuple[str, float, float]]]]:
    """Trims a rendering at 16 kHz, never within a word, and gives its times from the new start, where it has any."""
    samples = soxr.resample(spoken.samples.astype(np.float32), spoken.sample_rate, SAMPLE_RATE)
    first, last = _sound(samples)
    if not spoken.words or last <= first:
        return samples[first:last], {}
    first = min(first, int(spoken.words[0].start_seconds * SAMPLE_RATE))
    last = min(max(last, -int(-spoken.words[-1].end_seconds * SAMPLE_RATE // 1)), len(samples))
    length = (last - first) / SAMPLE_RATE

    def shifted(timed: Sequence[Timed]) -> list[tuple[str, float, float]]:
        places = [
            (t.text, *(round(min(max(at - first / SAMPLE_RATE, 0.0), length), 4) for at in t.span)) for t in timed
        ]
        return [(text, start, end) for text, start, end in places if end > start]

    return samples[first:last], {"words": shifted(spoken.words), "phones": shifted(spoken.phones)}


def speak_clip(
    plan: SynthesisPlan, clip: int, engines: dict[str, Engine], listen: Listener | None, folder: Path
) -> dict[str, object]:
    """Speaks one clip into `folder` and returns its record: a segment, or why it was rejected."""
    text, engine_name, rng = clip_choice(plan, clip)
    record: dict[str, object] = {"clip": clip, "engine": engine_name, "text": text}
    try:
        variants = default_pronouncer().variants(text)
        spoken = engines[engine_name](text, rng)
    except (TextError, PhonemeError) as error:
        return record | {"rejected": f"not speakable: {error}"}
    except SpeechError as error:
        return record | {"rejected": f"not spoken: {error}", "failed": True}
    if not np.isfinite(spoken.samples).all() or not len(spoken.samples):
        return record | {"rejected": "nothing was spoken"}
    samples, times = _trimmed(spoken)
    if len(samples) < SAMPLE_RATE // 8:
        return record | {"rejected": "nothing was spoken"}
    if listen is not None and np.random.default_rng([plan.seed, 1 << 23, clip]).random() < plan.check_share:
        # The kindest variant counts: a voice may say either "tomato".
        heard = listen(samples)
        error = min(phoneme_error(variant, heard) for variant in variants)
        if error > (plan.reject_above or 0):
            return record | {"rejected": f"phoneme error {error:.2f}"}
        record["error"] = round(error, 3)
    name = f"clips/{clip // 1000:04d}/{clip:07d}.opus"
    encoded = io.BytesIO()  # libsndfile would not report a full disk
    soundfile.write(encoded, samples * (0.7 / float(np.abs(samples).max())), SAMPLE_RATE, format="OGG", subtype="OPUS")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        aside.write_bytes(encoded.getbuffer())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    seconds = round(len(samples) / SAMPLE_RATE, 4)
    return {**record, "audio": name, "voice": spoken.voice, "seconds": seconds, **times}


def _read_done(folder: Path) -> dict[int, dict[str, Any]]:
    return {int(record["clip"]): record for record in read_records(folder / "parts")}


def _open_work(plan: SynthesisPlan, folder: Path) -> Callable[[int], dict[str, object]]:
    """Opens every engine and the recogniser at once, so that one that is missing is told before anything is spoken."""
    try:
        listen = hama_listener() if plan.reject_above is not None else None
    except ImportError:
        raise VoiceError(
            'synthesize: the rejection step needs the package hama; pip install "watchword[synthesize]", '
            "or do without it (--no-reject)"
        ) from None
    engines = {name: ENGINES[name](plan.voice_folder) for name, share in plan.shares if share > 0}
    failures = dict.fromkeys(engines, 0)

    def work(clip: int) -> dict[str, object]:
        record = speak_clip(plan, clip, engines, listen, folder)
        name = str(record["engine"])
        if not record.get("failed"):
            failures.pop(name, None)
        elif name in failures:
            failures[name] += 1
            if failures[name] >= _FAILURES_OF_BROKEN_ENGINE:
                raise VoiceError(
                    f"synthesize: {name} spoke none of its first {failures[name]} texts; {record['rejected']}"
                )
        return record

    return work


def synthesize(
    plan: SynthesisPlan, folder: Path, *, jobs: int = 0, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Speaks a plan's clips into `folder` (Ogg Opus, 16 kHz) and writes `segments.jsonl` there.

    Clips that exist are kept, so an interrupted call goes on where it stopped. A text that its engine fails on, or that
    the recogniser does not understand, is told in `rejected.jsonl`. Raises VoiceError where an engine or the recogniser
    is missing, a worker is killed, or the folder holds another plan; OSError for a full disk."""
    _claim(plan, folder)
    done = _read_done(folder)
    # What an engine failed on is tried again: it may have been a full disk, or a busy machine.
    waiting = [clip for clip in range(plan.clips) if clip not in done or done[clip].get("failed")]
    if waiting:
        count = plan.clips - len(waiting)
        if progress:
            progress(count, plan.clips)
        try:
            with RecordWriter(folder / "parts") as writer:
                for record in run_workers(functools.partial(_open_work, plan, folder), waiting, jobs):
                    writer.write(record)
                    count += 1
                    if progress:
                        progress(count, plan.clips)
        except WorkerKilledError as error:
            raise VoiceError(f"synthesize: {error}") from None
    return finish(plan, folder)


def _claim(plan: SynthesisPlan, folder: Path) -> None:
    """States the plan in the folder's `plan.json`, or raises VoiceError where another one is stated there.

    More clips of the same plan are welcome, and the voices may have moved."""
    for name, _ in plan.shares:
        if name not in ENGINES:
            raise VoiceError(f"synthesize: no engine {name!r}; there are {', '.join(ENGINES)}")
    if not plan.texts or not sum(share for _, share in plan.shares) > 0:
        raise VoiceError("synthesize: nothing to speak; give at least one text and one engine with a share above 0")
    if plan.carriers:
        try:
            check_carriers(plan.carriers)
        except ValueError as error:
            raise VoiceError(f"synthesize: {error}") from None
    stated = {**plan.__dict__, "texts": len(plan.texts), "clips": None, "voice_folder": None}
    stated["texts_sha256"] = hashlib.sha256("\n".join(plan.texts).encode()).hexdigest()
    stated = json.loads(json.dumps(stated))
    mark = folder / "plan.json"
    if mark.exists() and next(read_records(folder / "parts"), None):  # where nothing is spoken yet, any plan will do
        try:
            before = json.loads(mark.read_text(encoding="utf-8"))
            other = [key for key in stated if key != "voice_folder" and before.get(key, stated[key]) != stated[key]]
        except (ValueError, AttributeError):
            other = ["plan"]
        if other:
            raise VoiceError(
                f"synthesize: {folder} holds another plan (its {other[0]} differs, see plan.json); "
                "choose an empty folder or the same settings"
            )
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    aside = folder / "plan.json.tmp"
    aside.write_text(json.dumps(stated, sort_keys=True), encoding="utf-8")
    aside.replace(mark)


def gather(plan: SynthesisPlan, folder: Path) -> Path:
    """Writes `segments.jsonl` of the clips that are there; another call may be speaking more of them meanwhile.

    Raises VoiceError where the folder holds another plan."""
    _claim(plan, folder)
    return finish(plan, folder)


def finish(plan: SynthesisPlan, folder: Path) -> Path:
    """Writes `segments.jsonl` and `rejected.jsonl` from the finished parts."""
    records = [record for clip, record in sorted(_read_done(folder).items()) if clip < plan.clips]
    kept = [record for record in records if "audio" in record]
    rejected = [record for record in records if "rejected" in record]
    segments = [
        Segment(
            audio=record["audio"], text=record["text"], start_seconds=0.0, end_seconds=record["seconds"],
            speaker=record["voice"], corpus=f"{plan.corpus}:{record['engine']}", licence=LICENCES[record["engine"]],
            words=tuple(Timed(*word) for word in record.get("words", ())),
            phones=tuple(Timed(*phone) for phone in record.get("phones", ())),
        )
        for record in kept
    ]  # fmt: skip
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in rejected)
    (folder / "rejected.jsonl").write_text(lines, encoding="utf-8")
    write_segments(folder / "segments.jsonl", segments)
    return folder / "segments.jsonl"
