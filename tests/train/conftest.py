"""The smallest recipe that has every family of losses, on the store of tones; and the command line in a process."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.train.in_ranks import in_ranks
from tests.train.rank_work import laws
from watchword.data.store import Store

SMALL = """
name = "small"
[model]
frame_head = true
mask_bins = 3
mask_frames = 3
[model.acoustic]
context = "local"
channels = 16
scale = 4
squeeze = 8
dim = 16
attention = 8
[model.textual]
embedding = 16
hidden_per_direction = 8
dim = 16
[data]
store = "STORE"
[batch]
classes = 6
in_context = true
before = [0.05, 0.2]
after = [0.05, 0.2]
jitter = 0.03
speed = [0.9, 1.1]
[objective]
relational = { name = "relational_proxy", vertices = 8, ends = 8 }
point_to_point = { name = "asyp" }
phoneme = { name = "asyp", weight = 0.1, adaptive = "boxed" }
monotonic = { name = "monotonic" }
keyword = { name = "sphereface2", sampled = 5 }
adversary = { name = "modality_adversary", hidden = 8 }
frame = { name = "frame_phonemes", weight = 0.5 }
[train]
steps = 12
learning_rate = 1e-3
warmup_steps = 2
checkpoint_every = 1
log_every = 1
threads = 1
"""


@pytest.fixture(scope="session")
def small_recipe(tmp_path_factory: pytest.TempPathFactory, tone_store: Store) -> Path:
    """A recipe of 12 steps that draws on every source of chance: masks, dropout, samples of classes and of angles."""
    path = tmp_path_factory.mktemp("recipes") / "small.toml"
    path.write_text(SMALL.replace("STORE", str(tone_store.folder)))
    return path


@pytest.fixture(scope="session")
def start_training(small_recipe: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `watchword train` on the small recipe in a process of its own."""

    def start(run: Path, *overrides: str) -> subprocess.Popen[str]:
        code = "import sys; from watchword.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", code, "train", str(small_recipe), *overrides, "--run", str(run)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.fixture(scope="session")
def rank_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `ranks_found` leaves the runs that two ranks, or one of them alone, have trained."""
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="session")
def ranks_found(rank_runs: Path, small_recipe: Path) -> list[dict[str, Any]]:
    """What each of two ranks found, all in one pair of processes: they take seconds to start."""
    return in_ranks(laws, 2, rank_runs, small_recipe, rank_runs)
