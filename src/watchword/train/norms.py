"""Batch normalisation over the rows of all ranks: what one process would compute on the whole batch."""

import torch
from torch import Tensor, nn

from watchword.train.distributed import Ranks, exchange


class RankedBatchNorm(nn.BatchNorm1d):
    """BatchNorm1d whose statistics are those of all ranks' rows, however many each has; names and values of its state
    are BatchNorm1d's. PyTorch's own SyncBatchNorm works on GPUs alone.

    Each rank gives the count, mean and sum of squared deviations of its rows; Chan et al. 1979 put them together, so
    that no large sums are subtracted from one another."""

    ranks: Ranks

    def forward(self, input: Tensor) -> Tensor:
        """Normalises [rows, channels] or [rows, channels, frames]."""
        if not self.training:
            return super().forward(input)
        dims = (0, 2) if input.ndim == 3 else (0,)
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        with torch.autocast(x.device.type, enabled=False):
            mean, variance, count = self._statistics(x, dims)
            self._remember(mean.detach(), variance.detach(), count)
            shape = (1, -1, 1) if input.ndim == 3 else (1, -1)
            scale = self.weight * torch.rsqrt(variance + self.eps)
            normalised = x * scale.view(shape) + (self.bias - mean * scale).view(shape)
        return normalised.to(input.dtype)

    def _statistics(self, x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor, float]:
        own = torch.full((1,), x.numel() // x.shape[1], dtype=x.dtype, device=x.device)
        mean = x.sum(dims) / own.clamp_min(1)
        deviations = (x - mean.view(1, -1, *[1] * (x.ndim - 2))).square().sum(dims)
        counts, means, squares = exchange(torch.cat([own, mean, deviations]), self.ranks).split(
            [1, len(mean), len(mean)], dim=1
        )
        count = counts.detach().sum()
        mean = (counts * means).sum(0) / count
        return mean, (squares + counts * (means - mean).square()).sum(0) / count, float(count)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        unbiased = variance * (count / max(count - 1.0, 1.0))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)


def rank_norms(module: nn.Module, ranks: Ranks) -> None:
    """Lets every BatchNorm1d inside a module see the rows of all ranks; parameters and buffers stay the same ones."""
    if ranks.size == 1:
        return
    for name, child in module.named_children():
        if not isinstance(child, nn.BatchNorm1d):
            rank_norms(child, ranks)
        elif child.weight.is_cuda:
            setattr(module, name, nn.SyncBatchNorm.convert_sync_batchnorm(child))
        else:
            setattr(module, name, _ranked(child, ranks))


def _ranked(norm: nn.BatchNorm1d, ranks: Ranks) -> RankedBatchNorm:
    ranked = RankedBatchNorm(norm.num_features, norm.eps, norm.momentum)
    ranked.ranks = ranks
    ranked.weight, ranked.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers():
        setattr(ranked, name, buffer)
    return ranked.train(norm.training)
