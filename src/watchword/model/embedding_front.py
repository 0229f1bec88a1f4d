"""An acoustic encoder on a public speech embedding: its layers at a finer rate, a branch of our own, then blocks."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from watchword.model.acoustic import (
    AcousticConfig,
    Pooled,
    Res2Block,
    centred_convolutions,
    frame_mask,
    window_sums,
)
from watchword.model.features import FLOOR, NUM_BINS

PAIR = 2
"""Log-mel frames to one frame of the blocks."""
SILENCE = math.log(FLOOR)
"""Log-mel of digital silence, which stands before and after a recording."""
_BANDS = 32
_SEEN = 38
"""How many pairs one value of the last layer of the speech embedding sees: its 76 frames."""


class Layer(NamedTuple):
    """One layer of the speech embedding: a convolution over time or over bands, or a maximum over two neighbours.

    `stride` is over time; `dilation` makes up for strides that were taken out further down."""

    kind: str
    inputs: int = 0
    outputs: int = 0
    dilation: int = 1


# Lin et al. 2020 (arXiv 2002.01322) halve the rate three times. Here only the first time: the others are dilations, so
# that every fourth value is one that the published network computes, and the others lie between them.
LAYERS = (
    *(Layer("both", 1, 24), Layer("bands", 24, 24), Layer("time", 24, 24), Layer("halve")),
    *(
        Layer("bands", 24, 48),
        Layer("time", 48, 48),
        Layer("bands", 48, 48),
        Layer("time", 48, 48),
        Layer("pool_bands"),
    ),
    *(Layer("bands", 48, 72), Layer("time", 72, 72), Layer("bands", 72, 72), Layer("time", 72, 72), Layer("pool")),
    *(Layer("bands", 72, 96), Layer("time", 96, 96, 2), Layer("bands", 96, 96), Layer("time", 96, 96, 2)),
    Layer("pool_bands"),
    *(Layer("bands", 96, 96), Layer("time", 96, 96, 2), Layer("bands", 96, 96), Layer("time", 96, 96, 2)),
    Layer("pool", dilation=2),
    Layer("last", 96, 96, 4),
)
# Which layers are read, how many pairs each sees, and how wide it is: 72 channels of 4 bands, then 96 of one.
TAPS = {13: (12, 288), 23: (30, 96), 24: (_SEEN, 96)}


class SpeechEmbedding(nn.Module):
    """The layers of the speech embedding, without padding in time: log-mel in 40 bins to its values at 50 Hz.

    It was made for 32 bands up to 3.8 kHz; these are put together from ours by `mixing` [40, 32], which comes with the
    weights (see `watchword.train.front`)."""

    mixing: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mixing", _first_mixing())
        self.layers = nn.ModuleList(_convolution(layer) for layer in LAYERS)

    def bands(self, log_mel: Tensor) -> Tensor:
        """Turns log-mel [b, 40, frames] into what the network reads, [b, 1, frames, 32]."""
        # Decibels of 16-bit samples, a tenth of them, and 2: what the network was trained on.
        with torch.autocast(log_mel.device.type, enabled=False):
            power = log_mel.to(self.mixing.dtype).exp().transpose(1, 2) @ self.mixing
        return (power.clamp_min(1e-10).log() / math.log(10.0) + (2.0 + 20.0 * math.log10(32768.0) / 10.0))[:, None]

    def step(self, number: int, x: Tensor) -> Tensor:
        """Applies one layer to x [b, channels, time, bands], of which it uses up `past(number)` in time."""
        layer = LAYERS[number]
        if layer.kind == "halve":
            return functional.max_pool2d(x, 2)
        if layer.kind == "pool_bands":
            return functional.max_pool2d(x, (1, 2))
        if layer.kind == "pool":
            x = functional.max_pool2d(x, (1, 2))
            return torch.maximum(x[:, :, : -layer.dilation], x[:, :, layer.dilation :])
        x = self.layers[number](x)
        return x if layer.kind == "last" else functional.hardtanh(functional.leaky_relu(x, 0.2), -0.4, 1e9)

    def forward(self, log_mel: Tensor) -> list[Tensor]:
        """Gives the `TAPS` [b, width, pairs] of log-mel [b, 40, frames]; each has fewer pairs, by what it sees."""
        x, taps = self.bands(log_mel), []
        for number in range(len(LAYERS)):
            x = self.step(number, x)
            if number in TAPS:
                taps.append(tapped(x))
        return taps


def repeated(x: Tensor) -> Tensor:
    """Gives each step of x [b, dim, pairs] once for each frame of a pair: [b, dim, frames]."""
    return torch.stack([x] * PAIR, dim=3).flatten(2)


def past(number: int) -> int:
    """How many steps in time a layer uses up: what a stream must remember of its input."""
    layer = LAYERS[number]
    return {"both": 2, "time": 2 * layer.dilation, "last": 2 * layer.dilation, "pool": layer.dilation}.get(
        layer.kind, 0
    )


def tapped(x: Tensor) -> Tensor:
    """Lays channels and bands of a layer's values [b, channels, time, bands] side by side: [b, channels · bands, t]."""
    return x.transpose(2, 3).flatten(1, 2)


