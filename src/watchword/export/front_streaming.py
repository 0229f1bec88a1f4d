"""The acoustic graph with explicit state where the encoder stands on the speech embedding."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from watchword.export.streaming import State, block_states, fresh, last, reach, through_blocks, wait
from watchword.model.acoustic import Res2Block
from watchword.model.embedding_front import LAYERS, PAIR, SILENCE, TAPS, EmbeddingEncoder, past, repeated, tapped
from watchword.model.features import NUM_BINS

# How many pairs the first convolution sees on each side, and how many frames that is.
_ENTRY_PAIRS, _ENTRY = 1, 2


class StreamingEmbedding(nn.Module):
    """An `EmbeddingEncoder` that is fed a recording piece by piece; see `StreamingAcoustic` for the contract.

    Every piece has an even number of frames, `PAIR` or more. What stands before a recording is digital silence, which
    the graph puts there itself when its states are empty."""

    silence: Tensor

    def __init__(self, acoustic: EmbeddingEncoder) -> None:
        super().__init__()
        self.acoustic = acoustic
        self.blocks: list[Res2Block] = list(acoustic.blocks)  # type: ignore[arg-type]
        self.reaches = [reach(block) for block in self.blocks]
        self.register_buffer("silence", torch.full((1, NUM_BINS, PAIR * acoustic.behind), SILENCE), persistent=False)
        self.states = tuple(self._states())

    def _states(self) -> Iterator[State]:
        acoustic = self.acoustic
        yield State("mel", NUM_BINS, acoustic.mean_window - 1)
        yield State("entry", NUM_BINS, 2 * _ENTRY)
        yield State("own", acoustic.config.front_entry, acoustic.ahead - _ENTRY_PAIRS)
        for number, (channels, bands) in enumerate(_memories()):
            if past(number):
                yield State(f"layer_{number}", channels, past(number), bands)
        for (number, (_, width)), (_, later) in zip(TAPS.items(), acoustic.delays(), strict=True):
            yield State(f"tap_{number}", width, later)
        yield from block_states(acoustic.config.channels, acoustic.squeeze_window, self.reaches)

    def forward(self, log_mel: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Takes the next log-mel frames and the states; returns new frames and the states after them."""
        acoustic, old, new = self.acoustic, iter(states), []
        mel = log_mel.transpose(1, 2)
        before = next(old)
        heard = torch.cat([before, mel], dim=2)
        new.append(last(heard, acoustic.mean_window - 1))
        x = mel - last(acoustic.mean(heard), mel.shape[2])
        entering = torch.cat([next(old), x], dim=2)
        new.append(last(entering, 2 * _ENTRY))
        own = wait(
            fresh(acoustic.enter(entering), x.shape[2] // PAIR, _ENTRY_PAIRS), acoustic.ahead - _ENTRY_PAIRS, old, new
        )
        # Only the first piece finds no past.
        missing = PAIR * acoustic.behind * (1 - torch._shape_as_tensor(before)[2].clamp(max=1))  # pyright: ignore[reportPrivateImportUsage]
        taps = self._taps(torch.cat([self.silence[:, :, :missing], mel], dim=2), old, new)
        held = [wait(tap, later, old, new) for tap, (_, later) in zip(taps, acoustic.delays(), strict=True)]
        size = taps[-1].shape[2]
        x = acoustic.join([last(tap, size) for tap in held], last(own, size))
        outputs = through_blocks(self.blocks, self.reaches, x, old, new)
        return repeated(acoustic.finish(outputs)).transpose(1, 2), *new

    def _taps(self, mel: Tensor, old: Iterator[Tensor], new: list[Tensor]) -> list[Tensor]:
        embedding = self.acoustic.embedding
        x, taps = embedding.bands(mel), []
        for number in range(len(LAYERS)):
            if past(number):
                x = torch.cat([next(old), x], dim=2)
                new.append(last(x, past(number)))
            x = embedding.step(number, x)
            if number in TAPS:
                taps.append(tapped(x))
        return taps


def _memories() -> Iterator[tuple[int, int]]:
    """The channels and bands of what each layer of the speech embedding reads."""
    channels, bands = 1, 32
    for layer in LAYERS:
        yield channels, bands
        channels = layer.outputs or channels
        bands //= 1 if layer.outputs else 2
