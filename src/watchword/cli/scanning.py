"""Many recordings searched one after another, or by a pool of processes; each is finished, or fails, by itself."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from watchword.audio import AudioError, blocks, duration

if TYPE_CHECKING:
    from watchword.runtime import Detection, Spotter

# Below this, starting processes takes longer than they save: some 4 minutes of WAV, or an hour of Opus.
_WORTH_BYTES = 8_000_000
_AHEAD, _LOOK_SECONDS = 2, 0.2


class ScanError(ValueError):
    """The processes that search ended without being asked to."""


@dataclass(frozen=True)
class Sought:
    """What a process makes its spotter from."""

    keywords: tuple[str, ...]
    bundle: Path | None
    threshold: float | None
    threads: int


class Outcome(NamedTuple):
    """A file that was searched: its number, detections and length; or the sentence that says why it could not be."""

    number: int
    found: "list[Detection]"
    seconds: float
    error: str | None = None


Told = Callable[[float], object]
"""Told how much of the work is done, in bytes."""


def number_of_processes(jobs: int | None, sizes: Sequence[int], threads: int) -> int:
    """How many processes to use: as many as asked for, else the cores, one where more would not pay."""
    if jobs is not None:
        return max(1, min(jobs, len(sizes)))
    if sum(sizes) < _WORTH_BYTES:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores // threads, len(sizes)))


def search_in_turn(spotter: "Spotter", paths: Sequence[Path], sizes: Sequence[int], told: Told) -> Iterator[Outcome]:
    """Searches the files one after another in this process."""
    before = 0.0
    for number, (path, size) in enumerate(zip(paths, sizes, strict=True)):

        def progress(share: float, before: float = before, size: int = size) -> None:
            told(before + share * size)

        yield _search(spotter, number, path, progress)
        before += size
        told(before)


def search_by_processes(
    sought: Sought, paths: Sequence[Path], sizes: Sequence[int], jobs: int, told: Told
) -> Iterator[Outcome]:
    """Searches the files by `jobs` processes; yields each as soon as it is finished, in whatever order.

    Processes stop when the caller closes the iterator, and when this process is gone."""
    # Forked processes would share what onnxruntime has opened.
    context = multiprocessing.get_context("spawn")
    done, stop = context.Value("d", 0.0), context.Event()
    waiting: dict[Future[Outcome], None] = {}
    left = iter(zip(range(len(paths)), paths, sizes, strict=True))
    with ProcessPoolExecutor(jobs, context, _begin, (sought, done, stop)) as pool:
        try:
            while True:
                while len(waiting) < jobs * _AHEAD and (task := next(left, None)):
                    waiting[pool.submit(_work, *task)] = None
                if not waiting:
                    return
                finished, _ = wait(waiting, _LOOK_SECONDS, FIRST_COMPLETED)
                told(done.value)
                for future in finished:
                    del waiting[future]
                    yield future.result()
        except BrokenProcessPool:
            raise ScanError(
                "spot: a process that searched was ended from outside, perhaps for want of memory; try fewer --jobs"
            ) from None
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _search(spotter: "Spotter", number: int, path: Path, progress: Callable[[float], object]) -> Outcome:
    """Searches one file; `progress` is told which share of it is done."""
    try:
        whole = max(duration(path), 1e-3)
        heard = [0.0]

        def at(seconds: float) -> None:
            heard[0] = seconds
            progress(min(1.0, seconds / whole))

        found = list(spotter.detect(blocks(path, spotter.settings.block_seconds), progress=at))
        return Outcome(number, found, heard[0])
    except (AudioError, OSError) as error:
        return Outcome(number, [], 0.0, said_of(path, error))


def said_of(path: Path, error: Exception) -> str:
    """One sentence about a file that could not be searched."""
    if isinstance(error, PermissionError):
        return f"{path}: you may not read it"
    if isinstance(error, OSError):
        return f"{path}: {(error.strerror or str(error)).lower()}"
    return str(error)


class _StoppedError(Exception):
    """Nobody waits for this any more."""


_here: list[tuple["Spotter", Any, Any]] = []


def _begin(sought: Sought, done: Any, stop: Any) -> None:
    # Ctrl-C reaches the whole group: the first process decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from watchword.runtime import Bundle, Spotter

    bundle = Bundle.load(sought.bundle, verify=False)  # the first process has
    spotter = Spotter(list(sought.keywords), bundle, sought.threshold, threads=sought.threads)
    _here[:] = [(spotter, done, stop)]


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _work(number: int, path: Path, size: int) -> Outcome:
    spotter, done, stop = _here[0]
    told = [0.0]

    def progress(share: float) -> None:
        if stop.is_set():
            raise _StoppedError
        with done.get_lock():
            done.value += (share - told[0]) * size
        told[0] = share

    with contextlib.suppress(_StoppedError):
        outcome = _search(spotter, number, path, progress)
        progress(1.0)
        return outcome
    return Outcome(number, [], 0.0, f"{path}: not finished")
