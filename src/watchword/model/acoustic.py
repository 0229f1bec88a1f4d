"""The acoustic encoder: ECAPA-TDNN frames, pooled with channel- and context-dependent statistics (CCSP)."""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional

from watchword.model.features import NUM_BINS


class AcousticConfig(BaseModel):
    """Sizes of SPEC 2.1, variant C, and how far a frame may look.

    `context = "utterance"` is the paper: mean normalisation and squeeze-excitation over the whole segment. `"local"`
    bounds both to a window of the past and most convolutions too, so that frames are computed once over a stream.

    `front = "speech_embedding"` puts a public network, trained on far more speech, below the blocks, which then run at
    half the rate, with `lookahead_frames` of their own (see `watchword.model.embedding_front`); it needs a local
    context."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    context: Literal["utterance", "local"] = "utterance"
    front: Literal["none", "speech_embedding"] = "none"
    front_lookahead_frames: int = 20
    front_entry: int = 192
    channels: int = 256
    scale: int = 8
    dilations: tuple[int, ...] = (2, 3, 4)
    squeeze: int = 128
    dim: int = 256
    attention: int = 128
    lookahead_frames: int = 25
    mean_window_frames: int = 150
    mean_prior_frames: int = 30
    squeeze_window_frames: int = 75


class Pooled(nn.Module):
    """What pools frames into one embedding: attentive statistics and a linear layer. Built by `build_pooling`."""

    frame_multiple = 1
    """A stream is fed so many frames at a time, or a multiple of them."""

    def build_pooling(self, config: AcousticConfig) -> None:
        """Adds the layers of `pool`."""
        self.pooling = StatisticsPooling(config.dim, config.attention)
        self.pool_norm = nn.BatchNorm1d(2 * config.dim)
        self.output = nn.Linear(2 * config.dim, config.dim)

    def pool(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Pools frames [n, frames, dim], of which the first `lengths` [n] count, into embeddings [n, dim]."""
        return self.output(self.pool_norm(self.pooling(frames.transpose(1, 2), lengths)))


