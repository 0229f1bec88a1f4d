"""Worker processes: work shared out over cores, results as they come, a killed worker noticed at once."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerKilledError(RuntimeError):
    """A worker process ended before its work was done: killed from outside, as a rule for want of memory."""


def run_workers(
    open_work: Callable[[], Callable[[Item], Result]], items: Sequence[Item], jobs: int = 0
) -> Iterator[Result]:
    """Yields the result of each item, in the order in which they are finished, from `jobs` processes (0: one a core);
    a single job is done in this one.

    `open_work` is called once in each process and returns what is called with every item of its share; it and the items
    must be picklable. An exception in a worker ends all of them and is raised here. Raises WorkerKilledError where a
    worker dies. Closing the generator ends the workers; so does the death of this process."""
    jobs = min(jobs or os.cpu_count() or 1, len(items))
    if jobs == 1:
        yield from map(open_work(), items)
        return
    context = multiprocessing.get_context("spawn")
    workers, open_ends = [], {}
    try:
        for number in range(jobs):
            # A pipe for each worker and no shared lock: one that is killed can hold up no other, and its end is seen.
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(open_work, items[number::jobs], sender), daemon=True)
            process.start()
            sender.close()
            workers.append(process)
            open_ends[receiver] = process
        while open_ends:
            for receiver in wait(list(open_ends)):
                assert isinstance(receiver, Connection)
                try:
                    kind, value = receiver.recv()
                except (EOFError, OSError):
                    process = open_ends[receiver]
                    process.join()
                    raise WorkerKilledError(
                        f"a worker process was killed (exit status {process.exitcode}; is there enough memory?); "
                        "run the same command again to go on"
                    ) from None
                if kind == "error":
                    raise value
                if kind == "end":
                    open_ends.pop(receiver)
                    receiver.close()
                else:
                    yield value
    finally:
        for receiver in open_ends:
            receiver.close()
        for process in workers:
            process.terminate()
            process.join()


def _work(open_work: Callable[[], Callable[[Any], Any]], items: Sequence[Any], sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends its workers
    try:
        try:
            work = open_work()
            for item in items:
                sender.send(("result", work(item)))
            sender.send(("end", None))
        except BrokenPipeError:
            raise
        except Exception as error:
            sender.send(("error", error))
    except BrokenPipeError:  # the parent is gone
        return
