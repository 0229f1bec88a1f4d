"""The command that a report states can be run anywhere: folders that settings name are spelled by these."""

from pathlib import Path

import pytest

from watchword.cli.evaluate import _spelled


def test_a_path_below_a_setting_is_spelled_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHWORD_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("WATCHWORD_WORK", raising=False)
    assert _spelled(tmp_path / "data" / "noise") == "$WATCHWORD_DATA/noise"
    assert _spelled(tmp_path / "data") == "$WATCHWORD_DATA"
    assert _spelled(tmp_path / "data" / "my noise") == "$WATCHWORD_DATA/'my noise'"
    assert _spelled(tmp_path / "data2") == str(tmp_path / "data2")
    assert _spelled(Path("my bundle")) == "'my bundle'"
