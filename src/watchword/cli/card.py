"""The command `watchword card`: prints a bundle's passport, for people or as JSON."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDTH = 110


def card(
    bundle: Annotated[Path | None, typer.Argument(help="The bundle's folder.", show_default="the one inside")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every figure.")] = False,
) -> None:
    """Print a bundle's passport: purpose, limits, training sources, origin, benchmarks, thresholds, what is missing."""
    import json

    from watchword.bundle import Bundle
    from watchword.cli.passport import passport

    made = passport(Bundle.load(bundle))
    if as_json:
        typer.echo(json.dumps(made, ensure_ascii=False, indent=1))
        return
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    for number, part in enumerate(_parts(made)):
        if number:
            console.print()
        console.print(part, highlight=False, markup=False)


def _parts(made: Mapping[str, Any]) -> "Iterator[RenderableType]":
    purpose = made["purpose"] or {}
    trained = made["training"].get("steps")
    commit = "not recorded" if made["commit"] is None else made["commit"][:12]
    teachers, hashes = made["teachers"], made["sha256"]
    yield _list(
        f"{made['name']}, made {made['created'] or '?'} with Watchword {made['watchword'] or '?'}",
        {
            "for": purpose.get("for"),
            "not for": purpose.get("not_for"),
            "languages": ", ".join(made["languages"]) or None,
            "size": f"{made['size_bytes'] / 1e6:.1f} MB; runs {made['acoustic_file']}",
            "parameters": ", ".join(f"{name} {count:,}" for name, count in made["parameters"].items()) or None,
            "recipe": None if made["recipe"] is None else f"{made['recipe']}, seed {made['seed']}, {trained} steps",
            "commit": commit + (" and changes" if made["commit_changed"] else ""),
            "made again by": made["reproduce"],
            "sha256": f"{hashes['scores'][:12]} (files that decide scores), {hashes['card'][:12]} (card)",
            "teachers": None if teachers is None else "; ".join(map(_teacher, teachers)) or "none",
        },
    )
    yield from _section("limits", made["limits"])
    limits = [(x["name"], *_percent(x), f"{x['what']}, scored {x['scored']}") for x in made["measured_limits"]]
    yield from _table("limits in figures", ("limit", "%", "95 %", "what"), limits)
    for title, key in (("speech behind the weights", "sources"), ("noise behind the weights", "noise")):
        rows = [(s["corpus"], s.get("licence") or "not stated", s["clips"], f"{s['hours']:.2f}") for s in made[key]]
        yield from _table(title, ("corpus", "licence", "clips", "hours"), rows)
    yield from _table(
        "benchmarks", ("benchmark", "figure", "%", "95 %", "clips", "hours", "date"), list(_figures(made["benchmarks"]))
    )
    yield from _thresholds(made)
    yield from _section("missing", made["missing"])


def _figures(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    from watchword.cli.passport import FIGURES

    before = ""
    for row in rows:
        if row["figure"] in FIGURES:
            name = f"{row['benchmark']}, {row['corpus']}"
            size = ((row["counts"] or {}).get("clips", ""), row["hours"] or "", row["date"] or "")
            told = size if name != before else ("", "", "")
            yield (name if name != before else "", FIGURES[row["figure"]], *_percent(row), *told)
            before = name


def _thresholds(made: Mapping[str, Any]) -> "Iterator[RenderableType]":
    calibration = made["calibration"]
    if calibration is None:
        yield f"threshold {made['threshold']}, not calibrated"
        return
    said = f"{calibration.get('keywords', '?')} keywords, {calibration.get('hours', '?')} h of held-out speech"
    rows = [
        (f"{row['alarms_per_hour']:g}", f"{row['threshold']:.4f}", f"{100 * row['missed']:.1f}", _measured(row))
        for row in calibration.get("rows") or ()
        if {"alarms_per_hour", "threshold", "missed"} <= row.keys()
    ]
    yield from _table(
        f"thresholds ({made['threshold']} unless a keyword says otherwise; {said})",
        ("false alarms an hour and keyword", "threshold", "missed, %", "alarms on speakers left out"),
        rows,
    )


def _measured(row: Mapping[str, Any]) -> str:
    rate = row.get("measured_alarms_per_hour")
    return "" if rate is None else f"{rate:g}"


def _percent(row: Mapping[str, Any]) -> tuple[str, str]:
    low, high = row.get("low"), row.get("high")
    interval = "" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f}"
    return f"{100 * row['value']:.1f}", interval


def _teacher(teacher: Mapping[str, str]) -> str:
    told = (teacher.get(key, "?") for key in ("name", "role", "what", "licence", "learned_from"))
    return "{}: {} ({}; {}; learned from: {})".format(*told)


def _list(title: str, rows: Mapping[str, str | None]) -> "RenderableType":
    from rich.table import Table

    table = Table(title=title, box=None, show_header=False, title_justify="left", pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value or "not on the card")
    return table


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> "Iterator[RenderableType]":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    if rows:
        table = Table(*columns, title=title, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for row in rows:
            table.add_row(*map(str, row))
        yield table


def _section(title: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield "\n".join([title, *(f"- {sentence}" for sentence in sentences)])
