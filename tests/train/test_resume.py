"""Stopping a run and going on gives the same weights, bit for bit, as not stopping it."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from watchword.train.checkpoint import load_checkpoint, newest_checkpoint

Start = Callable[..., "subprocess.Popen[str]"]


def state_of(run: Path) -> dict[str, Any]:
    newest = newest_checkpoint(run)
    assert newest is not None
    return load_checkpoint(newest)


def assert_same(one: Any, other: Any, place: str = "") -> None:
    """Compares nested states: tensors bit for bit, all else by equality."""
    assert type(one) is type(other), place
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_same(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{place}.{number}")
    else:
        assert one == other, place


def finish(process: "subprocess.Popen[str]", status: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=600)
    assert process.returncode == status, err
    return out, err


@pytest.fixture
def whole(start_training: Start, tmp_path: Path) -> dict[str, Any]:
    """The last state of a run that was never stopped."""
    out, _ = finish(start_training(tmp_path / "whole"))
    assert "watchword export" in out
    return state_of(tmp_path / "whole")


def same_training(state: dict[str, Any], whole: dict[str, Any]) -> None:
    assert state["step"] == whole["step"] == 12
    for part in ("model", "objective", "optimizer", "random"):
        assert_same(state[part], whole[part], part)


def steps_logged(run: Path) -> list[int]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [record["step"] for record in records if "of" in record]


def await_step(run: Path, process: "subprocess.Popen[str]", step: int) -> None:
    """Waits until a run has logged a step; the process is then in the midst of saving it or of the next."""
    while process.poll() is None:
        if (run / "log.jsonl").exists() and any(s >= step for s in steps_logged_so_far(run)):
            return
        time.sleep(0.002)
    raise AssertionError(f"ended before step {step}: {process.communicate()[1]}")


def steps_logged_so_far(run: Path) -> list[int]:
    found = []
    for line in (run / "log.jsonl").read_text().splitlines():
        try:
            found.append(json.loads(line)["step"])
        except json.JSONDecodeError:  # a line that is being written
            continue
    return found


def test_killed_at_any_moment_and_resumed_equals_never_stopped(
    start_training: Start, tmp_path: Path, whole: dict[str, Any]
) -> None:
    run, chance = tmp_path / "killed", random.Random()
    for step in (2, 6):
        process = start_training(run)
        await_step(run, process, step)
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.communicate(timeout=600)
    finish(start_training(run))
    same_training(state_of(run), whole)
    assert steps_logged(run) == list(range(1, 13))


def test_asked_to_stop_it_saves_and_resumes_equal_and_workers_do_not_matter(
    start_training: Start, tmp_path: Path, whole: dict[str, Any]
) -> None:
    run = tmp_path / "stopped"
    for number, step in ((signal.SIGTERM, 2), (signal.SIGINT, 5)):
        process = start_training(run, "train.checkpoint_every=100", "train.workers=2")
        await_step(run, process, step)
        process.send_signal(number)
        _, err = finish(process, status=130)
        assert "run the same command again" in err.splitlines()[-1]
        assert state_of(run)["step"] >= step
    finish(start_training(run, "train.workers=0"))
    same_training(state_of(run), whole)


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    start_training: Start, tmp_path: Path, whole: dict[str, Any]
) -> None:
    run = tmp_path / "damaged"
    process = start_training(run)
    await_step(run, process, 6)
    process.send_signal(signal.SIGTERM)
    finish(process, status=130)
    newest = newest_checkpoint(run)
    assert newest is not None
    newest.write_bytes(newest.read_bytes()[:5000])
    _, err = finish(start_training(run))
    assert f"{newest}: damaged" in err
    same_training(state_of(run), whole)
