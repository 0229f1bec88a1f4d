"""A table for people: Markdown with ours beside published, under the set-up it was measured in; and as JSON."""

import statistics
from collections.abc import Sequence
from typing import Any

from watchword.evaluate.table_results import Found, Record
from watchword.evaluate.tables import Column, PaperTable, Row, Tables, recipe_values
from watchword.recipe_file import read_recipe

Places = dict[tuple[str, str], Found]


def markdown(tables: Tables, table: PaperTable, scale: str, found: Places) -> str:
    """The table at a scale: row, published and ours a column (mean ± spread over seeds), seeds, hours, date."""
    published = [column for column in table.columns if any(column.name in row.published for row in table.rows)]
    head = ["row"]
    for column in table.columns:
        head += [f"{column.name}, published"] if column in published else []
        head += [f"{column.name}, ours" if column in published else f"{column.name} (ours)"]
    head += ["seeds", "hours", "date"]
    lines = [head]
    notes: dict[str, str] = {}
    for row in table.rows:
        cells = [row.name]
        for column in table.columns:
            cells += [_number(row.published.get(column.name))] if column in published else []
            cells.append(_ours(column, _of(found, row, column), notes))
        lines.append([*cells, *_cost([_of(found, row, column) for column in table.columns])])
    text = [f"## {_title(table)}", "", *_setup(tables, table, scale, found), ""]
    text += ["| " + " | ".join(line) + " |" for line in lines[:1]]
    text += ["|" + "---|" * len(head), *("| " + " | ".join(line) + " |" for line in lines[1:])]
    below = [f"{mark} {why}." for why, mark in notes.items()] + list(table.notes)
    return "\n".join([*text, *(line for note in below for line in ("", note))])


def as_json(tables: Tables, table: PaperTable, scale: str, found: Places) -> dict[str, Any]:
    """The same as JSON: figures in per cent, ours by seed."""
    rows = []
    for row in table.rows:
        ours = {}
        for column in table.columns:
            place = _of(found, row, column)
            by_seed = {str(r.seed): round(100 * _value(r, column), 4) for r in place.counted if _has(r, column)}
            ours[column.name] = {"by_seed": by_seed, **({"stale": place.stale} if place.stale else {})}
        rows.append({"row": row.name, "recipe": row.recipe, "published": row.published, "ours": ours})
    return {"table": table.number, "title": table.title, "scale": scale, "rows": rows, "notes": list(table.notes)}


def spread(values: Sequence[float]) -> str:
    """The mean of figures in per cent, and their standard deviation where there are several.

    >>> spread([0.5]), spread([0.5, 0.52])
    ('50.00', '51.00 ± 1.41')
    """
    mean = f"{100 * statistics.fmean(values):.2f}"
    return mean if len(values) < 2 else f"{mean} ± {100 * statistics.stdev(values):.2f}"


def _title(table: PaperTable) -> str:
    return f"Table {table.number}. {table.title}" if table.number.isdigit() else table.title


def _of(found: Places, row: Row, column: Column) -> Found:
    return found.get((row.recipe, column.benchmark), Found())


def _has(record: Record, column: Column) -> bool:
    return column.figure in record.figures


def _value(record: Record, column: Column) -> float:
    return float(record.figures[column.figure]["value"] or 0.0)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _ours(column: Column, place: Found, notes: dict[str, str]) -> str:
    values = [_value(record, column) for record in place.counted if _has(record, column)]
    if not values:
        return "–"
    mark = notes.setdefault(place.stale, "†" * (len(notes) + 1)) if place.stale else ""
    return spread(values) + mark


def _cost(places: Sequence[Found]) -> list[str]:
    """Seeds, hours of training a seed by the clock, and the newest date."""
    records = {record.seed: record for place in places for record in place.counted}.values()
    if not records:
        return ["0", "", ""]
    hours = statistics.fmean(record.wall_seconds for record in records) / 3600
    return [str(len(records)), f"{hours:.2f}", max(record.date for record in records)]


def _setup(tables: Tables, table: PaperTable, scale: str, found: Places) -> list[str]:
    """The set-up in words, out of the recipes and the records."""
    paper, ours = recipe_values(read_recipe(tables.folder / "base.toml")), {}
    for path in tables.scale(scale):
        ours |= _by_loss(recipe_values(read_recipe(path)))
    both = {**paper, **ours}
    wanted = {(row.recipe, column.benchmark) for row in table.rows for column in table.columns}
    records = [record for key in sorted(wanted) for record in found.get(key, Found()).counted]
    said = [f"Scale `{scale}`. {_data(records)} {_training(both)}"]
    said += [f"The paper: {tables.paper_data}; {_training(paper)}"]
    # Where data lies and what is validated on are no part of the method.
    differing = [
        f"`{key}` {_plain(value)}" + (f" ({_plain(paper[key])})" if key in paper else "")
        for key, value in ours.items()
        if _differs(key, value, paper)
    ]
    if differing:
        said += [f"Other than in the paper, whose value is in brackets: {', '.join(differing)}."]
    for benchmark in dict.fromkeys(column.benchmark for column in table.columns):
        said.append(_test(tables, scale, benchmark, [r for r in records if r.benchmark == benchmark]))
    said += ["Figures in per cent; ours as mean ± standard deviation over seeds; hours of one seed's training."]
    return ["\n".join(f"- {line}" for line in said if line)]


def _by_loss(values: dict[str, Any]) -> dict[str, Any]:
    """A scale's values, those of several losses of a family each under its loss's name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            for one in value:
                found |= {f"{key}.{part} of {one['name']}": x for part, x in one.items() if part != "name"}
        else:
            found[key] = value
    return found


def _differs(key: str, value: Any, paper: dict[str, Any]) -> bool:
    shown = ("train.steps", "train.learning_rate", "train.schedule", "batch.classes", "batch.utterances_per_class")
    return not key.startswith("data.") and key not in shown and paper.get(key) != value


def _data(records: Sequence[Record]) -> str:
    data = records[-1].data if records else {}
    if not data:
        return "No results yet."
    return (
        f"Trained on {data['hours']:.1f} hours of speech ({', '.join(data['corpora'])}): {data['recordings']:,} "
        f"recordings by {data['speakers']:,} speakers, {data['texts']:,} words and phrases;"
    )


def _training(values: dict[str, Any]) -> str:
    return (
        f"{values['train.steps']:,} steps of {values['batch.classes']} words × {values['batch.utterances_per_class']}, "
        f"learning rate {values['train.learning_rate']:g} ({values['train.schedule']})."
    )


def _test(tables: Tables, scale: str, benchmark: str, records: Sequence[Record]) -> str:
    measure = tables.measures[scale].get(benchmark)
    if measure is None:
        return f"`{benchmark}` is not measured at this scale."
    heard = ", in rooms and noise (recordings that training draws from, too)" if measure.distorted else ""
    if not records:
        return f"Tested by {measure.benchmark}{heard}."
    newest = records[-1]
    counts = newest.counts
    return (
        f"Tested by {measure.benchmark} on {newest.corpus}{heard}: {counts['trials']:,} trials, {counts['clips']:,} "
        f"clips by {counts['speakers']:,} speakers (list {newest.trials_sha256[:12]})."
    )


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
