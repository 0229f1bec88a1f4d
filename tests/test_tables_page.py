"""docs/tables.md shows what `watchword table` prints."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_has_what_the_command_prints():
    spec = importlib.util.spec_from_file_location("paper_tables", ROOT / "scripts" / "paper_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    assert module.printed() in page, "docs/tables.md is out of date; run python scripts/paper_tables.py"
