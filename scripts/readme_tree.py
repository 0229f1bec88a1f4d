"""Rewrites the tree in README.md: one line a file, and for a module the first line of its docstring.

python scripts/readme_tree.py
"""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
START, END = "<!-- tree:start -->", "<!-- tree:end -->"
PACKAGE = "src/watchword"
# What stands beside the package, in the order of the README; the others are left to their names.
BESIDE = {
    "recipes": "experiments as files; `base.toml` names every key",
    "examples": "a few seconds of speech that the project synthesised",
    "scripts": "check (format, lint, types, tests), and what rebuilds the lexicon and this page's tables",
    "docs": "quickstart, runtime, own data, training, the paper's equations, architecture, the log of experiments",
    "tests": "laws, in the folders of the rooms that they hold for",
    ".ci": "what continuous integration runs",
}


def first_line(module: Path) -> str:
    """The first line of a module's docstring, or nothing."""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def modules() -> list[Path]:
    """The package's modules that git tracks or would track, without marker files that only make a folder a package."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", f"{PACKAGE}/*.py"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        paths = [ROOT / name for name in listed if (ROOT / name).is_file()]
    except (OSError, subprocess.CalledProcessError):  # no git: an unpacked archive
        paths = list((ROOT / PACKAGE).rglob("*.py"))
    return sorted(set(paths), key=lambda path: (path.parent.as_posix(), path.name != "__init__.py", path.name))


def tree() -> str:
    """The package as an indented list, folders after files, then what stands beside it."""
    rows: list[tuple[str, str]] = [("src/watchword/", "")]
    package = ROOT / PACKAGE
    for module in modules():
        inside = module.relative_to(package)
        indent = "    " * len(inside.parts)
        if inside.name != "__init__.py":
            rows.append((f"{indent}{inside.name}", first_line(module)))
        elif len(inside.parts) > 1:
            rows.append((f"{'    ' * (len(inside.parts) - 1)}{inside.parts[-2]}/", first_line(module)))
        else:
            rows[0] = (rows[0][0], first_line(module))
    rows += [(f"{name}/", line) for name, line in BESIDE.items() if (ROOT / name).is_dir()]
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:<{width}}{line}".rstrip() for name, line in rows)


def with_tree(text: str) -> str:
    """The README's text with the tree as it now is between the two marks; raises ValueError if a mark is missing."""
    head, start, rest = text.partition(START)
    _, end, tail = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{README}: no {START} … {END}; put the two marks where the tree belongs")
    return f"{head}{START}\n```text\n{tree()}\n```\n{END}{tail}"


def main() -> int:
    """Rewrites the README and returns the exit status."""
    try:
        README.write_text(with_tree(README.read_text(encoding="utf-8")), encoding="utf-8")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
