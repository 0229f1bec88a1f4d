"""Small bundles: all weights in 8 bits, pronunciations those of the package, and nearly the same scores."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from watchword.bundle import G2P_FILE, LEXICON_FILE, Bundle, BundleError
from watchword.export.bundling import export_model
from watchword.export.packing import LARGE, rounded_to_int8
from watchword.model.acoustic import AcousticConfig
from watchword.model.keyword_model import KeywordModel, ModelConfig
from watchword.model.textual import TextualConfig
from watchword.runtime import Spotter


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    torch.manual_seed(5)
    sizes = {"channels": 32, "scale": 4, "dilations": (1, 2, 3), "squeeze": 16, "dim": 32, "front_entry": 16}
    windows = {"lookahead_frames": 8, "squeeze_window_frames": 76}
    acoustic = AcousticConfig.model_validate({"context": "local", "front": "speech_embedding", **sizes, **windows})
    model = KeywordModel(
        ModelConfig(acoustic=acoustic, textual=TextualConfig(embedding=32, dim=32), frame_head=True)
    ).eval()
    folder = tmp_path_factory.mktemp("bundles")
    return export_model(model, folder / "usual"), export_model(model, folder / "small", compact=True, pronounces=False)


def size(bundle: Bundle, *, without: tuple[str, ...] = ()) -> int:
    return sum(file["bytes"] for name, file in bundle.card["files"].items() if name not in without)


def test_a_small_bundle_holds_half_of_the_networks_and_no_pronunciations(bundles: tuple[Bundle, Bundle]) -> None:
    usual, small = bundles
    assert set(usual.card["files"]) - set(small.card["files"]) == {LEXICON_FILE, G2P_FILE}
    alike = ("textual.onnx", LEXICON_FILE, G2P_FILE)
    assert size(small, without=(*alike, "features.onnx")) < 0.65 * size(usual, without=(*alike, "features.onnx"))
    assert small.card["files"]["features.onnx"]["bytes"] < 70_000 < usual.card["files"]["features.onnx"]["bytes"]
    assert small.text_folder is None
    assert usual.text_folder == usual.path


def test_compact_bundles_may_pronounce(tmp_path: Path) -> None:
    torch.manual_seed(6)
    sizes = {"channels": 32, "scale": 4, "squeeze": 16, "dim": 32}
    model = KeywordModel(
        ModelConfig(acoustic=AcousticConfig.model_validate(sizes), textual=TextualConfig(dim=32))
    ).eval()
    made = export_model(model, tmp_path / "made", compact=True)
    assert {LEXICON_FILE, G2P_FILE} <= set(made.card["files"])
    assert made.text_folder == made.path


def test_it_scores_nearly_what_the_usual_one_does(bundles: tuple[Bundle, Bundle]) -> None:
    rng = np.random.default_rng(1)
    clips = [rng.standard_normal(size).astype(np.float32) * 0.1 for size in (9000, 16000, 23456)]
    texts = ["front door", "hey zorvex", "ace"]
    usual, small = (Spotter([], bundle).score_clips(clips, texts) for bundle in bundles)
    np.testing.assert_allclose(small, usual, atol=0.05)
    assert np.abs(small - usual).max() > 1e-6


def test_its_features_are_the_usual_ones(bundles: tuple[Bundle, Bundle]) -> None:
    audio = (0.1 * np.random.default_rng(2).standard_normal((1, 8000))).astype(np.float32)
    usual, small = (
        onnxruntime.InferenceSession(bundle.path / "features.onnx", providers=["CPUExecutionProvider"]).run(
            None, {"audio": audio}
        )[0]
        for bundle in bundles
    )
    np.testing.assert_allclose(small, usual, atol=1e-5)


def test_filters_are_rounded_row_by_row() -> None:
    torch.manual_seed(0)
    weight = torch.randn(24, 8, 3, 3) * torch.logspace(-2, 1, 24)[:, None, None, None]
    assert weight.numel() >= LARGE
    rounded = rounded_to_int8(weight)
    step = weight.flatten(1).abs().amax(1) / 127
    assert ((rounded - weight).flatten(1).abs().amax(1) <= 0.5001 * step).all()


def test_bundles_inside_the_package_go_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Bundle.load("default", verify=False).path == Bundle.load(None, verify=False).path
    with pytest.raises(BundleError, match="no such folder"):
        Bundle.load("larger")
    (tmp_path / "default").mkdir()
    with pytest.raises(BundleError):  # a folder of that name comes first
        Bundle.load("default")
