"""What the tests of ranks carry out in processes that train together, beside the same in one process."""

import copy
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from watchword.loss import FAMILIES
from watchword.loss.adams import ClassScales
from watchword.train.distributed import ALONE, Ranks, gather_rows
from watchword.train.experiment import Experiment
from watchword.train.loop import train
from watchword.train.norms import RankedBatchNorm, rank_norms
from watchword.train.recipe import load_recipe
from watchword.train.step import Step

ROWS, FIRST, DIM, CLASSES = 9, 6, 6, 7
LABELS = torch.tensor([0, 0, 1, 1, 2, 3, 2, 4, 3])
"""The second rank has three rows, none of which shares its class with another of them."""

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "asyp": [{"adaptive": kind} for kind in ("none", "raw", "boxed", "normalised")],
    "relational_proxy": [{"vertices": 0, "ends": 0}, {"vertices": 4, "ends": 5}],
    "sphereface2": [{"kind": "A"}, {"kind": "C"}, {"sampled": 3}],
    "monotonic": [{"kind": kind} for kind in ("target", "guided", "kl")],
}
LOSSES = [
    (family, name, number)
    for family, members in FAMILIES.items()
    for name in members
    for number in range(len(VARIANTS.get(name, [{}])))
]
KINDS = ("adml", "adml with negatives", "cmcd", "phonmatchnet", "phonmatchnet_original")
STEPS = 4
STILL = ["model.textual.dropout=0.0", "model.mask_bins=0", "model.mask_frames=0", "train.checkpoint_every=4"]
"""What each rank draws for itself is switched off; what they draw together is not."""


class Toy(nn.Module):
    """A linear layer for each kind of rows, the gather, and a loss."""

    def __init__(self, family: str, loss: nn.Module, ranks: Ranks) -> None:
        super().__init__()
        self.family, self.loss, self.ranks = family, loss, ranks
        self.audio, self.text, self.cell = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM), nn.Linear(DIM, 1)

    def forward(self, *rows: Tensor) -> Tensor:
        torch.manual_seed(3)
        return self.loss(*gather_rows(self._given(*rows), self.ranks))

    def _given(self, x: Tensor, *rest: Tensor) -> Sequence[Tensor]:
        if self.family in ("pairwise", "relational"):
            return self.audio(x), self.text(rest[0]), rest[1]
        if self.family in ("adversarial", "teacher"):
            return self.audio(x), self.text(rest[0])
        if self.family == "negatives":
            return self.audio(x), self.text(rest[0]), self.audio(rest[1]), self.text(rest[2]), rest[3]
        if self.family == "keyword":
            return self.audio(x), rest[0]
        if self.family == "monotonic":
            phonemes, frames = rest
            scores = self.cell(x).squeeze(3).masked_fill(~frames[:, None], float("-inf"))
            return torch.softmax(scores, dim=2), phonemes, frames
        return self.cell(x).squeeze(x.ndim - 1), rest[0]


def whole_rows(family: str) -> list[Tensor]:
    draw = torch.Generator().manual_seed(1)
    x, words = torch.randn(ROWS, DIM, generator=draw), torch.randn(CLASSES, DIM, generator=draw)
    if family in ("pairwise", "relational"):
        return [x, words[LABELS], LABELS]
    if family in ("adversarial", "teacher"):
        return [x, words[LABELS]]
    if family == "keyword":
        return [x, LABELS]
    if family == "negatives":
        heard, extra = torch.randn(ROWS, DIM, generator=draw), torch.randn(ROWS, DIM, generator=draw)
        return [x, words[LABELS], heard, extra, torch.rand(ROWS, 2 * ROWS, generator=draw) < 0.7]
    if family == "verification":
        return [x, LABELS % 2 == 0]
    if family == "frame":
        # The layer `cell` gives one number each; as "phonemes" of a frame there are eight of them.
        return [torch.randn(ROWS, 10, 8, DIM, generator=draw), torch.randint(-1, 8, (ROWS, 10), generator=draw)]
    tokens, frames = torch.tensor([3, 5, 2, 4, 3, 3, 1, 2, 3]), torch.tensor([9, 12, 7, 8, 9, 5, 6, 5, 10])
    masks = [torch.arange(int(sizes.max()))[None] < sizes[:, None] for sizes in (tokens, frames)]
    return [torch.randn(ROWS, 5, 12, DIM, generator=draw), *masks]


