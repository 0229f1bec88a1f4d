"""Streaming evaluation: a search, ours or another, through long recordings with known keyword places, by processes.

Each recording is made, searched once with a threshold so low that any stricter one can be judged from the same list,
and thrown away; only one recording a process is in memory. What was found can be kept as lines of JSON, from which a
run that was interrupted goes on.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from watchword.evaluate.sources import BenchmarkError
from watchword.evaluate.stream_audio import Audio, Renderer
from watchword.evaluate.stream_plan import Plan, Recording
from watchword.evaluate.stream_scoring import Found, Sweep

Search: TypeAlias = Callable[[Audio], Sequence[Found]]
"""Searches one recording (16 kHz mono) for the keywords that it was made for."""
MakeSearch: TypeAlias = Callable[[Sequence[str]], Search]
"""Makes a search for keywords; must be picklable, since every process makes its own."""
Progress: TypeAlias = Callable[[int, int], object]
"""Told how many recordings of how many are done."""
LOWEST_SCORE = -1.0


class Heard(NamedTuple):
    """What was found in one recording under one condition, and the processor time of the search alone."""

    condition: str
    recording: str
    seconds: float
    cpu_seconds: float
    found: list[Found]


@dataclass(frozen=True)
class BundleSearch:
    """Makes the search of a bundle: every detection from `lowest` on, in `settings` that differ from the card's."""

    bundle: Path | None = None
    lowest: float = LOWEST_SCORE
    settings: tuple[tuple[str, Any], ...] = ()

    def __call__(self, keywords: Sequence[str]) -> Search:
        """The search for `keywords`."""
        from dataclasses import replace

        from watchword.runtime import Bundle, Detection, Spotter
        from watchword.runtime.phoneme_finder import conflict
        from watchword.runtime.spans import ScanSettings

        loaded = Bundle.load(self.bundle)
        settings = wanted = replace(ScanSettings.of(loaded.card), **dict(self.settings))
        if settings.by_phonemes and loaded.context == "local" and loaded.hears_phonemes:
            # Of places that conflict the first stands; at a threshold this low it would hide better ones.
            settings = replace(settings, overlap=1.0, refractory_seconds=0.0)
        spotter = Spotter(list(keywords), loaded, self.lowest, settings=settings)

        def search(audio: Audio) -> list[Found]:
            hits: list[Detection] = []
            for hit in sorted(spotter.scan(audio), key=lambda hit: -hit.score):
                rivals = (other for other in hits if other.keyword == hit.keyword)
                if not any(conflict(other, hit, wanted.overlap, wanted.refractory_seconds) for other in rivals):
                    hits.append(hit)
            return [Found(d.keyword, d.score, d.start_seconds, d.end_seconds, d.decided_seconds) for d in hits]

        return search


def hear(
    plan: Plan,
    conditions: Sequence[str],
    make: MakeSearch,
    render: Renderer,
    *,
    jobs: int = 1,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> list[Heard]:
    """Searches all recordings of `plan` under all conditions, in that order whatever `jobs` is.

    `keep` is a file of JSON lines: what it holds already is not searched again; it must be of the same plan and search.
    Raises BenchmarkError where it is not."""
    render.check(conditions)
    tasks = [(recording, condition) for condition in conditions for recording in plan.recordings]
    known = _read(keep, plan) if keep else {}
    waiting = [task for task in tasks if (task[1], task[0].name) not in known]
    done = len(tasks) - len(waiting)
    if progress:
        progress(done, len(tasks))
    for heard in _search_all(waiting, plan.keywords, make, render, jobs):
        known[heard.condition, heard.recording] = heard
        if keep:
            _append(keep, plan, heard)
        done += 1
        if progress:
            progress(done, len(tasks))
    return [known[condition, recording.name] for recording, condition in tasks]


def sweeps(plan: Plan, heard: Sequence[Heard]) -> dict[str, Sweep]:
    """Judges what was heard: a sweep of thresholds for each condition."""
    recordings = {recording.name: recording for recording in plan.recordings}
    made: dict[str, Sweep] = {}
    for one in heard:
        made.setdefault(one.condition, Sweep(plan.keywords)).add(recordings[one.recording], one.found)
    return made


_Task: TypeAlias = tuple[Recording, str]
_worker: list[tuple[Search, Renderer]] = []


def _search_all(
    tasks: Sequence[_Task], keywords: Sequence[str], make: MakeSearch, render: Renderer, jobs: int
) -> Iterator[Heard]:
    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        search = make(keywords) if tasks else None
        for task in tasks:
            assert search is not None
            yield _search_one(search, render, task)
        return
    # Forked processes would share what onnxruntime has opened.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin, (keywords, make, render)) as pool:
        try:
            yield from pool.map(_in_worker, tasks)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin(keywords: Sequence[str], make: MakeSearch, render: Renderer) -> None:
    _worker[:] = [(make(keywords), render)]


def _in_worker(task: _Task) -> Heard:
    return _search_one(*_worker[0], task)


def _search_one(search: Search, render: Renderer, task: _Task) -> Heard:
    recording, condition = task
    audio = render(recording, condition)
    began = time.process_time()
    found = list(search(audio))
    cpu_seconds = time.process_time() - began
    return Heard(condition, recording.name, recording.seconds, cpu_seconds, found)


def _read(path: Path, plan: Plan) -> dict[tuple[str, str], Heard]:
    """What a file holds, without a last line that was cut short, which is taken away."""
    if not path.exists():
        return {}
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(sum(map(len, lines[:-1])))
        lines = lines[:-1]
    known = {}
    for number, line in enumerate(lines, 1):
        try:
            table = json.loads(line)
            found = [Found(*row) for row in table["found"]]
            heard = Heard(table["condition"], table["recording"], table["seconds"], table["cpu_seconds"], found)
            sha256 = table["plan"]
        except (ValueError, KeyError, TypeError):
            raise BenchmarkError(f"{path}, line {number}: not what a search found; name another file") from None
        if sha256 != plan.sha256:
            raise BenchmarkError(f"{path}: was made with recordings {sha256[:12]}, not {plan.sha256[:12]}; delete it")
        known[heard.condition, heard.recording] = heard
    return known


def _append(path: Path, plan: Plan, heard: Heard) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    row = {"plan": plan.sha256, **heard._asdict(), "found": [list(one) for one in heard.found]}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
