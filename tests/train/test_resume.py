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


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out, err


@pytest.fixture(scope="module")
def whole(start_training: Start, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The last state of a run that was never stopped."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    out, _ = finish(start_training(run))
    assert "watchword export" in out
    return state_of(run)


def same_training(state: dict[str, Any], whole: dict[str, Any]) -> None:
    assert state["step"] == whole["step"] == 12
    for part in ("model", "objective", "optimizer"):
        assert_same(state[part], whole[part], part)


def started(start_training: Start, run: Path, *overrides: str) -> "subprocess.Popen[str]":
    """Starts or goes on with a run, and waits until it has logged two steps more than before.

    It is then in the midst of saving the second, or of the third. On a busy machine it may even have ended; what is
    asserted holds all the same."""
    before = max(steps_logged(run), default=0)
    process = start_training(run, *overrides)
    while process.poll() is None and max(steps_logged(run), default=0) < before + 2:
        time.sleep(0.002)
    return process


def steps_logged(run: Path) -> list[int]:
    found: list[int] = []
    if not (run / "log.jsonl").exists():
        return found
    for line in (run / "log.jsonl").read_text().splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # a line that is being written
            continue
        if "of" in record:
            found.append(record["step"])
    return found


def test_killed_at_any_moment_and_resumed_equals_never_stopped_even_from_the_checkpoint_before(
    start_training: Start, tmp_path: Path, whole: dict[str, Any]
) -> None:
    run, chance = tmp_path / "killed", random.Random()
    for _ in range(2):
        process = started(start_training, run)
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.communicate(timeout=600)
    newest = newest_checkpoint(run)
    assert newest is not None
    newest.write_bytes(newest.read_bytes()[:5000])
    _, err = finish(start_training(run))
    assert f"{newest}: damaged" in err
    same_training(state_of(run), whole)
    assert steps_logged(run) == list(range(1, 13))


def test_asked_to_stop_it_saves_and_resumes_equal_and_workers_do_not_matter(
    start_training: Start, tmp_path: Path, whole: dict[str, Any]
) -> None:
    run = tmp_path / "stopped"
    for number in (signal.SIGTERM, signal.SIGINT):
        process = started(start_training, run, "train.checkpoint_every=100", "train.workers=2")
        process.send_signal(number)
        _, err = process.communicate(timeout=600)
        stopped_at = state_of(run)["step"]
        assert (process.returncode, stopped_at == 12) in ((130, False), (0, True)), err
        assert stopped_at == 12 or "run the same command again" in err.splitlines()[-1]
        assert stopped_at == max(steps_logged(run))
    finish(start_training(run, "train.workers=0"))
    same_training(state_of(run), whole)
