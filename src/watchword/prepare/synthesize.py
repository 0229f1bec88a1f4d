"""A spoken corpus from a list of words and sentences: many offline voices, resumable, with a rejection step."""

import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from watchword.audio import SAMPLE_RATE
from watchword.data.segment import Segment, write_segments
from watchword.prepare.intelligibility import hama_listener, phoneme_error
from watchword.prepare.voices import ENGINES, LICENCES, Engine, VoiceError
from watchword.text.pronounce import default_pronouncer


@dataclass(frozen=True)
class SynthesisPlan:
    """What to speak: every clip follows from the plan and its own number, so a run can stop and go on anywhere.

    `shares` gives each engine's share of the clips; `reject_above` is the phoneme error above which a clip is dropped
    (None: no recogniser is asked)."""

    texts: tuple[str, ...]
    clips: int
    shares: tuple[tuple[str, float], ...]
    seed: int = 1
    voice_folder: str = ""
    reject_above: float | None = 0.5
    corpus: str = "synthesis"


def clip_choice(plan: SynthesisPlan, clip: int) -> tuple[str, str, np.random.Generator]:
    """Chooses a clip's text, its engine and its random generator. Every text is used once before any is used again."""
    rng = np.random.default_rng([plan.seed, clip])
    lap, place = divmod(clip, len(plan.texts))
    text = plan.texts[int(np.random.default_rng([plan.seed, 1 << 20, lap]).permutation(len(plan.texts))[place])]
    names, weights = zip(*plan.shares, strict=True)
    engine = str(rng.choice(names, p=np.asarray(weights) / sum(weights)))
    return text, engine, rng


def trim(samples: np.ndarray, margin_seconds: float = 0.08, floor_db: float = -45.0) -> np.ndarray:
    """Cuts silence off both ends of 16 kHz samples, but for a margin; the floor is relative to the loudest 10 ms."""
    hop = SAMPLE_RATE // 100
    power = np.add.reduceat(samples.astype(np.float64) ** 2, np.arange(0, max(len(samples), 1), hop)) / hop
    loud = np.flatnonzero(power > power.max() * 10 ** (floor_db / 10))
    if power.max() <= 0 or not len(loud):
        return samples[:0]
    margin = round(margin_seconds * SAMPLE_RATE)
    return samples[max(0, loud[0] * hop - margin) : (loud[-1] + 1) * hop + margin]


def speak_clip(plan: SynthesisPlan, clip: int, engines: dict[str, Engine], listen, folder: Path) -> dict[str, object]:
    """Speaks one clip into `folder` and returns its record: a segment, or why it was rejected."""
    text, engine_name, rng = clip_choice(plan, clip)
    if engine_name not in engines:
        engines[engine_name] = ENGINES[engine_name](plan.voice_folder)
    spoken = engines[engine_name](text, rng)
    samples = trim(soxr.resample(spoken.samples.astype(np.float32), spoken.sample_rate, SAMPLE_RATE))
    if len(samples) < SAMPLE_RATE // 8:
        return {"clip": clip, "engine": engine_name, "text": text, "rejected": "nothing was spoken"}
    if listen is not None:
        # The kindest variant counts: a voice may say either "tomato".
        heard = listen(samples)
        error = min(phoneme_error(variant, heard) for variant in default_pronouncer().variants(text))
        if error > (plan.reject_above or 0):
            return {"clip": clip, "engine": engine_name, "text": text, "rejected": f"phoneme error {error:.2f}"}
    name = f"clips/{clip // 1000:04d}/{clip:07d}.opus"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    peak = float(np.abs(samples).max())
    soundfile.write(path, samples * (0.7 / peak), SAMPLE_RATE, format="OGG", subtype="OPUS")
    return {"clip": clip, "engine": engine_name, "audio": name, "text": text, "voice": spoken.voice,
            "seconds": round(len(samples) / SAMPLE_RATE, 4)}  # fmt: skip


def _read_parts(folder: Path) -> dict[int, dict[str, object]]:
    """Reads the finished records; a line cut short by a kill is ignored and its clip is spoken again."""
    records = {}
    for part in sorted(folder.glob("parts/*.jsonl")):
        for line in part.read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            records[int(record["clip"])] = record
    return records


def _work(plan: SynthesisPlan, folder: Path, clips: Sequence[int], worker: int, results) -> None:
    """Speaks a worker's clips; each finished clip is one flushed line of its part file."""
    try:
        listen = hama_listener() if plan.reject_above is not None else None
        engines: dict[str, Engine] = {}
        with (folder / "parts" / f"worker-{os.getpid()}-{worker}.jsonl").open("a") as part:
            for clip in clips:
                record = speak_clip(plan, clip, engines, listen, folder)
                part.write(json.dumps(record, ensure_ascii=False) + "\n")
                part.flush()
                results.put(1)
        results.put(None)
    except (VoiceError, ImportError, OSError) as error:
        results.put(error)


def synthesize(
    plan: SynthesisPlan, folder: Path, *, jobs: int = 0, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Speaks a plan's clips into `folder` (Ogg Opus, 16 kHz) and writes `segments.jsonl` there.

    Clips that exist are kept, so an interrupted call goes on where it stopped. Rejected clips are counted in
    `rejected.jsonl`. Raises VoiceError where an engine or the recogniser is missing, or the folder holds another
    plan."""
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    mark = folder / "plan.json"
    stated = json.dumps({**plan.__dict__, "texts": len(plan.texts), "clips": None}, sort_keys=True, default=str)
    if mark.exists() and mark.read_text() != stated:
        raise VoiceError(
            f"synthesize: {folder} holds another plan (see {mark.name}); choose an empty folder or the same settings"
        )
    mark.write_text(stated)
    done = _read_parts(folder)
    waiting = [clip for clip in range(plan.clips) if clip not in done]
    jobs = min(jobs or os.cpu_count() or 1, max(len(waiting), 1))
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [
        context.Process(target=_work, args=(plan, folder, waiting[worker::jobs], worker, results), daemon=True)
        for worker in range(jobs)
    ]
    for worker in workers:
        worker.start()
    count, running = len(done), len(workers)
    try:
        while running:
            result = results.get()
            if isinstance(result, BaseException):
                raise result if isinstance(result, VoiceError) else VoiceError(f"synthesize: {result}")
            running -= result is None
            count += result is not None
            if progress:
                progress(count, plan.clips)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    return finish(plan, folder)


def finish(plan: SynthesisPlan, folder: Path) -> Path:
    """Writes `segments.jsonl` and `rejected.jsonl` from the finished parts."""
    records = [record for _, record in sorted(_read_parts(folder).items())]
    kept = [record for record in records if "audio" in record]
    rejected = [record for record in records if "rejected" in record]
    write_segments(
        folder / "segments.jsonl",
        [
            Segment(
                audio=str(record["audio"]),
                text=str(record["text"]),
                start_seconds=0.0,
                end_seconds=float(str(record["seconds"])),
                speaker=str(record["voice"]), corpus=f"{plan.corpus}:{record['engine']}", split="train",
                licence=LICENCES[str(record["engine"])],
            )
            for record in kept
        ],
    )  # fmt: skip
    (folder / "rejected.jsonl").write_text("".join(json.dumps(record) + "\n" for record in rejected))
    return folder / "segments.jsonl"
