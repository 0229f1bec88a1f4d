"""The runs behind the paper's tables: each row trained at a scale, measured, and recorded; stopped, it goes on."""

import datetime
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from watchword import __version__
from watchword.data.store import Store
from watchword.evaluate.benchmarks import BenchmarkError, Prepared, Settings, find_sources, prepare_benchmark
from watchword.evaluate.clips import Progress
from watchword.evaluate.distortion import Distorted
from watchword.evaluate.table_results import Record, append_result, find, read_results, values_hash
from watchword.evaluate.tables import Column, Tables
from watchword.train.checkpoint import newest_checkpoint
from watchword.train.experiment import Experiment
from watchword.train.loop import train
from watchword.train.recipe import Recipe, RecipeError, load_recipe, resolve, same_experiment
from watchword.train.runs import load_run
from watchword.train.scoring import run_scorer

Report = Callable[[dict[str, Any]], None]
Reporting = Callable[[Recipe, Path], AbstractContextManager[Report]]
"""Opens the display of a run's training; it yields what the training's records are given to."""
Tell = Callable[[str], None]
Bar = Callable[[str], AbstractContextManager[Progress]]
"""Opens a progress bar by its title; it yields a function of (done, all)."""


def run_folder(scale: str, recipe: str, seed: int) -> Path:
    """Where the run of a row lies: runs/tables/SCALE/RECIPE-seedK below WATCHWORD_WORK."""
    return resolve("runs/tables") / scale / f"{recipe}-seed{seed}"


def row_recipe(tables: Tables, recipe: str, scale: str, seed: int) -> Recipe:
    """The whole recipe of a row: its file, the scale laid over it, and the seed."""
    return load_recipe(tables.recipe(recipe), [f"seed={seed}"], tables.scale(scale))


def prepare_measures(
    tables: Tables, columns: Iterable[Column], scale: str, places: Sequence[Path], trials_folder: Path
) -> dict[str, Prepared]:
    """Finds the data of a table's benchmarks and builds their trials, by the columns' names of them.

    Raises BenchmarkError where a scale does not say what measures a column, or its data is not there."""
    prepared: dict[str, Prepared] = {}
    for name in dict.fromkeys(column.benchmark for column in columns):
        if name not in tables.measures[scale]:
            raise BenchmarkError(f"table: scale {scale!r} has no benchmark {name!r}; state it in paper/tables.toml")
        measure = tables.measures[scale][name]
        sources = find_sources(measure.benchmark, places)
        fitting = [source for source in sources if measure.corpus in ("", source.corpus)]
        if not fitting:
            found = ", ".join(source.corpus for source in sources)
            raise BenchmarkError(
                f"table: {name} is measured on {measure.corpus}, and there is only {found}; "
                f"give {measure.corpus}.segments.jsonl by --data"
            )
        settings = Settings(size=measure.size, distorted=measure.distorted)
        prepared[name] = prepare_benchmark(measure.benchmark, fitting[0], settings, trials_folder)
    return prepared


def run_rows(
    tables: Tables,
    recipes: Iterable[str],
    scale: str,
    seeds: Iterable[int],
    prepared: Mapping[str, Prepared],
    reporting: Reporting,
    tell: Tell,
    bar: Bar,
    *,
    untrained: bool = True,
) -> bool:
    """Trains and measures what is missing, a run at a time, all rows with one seed before the next.

    Unless `untrained` rows are wanted, none is trained, and those that are get measured.

    Returns False where it was interrupted; what is finished is recorded, and calling again goes on. Several processes
    may share the work: a run that another holds is left to it."""
    rows = list(dict.fromkeys(recipes))
    for seed in seeds:
        for recipe in rows:
            if not _missing(tables, recipe, scale, seed, prepared):
                continue
            run = run_folder(scale, recipe, seed)
            with _alone_in(run) as alone:
                if not alone:
                    tell(f"{recipe}, seed {seed}: left to the process that is at it")
                    continue
                try:
                    if not untrained and not is_trained(tables, recipe, scale, seed):
                        tell(f"{recipe}, seed {seed}: not trained to its end in {run}")
                        continue
                    if not train_row(tables, recipe, scale, seed, reporting, tell):
                        return False
                except FloatingPointError as error:
                    tell(f"{recipe}, seed {seed}: {error}; this row has no result")
                    continue
                for name in _missing(tables, recipe, scale, seed, prepared):
                    with bar(f"{recipe}, seed {seed}: measuring {name}") as progress:
                        record = measure_row(tables, recipe, scale, seed, name, prepared[name], progress)
                    append_result(tables.results, record, tables.values(recipe, scale))
    return True


