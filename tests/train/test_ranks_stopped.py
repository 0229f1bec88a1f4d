"""torchrun: a rank that is killed, and a run that is asked to stop, end where an unbroken run on as many ranks ends."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.train.test_resume import assert_same, state_of, steps_logged


def torchrun(recipe: Path, run: Path, *overrides: str) -> "subprocess.Popen[str]":
    options = ["--standalone", "--nproc-per-node=2", "--max-restarts=1", "--monitor-interval=0.1"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "watchword", "train", str(recipe)]
    return subprocess.Popen([*command, *overrides, "--run-folder", str(run)], stderr=subprocess.PIPE, text=True)


def rank_of(process: "subprocess.Popen[str]", rank: int) -> int | None:
    """The process id of a rank that torchrun has started, or None where it has ended."""
    for folder in Path("/proc").iterdir():
        try:
            parent = re.search(r"^PPid:\t(\d+)$", (folder / "status").read_text(), re.MULTILINE)
            settings = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # no process, or one that has just ended
            continue
        if parent and int(parent[1]) == process.pid and b"RANK=%d" % rank in settings:
            return int(folder.name)
    return None


def wait_for_steps(process: "subprocess.Popen[str]", run: Path, more: int) -> None:
    before = max(steps_logged(run), default=0)
    wait_until(process, lambda: max(steps_logged(run), default=0) >= before + more)


def wait_until(process: "subprocess.Popen[str]", reached: Callable[[], bool]) -> None:
    began = time.monotonic()
    while process.poll() is None and not reached():
        assert time.monotonic() < began + 300, "the ranks hang"
        time.sleep(0.005)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the ranks' processes in /proc")
def test_a_killed_rank_and_a_stop_cost_nothing(
    small_recipe: Path, ranks_found: list[dict[str, Any]], rank_runs: Path, tmp_path: Path
) -> None:
    assert len(ranks_found) == 2
    run = tmp_path / "run"
    process = torchrun(small_recipe, run)
    wait_for_steps(process, run, 2)
    rank = rank_of(process, 1)
    if rank is not None:  # on a very busy machine all may be over; what is asserted of the end holds all the same
        os.kill(rank, signal.SIGKILL)
    # torchrun starts both ranks again, which go on from the last checkpoint by themselves.
    wait_until(process, lambda: "going on from step" in (run / "log.jsonl").read_text())
    wait_for_steps(process, run, 2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=600)
    assert rank is None or "going on from step" in (run / "log.jsonl").read_text(), err
    assert rank is None or "train: another rank is gone" in err
    stopped_at = state_of(run)["step"]
    assert stopped_at == max(steps_logged(run))
    assert stopped_at == 12 or f"stopped and saved in {run}" in err
    process = torchrun(small_recipe, run)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert steps_logged(run) == list(range(1, 13))
    ended, whole = state_of(run), state_of(rank_runs / "unbroken")
    assert ended["step"] == whole["step"] == 12
    for part in ("model", "objective", "optimizer"):
        assert_same(ended[part], whole[part], part)
