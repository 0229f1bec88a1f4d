"""A recipe as it is written: TOML with `extends`, a scale laid over it, and overrides, read into plain tables."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Table = dict[str, Any]


class RecipeError(ValueError):
    """A recipe cannot be read; the message names the file, the key, and what to write instead."""


def read_recipe(path: Path, overrides: Sequence[str] = (), over: Sequence[Path] = ()) -> Table:
    """Reads a recipe file and what it extends, lays the scales `over` on it, then `key.path=value` overrides.

    Values are read as TOML, bare words as strings; nothing is checked yet (`watchword.train.recipe.load_recipe` does).
    Raises RecipeError for a missing file, bad TOML, or a scale that says which losses there are."""
    table = _read(Path(path), ())
    for scale in over:
        table = _lay_over(table, Path(scale), _read(Path(scale), ()))
    for override in overrides:
        _override(table, override)
    return table


def _read(path: Path, seen: tuple[Path, ...]) -> Table:
    if path.resolve() in seen:
        raise RecipeError(f"{path}: extends itself through {' → '.join(p.name for p in seen)}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe; recipes/ has some to start from") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
        raise RecipeError(f"{path}: not a TOML file ({error})") from None
    parent = table.pop("extends", None)
    if parent is None:
        return table
    return _merge(_read(path.parent / str(parent), (*seen, path.resolve())), table)


def _merge(below: Table, above: Table) -> Table:
    """Lays one table over another. A loss with another name replaces the whole term; `false` switches a table or a path
    off."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if value is False and isinstance(old, dict | str):
            merged.pop(key)
        elif (
            isinstance(value, dict) and isinstance(old, dict) and value.get("name", old.get("name")) == old.get("name")
        ):
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged


def _lay_over(table: Table, path: Path, scale: Table) -> Table:
    """Lays a scale over a row: its values of a loss count where the row has that loss, and change no row's losses.

    A family may be an array of tables, one for each of its losses by name."""
    for key in ("name", "seed"):
        if key in scale:
            raise RecipeError(f"{path}: {key!r} belongs in a recipe; a scale is laid over many, so leave it out")
    scale, wanted = dict(scale), dict(scale.get("objective", {}))
    own = table.get("objective", {})
    for family, value in list(wanted.items()):
        term = own.get(family)
        if value is False:
            raise RecipeError(f"{path}: objective.{family} = false; a scale switches no loss off, a recipe may")
        if isinstance(value, list) and all(isinstance(one, dict) for one in value) and value:
            name = term.get("name") if isinstance(term, dict) else None
            value = next((one for one in value if one.get("name") == name), {})
            wanted[family] = value
        if isinstance(value, dict) and not (
            isinstance(term, dict) and value.get("name", term.get("name")) == term.get("name")
        ):
            del wanted[family]
    scale.pop("objective", None)
    return _merge(table, {**scale, **({"objective": wanted} if wanted else {})})


def _override(table: Table, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"override {override!r}: write key.path=value, for example train.steps=1000")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, last = key.split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise RecipeError(f"override {override!r}: {parent!r} is a value, not a table")
    if value is False and isinstance(table.get(last), dict | str):
        table.pop(last)
    else:
        table[last] = value
