"""Makes a run whose model is the mean of a run's and a checkpoint's, weight by weight, for others to learn from.

python scripts/average_runs.py runs/large_end runs/large/checkpoints/00001000.pt runs/large_mean
"""

import shutil
import sys
from pathlib import Path

import torch

from watchword.train.checkpoint import newest_checkpoint


def main(run: Path, other: Path, out: Path) -> None:
    """Writes the last checkpoint of `run`, averaged with `other`, and the recipe to the folder `out`."""
    last = newest_checkpoint(run)
    if last is None:
        raise SystemExit(f"{run}: holds no checkpoint; train it first")
    mean = torch.load(last, map_location="cpu", weights_only=True)
    beside = torch.load(other, map_location="cpu", weights_only=True)["model"]
    for name, weight in mean["model"].items():
        if weight.is_floating_point():
            mean["model"][name] = (weight + beside[name]) / 2
    (out / "checkpoints").mkdir(parents=True, exist_ok=True)
    kept = ("model", "step", "labels", "spent")
    torch.save({name: mean[name] for name in kept}, out / "checkpoints" / last.name)
    shutil.copy(run / "recipe.json", out / "recipe.json")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*map(Path, sys.argv[1:]))
