"""Two ranks with a part of the batch each compute what one process computes from the whole batch."""

import copy
import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.train.in_ranks import in_ranks
from watchword.loss import FAMILIES
from watchword.loss.adams import ClassScales
from watchword.train.checkpoint import load_checkpoint
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
KINDS = ("adml", "cmcd", "phonmatchnet", "phonmatchnet_original")
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
        if self.family == "adversarial":
            return self.audio(x), self.text(rest[0])
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
    if family == "adversarial":
        return [x, words[LABELS]]
    if family == "keyword":
        return [x, LABELS]
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
    loss = constructor(**sizes, **arguments)
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
    """A whole model's first step: of a baseline, or of ADML with every loss of the small recipe."""
    overrides = list(STILL)
    if kind != "adml":
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
        ranked(ours), whole(theirs)
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


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def found(runs: Path, small_recipe: Path) -> list[dict[str, Any]]:
    """What both ranks found, all in one pair of processes: they take seconds to start."""
    return in_ranks(laws, 2, runs, small_recipe, runs)


def assert_as_one(result: dict[str, Any]) -> None:
    ours, whole = result["ranks"], result["one"]
    torch.testing.assert_close(ours["total"], whole["total"], rtol=1e-5, atol=1e-5)
    assert ours["gradients"].keys() == whole["gradients"].keys()
    for name, gradient in whole["gradients"].items():
        tolerance = 1e-5 * max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(ours["gradients"][name], gradient, rtol=1e-5, atol=tolerance, msg=name)
    torch.testing.assert_close(ours["scales"], whole["scales"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("number", range(len(LOSSES)), ids=["-".join(map(str, loss)) for loss in LOSSES])
def test_two_ranks_give_every_loss_and_its_gradients_as_one_process_does(
    found: list[dict[str, Any]], number: int
) -> None:
    for rank in found:
        result = rank["losses"][number]
        assert_as_one(result)
        assert result["alike"]
        assert float(result["one"]["total"]) != 0


@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_give_a_whole_models_step_as_one_process_does(found: list[dict[str, Any]], kind: str) -> None:
    for rank in found:
        assert_as_one(rank["steps"][kind])
        assert rank["steps"][kind]["alike"]


def test_norms_see_the_rows_of_all_ranks(found: list[dict[str, Any]]) -> None:
    assert all(float(worst) < 1e-9 for rank in found for worst in rank["norms"].values())


def test_rows_are_gathered_in_order_and_padded_to_the_widest(found: list[dict[str, Any]]) -> None:
    for rank in found:
        floats, integers, booleans, halves = rank["gathered"]
        assert floats.shape == (3, 3, 3)
        assert floats[0].sum() == 6
        assert floats[0, 2].sum() == floats[1:, :, 2].sum() == 0
        assert (floats[1:, :, :2] == 2).all()
        assert integers.tolist() == [7, 7]
        assert booleans.tolist() == [[True, False]] * 2 + [[True, True]] * 2
        assert (halves.dtype, halves.tolist()) == (torch.bfloat16, [[0.5, 0.5]] * 2)


def test_ranks_agree(found: list[dict[str, Any]]) -> None:
    assert [rank["agreed"] for rank in found] == [[True, False, False]] * 2
    assert [rank["shared"] for rank in found] == [{"rank": 0}] * 2


def test_one_rank_alone_asks_nobody() -> None:
    rows = [torch.ones(2, 3)]
    assert gather_rows(rows, ALONE)[0] is rows[0]
    assert (ALONE.any(True), ALONE.any(False), ALONE.sum([2.0]), ALONE.share("x")) == (True, False, [2.0], "x")
    assert ALONE.alike(rows)
    assert ALONE.first
    module = nn.BatchNorm1d(3)
    rank_norms(module, ALONE)
    assert ALONE.parallel(module) is module


def terms(run: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [record for record in records if "of" in record]


def test_a_whole_training_on_two_ranks_is_that_of_one_process(found: list[dict[str, Any]], runs: Path) -> None:
    assert len(found) == 2
    ours, one = terms(runs / "two"), terms(runs / "one")
    assert len(ours) == STEPS
    spent = ("wall_seconds", "cpu_seconds", "scales")
    for mine, theirs in zip(ours, one, strict=True):
        assert mine.keys() == theirs.keys()
        assert without(mine, *spent) == pytest.approx(without(theirs, *spent), rel=1e-4, abs=1e-4)
    mine, theirs = (load_checkpoint(runs / who / "checkpoints" / f"{STEPS:08d}.pt") for who in ("two", "one"))
    for part in ("model", "objective"):
        assert mine[part].keys() == theirs[part].keys()
        for name, values in theirs[part].items():
            torch.testing.assert_close(mine[part][name], values, rtol=1e-5, atol=1e-5, msg=name)


def without(record: dict[str, float], *names: str) -> dict[str, float]:
    return {name: value for name, value in record.items() if name not in names}
