"""torchrun: a rank that is killed, and a run that is asked to stop, end where an unbroken run on as many ranks ends."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.train.in_ranks import in_ranks
from tests.train.test_resume import assert_same, state_of, steps_logged
from watchword.train.distributed import Ranks
from watchword.train.experiment import Experiment
from watchword.train.loop import train
from watchword.train.recipe import load_recipe


def train_on(ranks: Ranks, recipe: Path, run: Path) -> bool:
    return train(Experiment(load_recipe(recipe), ranks), run)


@pytest.fixture(scope="module")
def unbroken(small_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    assert in_ranks(train_on, 2, folder, small_recipe, folder / "run") == [True, True]
    return folder / "run"


def torchrun(recipe: Path, run: Path, *overrides: str) -> "subprocess.Popen[str]":
    options = ["--standalone", "--nproc-per-node=2", "--max-restarts=1", "--monitor-interval=0.1"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "watchword", "train", str(recipe)]
    return subprocess.Popen([*command, *overrides, "--run-folder", str(run)], stderr=subprocess.PIPE, text=True)


def rank_of(process: "subprocess.Popen[str]", rank: int) -> int:
    """The process id of a rank that torchrun has started."""
    for folder in Path("/proc").iterdir():
        try:
            parent = re.search(r"^PPid:\t(\d+)$", (folder / "status").read_text(), re.MULTILINE)
            settings = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # no process, or one that has just ended
            continue
        if parent and int(parent[1]) == process.pid and b"RANK=%d" % rank in settings:
            return int(folder.name)
    raise AssertionError(f"no rank {rank}")


def wait_for_steps(process: "subprocess.Popen[str]", run: Path, more: int) -> None:
    before = max(steps_logged(run), default=0)
    while process.poll() is None and max(steps_logged(run), default=0) < before + more:
        time.sleep(0.005)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the ranks' processes in /proc")
def test_a_killed_rank_and_a_stop_cost_nothing(small_recipe: Path, unbroken: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = torchrun(small_recipe, run)
    wait_for_steps(process, run, 2)
    os.kill(rank_of(process, 1), signal.SIGKILL)
    # torchrun starts both ranks again, which go on from the last checkpoint by themselves.
    wait_for_steps(process, run, 2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=600)
    assert "train: another rank is gone" in err
    assert "going on from step" in (run / "log.jsonl").read_text()
    stopped_at = state_of(run)["step"]
    assert stopped_at == max(steps_logged(run))
    assert stopped_at == 12 or f"stopped and saved in {run}" in err
    process = torchrun(small_recipe, run)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert steps_logged(run) == list(range(1, 13))
    ended, whole = state_of(run), state_of(unbroken)
    assert ended["step"] == whole["step"] == 12
    for part in ("model", "objective", "optimizer"):
        assert_same(ended[part], whole[part], part)
