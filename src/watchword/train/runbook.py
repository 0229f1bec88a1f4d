"""What is written in a run's folder: whose it is, the log, checkpoints to go on from, and the time it all took."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from watchword.audio import SAMPLE_RATE
from watchword.data.batches import Batch
from watchword.train.checkpoint import newest_checkpoint, newest_whole_checkpoint, save_checkpoint, write_whole
from watchword.train.distributed import RanksError
from watchword.train.experiment import Experiment
from watchword.train.recipe import Recipe, RecipeError, same_experiment


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


class Runbook:
    """The folder of a run under way. All ranks call its methods; the first one writes, and the others wait for it."""

    def __init__(self, experiment: Experiment, run: Path, report: Callable[[dict[str, Any]], None] | None) -> None:
        self.experiment, self.run, self.report, self.ranks = experiment, run, report, experiment.ranks
        self._spent = {"wall_seconds": 0.0, "cpu_seconds": 0.0}
        self._began, self._cpu_began = time.monotonic(), _cpu_seconds()

    def open(self) -> int:
        """Takes up the newest checkpoint, if there is one, and returns the step to go on from."""
        start, notes, state = 0, list(self.experiment.notes), None
        if self.ranks.first:
            claim(self.run, self.experiment.recipe)
            state, damaged = newest_whole_checkpoint(self.run)
            notes += [f"{path}: damaged, so set aside as {path.name}.damaged" for path in damaged]
        # From the first rank's disk: other machines need not see it.
        state = self.ranks.share(state)
        if state is not None:
            start, self._spent = int(state["step"]), dict(state["spent"])
            _restore(self.experiment, state)
            notes.append(f"going on from step {start}")
        if self.ranks.first:
            _cut_log(self.run / "log.jsonl", start)
        if self.ranks.size > 1 or self.experiment.device.type != "cpu":
            notes.append(f"{self.ranks.size} ranks on {self.experiment.device.type}")
        for note in notes:
            self._tell({"step": start, "note": note})
        self.ranks.wait()
        return start

    def log_step(self, done: int, record: dict[str, Any], batch: Batch) -> None:
        """Logs a step: its record, the size of the whole batch, and the time spent since the run began."""
        sizes = [len(batch.audio_lengths), len(batch.labels), int(batch.audio_lengths.sum())]
        crops, spans, samples = self.ranks.sum(sizes)
        spent = {name: round(seconds, 1) for name, seconds in self._now_spent().items()}
        scales = self.experiment.objective.scales()
        record = {**record, "scales": scales} if scales else record
        self._tell({"step": done, "of": self.experiment.recipe.train.steps, **record, "crops": int(crops),
                    "spans": int(spans), "audio_seconds": round(samples / SAMPLE_RATE, 1), **spent})  # fmt: skip

    def validate(self, done: int) -> None:
        """Logs the figures on held-out speakers, where there are any."""
        if self.ranks.first:
            figures = self.experiment.validate()
            if figures:
                self._tell({"step": done, "validation": figures})
        self.ranks.wait()

    def save(self, step: int) -> None:
        """Writes a checkpoint. Raises RanksError where the ranks' weights differ: then none may be trusted."""
        experiment, spent = self.experiment, self._now_spent()
        weights = [*experiment.model.state_dict().values(), *experiment.objective.state_dict().values()]
        if not self.ranks.alike(weights):
            raise RanksError(
                f"step {step}: the ranks' weights differ, so nothing was saved; start again from the last checkpoint, "
                "with the same versions of everything on all machines"
            )
        if self.ranks.first:
            save_checkpoint(self.run, step, {**_state(experiment), "step": step, "spent": spent})
        self.ranks.wait()

    def _tell(self, record: dict[str, Any]) -> None:
        if not self.ranks.first:
            return
        with (self.run / "log.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")
        if self.report:
            self.report(record)

    def _now_spent(self) -> dict[str, float]:
        (cpu,) = self.ranks.sum([_cpu_seconds() - self._cpu_began])
        return {
            "wall_seconds": self._spent["wall_seconds"] + time.monotonic() - self._began,
            "cpu_seconds": self._spent["cpu_seconds"] + cpu,
        }


def _state(experiment: Experiment) -> dict[str, Any]:
    return {
        "model": experiment.model.state_dict(),
        "objective": experiment.objective.state_dict(),
        "optimizer": experiment.optimizer.state_dict(),
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
