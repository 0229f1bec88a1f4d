"""Where the model computes, and in which precision: bfloat16 where the processor has instructions for it."""

import os
from pathlib import Path

import torch

from watchword.train.recipe import RecipeError

CPUINFO = Path("/proc/cpuinfo")


def choose_device(wanted: str) -> torch.device:
    """Returns the device that a recipe's `train.device` means in this process: "auto" is a GPU where there is one.

    Under torchrun each rank of a machine takes a GPU of its own. Raises RecipeError where there is none (left)."""
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    number, found = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= found:
        raise RecipeError(
            f"train.device: {wanted!r} needs {number + 1} GPUs on this machine, and PyTorch finds {found}; "
            "start fewer processes, or set train.device=cpu"
        )
    return torch.device("cuda", number)


def uses_bfloat16(precision: str, cpuinfo: Path = CPUINFO, device: str = "cpu") -> bool:
    """Whether a recipe's `train.precision` means bfloat16 on this machine's processor or GPU.

    "auto" asks the processor: bfloat16 is 1.6 times as fast where it is native and ten times slower where it is not."""
    if precision != "auto":
        return precision == "bfloat16"
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        text = cpuinfo.read_text()
    except OSError:  # no Linux
        return False
    flags = {flag for line in text.splitlines() if line.startswith(("flags", "Features")) for flag in line.split()}
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})
