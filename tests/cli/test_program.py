"""The program: help lists every command without importing it; every error is one sentence and a status."""

import subprocess
import sys

import pytest

from watchword.cli import COMMANDS, Group, main

LISTED = """
import sys
from watchword.cli import main
main(["--help"])
heavy = {name for name in sys.modules if name.split(".")[0] in ("numpy", "onnxruntime", "rich", "torch", "soundfile")}
assert not heavy, heavy
assert not [name for name in sys.modules if name.startswith("watchword.cli.")]
"""


def test_help_lists_every_command_and_imports_none():
    ended = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    for name, entry in COMMANDS.items():
        (line,) = [line for line in ended.stdout.splitlines() if line.split()[:1] == [name]]
        assert entry.help in line


def test_subprograms_list_their_commands(run):
    status, out, _ = run("prepare", "--help")
    assert status == 0
    group = COMMANDS["prepare"]
    assert isinstance(group, Group)
    assert all(name in out for name in group.commands)


def test_nothing_is_help_and_version_is_one_line(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["watchword"])
    assert main() == 0
    status, out, _ = run("--version")
    assert (status, len(out.splitlines())) == (0, 1)
    assert run("version")[1].splitlines()[0] == out.strip()


def test_misspelt_commands_and_options(refused):
    refused("spto", parts=["no command 'spto'", "did you mean 'spot'?"])
    refused("prepare", "algn", parts=["watchword prepare: no command 'algn'", "'align'"])
    refused("xyzzy", parts=["there are spot, score"])
    refused("phonemes", "--jsn", "a", parts=["--jsn", "see watchword phonemes --help"])
    refused("phonemes", parts=["Missing argument", "see watchword phonemes --help"])
    refused("spot", "a", "b", "--threshold", "high", parts=["--threshold", "see watchword spot --help"])


@pytest.mark.parametrize(
    ("raised", "status", "sentence"),
    [
        (KeyboardInterrupt(), 130, ""),
        (
            OSError(28, "No space left on device", "store/audio.bin"),
            2,
            "store/audio.bin: no space left on device; free",
        ),
        (FileNotFoundError(2, "No such file or directory", "x.toml"), 2, "x.toml: no such file or directory"),
        (RuntimeError("two\nlines"), 2, "phonemes: RuntimeError: two lines (a fault of Watchword; WATCHWORD_DEBUG=1"),
        (ValueError("bare"), 2, "phonemes: ValueError: bare (a fault of Watchword"),
    ],
)
def test_whatever_is_raised_ends_in_a_status(run, monkeypatch, raised, status, sentence):
    def broken():
        raise raised

    monkeypatch.setattr("watchword.text.pronounce.default_pronouncer", broken)
    got, out, err = run("phonemes", "nova")
    assert (got, out) == (status, "")
    assert err.startswith(sentence)
    assert len(err.splitlines()) == bool(sentence)


def test_debugging_shows_where_a_fault_is(monkeypatch):
    def broken():
        raise RuntimeError("fault")

    monkeypatch.setattr("watchword.text.pronounce.default_pronouncer", broken)
    monkeypatch.setenv("WATCHWORD_DEBUG", "1")
    with pytest.raises(RuntimeError, match="fault"):
        main(["phonemes", "nova"])


def test_an_absent_package_names_the_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "watchword.cli.train", None)
    status, _, err = run("train", "recipe.toml")
    assert status == 2
    assert 'run pip install "watchword[train]"' in err


def test_phonemes(run, refused):
    status, out, _ = run("phonemes", "hey {N OW1 V AH0}")
    assert status == 0
    assert "{HH EY1 N OW1 V AH0}" in out
    refused("phonemes", "🙂", parts=["nothing to speak"])
    refused("phonemes", "nova", "{XX}", parts=["unknown phoneme 'XX'"])


def test_a_full_disk_under_standard_output():
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "watchword", "phonemes", "nova"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr.decode().splitlines() == [
        "phonemes: no space left on device; free some space and run the same command again"
    ]
