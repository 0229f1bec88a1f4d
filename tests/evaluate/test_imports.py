"""Evaluation needs no torch."""

import subprocess
import sys

PROGRAM = """
import sys
import watchword.evaluate.benchmarks, watchword.evaluate.report, watchword.evaluate.validation
import watchword.evaluate.through_runtime
sys.exit("torch" in sys.modules)
"""


def test_evaluation_imports_no_torch():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
