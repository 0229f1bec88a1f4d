"""Checkpoints that survive a kill at any moment: written aside, synced, renamed; the newest whole one is resumed."""

import os
import re
from pathlib import Path
from typing import Any

import torch


class CheckpointError(ValueError):
    """A checkpoint is missing or damaged."""


def save_checkpoint(run: Path, step: int, state: dict[str, Any], keep: int = 2) -> Path:
    """Writes `checkpoints/STEP.pt` atomically and removes all but the newest `keep`."""
    folder = run / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{step:08d}.pt"
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    for old in _all(folder)[:-keep]:
        old.unlink()
    return path


def newest_checkpoint(run: Path) -> Path | None:
    """Returns the newest checkpoint of a run, or None."""
    found = _all(run / "checkpoints")
    return found[-1] if found else None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU. Raises CheckpointError where it is missing or damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except Exception as error:
        raise CheckpointError(
            f"{path}: damaged checkpoint ({type(error).__name__}); remove it to go on from the one before"
        ) from None


def _all(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.pt") if re.fullmatch(r"\d{8}", path.stem))