def train_row(tables: Tables, recipe: str, scale: str, seed: int, reporting: Reporting, tell: Tell) -> bool:
    """Trains a row to its end, from its newest checkpoint on; returns False where it was interrupted.

    A run of a recipe that has changed since is set aside, not overwritten."""
    whole, run = row_recipe(tables, recipe, scale, seed), run_folder(scale, recipe, seed)
    if is_trained(tables, recipe, scale, seed):
        return True
    if newest_checkpoint(run) and not _is_run_of(run, whole):
        tell(f"{run}: its recipe has changed since, so it is set aside as {_set_aside(run).name}")
    tell(f"{recipe}, seed {seed}: training in {run}")
    with reporting(whole, run) as report:
        return train(Experiment(whole), run, report=report)


def is_trained(tables: Tables, recipe: str, scale: str, seed: int) -> bool:
    """Whether the run of a row, as its recipe is now, has been trained to its end."""
    whole, run = row_recipe(tables, recipe, scale, seed), run_folder(scale, recipe, seed)
    newest = newest_checkpoint(run)
    return newest is not None and _is_run_of(run, whole) and int(newest.stem) >= whole.train.steps


def measure_row(
    tables: Tables,
    recipe: str,
    scale: str,
    seed: int,
    name: str,
    prepared: Prepared,
    progress: Progress | None = None,
) -> Record:
    """Scores a trained row by one of the tables' benchmarks."""
    run = run_folder(scale, recipe, seed)
    whole, _, state = load_run(run)
    scorer = run_scorer(run)
    if prepared.settings.distorted:
        if not whole.data.noise:
            raise RecipeError(f"{name}: clips are heard in noise, and data.noise of scale {scale!r} names none")
        scorer = Distorted(scorer, resolve(whole.data.noise), prepared.settings.seed)
    result = prepared.measure(scorer, progress)
    return Record(
        scale=scale,
        recipe=recipe,
        seed=seed,
        benchmark=name,
        measured_by=result.benchmark,
        corpus=result.corpus,
        figures={key: figure.as_dict() for key, figure in result.figures.items()},
        counts=result.counts,
        trials_sha256=result.trials_sha256,
        steps=int(state["step"]),
        wall_seconds=round(state["spent"]["wall_seconds"], 1),
        cpu_seconds=round(state["spent"]["cpu_seconds"], 1),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        watchword=__version__,
        recipe_sha256=values_hash(tables.values(recipe, scale)),
        data=describe_store(Store(resolve(whole.data.store))),
    )


def describe_store(store: Store) -> dict[str, Any]:
    """What a store holds: hours, numbers of recordings, speakers, and words and phrases, and the corpora."""
    return {
        "hours": round(float(store.utterances["samples"].sum()) / 16000 / 3600, 3),
        "recordings": len(store.utterances),
        "speakers": len(set(store.utterances["speaker"].tolist())),
        "texts": len(store.texts),
        "corpora": sorted(store.corpora),
    }


def _missing(tables: Tables, recipe: str, scale: str, seed: int, prepared: Mapping[str, Prepared]) -> list[str]:
    """The benchmarks by which a row still has to be measured."""
    results = read_results(tables.results)
    found = find(tables, results, scale, [recipe])
    return [
        name
        for name, benchmark in prepared.items()
        if not any(
            record.seed == seed and not stale and record.trials_sha256 == benchmark.trials_sha256
            for record, stale in found[recipe, name].records
        )
    ]


def _is_run_of(run: Path, recipe: Recipe) -> bool:
    mark = run / "recipe.json"
    return mark.exists() and same_experiment(mark.read_text(encoding="utf-8"), recipe.model_dump_json())


def _set_aside(run: Path) -> Path:
    number = 1
    while (aside := run.with_name(f"{run.name}.old{number}")).exists():
        number += 1
    run.rename(aside)
    return aside


@contextmanager
def _alone_in(run: Path) -> Iterator[bool]:
    """Holds a run for this process as long as it lives; yields False where another holds it."""
    try:
        import fcntl
    except ImportError:  # Windows: two processes at one run are then the caller's own care
        yield True
        return
    run.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(run.with_name(run.name + ".lock"), os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(lock)
