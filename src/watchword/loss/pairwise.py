"""Pairwise losses between audio and text rows: Asymmetric-Proxy with AdaMS, Proxy-BD, Proxy-MS, clat."""

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from watchword.loss.adams import Adaptive, ClassScales
from watchword.loss.crossing import Crossing, cross, extended_logsumexp, mean_softplus, sum_pieces
from watchword.loss.precision import in_float32

Anchor = Literal["audio", "text"]
"""Whose rows ask, in a symmetric loss; the other side's rows are positives and negatives."""


class AsymmetricProxy(nn.Module):
    """AsyP, Eq. 2, with fixed parameters or AdaMS. Jung & Kim 2022, 2023.

    Formula: (1/N) Σ_i { (1/alpha) log[1 + Σ_{j∈P_i} e^{alpha (lambda − S(t_i, a_j))}]
                         + (1/|N_i|) Σ_{k∈N_i} log[1 + e^{beta (S(a_i, t_k) − lambda)}] }

    Text i pulls the audio of its class, audio i pushes the texts of other classes; i is in P_i. At alpha = 0.01 the
    pull is linear in the mean positive cosine, beside a constant log(1 + |P_i|)/alpha of some hundreds. `last_offset`
    holds that constant's mean, to be subtracted from what is logged; in the loss, alpha learns from it.

    Args:
        pull_scale: alpha.
        push_scale: beta.
        margin: lambda.
        adaptive: "raw", "boxed" or "normalised" make the three learnable per class (see ClassScales); "normalised" is
            boxed and divides the push by beta, which gives beta and lambda an optimum.
        divide_push: divides the push by beta, as multi-similarity does; Eq. 2 does not.
        num_classes: how many classes labels come from; needed where adaptive.

    >>> loss = AsymmetricProxy(pull_scale=1.0, push_scale=1.0, margin=0.0)
    >>> round(loss(torch.eye(2), torch.eye(2), torch.tensor([0, 1])).item(), 4)  # log(1 + e^-1) + log(1 + e^0)
    1.0064
    """

    def __init__(
        self,
        pull_scale: float = 0.01,
        push_scale: float = 1.5,
        margin: float = 0.01,
        adaptive: Adaptive = "none",
        divide_push: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.scales = ClassScales(pull_scale, push_scale, margin, adaptive, num_classes)
        self.divide_push = divide_push or adaptive == "normalised"
        self.last_offset = torch.zeros(())

    @in_float32
    def forward(
        self, audio: Float[Tensor, "row dim"], text: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]
    ) -> Float[Tensor, ""]:
        """Computes the loss of audio and text rows in the same order, phonemes or utterances, with their classes."""
        crossing = cross(audio, text, labels)
        alpha = self.scales(labels)[0].detach()
        self.last_offset = (torch.log1p(crossing.same) / alpha).mean()
        return sum_pieces(self._piece, crossing, "texts") / len(labels)

    def _piece(self, part: Crossing) -> Tensor:
        cosine, (texts, rows) = part.cosine(), part.pairs()
        positive = _take(cosine, texts, rows)
        alpha, _, margin = self.scales(part.text_labels)
        z = alpha.index_select(0, texts) * (margin.index_select(0, texts) - positive)
        pull = extended_logsumexp(z, texts, len(part.text)) / alpha
        _, beta, margin = self.scales(part.labels)
        push = _push(cosine, positive, part, texts, rows, beta, margin)
        return (part.copies * pull).sum() + (push / beta if self.divide_push else push).sum()

    def after_step(self) -> None:
        """Keeps the AdaMS values in bounds; call it after every optimiser step."""
        self.scales.after_step()


class ProxyBD(nn.Module):
    """Proxy binomial deviance: each audio row against texts. Yi et al. 2014, Jung & Kim 2022.

    Formula: (1/N) Σ_i { (1/|P_i|) Σ_{j∈P_i} log[1 + e^{alpha (lambda − S(a_i, t_j))}]
                         + (1/|N_i|) Σ_{k∈N_i} log[1 + e^{beta (S(a_i, t_k) − lambda)}] }

    `anchor` = "text" exchanges a and t; the paper does not say which it takes.

    >>> loss = ProxyBD(pull_scale=2.0, push_scale=1.0, margin=0.0)
    >>> round(loss(torch.eye(2), torch.eye(2), torch.tensor([0, 1])).item(), 4)  # log(1 + e^-2) + log(1 + e^0)
    0.8201
    """

    def __init__(
        self, pull_scale: float = 2.0, push_scale: float = 40.0, margin: float = 0.5, anchor: Anchor = "audio"
    ) -> None:
        super().__init__()
        self.pull_scale, self.push_scale, self.margin = pull_scale, push_scale, margin
        self.anchor: Anchor = _known(anchor)
        self.last_offset = torch.zeros(())

    @in_float32
    def forward(
        self, audio: Float[Tensor, "row dim"], text: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]
    ) -> Float[Tensor, ""]:
        """Computes the loss of audio and text rows in the same order with their classes."""
        return sum_pieces(self._piece, _cross_from(self.anchor, audio, text, labels), "rows") / len(labels)

    def _piece(self, part: Crossing) -> Tensor:
        cosine, (texts, rows) = part.cosine(), part.pairs()
        positive = _take(cosine, texts, rows)
        pull = mean_softplus(
            self.pull_scale * (self.margin - positive), rows, len(part.labels), part.copies.index_select(0, texts)
        )
        beta, margin = (torch.full_like(part.same, value) for value in (self.push_scale, self.margin))
        return (pull + _push(cosine, positive, part, texts, rows, beta, margin)).sum()


