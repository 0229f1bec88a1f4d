"""The exported graphs compute what the model computes, whatever the length, and the proof notices when not."""

import copy

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from watchword.export.graphs import exportable, write_graphs
from watchword.export.packing import rounded_to_int8, store_as_int8
from watchword.export.parity import ExportError, Sessions, cosines, prove
from watchword.model.acoustic import AcousticConfig
from watchword.model.keyword_model import KeywordModel, ModelConfig

SECONDS_30 = 2998


@pytest.fixture(scope="module", params=["local", "utterance", "front"])
def exported(request, tmp_path_factory, small):
    folder = tmp_path_factory.mktemp(request.param)
    model = exportable(small(request.param))
    write_graphs(model, folder)
    return model, folder


def tamper(path, name, change):
    """Changes a weight, or the constant of that shape."""
    graph = onnx.load(path)
    constants = [a.t for node in graph.graph.node if node.op_type == "Constant" for a in node.attribute]
    weight = next(w for w in [*graph.graph.initializer, *constants] if name in (w.name, tuple(w.dims)))
    weight.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(weight)), weight.name))
    onnx.save(graph, path)


def test_onnxruntime_equals_torch_in_every_graph(exported):
    worst = prove(*exported)
    assert set(worst) == {"log_mel", "frames", "embedding", "tokens", "text", "cosine"}
    assert all(0 <= difference < 2e-5 for difference in worst.values()), worst


def test_the_phoneme_classifier_is_a_graph_of_its_own(exported, tmp_path):
    model = copy.deepcopy(exported[0])
    assert not (exported[1] / "phonemes.onnx").exists()
    model.frame_head = torch.nn.Linear(model.config.acoustic.dim, 72)
    write_graphs(model, tmp_path)
    assert 0 <= prove(model, tmp_path)["phonemes"] < 2e-5
    tamper(tmp_path / "phonemes.onnx", "frame_head.bias", lambda bias: bias + np.arange(72, dtype=np.float32))
    with pytest.raises(ExportError, match=r"differ by .* in phonemes"):
        prove(model, tmp_path)


@pytest.mark.parametrize("frames", [1, 2, 75, 76, 151, SECONDS_30])
def test_frames_stay_accurate_over_half_a_minute_of_silence(exported, frames):
    # Digital silence is the worst case of running sums: every value has the same sign.
    model, folder = exported
    log_mel = np.full((1, frames, 40), np.log(1e-6), np.float32)
    log_mel[:, frames // 2 :] += np.random.default_rng(0).normal(size=(40,)).astype(np.float32)
    if model.config.acoustic.context == "local":  # the last frames of a piece wait for what follows
        more = model.acoustic.lookahead_frames + frames % model.acoustic.frame_multiple
        log_mel = np.concatenate([log_mel, log_mel[:, -1:].repeat(more, axis=1)], axis=1)
    exact = copy.deepcopy(model).double().acoustic(torch.from_numpy(log_mel).double())[:, :frames].detach().numpy()
    assert np.abs(Sessions(folder).frames(log_mel)[:, :frames] - exact).max() < 2e-5


def test_pooling_ignores_what_stands_past_the_lengths(exported):
    sessions, rng = Sessions(exported[1]), np.random.default_rng(1)
    frames = rng.normal(size=(3, 40, 16)).astype(np.float32)
    lengths = [40, 7, 1]
    padded = np.concatenate([frames, 100 * rng.normal(size=(3, 37, 16)).astype(np.float32)], axis=1)
    alone = np.concatenate([sessions.pool(frames[i : i + 1, :n], [n]) for i, n in enumerate(lengths)])
    np.testing.assert_allclose(sessions.pool(padded, lengths), alone, atol=1e-5)


def test_rows_of_one_call_do_not_see_each_other(exported):
    sessions, rng = Sessions(exported[1]), np.random.default_rng(2)
    audio = 0.1 * rng.standard_normal((3, 8000)).astype(np.float32)
    log_mel = sessions.log_mel(audio)
    together = sessions.frames(log_mel)
    for row in range(3):
        np.testing.assert_allclose(sessions.log_mel(audio[row : row + 1])[0], log_mel[row], atol=1e-5)
        np.testing.assert_allclose(sessions.frames(log_mel[row : row + 1])[0], together[row], atol=1e-5)


def test_text_weights_are_stored_in_8_bits_and_lose_nothing(exported):
    model, folder = exported
    graph = onnx.load(folder / "textual.onnx").graph
    large = [w for w in graph.initializer if np.prod(w.dims) >= 1024]
    assert large
    assert all(w.data_type in (TensorProto.INT8, TensorProto.INT64) for w in large)
    assert all(torch.equal(p, rounded_to_int8(p)) for p in model.textual.parameters())
    # The same graph, stored in full, says the same to the last bit but one.
    ids = torch.randint(2, 72, (1, 9))
    tokens, text = Sessions(folder).text(ids[0].tolist())
    with torch.no_grad():
        expected = model.textual(ids, torch.tensor([9]))
    np.testing.assert_allclose(tokens, expected[0].numpy(), atol=2e-6)
    np.testing.assert_allclose(text, expected[1].numpy(), atol=2e-6)


def test_what_is_not_in_steps_is_stored_as_it_is(tmp_path):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(40, 40)).astype(np.float32)
    nodes = [helper.make_node("Add", ["a", "b"], ["c"])]
    initial = [numpy_helper.from_array(weight, "a"), numpy_helper.from_array(np.zeros((40, 40), np.float32), "b")]
    out = [helper.make_tensor_value_info("c", TensorProto.FLOAT, [40, 40])]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], out, initial)), tmp_path / "g.onnx")
    store_as_int8(tmp_path / "g.onnx")
    kept = {w.name: w.data_type for w in onnx.load(tmp_path / "g.onnx").graph.initializer}
    assert kept["a"] == TensorProto.FLOAT


