"""Results of the tables' runs: one JSON object a line, with the recipes that they were measured under."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from watchword.evaluate.tables import TableError, Tables, recipe_changes, recipe_values
from watchword.recipe_file import RecipeError, read_recipe


@dataclass(frozen=True)
class Record:
    """One run on one benchmark: figures as fractions with the ends of their intervals, and what they cost."""

    scale: str
    recipe: str
    seed: int
    benchmark: str
    measured_by: str
    corpus: str
    figures: dict[str, dict[str, float | None]]
    counts: dict[str, int]
    trials_sha256: str
    steps: int
    wall_seconds: float
    cpu_seconds: float
    date: str
    watchword: str
    recipe_sha256: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """All that a results file holds: records in its order, and the recipes by their hash."""

    records: tuple[Record, ...] = ()
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What there is of one row on one benchmark: the newest record of each seed, and why it no longer counts ("" if it
    does)."""

    records: tuple[tuple[Record, str], ...] = ()

    @property
    def counted(self) -> tuple[Record, ...]:
        """Those that count: all that are not stale, or, where none is left, those that are."""
        fresh = tuple(record for record, stale in self.records if not stale)
        return fresh or tuple(record for record, _ in self.records)

    @property
    def stale(self) -> str:
        """Why even the best of them no longer counts, or nothing."""
        return "" if any(not stale for _, stale in self.records) else next((why for _, why in self.records), "")

    @property
    def fresh_seeds(self) -> set[int]:
        """The seeds that need not be measured again."""
        return {record.seed for record, stale in self.records if not stale}


def read_results(path: Path) -> Results:
    """Reads a results file; one that does not exist is empty. A last line cut short by a crash is left out.

    Raises TableError naming the line that is no result."""
    if not path.exists():
        return Results()
    records, recipes = [], {}
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            table = json.loads(line)
            if "values" in table:
                recipes[str(table["recipe_sha256"])] = dict(table["values"])
            else:
                records.append(Record(**table))
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines):
                break
            raise TableError(f"{path}, line {number}: no result ({error}); remove the line") from None
    return Results(tuple(records), recipes)


def append_result(path: Path, record: Record, values: dict[str, Any]) -> None:
    """Adds a record, and its recipe's values where the file lacks them, in one write: several processes may do so."""
    lines = [json.dumps(asdict(record), ensure_ascii=False)]
    if record.recipe_sha256 not in read_results(path).recipes:
        stated = {"recipe": record.recipe, "scale": record.scale, "recipe_sha256": record.recipe_sha256}
        lines.insert(0, json.dumps({**stated, "values": values}, ensure_ascii=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.exists() else b""
    if not before.endswith(b"\n") and before:
        # A crash cut the last line short: what was measured there will be measured again.
        os.truncate(path, before.rfind(b"\n") + 1)
    with path.open("ab", buffering=0) as file:
        file.write("".join(line + "\n" for line in lines).encode())


def values_hash(values: dict[str, Any]) -> str:
    """The hash of a recipe's values, as recorded beside its results."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def find(tables: Tables, results: Results, scale: str, recipes: Iterable[str]) -> dict[tuple[str, str], Found]:
    """What there is for each (recipe, benchmark of a column) at a scale, and whether it still counts.

    A record is stale where its recipe has changed since, or where it was measured by other trials than the newest."""
    base = recipe_values(read_recipe(tables.folder / "base.toml"))
    mine = [record for record in results.records if record.scale == scale]
    trials = {record.benchmark: record.trials_sha256 for record in mine}
    found: dict[tuple[str, str], Found] = {}
    for recipe in dict.fromkeys(recipes):
        try:
            current = tables.values(recipe, scale)
        except (TableError, RecipeError):
            current = None
        for benchmark in tables.measures[scale]:
            newest = {r.seed: r for r in mine if (r.recipe, r.benchmark) == (recipe, benchmark)}
            judged = []
            for _, record in sorted(newest.items()):
                why = _why_stale(results, record, current, base)
                if not why and record.trials_sha256 != trials[benchmark]:
                    why = "measured by other trials than the newest results"
                judged.append((record, why))
            found[recipe, benchmark] = Found(tuple(judged))
    return found


def _why_stale(results: Results, record: Record, current: dict[str, Any] | None, base: dict[str, Any]) -> str:
    recorded = results.recipes.get(record.recipe_sha256)
    if recorded is None:
        return "its recipe was not recorded"
    if current is None:
        return "its recipe cannot be read any more"
    changed = recipe_changes(recorded, json.loads(json.dumps(current)), base)
    shown = ", ".join(changed[:4]) + (" …" if len(changed) > 4 else "")
    return f"recipe changed since: {shown}" if changed else ""
