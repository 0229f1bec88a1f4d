"""Which precision the model computes in: bfloat16 where the processor has instructions for it."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def uses_bfloat16(precision: str, cpuinfo: Path = CPUINFO) -> bool:
    """Whether a recipe's `train.precision` means bfloat16 on this machine.

    "auto" asks the processor: bfloat16 is 1.6 times as fast where it is native and ten times slower where it is not."""
    if precision != "auto":
        return precision == "bfloat16"
    try:
        text = cpuinfo.read_text()
    except OSError:  # no Linux
        return False
    flags = {flag for line in text.splitlines() if line.startswith(("flags", "Features")) for flag in line.split()}
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})