class ProxyMS(nn.Module):
    """Proxy multi-similarity without mining: each audio row against texts. Wang et al. 2019, Jung & Kim 2022.

    Formula: (1/N) Σ_i { (1/alpha) log[1 + Σ_{j∈P_i} e^{alpha (lambda − S(a_i, t_j))}]
                         + (1/beta) log[1 + Σ_{k∈N_i} e^{beta (S(a_i, t_k) − lambda)}] }

    `last_offset` is the mean of log(1 + |P_i|)/alpha, a constant (see AsymmetricProxy). `anchor` = "text" exchanges a
    and t.

    >>> loss = ProxyMS(pull_scale=2.0, push_scale=1.0, margin=0.0)
    >>> round(loss(torch.eye(2), torch.eye(2), torch.tensor([0, 1])).item(), 4)  # log(1 + e^-2) / 2 + log(1 + e^0)
    0.7566
    """

    def __init__(
        self, pull_scale: float = 2.0, push_scale: float = 50.0, margin: float = 0.5, anchor: Anchor = "audio"
    ) -> None:
        super().__init__()
        self.pull_scale, self.push_scale, self.margin = pull_scale, push_scale, margin
        self.anchor: Anchor = _known(anchor)
        self.last_offset = torch.zeros(())

    @in_float32
    def forward(
        self, audio: Float[Tensor, "row dim"], text: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]
    ) -> Float[Tensor, ""]:
        """Computes the loss of audio and text rows in the same order with their classes."""
        crossing = _cross_from(self.anchor, audio, text, labels)
        self.last_offset = torch.log1p(crossing.same).mean() / self.pull_scale
        return sum_pieces(self._piece, crossing, "rows") / len(labels)

    def _piece(self, part: Crossing) -> Tensor:
        cosine, (texts, rows) = part.cosine(), part.pairs()
        z = self.pull_scale * (self.margin - _take(cosine, texts, rows))
        pull = extended_logsumexp(z, rows, len(part.labels), part.copies.index_select(0, texts))
        push = _extended_logsumexp_of_others(self.push_scale * (cosine - self.margin), part, texts, rows)
        return (pull / self.pull_scale + push / self.push_scale).sum()


class Clat(nn.Module):
    """clat: InfoNCE of each audio row with its own text against texts of other classes. Kewei et al. 2024.

    Formula: (1/N) Σ_i −log[ e^{S(a_i, t_i)/tau} / (e^{S(a_i, t_i)/tau} + Σ_{k∈N_i} e^{S(a_i, t_k)/tau}) ]

    Other rows of the same class count on neither side.

    Args:
        temperature: tau.
        anchor: "text" exchanges a and t.

    >>> loss = Clat(temperature=1.0)
    >>> round(loss(torch.eye(2), torch.eye(2), torch.tensor([0, 1])).item(), 4)  # log(1 + e^-1)
    0.3133
    """

    def __init__(self, temperature: float = 0.07, anchor: Anchor = "audio") -> None:
        super().__init__()
        self.temperature = temperature
        self.anchor: Anchor = _known(anchor)
        self.last_offset = torch.zeros(())

    @in_float32
    def forward(
        self, audio: Float[Tensor, "row dim"], text: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]
    ) -> Float[Tensor, ""]:
        """Computes the loss of audio and text rows in the same order with their classes."""
        return sum_pieces(self._piece, _cross_from(self.anchor, audio, text, labels), "rows") / len(labels)

    def _piece(self, part: Crossing) -> Tensor:
        cosine, (texts, rows) = part.cosine(), part.pairs()
        own = cosine.gather(0, part.own[None])
        return _extended_logsumexp_of_others((cosine - own) / self.temperature, part, texts, rows).sum()


def _known(anchor: Anchor) -> Anchor:
    if anchor not in get_args(Anchor):
        raise ValueError(f"anchor {anchor!r} is not known; known are {', '.join(get_args(Anchor))}")
    return anchor


def _cross_from(anchor: Anchor, audio: Tensor, text: Tensor, labels: Tensor) -> Crossing:
    return cross(audio, text, labels) if anchor == "audio" else cross(text, audio, labels)


def _take(matrix: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return matrix.flatten().index_select(0, rows * matrix.shape[1] + columns)


def _push(
    cosine: Tensor, positive: Tensor, part: Crossing, texts: Tensor, rows: Tensor, beta: Tensor, margin: Tensor
) -> Tensor:
    """MSP over the texts of other classes, for each audio row: the sum over all texts less that over its class."""
    everything = part.copies @ functional.softplus(torch.addcmul(-beta * margin, cosine, beta))
    own_class = functional.softplus(beta.index_select(0, rows) * (positive - margin.index_select(0, rows)))
    counted = own_class * part.copies.index_select(0, texts)
    difference = everything - torch.zeros_like(everything).index_add(0, rows, counted)
    return torch.where(part.others > 0, difference / part.others.clamp_min(1), torch.zeros_like(difference))


def _extended_logsumexp_of_others(x: Tensor, part: Crossing, texts: Tensor, rows: Tensor) -> Tensor:
    """ELSE over the texts of other classes, for each audio row (column of x)."""
    counted = (x + part.copies.log()[:, None]).flatten()
    others = counted.index_fill(0, texts * x.shape[1] + rows, float("-inf")).view_as(x)
    # The row of zeros is the 1 of ELSE, and keeps a column without others finite.
    return torch.logsumexp(torch.cat([x.new_zeros(1, x.shape[1]), others]), dim=0)
