"""Cosines of audio rows with distinct texts, and the pairs of one class: what the pairwise losses share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

MAX_CELLS = 8_000_000
"""Texts × audio rows computed at once (32 MB); larger crossings go in pieces, recomputed on the way back. With more at
once, 6,000 rows take four times the memory and no less time."""


def extended_logsumexp(
    x: Float[Tensor, " member"],
    groups: Int[Tensor, " member"],
    num_groups: int,
    copies: Float[Tensor, " member"] | None = None,
) -> Float[Tensor, " group"]:
    """ELSE of each group: log(1 + Σ e^x), x counted `copies` times; 0 for a group without members. Wang et al. 2019.

    >>> extended_logsumexp(torch.zeros(3), torch.tensor([0, 0, 2]), 3)  # log 3, log 1, log 2
    tensor([1.0986, 0.0000, 0.6931])
    """
    top = x.new_zeros(num_groups).scatter_reduce(0, groups, x.detach(), "amax")
    terms = torch.exp(x - top.index_select(0, groups))
    total = torch.exp(-top).index_add(0, groups, terms if copies is None else terms * copies)
    return top + total.log()


def mean_softplus(
    x: Float[Tensor, " member"],
    groups: Int[Tensor, " member"],
    num_groups: int,
    copies: Float[Tensor, " member"] | None = None,
) -> Float[Tensor, " group"]:
    """MSP of each group: mean log(1 + e^x), x counted `copies` times; 0 for a group without members. Yi et al. 2014.

    >>> mean_softplus(torch.zeros(3), torch.tensor([0, 0, 2]), 3)
    tensor([0.6931, 0.0000, 0.6931])
    """
    copies = torch.ones_like(x) if copies is None else copies
    total = x.new_zeros(num_groups).index_add(0, groups, functional.softplus(x) * copies)
    return total / x.new_zeros(num_groups).index_add(0, groups, copies).clamp_min(1)


@dataclass(frozen=True)
class Crossing:
    """Unit rows of audio and of distinct texts.

    The utterances of a keyword have one text: it is computed once and counted `copies` times. With that and lists of
    pairs, 3,000 phoneme rows (250 words, two utterances each) take 0.2 s on one core; masks over all pairs took 1.3 s.
    """

    text: Float[Tensor, "text dim"]
    text_labels: Int[Tensor, " text"]
    copies: Float[Tensor, " text"]
    audio: Float[Tensor, "row dim"]
    labels: Int[Tensor, " row"]
    own: Int[Tensor, " row"]
    """Which text is the row's own."""
    same: Float[Tensor, " row"]
    """|P_i|: rows of the row's class in the whole batch."""
    others: Float[Tensor, " row"]
    """|N_i|: rows of other classes in the whole batch."""

    def cosine(self) -> Float[Tensor, "text row"]:
        """Computes S of every distinct text and every audio row."""
        return self.text @ self.audio.T

    def pairs(self) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
        """Lists the (text, row) pairs of one class. With 60 phonemes they are 4 % of all, so lists beat masks."""
        order = torch.argsort(self.labels, stable=True)
        classes = int(torch.maximum(self.labels.max(), self.text_labels.max())) + 1
        sizes = torch.bincount(self.labels, minlength=classes)
        first, members = (sizes.cumsum(0) - sizes)[self.text_labels], sizes[self.text_labels]
        texts = torch.repeat_interleave(torch.arange(len(members), device=members.device), members)
        place = torch.arange(len(texts), device=members.device) - (members.cumsum(0) - members)[texts]
        return texts, order[first[texts] + place]

    def pieces(self, along: Literal["texts", "rows"]) -> Iterator["Crossing"]:
        """Cuts into pieces of at most MAX_CELLS; each holds whole columns (along rows) or whole rows (along texts)."""
        count = -(-len(self.text) * len(self.audio) // MAX_CELLS)
        names = ("text", "text_labels", "copies") if along == "texts" else ("audio", "labels", "own", "same", "others")
        if count <= 1:
            yield self
            return
        for parts in zip(*(getattr(self, name).tensor_split(count) for name in names), strict=True):
            yield replace(self, **dict(zip(names, parts, strict=True)))


def cross(audio: Float[Tensor, "row dim"], text: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]) -> Crossing:
    """Normalises the rows and finds the distinct texts: rows equal in label and in every coordinate."""
    groups, first = _equal_rows(text, labels)
    copies = torch.bincount(groups).to(text.dtype)
    # The mean of equal rows is the row, and hands each of them an equal share of the gradient.
    distinct = torch.zeros(len(copies), text.shape[1], device=text.device).index_add(0, groups, text) / copies[:, None]
    same = torch.bincount(labels)[labels].to(text.dtype)
    return Crossing(
        text=functional.normalize(distinct, dim=1),
        text_labels=labels[first],
        copies=copies,
        audio=functional.normalize(audio, dim=1),
        labels=labels,
        own=groups,
        same=same,
        others=len(labels) - same,
    )


def sum_pieces(piece: Callable[[Crossing], Tensor], crossing: Crossing, along: Literal["texts", "rows"]) -> Tensor:
    """Sums a scalar over the pieces of a crossing, holding one piece's matrices at a time."""
    pieces = list(crossing.pieces(along))
    if len(pieces) == 1:
        return piece(crossing)
    values = [checkpoint(piece, part, use_reentrant=False, preserve_rng_state=False) for part in pieces]
    return torch.stack(values).sum()  # type: ignore[arg-type]


@torch.no_grad()
def _equal_rows(text: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Returns each row's group of equal rows, and the first row of each group."""
    rows = torch.arange(len(labels), device=labels.device)
    # A fixed projection in float64 proposes the groups; every row is then compared whole with the first of its group.
    weights = torch.linspace(1.0, 2.0, text.shape[1], dtype=torch.float64, device=text.device)
    keys = torch.stack([labels.double(), (text.double() * weights).sum(1)], dim=1)
    groups = torch.unique(keys, dim=0, return_inverse=True)[1]
    first = torch.full_like(rows, len(rows)).scatter_reduce(0, groups, rows, "amin")[: int(groups.max()) + 1]
    if torch.equal(text[first[groups]], text):
        return groups, first
    return rows, rows
