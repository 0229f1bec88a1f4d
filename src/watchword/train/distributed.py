"""Ranks: the processes that train together, what they agree on, and the rows that they gather with their gradients."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

Value = TypeVar("Value")

PATIENCE = timedelta(days=7)
"""How long ranks wait while the first one speaks texts, packs or validates. A rank that dies is noticed at once."""


class RanksError(RuntimeError):
    """Ranks no longer do the same, or one of them is gone."""


@dataclass(frozen=True)
class Ranks:
    """Process `rank` of `size`; one alone, which is the usual case, has nobody to ask and asks nobody.

    Every method but `first` must be called by all ranks alike. `patient` is the group they wait in."""

    rank: int = 0
    size: int = 1
    patient: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes, validates and speaks for all."""
        return self.rank == 0

    def wait(self) -> None:
        """Waits until all ranks are here."""
        if self.size > 1:
            dist.barrier(group=self.patient)

    def any(self, wish: bool) -> bool:
        """Whether any rank has this wish."""
        return self.sum([float(wish)])[0] > 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Adds each value up over all ranks."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    def share(self, value: Value) -> Value:
        """Gives every rank what the first one has."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"), group=self.patient)
        return box[0]

    def alike(self, tensors: Sequence[Tensor]) -> bool:
        """Whether tensors are the same on all ranks, by sums that differ as soon as a bit does (or all but surely)."""
        if self.size == 1:
            return True
        with torch.no_grad():
            sums = torch.stack([part for t in tensors for part in _sums(t)]).cpu()
        first = sums.clone()
        dist.broadcast(first, src=0)
        return not self.any(not torch.equal(sums, first))

    def parallel(self, module: nn.Module) -> nn.Module:
        """Wraps a module so that its gradients are the ranks' mean; the first rank's weights are taken for all."""
        if self.size == 1:
            return module
        # Which losses have rows differs from step to step; a parameter that no rank used must keep no gradient.
        return DistributedDataParallel(module, find_unused_parameters=True, broadcast_buffers=False)


ALONE = Ranks()


@contextmanager
def joined_ranks(device: torch.device) -> Iterator[Ranks]:
    """Joins the ranks that torchrun has started, over NCCL where they compute on GPUs and gloo elsewhere.

    Yields ALONE where torchrun has started one process, or none."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    store, rank, size = next(dist.rendezvous("env://"))  # pyright: ignore[reportPrivateImportUsage]
    # torchrun keeps one store for all its restarts, where a rank may find the address of one that is gone, and wait.
    attempt = f"restart {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')} of {size} ranks"
    store = dist.PrefixStore(attempt, store)  # pyright: ignore[reportPrivateImportUsage]
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    with warnings.catch_warnings():
        # The new name of this argument is too new for the oldest PyTorch that is supported.
        warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
        yield Ranks(rank, size, dist.new_group(backend="gloo", timeout=PATIENCE))
    # After a fault others may be gone, and this would wait for them.
    dist.destroy_process_group()


def is_loss_of_a_rank(error: BaseException) -> bool:
    """Whether an error means that another rank is gone."""
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)


def gather_rows(tensors: Sequence[Tensor], ranks: Ranks) -> list[Tensor]:
    """Puts the rows (first dimension) of all ranks one after another, in the order of ranks, for each tensor.

    Ranks may differ in every dimension; all but the first are padded with 0 to the widest. Every rank gets all rows.
    Going back, each row's gradient is the sum of what the ranks make of it: where all compute the same loss from the
    same rows, `size` times that of one process, which the mean over ranks in DistributedDataParallel takes out again
    for what lies before the gather, while what lies after it (the parameters of losses) has the same gradient on every
    rank, whose mean it is."""
    if ranks.size == 1:
        return list(tensors)
    shapes = _gather_shapes(tensors, ranks)
    gathered: list[Tensor] = list(tensors)
    # One exchange for all tensors of a type: small ones cost a journey, not bytes.
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        members = [number for number, tensor in enumerate(tensors) if tensor.dtype == dtype]
        flat = torch.cat([tensors[number].detach().reshape(-1) for number in members])
        sizes = [[shapes[rank][number].numel() for number in members] for rank in range(ranks.size)]
        flat = functional.pad(flat, (0, max(map(sum, sizes)) - len(flat)))
        rows = zip(_all_gather(flat, ranks).unbind(), sizes, strict=True)
        pieces = [whole[: sum(own)].split(own) for whole, own in rows]
        for place, number in enumerate(members):
            gathered[number] = _joined([pieces[r][place].view(shapes[r][number]) for r in range(ranks.size)])
    first = [sum(shapes[rank][number][0] for rank in range(ranks.rank)) for number in range(len(tensors))]
    return [
        _Gathered.apply(own, whole, start) if own.requires_grad else whole  # type: ignore[misc]
        for own, whole, start in zip(tensors, gathered, first, strict=True)
    ]


def exchange(flat: Tensor, ranks: Ranks) -> Tensor:
    """Stacks equally long vectors [n] of all ranks to [ranks, n]; the gradient is the ranks' sum."""
    return _Gathered.apply(flat[None], _all_gather(flat.detach(), ranks), ranks.rank)  # type: ignore[no-any-return]


class _Gathered(torch.autograd.Function):
    """Lets the gradient of gathered rows go back to a rank's own, which are those from `start` on.

    One for each tensor, though all are exchanged at once: what no loss uses must have no gradient, not one of 0."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, whole: Tensor, start: int) -> Tensor:
        ctx.place = (slice(start, start + len(own)), *(slice(size) for size in own.shape[1:]))
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        # In float32 at least: the sum of half-precision gradients would be rounded once more.
        (gradient,) = gradients
        total = gradient.to(torch.promote_types(gradient.dtype, torch.float32), copy=True).contiguous()
        dist.all_reduce(total)
        return total[ctx.place].to(gradient.dtype), None, None


def _all_gather(flat: Tensor, ranks: Ranks) -> Tensor:
    sent = (flat.byte() if flat.dtype == torch.bool else flat).contiguous()
    found = sent.new_empty(ranks.size, len(sent))
    dist.all_gather(list(found.unbind()), sent)
    return found.to(flat.dtype)


def _gather_shapes(tensors: Sequence[Tensor], ranks: Ranks) -> list[list[torch.Size]]:
    """The shape of each tensor on each rank, [rank][tensor]."""
    own = torch.tensor([size for tensor in tensors for size in tensor.shape])
    found = []
    for sizes in _all_gather(own, ranks).tolist():
        left = iter(sizes)
        found.append([torch.Size(next(left) for _ in tensor.shape) for tensor in tensors])
    return found


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    """Concatenates rows, each piece first padded with 0 to the widest."""
    widest = [max(sizes) for sizes in zip(*(piece.shape[1:] for piece in pieces), strict=True)]
    joined = pieces[0].new_zeros(sum(map(len, pieces)), *widest)
    for piece, rows in zip(pieces, joined.split([len(piece) for piece in pieces]), strict=True):
        rows[(slice(None), *(slice(size) for size in piece.shape[1:]))] = piece
    return joined


def _sums(tensor: Tensor) -> tuple[Tensor, Tensor]:
    flat = tensor.detach().reshape(-1).double()
    weights = torch.linspace(1.0, 2.0, len(flat), dtype=torch.float64, device=flat.device)
    return flat.sum(), flat @ weights
