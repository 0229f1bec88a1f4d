"""docs/training.md names every key that a recipe can have."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from watchword.train.recipe import Recipe, Term

DOCUMENT = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


def keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Term:
                yield from keys(kind)


def test_every_key_of_a_recipe_is_in_the_document() -> None:
    found = set(keys(Recipe))
    assert {"steps", "lookahead_frames", "reject_above", "babble_speakers", "hidden_per_direction"} <= found
    tables = {"model", "acoustic", "textual", "data", "synthesis", "batch", "augment", "objective", "train"}
    assert [name for name in sorted(found - tables) if f"`{name}`" not in DOCUMENT] == []
    assert all(f"[{name}]`" in DOCUMENT for name in ("model", "data", "batch", "augment", "objective", "train"))
