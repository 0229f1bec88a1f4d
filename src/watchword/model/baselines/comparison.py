"""What a network that compares clips with texts is given, and what it says of them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Comparison(NamedTuple):
    """n clips, each beside k texts of its own."""

    logits: Tensor
    """That the clip says the text, [n, k]."""
    phoneme_logits: Tensor | None
    """That a token of the text is what the clip has at the token's place, [n, k, tokens]; None in CMCD."""
    affinity: Tensor
    """How much each token of the first text attends to each frame, [n, tokens, frames]; rows sum to 1."""


def last_states(gru: nn.GRU, rows: Tensor, lengths: Tensor, first: Tensor | None = None) -> Tensor:
    """Runs a GRU over rows [n, t, d] from the states `first` [n, units], or zero, and returns [n, units]: the states
    after the first `lengths` [n] of them. What stands behind does not reach back, so that nothing need be packed."""
    states, _ = gru(rows, None if first is None else first[None])
    return states[torch.arange(len(rows), device=rows.device), (lengths - 1).clamp_min(0)]


def attention_weights(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last dimension where `mask` is true."""
    return torch.softmax(scores.masked_fill(~mask, float("-inf")), dim=-1)


def begin_as_keras(network: nn.Module) -> None:
    """Draws first weights as Keras does: PhonMatchNet's own code is in Keras, and its defaults are a part of it.

    Matrices by Glorot and Bengio (2010), a GRU's recurrent ones orthogonal, biases 0. From PyTorch's own, smaller
    weights PhonMatchNet learned more slowly: an average precision of 0.058 in place of 0.097 after 300 steps (one
    seed). CMCD, whose attention begins at Eq. 1 itself, was behind with them after 60 steps, and begins as before."""
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2:
            nn.init.zeros_(parameter)
            continue
        draw = nn.init.orthogonal_ if "weight_hh" in name else nn.init.xavier_uniform_
        for gate in parameter.chunk(3 if "weight_hh" in name or "weight_ih" in name else 1):
            draw(gate)
