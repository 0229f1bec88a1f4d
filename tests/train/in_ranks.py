"""Starts processes that train together, as torchrun would, and calls a function in each of them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from watchword.train.distributed import joined_ranks


def in_ranks(work: Callable[..., Any], size: int, folder: Path, *arguments: Any) -> list[Any]:
    """Calls `work(ranks, *arguments)` in `size` processes and returns what each returned."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_call, args=(work, rank, size, port, folder / f"{rank}.pt", arguments), daemon=True)
        for rank in range(size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * size
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(size)]


def _call(work: Callable[..., Any], rank: int, size: int, port: int, result: Path, arguments: tuple[Any, ...]) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    with joined_ranks(torch.device("cpu")) as ranks:
        torch.save(work(ranks, *arguments), result)
