"""Whisper's encoder in PyTorch says what CTranslate2's says, of one window or of many, and its weights survive."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from watchword.audio import SAMPLE_RATE, read
from watchword.cli.teach import _encoder
from watchword.data.store import StoreError
from watchword.data.teaching import STEP
from watchword.prepare.teach import WhisperEncoder, teacher_name, whisper_model
from watchword.prepare.whisper_on_gpu import (
    TorchWhisperEncoder,
    read_ctranslate2_encoder,
)

DIM, BANDS, LAYERS, POSITIONS = 16, 80, 2, 200
TYPES = {"float32": 0, "int8": 1, "int16": 2, "float16": 4}


def string(text):
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def model_file(variables, aliases=(), spec="WhisperSpec", version=6):
    """A model.bin as CTranslate2 lays it out."""
    written = struct.pack("<I", version) + string(spec) + struct.pack("<II", 3, len(variables))
    for name, values in variables.items():
        written += string(name) + struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        written += struct.pack("<BI", TYPES[str(values.dtype)], values.nbytes) + values.tobytes()
    written += struct.pack("<I", len(aliases))
    return written + b"".join(string(alias) + string(name) for alias, name in aliases)


@pytest.fixture(scope="module")
def variables():
    """The variables of a small random Whisper, and one of a decoder."""
    rng = np.random.default_rng(0)
    shapes = {"conv1": (DIM, BANDS, 3), "conv2": (DIM, DIM, 3)}
    for number in range(LAYERS):
        attention, ffn = f"layer_{number}/self_attention", f"layer_{number}/ffn"
        shapes |= {f"{attention}/linear_0": (3 * DIM, DIM), f"{attention}/linear_1": (DIM, DIM)}
        shapes |= {f"{ffn}/linear_0": (4 * DIM, DIM), f"{ffn}/linear_1": (DIM, 4 * DIM)}
    made = {f"encoder/{name}/weight": rng.normal(0, 0.3, shape) for name, shape in shapes.items()}
    made |= {f"encoder/{name}/bias": rng.normal(0, 0.3, shape[0]) for name, shape in shapes.items()}
    norms = [f"layer_{number}/{part}/layer_norm" for number in range(LAYERS) for part in ("self_attention", "ffn")]
    for norm in [*norms, "layer_norm"]:
        made |= {f"encoder/{norm}/gamma": rng.normal(1, 0.3, DIM), f"encoder/{norm}/beta": rng.normal(0, 0.3, DIM)}
    made["encoder/position_encodings/encodings"] = rng.normal(0, 1, (POSITIONS, DIM))
    made["decoder/embeddings/weight"] = rng.normal(0, 1, (5, DIM))
    return {"encoder/num_heads": np.array(2, np.int16), **{k: v.astype(np.float32) for k, v in made.items()}}


@pytest.fixture(scope="module")
def state(variables):
    return read_ctranslate2_encoder(model_file(variables))


@pytest.fixture(scope="module")
def speech():
    return read(Path(__file__).parents[2] / "examples" / "kitchen.flac")


def test_weights_are_those_of_the_file(variables, state):
    assert {f"encoder/{name}" for name in state} == {name for name in variables if name.startswith("encoder/")}
    for name, values in state.items():
        np.testing.assert_array_equal(values.numpy(), variables[f"encoder/{name}"])


def test_weights_of_other_types_and_under_other_names(variables, state):
    name, half, same = "encoder/conv1/weight", "encoder/conv2/weight", "encoder/layer_1/ffn/linear_0/weight"
    scale = 127 / np.abs(variables[name]).max(axis=(1, 2))
    stored = {
        **variables,
        name: np.rint(variables[name] * scale[:, None, None]).astype(np.int8),
        f"{name}_scale": scale,
        half: variables[half].astype(np.float16),
    }
    del stored[same]
    found = read_ctranslate2_encoder(model_file(stored, [(same, same.replace("layer_1", "layer_0"))]))
    assert found.keys() == state.keys()
    assert all(values.dtype == torch.float32 for name, values in found.items() if name != "num_heads")
    assert (found["conv1/weight"] - state["conv1/weight"]).abs().max() <= 0.501 / scale.min()
    torch.testing.assert_close(found["conv2/weight"], state["conv2/weight"], atol=1e-3, rtol=1e-3)
    assert torch.equal(found["layer_1/ffn/linear_0/weight"], state["layer_0/ffn/linear_0/weight"])


def test_what_is_no_whisper_is_refused(variables):
    whole = model_file(variables)
    for broken in (b"", b"no model", whole[: len(whole) // 2], model_file(variables, version=99)):
        with pytest.raises(StoreError, match="is not a whole model of CTranslate2"):
            read_ctranslate2_encoder(broken)
    with pytest.raises(StoreError, match="holds a TransformerSpec"):
        read_ctranslate2_encoder(model_file(variables, spec="TransformerSpec"))


def test_a_batch_says_what_each_says_alone(state, speech):
    encoder = TorchWhisperEncoder(state, batch=4)
    # The quiet one's greatest value is far below that of the others, and each is cut below its own.
    audios = [speech[: 3 * SAMPLE_RATE], speech[SAMPLE_RATE:][:20_001], 1e-3 * speech[: 90 * STEP], speech[:100]]
    for audio, said in zip(audios, encoder.encode(audios), strict=True):
        assert said.shape == (-(-len(audio) // STEP), DIM)
        np.testing.assert_allclose(said, encoder(audio), atol=1e-4)


def test_whisper_says_what_it_says_by_ctranslate2(speech):
    pytest.importorskip("faster_whisper")
    wanted = WhisperEncoder(threads=1)
    found = TorchWhisperEncoder(read_ctranslate2_encoder(whisper_model()), name=teacher_name())
    assert found.name == wanted.name
    audios = [speech[: 4 * SAMPLE_RATE], speech[SAMPLE_RATE:][: SAMPLE_RATE + 7], np.zeros(10 * STEP, np.float32)]
    for audio, said in zip(audios, found.encode(audios), strict=True):
        by_ctranslate2 = wanted(audio)
        assert said.shape == by_ctranslate2.shape
        assert np.linalg.norm(said - by_ctranslate2) < 1e-4 * np.linalg.norm(by_ctranslate2)


def test_a_gpu_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(StoreError, match="--device cuda: PyTorch finds no GPU"):
        _encoder(None, 1, "cuda")
    monkeypatch.setattr("watchword.prepare.teach.WhisperEncoder", lambda folder, threads: (folder, threads))
    assert _encoder(None, 1, "auto") == _encoder(None, 1, "cpu") == (None, 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_says_what_the_processor_says(state, speech):
    audios = [speech[: 3 * SAMPLE_RATE], speech[SAMPLE_RATE:][:20_001]]
    wanted = TorchWhisperEncoder(state, batch=2).encode(audios)
    for said, by_processor in zip(TorchWhisperEncoder(state, device="cuda").encode(audios), wanted, strict=True):
        assert np.linalg.norm(said - by_processor) < 0.01 * np.linalg.norm(by_processor)
