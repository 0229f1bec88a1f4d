"""Evaluation needs no torch."""

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["torch"] = None
import watchword.evaluate.benchmarks, watchword.evaluate.report, watchword.evaluate.validation
"""


def test_evaluation_runs_where_torch_is_blocked():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
