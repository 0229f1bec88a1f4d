"""Reports, the figures on a card and the table in the README."""

import importlib.util
import json
from pathlib import Path

import pytest

from watchword.evaluate.benchmarks import Result, Settings
from watchword.evaluate.metrics import Figure
from watchword.evaluate.report import (
    ReportError,
    build_report,
    bundle_hash,
    merge_into_card,
    read_report,
    write_report,
)

RESULT = Result(
    "wsj-protocol", "made", {"ap": Figure(0.5, 0.4, 0.6), "eer": Figure(0.1)}, {"trials": 9}, 0.5, "ab" * 32, "l.tsv",
    Settings(), 1.0,
)  # fmt: skip


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "acoustic.onnx").write_bytes(b"weights")
    (folder / "card.json").write_text(json.dumps({"format": 1, "name": "tiny", "version": "1", "context": "local"}))
    return folder


def readme_figures():
    path = Path(__file__).parents[2] / "scripts" / "readme_figures.py"
    spec = importlib.util.spec_from_file_location("readme_figures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_report_reads_back(bundle, tmp_path):
    report = build_report(bundle, [RESULT], "watchword evaluate")
    write_report(tmp_path / "new" / "report.json", report)
    assert read_report(tmp_path / "new" / "report.json") == report
    assert report["bundle"]["name"] == "tiny"
    assert report["results"][0]["figures"]["ap"] == {"value": 0.5, "low": 0.4, "high": 0.6}


def test_figures_go_on_the_card_and_leave_the_hash(bundle):
    before = bundle_hash(bundle)
    merge_into_card(bundle / "card.json", build_report(bundle, [RESULT], "watchword evaluate --seed 0"))
    card = json.loads((bundle / "card.json").read_text())
    assert card["name"] == "tiny"
    assert card["metrics"]["wsj-protocol/made"]["figures"]["ap"]["value"] == 0.5
    assert card["metrics"]["wsj-protocol/made"]["command"] == "watchword evaluate --seed 0"
    assert bundle_hash(bundle) == before


def test_report_of_another_bundle_is_refused(bundle):
    report = build_report(bundle, [RESULT], "watchword evaluate")
    (bundle / "acoustic.onnx").write_bytes(b"other weights")
    with pytest.raises(ReportError, match="evaluate this bundle"):
        merge_into_card(bundle / "card.json", report)


def test_something_else_is_no_report(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(ReportError, match="not a JSON object"):
        read_report(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ReportError, match="not a report"):
        read_report(tmp_path / "x.json")


def test_readme_block_is_rewritten_and_nothing_else(bundle, tmp_path):
    script = readme_figures()
    readme = tmp_path / "README.md"
    readme.write_text(f"head\n{script.START}\nold\n{script.END}\ntail\n")
    report = build_report(bundle, [RESULT], "watchword evaluate --benchmark all")
    for _ in range(2):
        script.rewrite(readme, [report])
    text = readme.read_text()
    assert text.startswith(f"head\n{script.START}\n| benchmark |")
    assert text.endswith(f"|\n{script.END}\ntail\n")
    assert "old" not in text
    assert "| wsj-protocol, made | average precision | 50.00 (40.00 – 60.00) | `watchword evaluate" in text
    assert "|  | EER | 10.00 (one speaker) |  |" in text


def test_readme_without_marks_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(ReportError, match="no <!-- figures:start"):
        readme_figures().rewrite(tmp_path / "README.md", [])
