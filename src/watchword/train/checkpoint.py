"""Checkpoints that survive a kill at any moment: written aside, synced, renamed; the newest whole one is resumed."""

import os
import re
from pathlib import Path
from typing import Any

import torch


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or cannot be written."""


def save_checkpoint(run: Path, step: int, state: dict[str, Any], keep: int = 2) -> Path:
    """Writes `checkpoints/STEP.pt` atomically and removes all but the newest `keep`.

    Raises CheckpointError where the disk is full; what was saved before stays."""
    folder = run / "checkpoints"
    path = folder / f"{step:08d}.pt"
    aside = path.with_suffix(".tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except (OSError, RuntimeError) as error:  # PyTorch tells of a full disk by a RuntimeError
        aside.unlink(missing_ok=True)
        why = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise CheckpointError(
            f"{path}: cannot be written ({why}); the checkpoint before it is whole: make room and run the same command"
        ) from None
    for old in _all(folder)[:-keep]:
        old.unlink()
    return path


def newest_whole_checkpoint(run: Path) -> tuple[dict[str, Any] | None, list[Path]]:
    """Reads the newest checkpoint that can be read, or None in a run without any.

    Also returns the damaged ones after it, which are set aside as `STEP.pt.damaged`. Raises CheckpointError where there
    are some and none can be read."""
    damaged: list[Path] = []
    for path in reversed(_all(run / "checkpoints")):
        try:
            state = load_checkpoint(path)
        except CheckpointError:
            damaged.append(path)
            continue
        for bad in damaged:
            bad.replace(bad.with_name(bad.name + ".damaged"))
        return state, damaged
    if damaged:
        raise CheckpointError(f"{damaged[0].parent}: no checkpoint here can be read; remove {run} to start again")
    return None, []


def write_whole(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    aside = path.with_name(path.name + ".tmp")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


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
