"""The training loop: batches to steps, validation, checkpoints, exact resume, and a log of every term."""

import json
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from watchword.train.checkpoint import newest_checkpoint, newest_whole_checkpoint, save_checkpoint, write_whole
from watchword.train.experiment import Experiment
from watchword.train.precision import uses_bfloat16
from watchword.train.recipe import Recipe, RecipeError, TrainConfig, same_experiment


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Gives the share of the learning rate at a step: linear warm-up, then a schedule.

    Halved every `halve_every` of training (the paper: every 20 of 100 epochs), or a half cosine down to 2 %."""
    warm = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    done = step / config.steps
    if config.schedule == "halving":
        return warm * 0.5 ** math.floor(done / config.halve_every + 1e-9)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def train(
    experiment: Experiment,
    run: Path,
    *,
    report: Callable[[dict[str, Any]], None] | None = None,
    stop_at: int | None = None,
) -> bool:
    """Trains until the recipe's last step and returns True, or until interrupted and returns False.

    SIGINT, SIGTERM and `stop_at` interrupt; either way the newest state is saved, and calling again goes on from it as
    if never stopped.

    Each record (`step`, terms, `learning_rate`, `validation`, `note` …) goes to `log.jsonl` in the run and to `report`.
    Raises RecipeError where `run` holds another experiment, CheckpointError where no checkpoint can be read or the next
    cannot be written, FloatingPointError where the loss stops being a number."""
    recipe = experiment.recipe
    config = recipe.train
    claim(run, recipe)
    if config.threads:
        torch.set_num_threads(config.threads)
    model, objective, optimizer = experiment.model, experiment.objective, experiment.optimizer
    bfloat16 = uses_bfloat16(config.precision)
    start, spent, notes = 0, {"wall_seconds": 0.0, "cpu_seconds": 0.0}, list(experiment.notes)
    state, damaged = newest_whole_checkpoint(run)
    if state is not None:
        start, spent = int(state["step"]), dict(state["spent"])
        _restore(experiment, state)
        notes += [f"{path}: damaged, so set aside as {path.name}.damaged" for path in damaged]
        notes.append(f"going on from step {start}")
    else:
        torch.manual_seed(recipe.seed)
    began, cpu_began = time.monotonic(), _cpu_seconds()

    def now_spent() -> dict[str, float]:
        return {
            "wall_seconds": spent["wall_seconds"] + time.monotonic() - began,
            "cpu_seconds": spent["cpu_seconds"] + _cpu_seconds() - cpu_began,
        }

    def save(step: int) -> None:
        save_checkpoint(run, step, {**_state(experiment), "step": step, "spent": now_spent()})

    def tell(record: dict[str, Any]) -> None:
        with (run / "log.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")
        if report:
            report(record)

    _cut_log(run / "log.jsonl", start)
    for note in notes:
        tell({"step": start, "note": note})
    stop = _StopSignal()
    with stop:
        last = min(config.steps, stop_at or config.steps)
        batches = experiment.batches(start)
        if state is not None:
            # PyTorch's DataLoader draws a number as it starts, which a run that was not stopped draws but once.
            torch.set_rng_state(state["random"])
        for step in range(start, last):
            try:
                batch = next(batches)
            except RuntimeError:
                if not stop.asked:
                    raise
                save(step)  # the signal reached the processes that make batches, too
                return False
            share = learning_rate_at(step, config)
            for group, base in zip(optimizer.param_groups, experiment.learning_rates, strict=True):
                group["lr"] = base * share
            objective.set_progress(step / config.steps)
            model.train()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                match = model(**batch.model_inputs())
            total, terms = objective(match)
            if not torch.isfinite(total):
                raise FloatingPointError(
                    f"step {step}: the loss is {float(total.detach())} ({terms}); lower train.learning_rate"
                )
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            norm = torch.nn.utils.clip_grad_norm_(
                [p for group in optimizer.param_groups if group["clip"] for p in group["params"]], config.clip_norm
            )
            if not torch.isfinite(norm):
                raise FloatingPointError(f"step {step}: the gradient is {float(norm)}; lower train.learning_rate")
            optimizer.step()
            objective.after_step()
            done = step + 1
            if done % config.log_every == 0 or done == last:
                tell({"step": done, "of": config.steps, **{k: round(v, 5) for k, v in terms.items()},
                      "norm": round(float(norm), 4), "learning_rate": config.learning_rate * share,
                      "crops": len(batch.audio_lengths), "spans": len(batch.labels),
                      "audio_seconds": round(float(batch.audio_lengths.sum()) / 16000, 1),
                      **{k: round(v, 1) for k, v in now_spent().items()}})  # fmt: skip
            if done % config.validate_every == 0 or done == config.steps:
                metrics = experiment.validate()
                if metrics:
                    tell({"step": done, "validation": metrics})
            stopping = stop.asked
            if done % config.checkpoint_every == 0 or done == last or stopping:
                save(done)
            if stopping:
                return False
    return last == config.steps


def claim(run: Path, recipe: Recipe) -> None:
    """Makes `run` the folder of a recipe, stated in its `recipe.json`; raises RecipeError where another has checkpoints
    there."""
    mark = run / "recipe.json"
    try:
        run.mkdir(parents=True, exist_ok=True)
        stated = recipe.model_dump_json(indent=1)
        if newest_checkpoint(run) and mark.exists() and not same_experiment(mark.read_text(), stated):
            raise RecipeError(f"{run}: holds a run of another recipe; choose another --run folder or remove it")
        write_whole(mark, stated)
    except OSError as error:
        raise RecipeError(f"{run}: cannot be a run's folder ({error.strerror or error})") from None


class _StopSignal:
    """Turns SIGINT and SIGTERM into a wish to stop after the step under way; a second SIGINT stops at once."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> None:
        self._old: dict[int, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._old[number] = signal.signal(number, self._ask)
            except ValueError:  # not in the main thread: the caller's own business
                return

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: object) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True


def _state(experiment: Experiment) -> dict[str, Any]:
    return {
        "model": experiment.model.state_dict(),
        "objective": experiment.objective.state_dict(),
        "optimizer": experiment.optimizer.state_dict(),
        "random": torch.get_rng_state(),
        "labels": experiment.num_labels,
    }


def _restore(experiment: Experiment, state: dict[str, Any]) -> None:
    if state["labels"] != experiment.num_labels:
        raise RecipeError(
            f"resume: the store has {experiment.num_labels} labels, the run was begun with {state['labels']}"
        )
    experiment.model.load_state_dict(state["model"])
    experiment.objective.load_state_dict(state["objective"])
    experiment.optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])


def _cut_log(path: Path, start: int) -> None:
    """Drops log lines past the step that is resumed from, so that each step is logged once."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if record.get("step", 0) <= start:
            kept.append(line)
    write_whole(path, "".join(line + "\n" for line in kept))


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
