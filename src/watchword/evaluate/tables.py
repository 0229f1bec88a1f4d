"""The paper's tables as files: rows, their recipes, published figures, and what measures each column at each scale."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watchword.recipe_file import Table, read_recipe

FILE = "paper/tables.toml"
# How a run is logged, saved and spread over cores does not change what is learned.
_NOT_THE_EXPERIMENT = (
    *("name", "seed"),
    *(f"train.{key}" for key in ("checkpoint_every", "validate_every", "log_every", "workers", "threads")),
)


class TableError(ValueError):
    """A table or its files cannot be read; the message says what to do instead."""


@dataclass(frozen=True)
class Column:
    """A figure of a benchmark, as a fraction; `name` is also that of the published figure it stands beside."""

    name: str
    benchmark: str
    figure: str
    lower_is_better: bool = False


@dataclass(frozen=True)
class Row:
    """A row: what it is called, its recipe, and the published figures by column, in per cent."""

    name: str
    recipe: str
    published: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperTable:
    """One table: its number, or "ablations"."""

    number: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measure:
    """A benchmark at a scale: its name in `watchword evaluate`, its corpus (any if empty), and rooms and noise."""

    benchmark: str
    corpus: str = ""
    distorted: bool = False
    size: int | None = None


@dataclass(frozen=True)
class Tables:
    """All tables of a recipes folder, and what measures them: `measures[scale][benchmark of a column]`."""

    folder: Path
    tables: dict[str, PaperTable]
    measures: dict[str, dict[str, Measure]]
    paper_data: str

    @property
    def results(self) -> Path:
        """The file of results."""
        return self.folder / "paper" / "results.jsonl"

    def table(self, number: str) -> PaperTable:
        """A table by its number. Raises TableError with those that exist."""
        if number not in self.tables:
            raise TableError(f"table: no table {number!r}; there are {', '.join(self.tables)}")
        return self.tables[number]

    def recipe(self, name: str) -> Path:
        """The file of a row's recipe."""
        for place in ("paper", "paper/ablation"):
            if (self.folder / place / f"{name}.toml").is_file():
                return self.folder / place / f"{name}.toml"
        raise TableError(f"{self.folder / 'paper' / name}.toml: no such recipe, though a table names it")

    def scale(self, name: str) -> tuple[Path, ...]:
        """The files to lay over a row's recipe at a scale; none at the scale "paper". Raises TableError."""
        if name not in self.measures:
            raise TableError(f"table: no scale {name!r}; {self.folder / FILE} has {', '.join(self.measures)}")
        path = self.folder / "paper" / "scale" / f"{name}.toml"
        if name != "paper" and not path.is_file():
            raise TableError(f"{path}: no such scale; write it, or choose one of {', '.join(self.measures)}")
        return () if name == "paper" else (path,)

    def values(self, recipe: str, scale: str) -> dict[str, Any]:
        """What decides a row's run but the seed: its recipe at a scale as `key.path` -> value."""
        return recipe_values(read_recipe(self.recipe(recipe), over=self.scale(scale)))


def find_recipes(given: Path | None) -> Path:
    """The folder of recipes: the one given, else `recipes` here or in the clone that this package runs from.

    Raises TableError where there is none, as after a plain install."""
    places = [given] if given else [Path("recipes"), Path(__file__).resolve().parents[3] / "recipes"]
    for place in places:
        if (place / FILE).is_file():
            return place
    raise TableError(
        f"table: no {FILE} in {given}; name a clone's recipes folder"
        if given
        else "table: no recipes folder here, and none comes with an installed Watchword; run this in a clone of the "
        "project, or name a clone's folder: --recipes FOLDER"
    )


def read_tables(folder: Path) -> Tables:
    """Reads `paper/tables.toml` of a recipes folder, and its ablations (`paper/ablation/*.toml`) as a table.

    Raises TableError for a file that cannot be read or does not say what is needed."""
    path = folder / FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        tables = {number: _table(number, stated) for number, stated in content["tables"].items()}
        measures = {
            scale: {name: Measure(**one) for name, one in stated.items()} for scale, stated in content["scales"].items()
        }
        columns = tables["1"].columns
        data = str(content["paper"]["data"])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise TableError(f"{path}: cannot be read as tables ({error!r}); restore it from the project") from None
    ablations = _ablations(folder / "paper" / "ablation", columns)
    if ablations:
        tables["ablations"] = ablations
    return Tables(folder, tables, measures, data)


def recipe_values(recipe: Table) -> dict[str, Any]:
    """A recipe as `key.path` -> value, without what does not change the experiment.

    >>> recipe_values({"name": "a", "train": {"steps": 3, "threads": 1}, "objective": {"keyword": {"name": "triplet"}}})
    {'train.steps': 3, 'objective.keyword.name': 'triplet'}
    """
    found: dict[str, Any] = {}

    def walk(prefix: str, table: Table) -> None:
        for key, value in table.items():
            if isinstance(value, dict):
                walk(f"{prefix}{key}.", value)
            elif f"{prefix}{key}" not in _NOT_THE_EXPERIMENT:
                found[f"{prefix}{key}"] = value

    walk("", recipe)
    return found


def recipe_changes(recorded: dict[str, Any], current: dict[str, Any], base: dict[str, Any]) -> list[str]:
    """The keys in which a recipe is another experiment than the one recorded.

    A key that the record lacks counts only where the recipe itself states it: `base.toml` names each new key of
    Watchword at the value at which nothing changes. A whole loss that the record lacks always counts."""
    changed = [key for key, value in recorded.items() if key not in current or current[key] != value]
    for key, value in current.items():
        if key in recorded:
            continue
        family = ".".join(key.split(".")[:2])
        loss_is_new = f"{family}.name" in current and f"{family}.name" not in recorded
        if loss_is_new or key not in base or base[key] != value:
            changed.append(key)
    return sorted(changed)


def _table(number: str, stated: Table) -> PaperTable:
    columns = tuple(Column(**column) for column in stated["columns"])
    rows = tuple(Row(**row) for row in stated["rows"])
    known = {column.name for column in columns}
    for row in rows:
        if unknown := set(row.published) - known:
            raise KeyError(f"row {row.name!r} has a figure {unknown.pop()!r} that is no column")
    return PaperTable(number, stated["title"], columns, rows, tuple(stated.get("notes", ())))


def _ablations(folder: Path, columns: tuple[Column, ...]) -> PaperTable | None:
    """Each ablation behind the row that it extends, under its file's first comment or else its name."""
    rows: dict[str, list[Row]] = {}
    for path in sorted(folder.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        base = Path(str(tomllib.loads(text).get("extends", "../../base.toml"))).stem
        comment = text.partition("\n")[0].removeprefix("#").strip().rstrip(".") if text.startswith("#") else ""
        rows.setdefault(base, []).append(Row(f"{path.stem}: {comment}" if comment else path.stem, path.stem))
    if not rows:
        return None
    listed = []
    for base, changed in rows.items():
        own = "adml_sf2" if base == "base" else base
        listed += [Row(f"**{own}**", own), *changed]
    return PaperTable("ablations", "Ablations: each below the row that it changes", columns, tuple(listed))