def part_of(family: str, rows: list[Tensor], part: slice) -> list[Tensor]:
    """One rank's rows, as narrow as they can be."""
    cut = [tensor[part] for tensor in rows]
    if family == "monotonic":
        tokens, frames = (int(mask.sum(1).max()) for mask in cut[1:])
        return [cut[0][:, :tokens, :frames], cut[1][:, :tokens], cut[2][:, :frames]]
    return cut


def one_loss(ranks: Ranks, family: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    torch.manual_seed(0)
    constructor = FAMILIES[family][name]
    known = inspect.signature(constructor).parameters
    sizes = {key: value for key, value in {"num_classes": CLASSES, "dim": DIM}.items() if key in known}
    loss: Any = constructor(**sizes, **arguments)
    if hasattr(loss, "set_progress"):
        loss.set_progress(0.6)
    rows = whole_rows(family)
    alone = Toy(family, loss, ALONE)
    together = copy.deepcopy(alone)
    together.ranks = ranks
    part = slice(0, FIRST) if ranks.first else slice(FIRST, ROWS)
    wrapped = ranks.parallel(together)
    return compare(ranks, (wrapped, together, part_of(family, rows, part)), (alone, alone, rows))


def compare(ranks: Ranks, ours: tuple[Any, nn.Module, Any], whole: tuple[Any, nn.Module, Any]) -> dict[str, Any]:
    """The totals of both, their gradients, and AdaMS after a step of AdamW and its own."""
    found: dict[str, Any] = {}
    for who, (call, module, rows) in (("ranks", ours), ("one", whole)):
        result = call(*rows)
        total = result[0] if isinstance(result, tuple) else result
        total.backward()
        gradients = {name: p.grad for name, p in module.named_parameters()}
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
        optimizer.step()
        for part in module.modules():
            if isinstance(part, ClassScales):
                part.after_step()
        found[who] = {
            "total": total.detach(),
            "gradients": {name: gradient.clone() for name, gradient in gradients.items() if gradient is not None},
            "scales": [
                p.detach().clone() for m in module.modules() if isinstance(m, ClassScales) for p in m.parameters()
            ],
        }
    found["alike"] = ranks.alike([total.detach(), *found["ranks"]["gradients"].values()])
    return found


def in_float64(experiment: Experiment) -> Experiment:
    """Leaves no other difference between two ways than what the losses round, which compute in float32."""
    experiment.model.double().features.float().register_forward_hook(lambda module, given, out: out.double())
    return experiment


def one_step(ranks: Ranks, recipe: Path, kind: str) -> dict[str, Any]:
    """A whole model's first step: of a baseline, or of ADML with every loss of the small recipe, negatives or none."""
    overrides = list(STILL)
    if kind == "adml with negatives":
        shares = ("partial_share", "straddle_share", "non_speech_share", "near_texts", "made_up_texts")
        overrides += [f"batch.{share}=0.8" for share in shares]
        overrides += ["objective.negatives={name='gap_negatives'}"]
    elif kind != "adml":
        off = ("relational", "point_to_point", "phoneme", "keyword", "frame")
        overrides += [f"model.kind={kind}", "model.frame_head=false", *(f"objective.{term}=false" for term in off)]
        overrides += ["objective.verification={name='match', positive_weight=2.0}"]
        overrides += ["objective.adversary_levels=['phoneme']"]
        if kind != "cmcd":
            overrides += ["objective.verification_phoneme={name='match'}"]
    loaded = load_recipe(recipe, overrides)
    calls = []
    for who in (ranks, ALONE):
        experiment = Experiment(loaded, who)
        experiment.objective.set_progress(0.6)
        in_float64(experiment)
        step = Step(experiment.model, experiment.objective, loaded.seed, ranks=who).train()
        calls.append((who.parallel(step), step, (experiment.maker(0), 0)))
    return compare(ranks, *calls)


def norms(ranks: Ranks) -> dict[str, Any]:
    """Batch norms of both shapes, with ranks of very different sizes and a mean far from 0."""
    found: dict[str, Any] = {}
    for shape in ((ROWS, 4), (ROWS, 4, 5)):
        torch.manual_seed(0)
        x, weights = 50 + torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
        norm = nn.BatchNorm1d(4, dtype=torch.float64)
        nn.init.normal_(norm.weight)
        whole = nn.Sequential(norm)
        ranked = copy.deepcopy(whole)
        rank_norms(ranked, ranks)
        (ranked_norm,) = ranked
        assert isinstance(ranked_norm, RankedBatchNorm)
        part = slice(0, 1) if ranks.first else slice(1, ROWS)
        ours, theirs = x[part].clone().requires_grad_(), x.clone().requires_grad_()
        ranked(ours)
        whole(theirs)
        out, expected = ranked(ours), whole(theirs)
        (out * weights[part]).sum().backward()
        (expected * weights).sum().backward()
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(out, expected[part])
        torch.testing.assert_close(ours.grad, theirs.grad[part])
        assert ranked_norm.weight.grad is not None
        assert norm.weight.grad is not None
        torch.testing.assert_close(ranks.sum(ranked_norm.weight.grad.tolist()), norm.weight.grad.tolist())
        assert ranked.state_dict().keys() == whole.state_dict().keys()
        for name, value in ranked.state_dict().items():
            torch.testing.assert_close(value, whole.state_dict()[name])
        torch.testing.assert_close(ranked.eval()(ours), whole.eval()(theirs)[part])
        found[str(len(shape))] = (out - expected[part]).detach().abs().max()
    return found


def gathered(ranks: Ranks) -> list[Tensor]:
    """Tensors of several types that are ragged in every dimension, one of them empty on a rank."""
    more = ranks.rank
    return gather_rows(
        [
            torch.full((1 + more, 2 + more, 3 - more), float(ranks.rank + 1)),
            torch.full((2 * more,), 7),
            torch.ones(2, 1 + more, dtype=torch.bool),
            torch.full((1, 2), 0.5, dtype=torch.bfloat16),
        ],
        ranks,
    )


def training(ranks: Ranks, recipe: Path, folder: Path) -> None:
    """A whole training by both ranks, and by the first of them alone."""
    loaded = load_recipe(recipe, [f"train.steps={STEPS}", *STILL])
    train(in_float64(Experiment(loaded, ranks)), folder / "two")
    if ranks.first:
        train(in_float64(Experiment(loaded)), folder / "one")
    # With all that each rank draws for itself: what runs that are killed have to end as.
    train(Experiment(load_recipe(recipe), ranks), folder / "unbroken")


def laws(ranks: Ranks, recipe: Path, folder: Path) -> dict[str, Any]:
    training(ranks, recipe, folder)
    return {
        "losses": [one_loss(ranks, family, name, VARIANTS.get(name, [{}])[n]) for family, name, n in LOSSES],
        "steps": {kind: one_step(ranks, recipe, kind) for kind in KINDS},
        "norms": norms(ranks),
        "gathered": gathered(ranks),
        "agreed": [ranks.any(ranks.rank == 1), ranks.any(False), ranks.alike([torch.tensor(float(ranks.rank))])],
        "shared": ranks.share({"rank": ranks.rank}),
    }
