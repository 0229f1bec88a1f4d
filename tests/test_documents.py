"""What the documents say is true: commands exist and run, links lead somewhere, the README's two commands work."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from watchword.cli import COMMANDS, Group, main

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
NEAR_SECONDS = 0.2


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text):
    """The lines of a document's shell blocks, those that go on after a backslash joined."""
    return [line for block in blocks(text, "sh") for line in block.replace("\\\n", " ").splitlines() if line]


def first_command(start):
    return next(line for line in commands(README) if line.startswith(start))


def places(file, phrase):
    """Where a phrase is said in an example, from the first start to the last end of its words."""
    rows = [line.split("\t") for line in (ROOT / "examples" / "places.tsv").read_text().splitlines()[1:]]
    said = [(word, float(start), float(end)) for name, word, start, end in rows if name == file]
    words = phrase.split()
    return [
        (said[i][1], said[i + len(words) - 1][2])
        for i in range(len(said) - len(words) + 1)
        if [word for word, _, _ in said[i : i + len(words)]] == words
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document):
    for line in commands(document.read_text(encoding="utf-8")):
        for name, after in re.findall(r"\bwatchword ([a-z]+)(?: ([a-z0-9_]+))?", line):
            assert name in COMMANDS, line
            entry = COMMANDS[name]
            assert not isinstance(entry, Group) or after in entry.commands, line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_options_exist(document, capsys):
    for line in commands(document.read_text(encoding="utf-8")):
        for part in line.split("&&"):
            words = shlex.split(part, comments=True)
            options = [word.partition("=")[0] for word in words if word.startswith("--") and word != "--"]
            if words[:1] != ["watchword"] or not options:
                continue
            command = words[1:3] if isinstance(COMMANDS[words[1]], Group) else words[1:2]
            assert main([*command, "--help"]) == 0
            offered = capsys.readouterr().out
            assert [option for option in options if option not in offered] == [], line


def test_continuous_integration_runs_the_readme_command():
    command = first_command('pip install -c constraints.txt -e ".[dev]"')
    assert command.endswith("&& pytest")
    assert command in [line.strip() for line in (ROOT / ".ci" / "run").read_text().splitlines()]


def test_first_command_finds_the_phrase_where_it_is(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    install, _, spot = first_command("pip install . &&").partition(" && ")
    assert install == "pip install ."
    program, name, phrase, path = shlex.split(spot)
    assert (program, name) == ("watchword", "spot")
    assert main([name, "--json", phrase, path]) == 0
    (hit,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ((start, end),) = places(Path(path).name, phrase)
    assert hit["keyword"] == phrase
    assert abs(hit["start"] - start) <= NEAR_SECONDS
    assert abs(hit["end"] - end) <= NEAR_SECONDS


def test_python_of_the_documents_runs():
    for document in (ROOT / "README.md", ROOT / "docs" / "quickstart.md", ROOT / "docs" / "runtime.md"):
        program = "\n".join(blocks(document.read_text(encoding="utf-8"), "python"))
        assert program
        ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{document.name}: {ended.stderr}"


def test_python_of_the_readme_finds_what_is_said():
    (program,) = blocks(README, "python")
    assert len([line for line in program.splitlines() if line]) <= 6
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert re.search(r"^\d\.\d\d to \d\.\d\d s  front door  \d\.\d\d$", ended.stdout, re.MULTILINE), ended.stderr


def test_constraints_satisfy_the_requirements():
    """Every version in constraints.txt is that of a package the project asks for, or may ask for."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    names = {re.split(r"[<>=!\[; ]", requirement)[0] for requirement in asked} - {"watchword"}
    pinned = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert set(pinned) <= names
    for requirement in asked:
        name = re.split(r"[<>=!\[; ]", requirement)[0]
        for bound in re.findall(r">=([\d.]+)", requirement):
            if name in pinned:
                assert tuple(map(int, pinned[name].split("."))) >= tuple(map(int, bound.split("."))), requirement
