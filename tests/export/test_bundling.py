"""A bundle appears whole or not at all, and says what it holds."""

import errno
from pathlib import Path

import pytest
import torch

from watchword.bundle import Bundle
from watchword.export import ExportError, export_model
from watchword.export import bundling as bundling_module
from watchword.export.card import teachers
from watchword.model.acoustic import AcousticConfig
from watchword.model.keyword_model import KeywordModel, ModelConfig
from watchword.text.phonemes import PHONEMES
from watchword.text.pronounce import Pronouncer
from watchword.train.recipe import load_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def left_behind(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, small):
    return export_model(small(), tmp_path_factory.mktemp("bundles") / "small", {"threshold": 0.25})


def test_the_whole_model_stays_under_20_megabytes(tmp_path):
    torch.manual_seed(0)
    model = KeywordModel(ModelConfig(acoustic=AcousticConfig(context="local")))
    made = export_model(model, tmp_path / "default")
    # The 8-bit graph, which not every bundle has, takes another 3.3 MB.
    assert sum(listed["bytes"] for listed in made.card["files"].values()) + 3.3e6 < 20e6
    assert made.card["model"]["parameters"] == {"acoustic": 1_767_136, "textual": 2_845_184}
    assert (made.left_context_frames, made.lookahead_frames) == (477, 24)


def test_a_bundle_loads_and_its_card_describes_the_model(bundle):
    loaded = Bundle.load(bundle.path)
    assert (loaded.context, loaded.dim, loaded.threshold) == ("local", 16, 0.25)
    assert loaded.clip_silence_seconds == (0.5, 0.3)
    assert loaded.acoustic_file == "acoustic.onnx"
    assert loaded.card["phonemes"] == list(PHONEMES)
    assert set(loaded.card["parity"]) == {"log_mel", "frames", "embedding", "tokens", "text", "cosine"}
    assert set(loaded.card["files"]) == {path.name for path in bundle.path.iterdir()} - {"card.json"}


def test_a_bundle_of_utterance_context_sets_clips_in_no_silence(tmp_path, small):
    made = export_model(small("utterance"), tmp_path / "made")
    assert (made.context, made.clip_silence_seconds) == ("utterance", (0.0, 0.0))


def test_a_bundle_pronounces_by_itself(bundle):
    assert Pronouncer(bundle.path).variants("lights off")[0] == ("L", "AY1", "T", "S", "AO1", "F")


def test_the_notice_names_every_source(tmp_path, small):
    data = [{"corpus": "tones", "licence": "CC0", "clips": 3, "hours": 1.25}]
    text = (export_model(small(), tmp_path / "made", {"data": data}).path / "NOTICE.md").read_text()
    assert all(part in text for part in ("| tones | CC0 | 3 | 1.2 |", "CMUdict", "g2p_en", "Apache-2.0"))


def test_the_notice_names_every_model_of_others(tmp_path, small):
    told = teachers([load_recipe(RECIPES / "people.toml"), load_recipe(RECIPES / "front.toml")])
    text = (export_model(small(), tmp_path / "made", {"teachers": told}).path / "NOTICE.md").read_text()
    for teacher in told:
        assert f"| {teacher['what']} | {teacher['role']} | {teacher['licence']} |" in text
    assert "Google's speech embedding" in text
    assert "Whisper base" in text


def test_a_small_bundle_names_no_files_that_it_does_not_hold(tmp_path, small):
    made = export_model(small(), tmp_path / "made", compact=True, pronounces=False).path
    text = (made / "NOTICE.md").read_text()
    assert "lexicon" not in text
    assert "g2p" not in text
    assert "of the package watchword are used" in text


def test_what_is_no_bundle_is_never_replaced(tmp_path, small):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(ExportError, match="exists and is no bundle"):
        export_model(small(), tmp_path / "mine", force=True)
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ExportError, match="exists and is no bundle"):
        export_model(small(), tmp_path / "file", force=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"
    assert left_behind(tmp_path) == ["file", "mine"]


def test_a_bundle_is_replaced_only_when_forced(tmp_path, small):
    export_model(small(), tmp_path / "made", {"name": "first"})
    with pytest.raises(ExportError, match="a bundle is here already"):
        export_model(small(), tmp_path / "made", {"name": "second"})
    assert Bundle.load(tmp_path / "made").name == "first"
    assert export_model(small(), tmp_path / "made", {"name": "second"}, force=True).name == "second"
    assert left_behind(tmp_path) == ["made"]


def test_an_export_that_fails_leaves_the_old_bundle_and_nothing_else(tmp_path, small):
    export_model(small(), tmp_path / "made", {"name": "first"})

    def full(model: KeywordModel, folder: Path):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ExportError, match=r"the disk is full.*nothing was exported"):
        export_model(small(), tmp_path / "made", force=True, finish=full)
    assert Bundle.load(tmp_path / "made").name == "first"
    assert left_behind(tmp_path) == ["made"]


def test_what_a_killed_export_left_does_not_stop_the_next(tmp_path, small):
    (tmp_path / ".made.partial").mkdir()
    (tmp_path / ".made.partial" / "acoustic.onnx").write_bytes(b"half")
    (tmp_path / "made").mkdir()
    assert export_model(small(), tmp_path / "made").name == "made"
    assert left_behind(tmp_path) == ["made"]


def test_a_graph_that_computes_something_else_is_not_exported(tmp_path, small, monkeypatch):
    write = bundling_module.write_graphs
    monkeypatch.setattr(bundling_module, "write_graphs", lambda model, folder, _: write(small(seed=1).eval(), folder))
    with pytest.raises(ExportError, match="onnxruntime and torch differ"):
        export_model(small(), tmp_path / "made")
    assert left_behind(tmp_path) == []


def test_weights_that_are_no_numbers_are_not_exported(tmp_path, small):
    model = small()
    with torch.no_grad():
        model.acoustic.output.bias[0] = float("nan")
    with pytest.raises(ExportError, match="differ by nan"):
        export_model(model, tmp_path / "made")
