"""docs/losses.md, carried out: its loss is written, registered, tested and trained as the page says, in a copy."""

import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from watchword.data.store import Store
from watchword.loss import FAMILIES
from watchword.train.checkpoint import load_checkpoint
from watchword.train.recipe import ObjectiveConfig, RecipeError, Term, build_term

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
# A smaller network on the tones of the tests, in the place of words that voices would have to speak first.
SMALL = ("train.steps=3", "train.log_every=1", "data.synthesis=false", "model.acoustic.channels=16", "batch.classes=6")
SMALL += ("model.textual.hidden_per_direction=16", "train.workers=0", "objective.relational.ends=8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def files() -> dict[str, str]:
    """Each new file of the page, by its path: the first that a step names, and the step's block."""
    steps = re.split(r"^\*\*\d\. ", PAGE, flags=re.MULTILINE)[1:]
    found = {}
    for step in steps:
        path = re.search(r"`([\w/]+\.(?:py|toml))`", step)
        block = re.search(r"^```(?:python|toml)\n(.*?)^```", step, re.MULTILINE | re.DOTALL)
        if path and block:
            found[path.group(1)] = block.group(1)
    return found


def with_additions(text: str, difference: str) -> str:
    """Lays the page's difference over a file: its added lines go behind the line that they stand behind on the page."""
    lines = text.splitlines()
    at = 0
    for line in difference.splitlines():
        if line.startswith("+"):
            lines.insert(at, line[1:])
            at += 1
        else:
            assert line[1:] in lines[at:], f"docs/losses.md: {line[1:]!r} stands no longer there"
            at = lines.index(line[1:], at) + 1
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the page's loss in it; what the page does not touch is linked."""
    root = tmp_path_factory.mktemp("copy")
    package = root / "src" / "watchword"
    package.mkdir(parents=True)
    for path in (ROOT / "src" / "watchword").iterdir():
        if path.name not in ("loss", "__pycache__"):
            (package / path.name).symlink_to(path)
    for folder in ("src/watchword/loss", "tests/loss", "recipes"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for name, text in files().items():
        assert not (root / name).exists(), name
        (root / name).write_text(text, encoding="utf-8")
    registry = package / "loss" / "__init__.py"
    (difference,) = blocks("diff")
    registry.write_text(with_additions(registry.read_text(encoding="utf-8"), difference), encoding="utf-8")
    return root


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "WATCHWORD_WORK": str(folder / "work")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def commands() -> list[list[str]]:
    return [shlex.split(line) for line in "".join(blocks("sh")).splitlines()]


def test_the_page_names_three_new_files_and_a_short_recipe() -> None:
    module, test, recipe = files()
    assert Path(module).parent.as_posix() == "src/watchword/loss"
    assert Path(test).parent.as_posix() == "tests/loss"
    assert Path(recipe).parent.as_posix() == "recipes"
    assert 3 <= len([line for line in files()[recipe].splitlines() if line]) <= 6
    (difference,) = blocks("diff")
    assert sum(line.startswith("+") for line in difference.splitlines()) == 2


def test_the_pages_tests_pass(copy: Path) -> None:
    test, _ = commands()
    assert test[0] == "pytest"
    ended = run(copy, *test, "-q", "-p", "no:cacheprovider")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    # Registered without a test, it would not have passed.
    path = copy / next(name for name in files() if name.startswith("tests"))
    aside = path.rename(path.with_suffix(".aside"))
    ended = run(copy, "pytest", "tests/loss/test_families.py", "-q", "-p", "no:cacheprovider", "-k", "plain_loops")
    aside.rename(path)
    assert ended.returncode == 1
    assert "Sigmoid" in ended.stdout


def test_the_pages_recipe_trains(copy: Path, tone_store: Store) -> None:
    _, train = commands()
    assert train[:2] == ["watchword", "train"]
    ended = run(copy, *train, *SMALL, f"data.store={tone_store.folder}")
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"step 1 of 3: .*point_to_point \d", ended.stderr)
    run_folder = copy / "work" / "runs" / "sigmoid"
    assert f"{run_folder}: trained for 3 steps" in ended.stdout
    stated = json.loads((run_folder / "recipe.json").read_text())["objective"]["point_to_point"]
    assert stated == {"name": "sigmoid", "weight": 1.0, "scale": 10.0}
    steps = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps if "of" in step] == [1, 2, 3]
    assert steps[-1]["point_to_point"] > 0
    learned = load_checkpoint(run_folder / "checkpoints" / "00000003.pt")["objective"]
    assert float(learned["losses.point_to_point.offset"]) != -10.0


def test_the_pages_constructor_is_the_recipes_schema() -> None:
    known: dict[str, Any] = {}
    exec(next(text for name, text in files().items() if name.startswith("src")), known)
    term = Term.model_validate({"name": "sigmoid", "scal": 5})
    with pytest.raises(RecipeError, match=r"objective.point_to_point: unknown key 'scal'; did you mean 'scale'\?"):
        build_term(term, {"sigmoid": known["Sigmoid"]}, "point_to_point")


def test_the_pages_tables_are_the_registry() -> None:
    families = re.findall(r"^\| `(\w+)` \| (`.+?) \| (`.+?) \| (`.+?) \|$", PAGE, re.MULTILINE)
    found = {}
    for family, places, arguments, members in families:
        assert all(place in ObjectiveConfig.model_fields for place in re.findall(r"`(\w+)`", places))
        found[family] = re.findall(r"`(\w+)`", members)
        for loss in FAMILIES[family].values():
            assert list(inspect.signature(loss.forward).parameters)[1:] == re.findall(r"`(\w+)`", arguments)
    assert found == {family: list(members) for family, members in FAMILIES.items()}
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \(`(\w+\.py)`\) \|", PAGE, re.MULTILINE)
    assert rows == [
        (name, loss.__name__, Path(inspect.getfile(loss)).name)
        for members in FAMILIES.values()
        for name, loss in members.items()
    ]
