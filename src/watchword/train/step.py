"""One training step as one module: a rank's rows in, the loss of the whole batch out."""

from dataclasses import fields, replace

import numpy as np
import torch
from torch import Tensor, nn

from watchword.data.batches import Batch
from watchword.model.matcher import Match
from watchword.train.distributed import ALONE, Ranks, gather_rows
from watchword.train.objective import Objective


class Step(nn.Module):
    """Model and objective, wrapped once by DistributedDataParallel. The batch is the loss: each rank encodes its rows,
    and computes the loss of all ranks' rows.

    All chance follows from (seed, step): that of the model (dropout, masks) from the rank too, that of the losses
    (which angles, which classes) alike on all ranks. So a run that goes on needs no memory of random states."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        seed: int,
        bfloat16: bool = False,
        ranks: Ranks = ALONE,
        larger: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.model, self.objective = model, objective
        self.seed, self.uses_bfloat16, self.ranks = seed, bfloat16, ranks
        # Out of sight of torch: what never learns is not this module's, and stays in evaluation mode.
        self._larger = {} if larger is None else {"larger": larger}

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Returns the total to minimise and the value of each term."""
        self._seed(step, self.ranks.rank + 1)
        with torch.autocast(batch.audio.device.type, torch.bfloat16, enabled=self.uses_bfloat16):
            match = self.model(**batch.model_inputs(), **self._larger)
        match = gather_match(match, self.ranks)
        self._seed(step, 0)
        return self.objective(match)

    def _seed(self, step: int, stream: int) -> None:
        (number,) = np.random.SeedSequence((self.seed, step, stream)).generate_state(1, np.uint64)
        torch.manual_seed(int(number))


def gather_match(match: Match, ranks: Ranks) -> Match:
    """Puts the rows of every rank's Match together, in the order of ranks, which is that of the whole batch."""
    if ranks.size == 1:
        return match
    found = {field.name: getattr(match, field.name) for field in fields(match)}
    names = [name for name, tensor in found.items() if tensor is not None]
    return replace(match, **dict(zip(names, gather_rows([found[name] for name in names], ranks), strict=True)))