@pytest.mark.parametrize("shape", [(40, 30), (30, 40, 3)])
def test_rounding_keeps_255_steps_of_each_row(shape):
    torch.manual_seed(0)
    weight = torch.randn(shape) * torch.rand(shape[0], *[1] * (len(shape) - 1))
    rounded, rows = rounded_to_int8(weight), weight.flatten(1).abs().amax(1) / 127
    assert ((rounded - weight).abs().flatten(1).amax(1) <= 0.5001 * rows).all()
    assert torch.allclose(rounded_to_int8(rounded), rounded, atol=1e-7)


def test_graphs_say_who_made_them_and_for_what_sample_rate(exported):
    from watchword import __version__

    for path in exported[1].glob("*.onnx"):
        properties = {p.key: p.value for p in onnx.load(path).metadata_props}
        assert properties["sample_rate"] == "16000"
        assert properties["watchword"] == __version__
        assert properties["graph"] == path.name


@pytest.mark.parametrize(
    ("file", "weight", "named"),
    [
        ("features.onnx", (257, 40), "log_mel"),
        ("acoustic.onnx", "acoustic.project.bias", "frames"),
        ("pooling.onnx", "acoustic.output.bias", "embedding"),
        ("textual.onnx", "output.bias", "text"),
    ],
)
def test_a_changed_weight_is_noticed(exported, tmp_path, file, weight, named):
    model, folder = exported
    for path in folder.glob("*.onnx"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tamper(tmp_path / file, weight, lambda values: values + np.float32(0.01))
    with pytest.raises(ExportError, match=f"differ by .* in {named} of"):
        prove(model, tmp_path)


def test_a_weight_that_is_no_number_is_noticed(exported, tmp_path):
    model, folder = exported
    for path in folder.glob("*.onnx"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tamper(tmp_path / "acoustic.onnx", "acoustic.project.bias", lambda values: values * np.float32("nan"))
    with pytest.raises(ExportError, match="differ by nan in frames"):
        prove(model, tmp_path)


def test_exporting_leaves_the_model_as_it_was(small):
    model = small("local")
    model.train()
    before = copy.deepcopy(model.state_dict())
    exportable(model)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_rounding_the_text_encoder_hardly_moves_cosines():
    torch.manual_seed(0)
    model = KeywordModel(ModelConfig(acoustic=AcousticConfig(channels=32, scale=4))).eval()
    rounded = exportable(model)
    ids = torch.randint(2, 72, (20, 12))
    with torch.no_grad():
        ours, theirs = (m.textual(ids)[1].numpy() for m in (model, rounded))
    assert np.diag(cosines(ours, theirs)).min() > 0.99999
