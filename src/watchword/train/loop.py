"""The training loop: batches to steps, validation, checkpoints, exact resume, and a log of every term."""

import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from watchword.data.batches import Batch
from watchword.train.distributed import Ranks
from watchword.train.experiment import Experiment
from watchword.train.precision import uses_bfloat16
from watchword.train.recipe import TrainConfig
from watchword.train.runbook import Runbook
from watchword.train.step import Step


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
    if never stopped. All ranks of the experiment must call this; the first of them writes.

    Each record (`step`, terms, `learning_rate`, `validation`, `note` …) goes to `log.jsonl` in the run and to `report`.
    Raises RecipeError where `run` holds another experiment, CheckpointError where no checkpoint can be read or the next
    cannot be written, FloatingPointError where the loss stops being a number, RanksError where ranks come apart."""
    config, ranks = experiment.recipe.train, experiment.ranks
    if config.threads:
        torch.set_num_threads(config.threads)
    book = Runbook(experiment, run, report)
    start = book.open()
    bfloat16 = uses_bfloat16(config.precision, device=experiment.device.type)
    whole = Step(
        experiment.model, experiment.objective, experiment.recipe.seed, bfloat16, ranks, larger=experiment.larger
    )
    step_module = ranks.parallel(whole)
    last = min(config.steps, stop_at or config.steps)
    with _StopSignal(insistent=ranks.size == 1) as stop:
        batches = experiment.batches(start)
        for step in range(start, last):
            batch = _next_unless_stopped(batches, stop, ranks)
            if batch is None:
                book.save(step)
                return False
            record = _carry_out(experiment, step_module, batch, step)
            done = step + 1
            if done % config.log_every == 0 or done == last:
                book.log_step(done, record, batch)
            if done % config.validate_every == 0 or done == config.steps:
                book.validate(done)
            if done % config.checkpoint_every == 0 or done == last:
                book.save(done)
    return last == config.steps


def _carry_out(experiment: Experiment, step_module: torch.nn.Module, batch: Batch, step: int) -> dict[str, float]:
    """Does one step; returns its terms, the gradient's norm and the learning rate."""
    config, optimizer = experiment.recipe.train, experiment.optimizer
    share = learning_rate_at(step, config)
    for group, base in zip(optimizer.param_groups, experiment.learning_rates, strict=True):
        group["lr"] = base * share
    experiment.objective.set_progress(step / config.steps)
    step_module.train()
    total, terms = step_module(batch.to(experiment.device), step)
    if not torch.isfinite(total):
        raise FloatingPointError(
            f"step {step}: the loss is {float(total.detach())} ({terms}); lower train.learning_rate"
        )
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    clipped = [p for group in optimizer.param_groups if group["clip"] for p in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(clipped, config.clip_norm)
    if not torch.isfinite(norm):
        raise FloatingPointError(f"step {step}: the gradient is {float(norm)}; lower train.learning_rate")
    optimizer.step()
    experiment.objective.after_step()
    rounded = {name: round(value, 5) for name, value in terms.items()}
    return {**rounded, "norm": round(float(norm), 4), "learning_rate": config.learning_rate * share}


class _StopSignal:
    """Turns SIGINT and SIGTERM into a wish to stop after the step under way.

    Where `insistent`, a second SIGINT stops at once. Under torchrun it may be the same Ctrl-C, passed on once more."""

    def __init__(self, insistent: bool) -> None:
        self.asked, self.insistent = False, insistent

    def __enter__(self) -> "_StopSignal":
        self._old: dict[int, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._old[number] = signal.signal(number, self._ask)
            except ValueError:  # not in the main thread: the caller's own business
                break
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: object) -> None:
        if self.asked and self.insistent and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True


def _next_unless_stopped(batches: Iterator[Batch], stop: _StopSignal, ranks: Ranks) -> Batch | None:
    """The next batch, or None on every rank as soon as one is asked to stop."""
    batch = None
    if not stop.asked:
        try:
            batch = next(batches)
        except RuntimeError:
            if not stop.asked:  # else the signal reached the processes that make batches, too
                raise
    return None if ranks.any(batch is None) else batch
