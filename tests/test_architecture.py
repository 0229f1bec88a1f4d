"""The shape of the code: imports go one way, torch stays where it belongs, the README's tree is true."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import watchword

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "watchword"
MODULES = sorted(PACKAGE.rglob("*.py"))
# From the ground to the roof. A room may import the rooms below it, and no other.
FLOORS = (
    {"audio", "bundle", "recipe_file", "text"},
    {"runtime", "model", "loss", "data"},
    {"prepare", "evaluate"},
    {"train"},
    {"export", "serve"},
    {"cli"},
    {"__init__", "__main__"},
)
MAY_IMPORT_TORCH = {"model", "loss", "data", "prepare", "train", "export", "cli"}
# Only these stand on their own feet.
ONLY = {"loss": set(), "model": {"text"}}
LONGEST_FILE = 400


def room(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    (number,) = (number for number, rooms in enumerate(FLOORS) if name in rooms)
    return number


def imports(module: Path, everywhere: bool = True) -> set[str]:
    """The absolute names that a module imports: everywhere, or only when it is itself imported."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    found: set[str] = set()
    nodes = list(ast.walk(tree)) if everywhere else tree.body
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms_imported(module: Path) -> set[str]:
    """The other rooms of the package that a module imports, its version aside."""
    parts = [name.split(".") for name in imports(module) if name.startswith("watchword.")]
    return {name[1] for name in parts} - {"__version__", room(module)}


def named(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


@pytest.fixture(scope="module")
def readme_tree():
    spec = importlib.util.spec_from_file_location("readme_tree", ROOT / "scripts" / "readme_tree.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_imports_go_one_way(module):
    for other in rooms_imported(module):
        assert floor(other) < floor(room(module)), f"{named(module)} imports {other}, which is not below it"


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) in ONLY], ids=named)
def test_mathematics_stands_on_its_own(module):
    assert rooms_imported(module) <= ONLY[room(module)]


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) not in MAY_IMPORT_TORCH], ids=named)
def test_torch_is_asked_for_only_where_models_are_trained(module):
    assert not {name for name in imports(module) if name.split(".")[0] == "torch"}


def test_runs_where_torch_is_not():
    """What users run, and what measures it, imports neither torch nor what only training needs."""
    program = """
import sys

class Absent:
    names = {"torch", "onnx", "pydantic", "jaxtyping", "pocketsphinx", "lhotse", "hama", "kokoro_onnx", "piper"}

    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import watchword, watchword.runtime, watchword.evaluate.benchmarks, watchword.evaluate.report, watchword.cli
import watchword.cli.spot, watchword.cli.score, watchword.cli.phonemes, watchword.cli.evaluate
for name in watchword.__all__:
    getattr(watchword, name)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_importing_the_package_imports_nothing_heavy():
    program = """
import sys, watchword, watchword.cli
print(*{"numpy", "onnxruntime", "soundfile", "torch", "sklearn"} & set(sys.modules))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == []


def test_public_names():
    assert set(watchword.__all__) == {"Bundle", "BundleError", "Detection", "Keyword", "Spotter", "__version__"}
    for name in watchword.__all__:
        assert getattr(watchword, name) is not None
    with pytest.raises(AttributeError, match="Spoter"):
        _ = watchword.Spoter  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_first_line_is_a_sentence(module, readme_tree):
    line = readme_tree.first_line(module)
    assert line.endswith("."), f"{named(module)}: {line!r} is no sentence on one line"


def test_readme_tree_is_the_tree(readme_tree):
    text = readme_tree.README.read_text(encoding="utf-8")
    assert readme_tree.with_tree(text) == text, "the README's tree is old: python scripts/readme_tree.py"


def test_every_module_has_its_line_in_the_readme(readme_tree):
    lines = readme_tree.README.read_text(encoding="utf-8").splitlines()
    for module in readme_tree.modules():
        name = f"{module.parent.name}/" if module.name == "__init__.py" else module.name
        sentence = readme_tree.first_line(module)
        assert any(name in line and line.endswith(sentence) for line in lines), named(module)


@pytest.mark.parametrize("folder", ["src", "tests", "scripts"])
def test_files_are_short(folder):
    long = [
        (path.name, lines)
        for path in (ROOT / folder).rglob("*.py")
        if (lines := path.read_text(encoding="utf-8").count("\n")) > LONGEST_FILE
    ]
    assert long == []


def test_no_room_is_a_drawer():
    """Names say what is inside."""
    drawers = {"utils", "common", "helpers", "misc", "base", "core", "manager", "handler"}
    assert not [named(module) for module in MODULES if drawers & set(module.with_suffix("").parts[-2:])]