class FrameEncoder(nn.Module):
    """Log-mel to frame embeddings E_a, [batch, frames, dim] outside and [batch, dim, frames] inside: ECAPA-TDNN without
    its pooling, as models that only compare phonemes have it."""

    def __init__(self, config: AcousticConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AcousticConfig()
        width, local = config.channels, config.context == "local"
        chained = config.scale - 1
        centred = [chained] * len(config.dilations)
        if local:
            if config.lookahead_frames < 2:
                raise ValueError(
                    f"model: lookahead_frames is {config.lookahead_frames}; the first convolution alone needs 2"
                )
            centred = centred_convolutions(config.lookahead_frames - 2, config.dilations, chained)
        self.lookahead_frames = 2 + sum(k * d for k, d in zip(centred, config.dilations, strict=True))
        # A causal tap reaches 2 d back, a centred one d.
        convolutions = 2 + sum(d * (k + 2 * (chained - k)) for k, d in zip(centred, config.dilations, strict=True))
        windows = config.mean_window_frames - 1 + len(config.dilations) * (config.squeeze_window_frames - 1)
        self.left_context_frames = convolutions + (windows if local else 0)
        self.register_buffer("prior_mean", torch.full((NUM_BINS,), -7.0))
        self.prior_mean: Tensor
        self.entry = nn.Conv1d(NUM_BINS, width, 5, padding=2)
        self.entry_norm = nn.BatchNorm1d(width)
        window = config.squeeze_window_frames if local else None
        self.blocks = nn.ModuleList(
            Res2Block(width, config.scale, d, config.squeeze, k, window)
            for d, k in zip(config.dilations, centred, strict=True)
        )
        joined = width * len(config.dilations)
        self.aggregate = nn.Conv1d(joined, joined, 1)
        self.aggregate_norm = nn.BatchNorm1d(joined)
        self.project = nn.Conv1d(joined, config.dim, 1)

    def set_prior_mean(self, mean: Tensor) -> None:
        """Sets the log-mel mean [40] that seeds the running mean of the local context."""
        self.prior_mean.copy_(mean)

    def forward(self, log_mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Turns log-mel [batch, frames, 40] into embeddings [batch, frames, dim]; frames past `lengths` are zero."""
        mask = None if lengths is None else frame_mask(lengths, log_mel.shape[1]).unsqueeze(1).to(log_mel.dtype)
        x = log_mel.transpose(1, 2)
        x = _masked(x - self._mean(x, mask), mask)
        x = _masked(self.entry_norm(functional.relu(self.entry(x))), mask)
        outputs = []
        for block in self.blocks:
            x = block(x, mask)
            outputs.append(x)
        x = self.aggregate_norm(functional.relu(self.aggregate(torch.cat(outputs, dim=1))))
        return _masked(self.project(x), mask).transpose(1, 2)

    def _mean(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if self.config.context == "utterance":
            return _time_mean(x) if mask is None else (x * mask).sum(2, keepdim=True) / mask.sum(2, keepdim=True)
        prior = self.config.mean_prior_frames
        sums, counts = window_sums(x - self.prior_mean[None, :, None], self.config.mean_window_frames)
        return self.prior_mean[None, :, None] + sums / (counts + prior)


class AcousticEncoder(FrameEncoder, Pooled):
    """Log-mel to frame embeddings E_a (`forward`), and those to one embedding (`pool`). Desplanques et al. 2020."""

    def __init__(self, config: AcousticConfig | None = None) -> None:
        super().__init__(config)
        self.build_pooling(self.config)


class Res2Block(nn.Module):
    """SE-Res2Block: 1×1, a chain of dilated convolutions over channel groups, 1×1, squeeze-excitation, residual."""

    def __init__(self, width: int, scale: int, dilation: int, squeeze: int, centred: int, window: int | None) -> None:
        super().__init__()
        group = width // scale
        self.scale, self.dilation, self.centred, self.window = scale, dilation, centred, window
        self.enter = nn.Conv1d(width, width, 1)
        self.enter_norm = nn.BatchNorm1d(width)
        self.chain = nn.ModuleList(nn.Conv1d(group, group, 3, dilation=dilation) for _ in range(scale - 1))
        self.chain_norms = nn.ModuleList(nn.BatchNorm1d(group) for _ in range(scale - 1))
        self.leave = nn.Conv1d(width, width, 1)
        self.leave_norm = nn.BatchNorm1d(width)
        self.squeeze = nn.Conv1d(width, squeeze, 1)
        self.excite = nn.Conv1d(squeeze, width, 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        y = _masked(self.enter_norm(functional.relu(self.enter(x))), mask)
        groups = y.chunk(self.scale, dim=1)
        outputs = [groups[0]]
        previous = None
        for i, (conv, norm) in enumerate(zip(self.chain, self.chain_norms, strict=True)):
            z = groups[i + 1] if previous is None else groups[i + 1] + previous
            d = self.dilation
            z = functional.pad(z, (d, d) if i < self.centred else (2 * d, 0))
            previous = _masked(norm(functional.relu(conv(z))), mask)
            outputs.append(previous)
        y = _masked(self.leave_norm(functional.relu(self.leave(torch.cat(outputs, dim=1)))), mask)
        return x + y * self._gate(y, mask)

    def _gate(self, y: Tensor, mask: Tensor | None) -> Tensor:
        if self.window is not None:
            sums, counts = window_sums(y, self.window)
            mean = sums / counts
        elif mask is None:
            mean = _time_mean(y)
        else:
            mean = y.sum(dim=2, keepdim=True) / mask.sum(dim=2, keepdim=True)
        return torch.sigmoid(self.excite(functional.relu(self.squeeze(mean))))


class StatisticsPooling(nn.Module):
    """CCSP: attention over frames per channel, told the utterance's mean and deviation; weighted ones come out.

    W1 [x; μ; σ] is split into W_x x + W_ms [μ; σ], which is the same and lets many spans share W_x x."""

    def __init__(self, dim: int, attention: int) -> None:
        super().__init__()
        self.inner = nn.Linear(3 * dim, attention)
        self.norm = nn.BatchNorm1d(attention)
        self.outer = nn.Linear(attention, dim)
        self.dim = dim

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Pools x [n, dim, frames] into [n, 2 dim]."""
        x = x.transpose(1, 2)
        if self.training:
            return self._without_padding(x, lengths)
        mask = frame_mask(lengths, x.shape[1]).unsqueeze(2)
        share = mask.to(x.dtype) / lengths.to(x.dtype)[:, None, None]
        mean = (x * share).sum(1)
        deviation = ((x - mean[:, None]).square() * share).sum(1).clamp_min(1e-7).sqrt()
        weight_x, told = self._told(mean, deviation)
        hidden = functional.relu(functional.linear(x, weight_x) + told[:, None])
        hidden = torch.tanh(self._normalised(hidden))
        weights = torch.softmax(self.outer(hidden).masked_fill(~mask, float("-inf")), dim=1)
        mean = (x * weights).sum(1)
        deviation = ((x - mean[:, None]).square() * weights).sum(1).clamp_min(1e-7).sqrt()
        return torch.cat([mean, deviation], dim=1)

    def _without_padding(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The same in training, over x [n, frames, dim]: frames that count stand in one list, since spans differ so
        much in length that most of a batch would be padding, which must not enter the norm's statistics either."""
        flat = x[frame_mask(lengths, x.shape[1])]
        owner, wide = torch.repeat_interleave(lengths), torch.promote_types(x.dtype, torch.float32)

        def summed(values: Tensor) -> Tensor:
            values = values.to(wide)
            return values.new_zeros(len(lengths), values.shape[1]).index_add(0, owner, values)

        share = 1 / lengths.to(wide)[:, None]
        mean = summed(flat) * share
        deviation = (summed((flat - mean[owner]).square()) * share).clamp_min(1e-7).sqrt()
        weight_x, told = self._told(mean, deviation)
        hidden = torch.tanh(self.norm(functional.relu(functional.linear(flat, weight_x) + told[owner])))
        weights = self.outer(hidden).to(wide).exp()  # tanh keeps this in bounds
        total = summed(weights)
        mean = summed(flat * weights) / total
        deviation = (summed((flat - mean[owner]).square() * weights) / total).clamp_min(1e-7).sqrt()
        return torch.cat([mean, deviation], dim=1)

    def _told(self, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
        """W_x, and what W_ms makes of each span's mean and deviation."""
        weight_x, weight_ms = self.inner.weight[:, : self.dim], self.inner.weight[:, self.dim :]
        return weight_x, functional.linear(torch.cat([mean, deviation], dim=1), weight_ms, self.inner.bias)

    def _normalised(self, hidden: Tensor) -> Tensor:
        """The norm as it stands after training, which exported graphs can hold over padded spans."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        return hidden * scale + (norm.bias - norm.running_mean * scale)


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """Returns a boolean mask [n, frames], true for the first `lengths` frames of each row."""
    return torch.arange(frames, device=lengths.device)[None] < lengths[:, None]


def window_sums(x: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Sums x [b, c, frames] over the last `window` frames, each one included; also the counts [1, 1, frames].

    float32 always: a running sum in half precision loses everything. torch adds up float32 in float64; onnxruntime does
    not, and would drift over half a minute of silence, so the exported graph says it."""
    sums = (x.double() if torch.onnx.is_in_onnx_export() else x.float()).cumsum(dim=2)
    sums = sums - functional.pad(sums, (window, 0))[:, :, : sums.shape[2]]
    counts = torch.ones_like(x[:1, :1], dtype=torch.float32).cumsum(dim=2).clamp_max(float(window))
    return sums.to(x.dtype), counts.to(x.dtype)


def _time_mean(x: Tensor) -> Tensor:
    """Means over time, [b, c, 1]; in float64 in the exported graph, for the reason given in `window_sums`."""
    return (x.double() if torch.onnx.is_in_onnx_export() else x).mean(dim=2, keepdim=True).to(x.dtype)


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


def centred_convolutions(left: int, dilations: tuple[int, ...], chained: int) -> list[int]:
    """Chooses how many of each block's `chained` convolutions look ahead, balanced: Σ k d is at most `left`."""
    centred = [0] * len(dilations)
    while True:
        # The block with fewest look-ahead frames so far goes first.
        order = sorted(range(len(centred)), key=lambda b: centred[b] * dilations[b])
        fitting = [b for b in order if centred[b] < chained and dilations[b] <= left]
        if not fitting:
            return centred
        centred[fitting[0]] += 1
        left -= dilations[fitting[0]]
