"""The runtime and the command line need no torch, and `import watchword` needs next to nothing."""

import subprocess
import sys

from watchword import audio

BLOCKED = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "sklearn", "scipy"):
            raise AssertionError(f"imported {name}")

sys.meta_path.insert(0, NoTorch())
from watchword.cli import main
sys.exit(main(sys.argv[1:]))
"""
LIGHT = """
import sys
import watchword
heavy = {"numpy", "onnxruntime", "soundfile", "typer", "torch"} & set(sys.modules)
assert not heavy, heavy
assert "Spotter" in dir(watchword) or watchword.Spotter
"""


def run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_spot_runs_with_torch_blocked(local_bundle, sound, tmp_path):
    audio.write(tmp_path / "a.wav", sound[:32000])
    ended = run(BLOCKED, "spot", "hey nova", tmp_path / "a.wav", "--bundle", local_bundle.path, "--threshold", -1)
    assert ended.returncode == 0, ended.stderr
    assert "hey nova" in ended.stdout


def test_import_is_light():
    ended = run(LIGHT)
    assert ended.returncode == 0, ended.stderr
