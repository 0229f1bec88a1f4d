"""Laws of worker processes: every item once, faults come back, a killed worker is noticed, none is left behind."""

import multiprocessing
import os
import signal

import pytest

from watchword.data.workers import WorkerKilledError, run_workers


def open_squares():
    return lambda number: number * number


def open_faulty():
    def work(number):
        if number == 5:
            raise ValueError("five is right out")
        return number

    return work


def open_missing():
    raise ModuleNotFoundError("no such thing", name="thing")


def open_victim():
    def work(number):
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    return work


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_item_once(jobs):
    assert sorted(run_workers(open_squares, range(10), jobs)) == [n * n for n in range(10)]


def test_no_items_no_work():
    assert list(run_workers(open_missing, [], 2)) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_faults_come_back(jobs):
    with pytest.raises(ValueError, match="five is right out"):
        list(run_workers(open_faulty, range(10), jobs))


def test_faults_at_opening_come_back():
    with pytest.raises(ModuleNotFoundError) as caught:
        list(run_workers(open_missing, range(4), 2))
    assert caught.value.name == "thing"
    assert multiprocessing.active_children() == []


def test_a_killed_worker_is_noticed():
    with pytest.raises(WorkerKilledError, match="exit status -9"):
        list(run_workers(open_victim, range(4), 2))
    assert multiprocessing.active_children() == []


def test_stopping_early_ends_the_workers():
    results = run_workers(open_squares, range(10), 2)
    next(results)
    results.close()
    assert multiprocessing.active_children() == []
