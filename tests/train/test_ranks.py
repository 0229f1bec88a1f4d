"""Two ranks with a part of the batch each compute what one process computes from the whole batch."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.train.rank_work import KINDS, LOSSES, STEPS
from watchword.train.checkpoint import load_checkpoint
from watchword.train.distributed import ALONE, gather_rows
from watchword.train.norms import rank_norms

Found = list[dict[str, Any]]


def assert_as_one(result: dict[str, Any]) -> None:
    ours, whole = result["ranks"], result["one"]
    torch.testing.assert_close(ours["total"], whole["total"], rtol=1e-5, atol=1e-5)
    assert ours["gradients"].keys() == whole["gradients"].keys()
    for name, gradient in whole["gradients"].items():
        tolerance = 1e-5 * max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(ours["gradients"][name], gradient, rtol=1e-5, atol=tolerance, msg=name)
    torch.testing.assert_close(ours["scales"], whole["scales"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("number", range(len(LOSSES)), ids=["-".join(map(str, loss)) for loss in LOSSES])
def test_two_ranks_give_every_loss_and_its_gradients_as_one_process_does(ranks_found: Found, number: int) -> None:
    for rank in ranks_found:
        result = rank["losses"][number]
        assert_as_one(result)
        assert result["alike"]
        assert float(result["one"]["total"]) != 0


@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_give_a_whole_models_step_as_one_process_does(ranks_found: Found, kind: str) -> None:
    for rank in ranks_found:
        assert_as_one(rank["steps"][kind])
        assert rank["steps"][kind]["alike"]


def test_norms_see_the_rows_of_all_ranks(ranks_found: Found) -> None:
    assert all(float(worst) < 1e-9 for rank in ranks_found for worst in rank["norms"].values())


def test_rows_are_gathered_in_order_and_padded_to_the_widest(ranks_found: Found) -> None:
    for rank in ranks_found:
        floats, integers, booleans, halves = rank["gathered"]
        assert floats.shape == (3, 3, 3)
        assert floats[0].sum() == 6
        assert floats[0, 2].sum() == floats[1:, :, 2].sum() == 0
        assert (floats[1:, :, :2] == 2).all()
        assert integers.tolist() == [7, 7]
        assert booleans.tolist() == [[True, False]] * 2 + [[True, True]] * 2
        assert (halves.dtype, halves.tolist()) == (torch.bfloat16, [[0.5, 0.5]] * 2)


def test_ranks_agree(ranks_found: Found) -> None:
    assert [rank["agreed"] for rank in ranks_found] == [[True, False, False]] * 2
    assert [rank["shared"] for rank in ranks_found] == [{"rank": 0}] * 2


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


def test_a_whole_training_on_two_ranks_is_that_of_one_process(ranks_found: Found, rank_runs: Path) -> None:
    assert len(ranks_found) == 2
    ours, one = terms(rank_runs / "two"), terms(rank_runs / "one")
    assert len(ours) == STEPS
    spent = ("wall_seconds", "cpu_seconds", "scales")
    for mine, theirs in zip(ours, one, strict=True):
        assert mine.keys() == theirs.keys()
        assert without(mine, *spent) == pytest.approx(without(theirs, *spent), rel=1e-4, abs=1e-4)
    mine, theirs = (load_checkpoint(rank_runs / who / "checkpoints" / f"{STEPS:08d}.pt") for who in ("two", "one"))
    for part in ("model", "objective"):
        assert mine[part].keys() == theirs[part].keys()
        for name, values in theirs[part].items():
            torch.testing.assert_close(mine[part][name], values, rtol=1e-5, atol=1e-5, msg=name)


def without(record: dict[str, float], *names: str) -> dict[str, float]:
    return {name: value for name, value in record.items() if name not in names}
