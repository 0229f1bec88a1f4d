"""The acoustic graph with explicit state: the frames of a stream, each computed once, equal to those of the whole."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from watchword.model.acoustic import AcousticEncoder, Res2Block, window_sums
from watchword.model.features import NUM_BINS

# How many frames the first convolution sees on each side.
ENTRY = 2


class State(NamedTuple):
    """One thing that the graph remembers: its name, its channels, and the most frames of it that are kept; where it has
    `bands`, it is [1, channels, kept, bands], else [1, channels, kept]."""

    name: str
    channels: int
    frames: int
    bands: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape where it is full."""
        return (1, self.channels, self.frames, *((self.bands,) if self.bands else ()))


class StreamingAcoustic(nn.Module):
    """An acoustic encoder of local context that is fed a recording piece by piece.

    `forward(log_mel [1, n, 40], *states)` gives frames [1, m, dim] and the states [1, channels, kept] that the next
    piece needs. m is n but for the first piece, which gives `lookahead_frames` fewer, and must be longer than those: a
    frame comes out when all that it looks at is there. States begin empty, [1, channels, 0].

    Every layer is run on what is new and on as much of its past as it can see; what comes out of the zeros beyond is
    cut off. At the recording's start the past is short, and the layer's own padding is what it is in the whole. So
    the frames equal those of `AcousticEncoder.forward`, but for its last `lookahead_frames`, which lean on its end."""

    def __init__(self, acoustic: AcousticEncoder) -> None:
        super().__init__()
        if acoustic.config.context != "local":
            raise ValueError("model: only an acoustic model of local context can be fed a stream")
        self.acoustic = acoustic
        self.blocks: list[Res2Block] = list(acoustic.blocks)  # type: ignore[arg-type]
        self.reaches = [reach(block) for block in self.blocks]
        self.states = tuple(self._states())

    def _states(self) -> Iterator[State]:
        config = self.acoustic.config
        yield State("mel", NUM_BINS, config.mean_window_frames - 1)
        yield State("entry", NUM_BINS, 2 * ENTRY)
        yield from block_states(config.channels, config.squeeze_window_frames, self.reaches)

    def forward(self, log_mel: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Takes the next log-mel frames and the states; returns new frames and the states after them."""
        acoustic, old, new = self.acoustic, iter(states), []
        x = log_mel.transpose(1, 2)
        heard = torch.cat([next(old), x], dim=2)
        new.append(last(heard, acoustic.config.mean_window_frames - 1))
        x = x - last(acoustic._mean(heard, None), x.shape[2])  # pyright: ignore[reportPrivateUsage]
        entering = torch.cat([next(old), x], dim=2)
        new.append(last(entering, 2 * ENTRY))
        x = fresh(acoustic.entry(entering), x.shape[2], ENTRY)
        x = acoustic.entry_norm(functional.relu(x))
        outputs = through_blocks(self.blocks, self.reaches, x, old, new)
        x = acoustic.aggregate_norm(functional.relu(acoustic.aggregate(torch.cat(outputs, dim=1))))
        return acoustic.project(x).transpose(1, 2), *new


def block_states(channels: int, window: int, reaches: Sequence[tuple[int, int]]) -> Iterator[State]:
    """What blocks remember, in the order in which `through_blocks` takes it."""
    for number, (past, future) in enumerate(reaches):
        yield State(f"chain_{number}", channels, past + future)
        yield State(f"input_{number}", channels, future)
        yield State(f"gate_{number}", channels, window - 1)
        # What a block gives waits for the blocks after it.
        yield State(f"output_{number}", channels, _later(reaches, number))


def through_blocks(
    blocks: Sequence[Res2Block],
    reaches: Sequence[tuple[int, int]],
    x: Tensor,
    old: Iterator[Tensor],
    new: list[Tensor],
) -> list[Tensor]:
    """Runs blocks over new frames x [1, c, n]; gives what each has for frames that the last one is done with."""
    outputs = []
    for number, (block, (past, future)) in enumerate(zip(blocks, reaches, strict=True)):
        x = _block(block, past, future, x, old, new)
        outputs.append(wait(x, _later(reaches, number), old, new))
    return outputs


def wait(x: Tensor, later: int, old: Iterator[Tensor], new: list[Tensor]) -> Tensor:
    """Holds the last `later` frames back, and gives those that were held back before."""
    waiting = torch.cat([next(old), x], dim=2)
    new.append(last(waiting, later))
    return but_last(waiting, later)


def _later(reaches: Sequence[tuple[int, int]], number: int) -> int:
    return sum(ahead for _, ahead in reaches[number + 1 :])


def _block(block: Res2Block, past: int, future: int, x: Tensor, old: Iterator[Tensor], new: list[Tensor]) -> Tensor:
    """Runs one block over new frames x [1, c, n]; see `Res2Block.forward`."""
    size = x.shape[2]
    y = torch.cat([next(old), block.enter_norm(functional.relu(block.enter(x)))], dim=2)
    new.append(last(y, past + future))
    y = fresh(_chained(block, y), size, future)
    y = block.leave_norm(functional.relu(block.leave(y)))
    x = torch.cat([next(old), x], dim=2)
    new.append(last(x, future))
    x = but_last(x, future)
    assert block.window is not None
    heard = torch.cat([next(old), y], dim=2)
    new.append(last(heard, block.window - 1))
    sums, counts = window_sums(heard, block.window)
    mean = last(sums / counts, y.shape[2])
    return x + y * torch.sigmoid(block.excite(functional.relu(block.squeeze(mean))))


def _chained(block: Res2Block, y: Tensor) -> Tensor:
    groups = y.chunk(block.scale, dim=1)
    outputs = [groups[0]]
    previous: Tensor | None = None
    for i, (conv, norm) in enumerate(zip(block.chain, block.chain_norms, strict=True)):
        z = groups[i + 1] if previous is None else groups[i + 1] + previous
        d = block.dilation
        previous = norm(functional.relu(conv(functional.pad(z, (d, d) if i < block.centred else (2 * d, 0)))))
        assert previous is not None
        outputs.append(previous)
    return torch.cat(outputs, dim=1)


def reach(block: Res2Block) -> tuple[int, int]:
    """How many frames before and after it a frame's chain of convolutions sees: causal taps reach 2 d back."""
    causal = len(block.chain) - block.centred
    return block.dilation * (block.centred + 2 * causal), block.dilation * block.centred


def last(x: Tensor, frames: int) -> Tensor:
    return x[:, :, -frames:] if not isinstance(frames, int) or frames else x[:, :, :0]


def but_last(x: Tensor, frames: int) -> Tensor:
    return x[:, :, :-frames] if frames else x


def fresh(x: Tensor, size: int, future: int) -> Tensor:
    """Of a layer's output over past and new frames, those that are complete for the first time."""
    return but_last(x[:, :, -(size + future) :], future)