class EmbeddingEncoder(Pooled):
    """Log-mel to frame embeddings, and those to one embedding: the interface of `AcousticEncoder`, in a local context.

    The speech embedding's layers, each in its own delay, and a convolution over our log-mel less its running mean (it
    sees what lies above 3.8 kHz, and 20 ms sharply) are joined; blocks of ECAPA-TDNN follow at 50 Hz, and every frame
    is given twice, so that frames come at 100 Hz as they do everywhere else."""

    frame_multiple = PAIR

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        if config.context != "local":
            raise ValueError('model: acoustic.front = "speech_embedding" needs acoustic.context = "local"')
        self.config = config
        width, chained = config.channels, config.scale - 1
        self.ahead = config.front_lookahead_frames // PAIR
        if not 6 <= self.ahead <= _SEEN // 2:
            raise ValueError("model: acoustic.front_lookahead_frames must be 12 to 38")
        self.behind = _SEEN - 1 - self.ahead
        centred = centred_convolutions(config.lookahead_frames // PAIR, config.dilations, chained)
        blocks_ahead = sum(k * d for k, d in zip(centred, config.dilations, strict=True))
        self.lookahead_frames = PAIR * (self.ahead + blocks_ahead)
        self.mean_window, self.squeeze_window = config.mean_window_frames, config.squeeze_window_frames // PAIR
        convolutions = sum(d * (k + 2 * (chained - k)) for k, d in zip(centred, config.dilations, strict=True))
        left = convolutions + len(config.dilations) * (self.squeeze_window - 1)
        self.left_context_frames = PAIR * (left + max(self.behind, 1 + self.mean_window // PAIR))
        self.register_buffer("prior_mean", torch.full((NUM_BINS,), -7.0))
        self.prior_mean: Tensor
        self.embedding = SpeechEmbedding()
        self.tap_norms = nn.ModuleList(nn.BatchNorm1d(size) for _, size in TAPS.values())
        self.entry = nn.Conv1d(NUM_BINS, config.front_entry, 6, stride=PAIR, padding=2)
        self.entry_norm = nn.BatchNorm1d(config.front_entry)
        self.joint = nn.Conv1d(config.front_entry + sum(size for _, size in TAPS.values()), width, 1)
        self.joint_norm = nn.BatchNorm1d(width)
        self.blocks = nn.ModuleList(
            Res2Block(width, config.scale, d, config.squeeze, k, self.squeeze_window)
            for d, k in zip(config.dilations, centred, strict=True)
        )
        joined = width * len(config.dilations)
        self.aggregate = nn.Conv1d(joined, joined, 1)
        self.aggregate_norm = nn.BatchNorm1d(joined)
        self.project = nn.Conv1d(joined, config.dim, 1)
        self.build_pooling(config)

    def set_prior_mean(self, mean: Tensor) -> None:
        """Sets the log-mel mean [40] that seeds the running mean."""
        self.prior_mean.copy_(mean)

    def forward(self, log_mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Turns log-mel [batch, frames, 40] into embeddings [batch, frames, dim]; frames past `lengths` are zero."""
        frames = log_mel.shape[1]
        if lengths is None:
            lengths = torch.full((len(log_mel),), frames, device=log_mel.device)
        known = frame_mask(lengths, frames + frames % PAIR)
        mel = functional.pad(log_mel, (0, 0, 0, frames % PAIR)).transpose(1, 2)
        mel = mel.masked_fill(~known[:, None], SILENCE)
        sides = (PAIR * self.behind, PAIR * self.ahead)
        taps = [
            tap[:, :, before : before + mel.shape[2] // PAIR]
            for tap, (before, _) in zip(
                self.embedding(functional.pad(mel, sides, value=SILENCE)), self.delays(), strict=True
            )
        ]
        mask = known[:, None, ::PAIR].to(log_mel.dtype)
        x = (mel - self.mean(mel)) * known[:, None]
        x = self.join(taps, self.enter(x)) * mask
        outputs = []
        for block in self.blocks:
            x = block(x, mask)
            outputs.append(x)
        x = self.finish(outputs) * mask
        return repeated(x).transpose(1, 2)[:, :frames] * known[:, :frames, None]

    def delays(self) -> Iterator[tuple[int, int]]:
        """For each tap: how many of its first values belong to no frame, how many of its last to later ones."""
        for seen, _ in TAPS.values():
            # No tap looks farther ahead than half of what it sees, nor than the last one may.
            ahead = min(self.ahead, seen // 2)
            yield self.behind - (seen - 1 - ahead), self.ahead - ahead

    def enter(self, x: Tensor) -> Tensor:
        """The branch of our own, over normalised log-mel [b, 40, frames]: [b, entry, pairs]."""
        return self.entry_norm(functional.relu(self.entry(x)))

    def join(self, taps: list[Tensor], own: Tensor) -> Tensor:
        """Joins what belongs to the same frames, [b, width, pairs] each, into the input of the first block."""
        normal = [norm(tap) for norm, tap in zip(self.tap_norms, taps, strict=True)]
        return self.joint_norm(functional.relu(self.joint(torch.cat([own, *normal], dim=1))))

    def finish(self, outputs: list[Tensor]) -> Tensor:
        """Turns what the blocks gave into frame embeddings [b, dim, pairs]."""
        return self.project(self.aggregate_norm(functional.relu(self.aggregate(torch.cat(outputs, dim=1)))))

    def mean(self, mel: Tensor) -> Tensor:
        """The running mean of log-mel [b, 40, frames], which begins at the prior."""
        prior = self.config.mean_prior_frames
        sums, counts = window_sums(mel - self.prior_mean[None, :, None], self.mean_window)
        return self.prior_mean[None, :, None] + sums / (counts + prior)


def _convolution(layer: Layer) -> nn.Module:
    kernel = {"both": (3, 3), "time": (3, 1), "last": (3, 1), "bands": (1, 3)}.get(layer.kind)
    if kernel is None:
        return nn.Identity()
    padding = (0, 1 if kernel[1] == 3 else 0)
    return nn.Conv2d(
        layer.inputs, layer.outputs, kernel, padding=padding, dilation=(layer.dilation, 1), bias=layer.kind != "last"
    )


def _first_mixing() -> Tensor:
    """Bands below 3.8 kHz of about the right energy, until weights are loaded that bring their own."""
    bands = functional.interpolate(torch.eye(NUM_BINS)[None, :, : 3 * NUM_BINS // 4], size=_BANDS, mode="linear")
    return 0.01 * bands[0]


class Teacher(nn.Module):
    """The speech embedding as a teacher: it hears the clean audio, says what frames should tell, and never learns."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.embedding = SpeechEmbedding().requires_grad_(False)
        self.head = nn.Linear(dim, TAPS[len(LAYERS) - 1][1])

    def forward(self, frames: Tensor, clean: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Takes frames [b, t, dim], the log-mel of clean audio [b, t, 40] and the numbers of real frames [b].

        Returns the head's predictions and the teacher's values for every second real frame, [n, 96] each; a value sees
        as far ahead as the last layer of `EmbeddingEncoder` does where nothing else is said."""
        ahead = AcousticConfig().front_lookahead_frames
        with torch.no_grad():
            sides = (PAIR * (_SEEN - 1) - ahead, ahead + clean.shape[1] % PAIR)
            values = self.embedding(functional.pad(clean.transpose(1, 2), sides, value=SILENCE))[-1].transpose(1, 2)
        real = frame_mask(lengths, frames.shape[1])[:, ::PAIR]
        return self.head(frames[:, ::PAIR])[real], values[:, : real.shape[1]][real]
