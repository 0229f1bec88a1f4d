"""The loop's parts: the learning rate, checkpoints that are whole or absent, the log, and the precision."""

import itertools
import json
import resource
from pathlib import Path

import pytest
import torch

from watchword.train.checkpoint import (
    CheckpointError,
    load_checkpoint,
    newest_checkpoint,
    newest_whole_checkpoint,
    save_checkpoint,
)
from watchword.train.experiment import Experiment
from watchword.train.loop import learning_rate_at, train
from watchword.train.precision import uses_bfloat16
from watchword.train.recipe import RecipeError, TrainConfig, load_recipe


def test_warm_up_is_linear_and_then_halved_every_fifth() -> None:
    config = TrainConfig(steps=1000, warmup_steps=100, schedule="halving", halve_every=0.2)
    rates = [learning_rate_at(step, config) for step in range(1000)]
    assert rates[:3] == pytest.approx([0.01, 0.02, 0.03])
    assert rates[99] == 1.0
    assert [rates[step] for step in (199, 200, 399, 400, 600, 800, 999)] == [1, 0.5, 0.5, 0.25, 0.125, 0.0625, 0.0625]


def test_cosine_falls_from_one_to_a_fiftieth() -> None:
    config = TrainConfig(steps=1000, warmup_steps=0, schedule="cosine")
    rates = [learning_rate_at(step, config) for step in range(1000)]
    assert rates[0] == pytest.approx(1.0)
    assert rates[500] == pytest.approx(0.51)
    assert rates[-1] == pytest.approx(0.02, abs=1e-4)
    assert all(a > b for a, b in itertools.pairwise(rates))


def test_checkpoints_are_read_as_written_and_the_last_two_are_kept(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    assert newest_whole_checkpoint(tmp_path) == (None, [])
    for step in (5, 10, 15):
        save_checkpoint(tmp_path, step, {"step": step, "weights": torch.arange(step)})
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["00000010.pt", "00000015.pt"]
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    assert torch.equal(load_checkpoint(newest)["weights"], torch.arange(15))


def test_a_checkpoint_cut_short_while_written_is_never_taken(tmp_path: Path) -> None:
    whole = save_checkpoint(tmp_path, 5, {"step": 5})
    (tmp_path / "checkpoints" / "00000010.tmp").write_bytes(whole.read_bytes()[:100])
    assert newest_checkpoint(tmp_path) == whole


def test_a_damaged_checkpoint_is_set_aside_for_the_one_before(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 5, {"step": 5})
    damaged = save_checkpoint(tmp_path, 10, {"step": 10})
    damaged.write_bytes(b"not a checkpoint")
    state, bad = newest_whole_checkpoint(tmp_path)
    assert state == {"step": 5}
    assert bad == [damaged]
    assert damaged.with_name("00000010.pt.damaged").exists()
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "00000005.pt"


def test_a_run_whose_checkpoints_are_all_damaged_is_never_begun_anew(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 5, {"step": 5}).write_bytes(b"")
    for _ in range(2):
        with pytest.raises(CheckpointError, match="no checkpoint here can be read"):
            newest_whole_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="damaged checkpoint"):
        load_checkpoint(tmp_path / "checkpoints" / "00000005.pt")
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "absent.pt")


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 5, {"step": 5})
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))  # the kernel refuses to write more, as on a full disk
    try:
        with pytest.raises(CheckpointError, match="make room and run the same command"):
            save_checkpoint(tmp_path, 10, {"step": 10, "weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["00000005.pt"]


def test_a_run_is_logged_stopped_resumed_and_owned_by_its_recipe(small_recipe: Path, tmp_path: Path) -> None:
    recipe = load_recipe(small_recipe, ["train.checkpoint_every=4"])
    run, seen = tmp_path / "run", []
    assert not train(Experiment(recipe), run, report=seen.append, stop_at=6)
    log = run / "log.jsonl"
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert records == seen
    assert [record["step"] for record in records] == list(range(1, 7))
    assert {"relational", "keyword", "adversary_phoneme", "frame", "norm", "learning_rate"} <= records[0].keys()
    alphas = [record["scales"]["phoneme"]["pull_scale_mean"] for record in records]
    assert alphas == sorted(alphas)
    assert alphas[-1] > alphas[0]  # AdaMS: Eq. 2's alpha only rises
    assert records[5]["cpu_seconds"] >= records[0]["cpu_seconds"]
    # As a kill leaves it: a step that was logged but not saved, and half a line.
    with log.open("a") as file:
        file.write('{"step": 7, "of": 12}\n{"step": 8, "o')
    assert not train(Experiment(recipe), run, stop_at=8)
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    assert [record["step"] for record in steps if "of" in record] == list(range(1, 9))
    assert [record["note"] for record in steps if "note" in record] == ["going on from step 6"]
    with pytest.raises(RecipeError, match="holds a run of another recipe"):
        train(Experiment(load_recipe(small_recipe, ["seed=2"])), run)
    assert train(Experiment(load_recipe(small_recipe, ["train.log_every=6"])), run)


def test_a_loss_that_is_no_number_stops_before_it_does_harm(small_recipe: Path, tmp_path: Path) -> None:
    experiment = Experiment(load_recipe(small_recipe))
    train(experiment, tmp_path / "run", stop_at=2)
    with torch.no_grad():
        experiment.model.acoustic.output.bias.fill_(float("nan"))
    state = load_checkpoint(tmp_path / "run" / "checkpoints" / "00000002.pt")
    state["model"]["acoustic.output.bias"].fill_(float("nan"))
    save_checkpoint(tmp_path / "run", 2, state)
    with pytest.raises(FloatingPointError, match=r"step 2: the loss is nan.*lower train\.learning_rate"):
        train(Experiment(load_recipe(small_recipe)), tmp_path / "run")
    assert newest_checkpoint(tmp_path / "run") == tmp_path / "run" / "checkpoints" / "00000002.pt"


@pytest.mark.parametrize(
    ("precision", "cpuinfo", "expected"),
    [
        ("float32", "flags : fpu avx512_bf16\n", False),
        ("bfloat16", "flags : fpu\n", True),
        ("auto", "flags : fpu avx512_bf16\n", True),
        ("auto", "flags : fpu amx_bf16 amx_tile\n", True),
        ("auto", "Features : fp asimd bf16\n", True),
        ("auto", "flags : fpu avx512f\nmodel name : avx512_bf16 inside\n", False),
        ("auto", None, False),
    ],
)
def test_bfloat16_is_used_where_the_processor_has_it(
    tmp_path: Path, precision: str, cpuinfo: str | None, expected: bool
) -> None:
    path = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        path.write_text(cpuinfo)
    assert uses_bfloat16(precision, path) is expected
