"""Makes a run whose model is the mean of a run's and a checkpoint's, weight by weight, for others to learn from.

python scripts/average_runs.py runs/large_end runs/large/checkpoints/00001000.pt runs/large_mean
"""

import shutil
import sys
from pathlib import Path

import torch

from watchword.export.runs import average
from watchword.train.runs import load_run


def main(run: Path, other: Path, out: Path) -> None:
    """Writes the last checkpoint of `run`, averaged with `other`, and the recipe to the folder `out`."""
    _, model, state = load_run(run)
    average(model, [other])
    (out / "checkpoints").mkdir(parents=True, exist_ok=True)
    kept = {name: state[name] for name in ("step", "labels", "spent")}
    torch.save({"model": model.state_dict(), **kept}, out / "checkpoints" / f"{int(state['step']):08d}.pt")
    shutil.copy(run / "recipe.json", out / "recipe.json")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*map(Path, sys.argv[1:]))
