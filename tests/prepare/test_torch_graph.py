"""An ONNX graph on PyTorch: every operator gives what ONNX Runtime gives, and so does Kokoro as a whole."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from watchword.prepare.kokoro import _model  # noqa: E402
from watchword.prepare.onnx_fold import GraphError, read_graph  # noqa: E402
from watchword.prepare.rendering import VoiceError  # noqa: E402
from watchword.prepare.torch_graph import TorchGraph  # noqa: E402

RNG = np.random.default_rng(3)
X = RNG.standard_normal((1, 6, 24)).astype(np.float32)
KINDS = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}


def numbers(*shape, low=-1.0, high=1.0):
    return RNG.uniform(low, high, shape).astype(np.float32)


def whole(*values):
    return np.array(values, np.int64)


def real(*values):
    return np.array(values, np.float32)


def model_of(nodes, constants=None, feeds=None, outputs=("y",), kind=TensorProto.FLOAT):
    feeds = feeds or {"x": X}
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, KINDS[a.dtype], a.shape) for name, a in feeds.items()],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def session_of(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def check(nodes, constants=None, feeds=None, outputs=("y",), kind=TensorProto.FLOAT, tolerance=1e-5):
    model = model_of(nodes, constants, feeds, outputs, kind)
    feeds = feeds or {"x": X}
    right = [np.asarray(each) for each in session_of(model).run(None, feeds)]
    graph = TorchGraph(model, "cpu")
    for _ in range(2):  # what one run leaves behind must not change the next
        for found, expected in zip(graph.run(feeds), right, strict=True):
            assert found.shape == expected.shape
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    return right


def node(op, inputs, outputs="y", **attributes):
    return helper.make_node(op, inputs.split(","), outputs.split(","), **attributes)


@pytest.mark.parametrize(
    ("op", "weight", "attributes"),
    [
        ("Conv", (4, 6, 3), {"pads": [1, 1]}),
        ("Conv", (4, 6, 5), {"pads": [4, 4], "dilations": [2]}),
        ("Conv", (6, 1, 4), {"strides": [3], "group": 6}),
        ("ConvTranspose", (6, 1, 3), {"pads": [1, 1], "strides": [2], "group": 6, "output_padding": [1]}),
        ("ConvTranspose", (6, 3, 8), {"pads": [2, 2], "strides": [4]}),
    ],
)
def test_convolutions(op, weight, attributes):
    channels = weight[0] if op == "Conv" else weight[1] * attributes.get("group", 1)
    check([node(op, "x,w,b", **attributes)], {"w": numbers(*weight), "b": numbers(channels)})


@pytest.mark.parametrize(
    ("op", "constants", "attributes"),
    [
        ("Resize", [None, real(1, 1, 3)],
         {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
        ("Resize", [None, real(1, 1, 4)],
         {"mode": "linear", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "floor"}),
        ("Resize", [None, real(1, 1, 0.25)],
         {"mode": "linear", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "floor"}),
        ("Pad", [whole(0, 0, 3, 0, 0, 2)], {"mode": "reflect"}),
        ("Pad", [whole(0, 1, 3, 0, 0, 2)], {}),
        ("Gather", [np.int64(2)], {"axis": 1}),
        ("Gather", [whole(3, 0, 3)], {"axis": 1}),
        ("Slice", [whole(1), whole(-2), whole(2), whole(3)], {}),
        ("Slice", [whole(-1), whole(-(2**62)), whole(1), whole(-2)], {}),
        ("CumSum", [np.int64(2)], {}),
        ("Softmax", [], {"axis": -1}),
        ("LeakyRelu", [], {"alpha": 0.3}),
        ("ReduceMean", [whole(2)], {}),
        ("ReduceSum", [whole(1)], {"keepdims": 0}),
        ("Squeeze", [whole(0)], {}),
        ("Unsqueeze", [whole(2)], {}),
        ("Transpose", [], {"perm": [2, 0, 1]}),
        ("Reshape", [whole(0, -1, 2)], {}),
        ("Expand", [whole(2, 3, 6, 24)], {}),
        ("Div", [np.float32(3)], {}),
        ("Pow", [np.float32(2)], {}),
        ("Clip", [np.float32(-0.5)], {}),
        ("Cast", [], {"to": TensorProto.INT64}),
        ("LayerNormalization", [numbers(24), numbers(24)], {"axis": -1, "epsilon": 1e-3}),
    ],
)  # fmt: skip
def test_operators(op, constants, attributes):
    names = ",".join("" if value is None else f"c{place}" for place, value in enumerate(constants))
    known = {f"c{place}": value for place, value in enumerate(constants) if value is not None}
    given = f"x,{names}" if constants else "x"
    check([node(op, given, **attributes)], known, kind=attributes.get("to", TensorProto.FLOAT))


@pytest.mark.parametrize("op", ["Sin", "Cos", "Exp", "Atan", "Tanh", "Sigmoid", "Floor", "Round"])
def test_functions(op):
    check([node(op, "x")])


def test_scatter_and_nonzero():
    """The places come from a constant, and are reckoned on the host."""
    nodes = [
        node("NonZero", "mask", "places"), node("Transpose", "places", "indices", perm=[1, 0]),
        node("ScatterND", "x,indices,new", reduction="none"),
    ]  # fmt: skip
    mask = np.zeros(24, bool)
    mask[[2, 5]] = True
    check(nodes, {"mask": mask[None], "new": numbers(2)}, {"x": numbers(1, 24)})


def test_shapes_are_reckoned_on_the_host():
    nodes = [
        node("Shape", "x", "shape"), node("Gather", "shape,last", "size", axis=0),
        node("Unsqueeze", "size,zero", "sizes"),
        node("Concat", "minus,sizes", "wanted", axis=0), node("Reshape", "x,wanted", "flat"),
        node("Range", "first,size,one", "range"), node("Cast", "range", "numbers", to=TensorProto.FLOAT),
        node("Add", "flat,numbers"),
    ]  # fmt: skip
    constants = {"last": np.int64(2), "zero": whole(0), "minus": whole(-1), "first": np.int64(0), "one": np.int64(1)}
    check(nodes, constants)


def test_a_number_decides_a_shape():
    nodes = [
        node("ReduceSum", "x,axes", "sum", keepdims=0), node("Cast", "sum", "count", to=TensorProto.INT64),
        node("Range", "zero,count,one", "range"), node("Cast", "range", "numbers", to=TensorProto.FLOAT),
        node("Mul", "numbers,sum"),
    ]  # fmt: skip
    check(nodes, {"axes": whole(0), "zero": np.int64(0), "one": np.int64(1)}, {"x": real(2.5, 4.25)})


def test_short_time_fourier_transform():
    """Where a part of the spectrum is nothing but rounding errors, their signs are ONNX Runtime's too."""
    window = np.hanning(21)[:20].astype(np.float32)
    constants = {"step": np.int64(5), "window": window, "length": np.int64(20)}
    nodes = [node("STFT", "x,step,window,length", "y", onesided=1)]
    sound = numbers(1, 200)
    (right,) = check(nodes, constants, {"x": sound}, tolerance=3e-6)
    found = TorchGraph(model_of(nodes, constants, {"x": sound}), "cpu").run({"x": sound})[0]
    first = right[..., 0, 0]
    assert (np.sign(found[..., 0, 1]) == np.sign(right[..., 0, 1]))[np.abs(first) > 1].all()


def quantised(shape):
    return RNG.integers(-90, 90, shape).astype(np.int8)


def check_near(nodes, constants, feeds):
    """The graph in float against the graph with 8-bit activations, which are 1/255 of the widest of them apart."""
    model = model_of(nodes, constants, feeds)
    right = np.asarray(session_of(model).run(None, feeds)[0])
    (found,) = TorchGraph(model, "cpu").run(feeds)
    assert found.shape == right.shape
    assert np.abs(found - right).max() < 0.02 * np.abs(right).max()
    assert not np.array_equal(found, right)


def test_quantised_product_becomes_a_float_one():
    nodes = [
        node("DynamicQuantizeLinear", "x", "q,s,z"), node("MatMulInteger", "q,w,z,wz", "whole"),
        node("Cast", "whole", "cast", to=TensorProto.FLOAT), node("Mul", "s,ws", "scale"),
        node("Mul", "cast,scale", "product"), node("Add", "b,product"),
    ]  # fmt: skip
    constants = {"w": quantised((24, 5)), "wz": np.int8(3), "ws": np.float32(0.02), "b": numbers(5)}
    check_near(nodes, constants, {"x": X})
    assert [each.op for each in read_graph(model_of(nodes, constants, {"x": X})).nodes] == ["Linear"]


def test_quantised_convolution_becomes_a_float_one():
    nodes = [
        node("DynamicQuantizeLinear", "x", "q,s,z"), node("ConvInteger", "q,w,z,wz", "whole", pads=[1, 1]),
        node("Mul", "s,ws", "scale"), node("Div", "b,scale", "parts"), node("Floor", "parts", "floor"),
        node("Cast", "floor", "bias", to=TensorProto.INT32), node("Reshape", "bias,shape", "biases"),
        node("Add", "whole,biases", "sum"), node("Cast", "sum", "cast", to=TensorProto.FLOAT),
        node("Mul", "cast,scale"),
    ]  # fmt: skip
    constants = {
        "w": quantised((4, 6, 3)), "wz": np.int8(0), "ws": np.float32(0.02), "b": numbers(4),
        "shape": whole(1, -1, 1),
    }  # fmt: skip
    check_near(nodes, constants, {"x": X})
    assert [each.op for each in read_graph(model_of(nodes, constants, {"x": X})).nodes] == ["Conv"]


def test_quantised_lstm():
    inputs = "x,w,r,b,,h,h,,ws,wz,rs,rz"
    nodes = [
        helper.make_node(
            "DynamicQuantizeLSTM", inputs.split(","), ["y", "", ""], domain="com.microsoft",
            direction="bidirectional", hidden_size=8,
        )
    ]  # fmt: skip
    constants = {
        "w": quantised((2, 24, 32)), "r": quantised((2, 8, 32)), "b": numbers(2, 64),
        "h": np.zeros((2, 1, 8), np.float32),
        "ws": real(0.004, 0.006), "wz": np.zeros(2, np.int8),
        "rs": real(0.007, 0.005), "rz": np.zeros(2, np.int8),
    }  # fmt: skip
    check_near(nodes, constants, {"x": X.transpose(1, 0, 2).copy()})


def test_quantised_table():
    nodes = [node("Gather", "table,x", "found", axis=0), node("DequantizeLinear", "found,s,z")]
    constants = {"table": quantised((30, 4)), "s": np.float32(0.1), "z": np.int8(2)}
    check(nodes, constants, {"x": whole(3, 0, 29)[None]})


@pytest.mark.parametrize("ending", ["leaky", "snake"])
def test_normalisation_and_activation_become_one_node(ending):
    nodes = [
        node("ReduceMean", "x,axis", "mean"), node("Sub", "x,mean", "apart"), node("Mul", "apart,apart", "square"),
        node("ReduceMean", "square,axis", "variance"), node("Add", "variance,e", "more"), node("Sqrt", "more", "root"),
        node("Div", "apart,root", "normal"), node("Mul", "g,normal", "scaled"), node("Add", "scaled,b", "z"),
    ]  # fmt: skip
    if ending == "leaky":
        nodes.append(node("LeakyRelu", "z", alpha=0.2))
    else:
        nodes += [
            node("Mul", "a,z", "within"), node("Sin", "within", "sine"), node("Pow", "sine,two", "power"),
            node("Mul", "r,power", "around"), node("Add", "z,around"),
        ]  # fmt: skip
    constants = {
        "axis": whole(2), "e": np.float32(0.01), "two": np.float32(2), "a": numbers(1, 6, 1), "r": numbers(1, 6, 1),
    }  # fmt: skip
    feeds = {"x": X, "g": numbers(1, 6, 1), "b": numbers(1, 6, 1)}
    check(nodes, constants, feeds)
    operators = [each.op for each in read_graph(model_of(nodes, constants, feeds)).nodes]
    assert operators == ["NormaliseLeaky" if ending == "leaky" else "NormaliseSnake"]


def test_linear_maps_of_one_vector_become_one():
    nodes = [
        node("MatMul", "x,w", "p"), node("Add", "p,b", "q"), node("Unsqueeze", "q,two", "r"),
        node("Split", "r,sizes", "s,t", axis=1), node("Add", "s,one", "y"),
        node("MatMul", "x,v", "k"), node("Add", "k,c", "l"), node("Unsqueeze", "l,two", "m"),
        node("Split", "m,sizes", "n,o", axis=1),
    ]  # fmt: skip
    constants = {
        "w": numbers(7, 6), "b": numbers(6), "v": numbers(7, 6), "c": numbers(6), "two": whole(2), "sizes": whole(2, 4),
        "one": np.float32(1),
    }  # fmt: skip
    feeds = {"x": numbers(1, 7)}
    check(nodes, constants, feeds, ("y", "n", "o", "t"))
    assert len(read_graph(model_of(nodes, constants, feeds, ("y", "n", "o", "t"))).nodes) <= 3


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (node("Det", "x"), "Det.*operator"),
        (node("CumSum", "x,axis", reverse=1), "CumSum.*reversed"),
        (node("Conv", "x,w", pads=[1, 2]), "Conv.*padding"),
    ],
)
def test_what_is_not_known_is_said(one, message):
    with pytest.raises(GraphError, match=message):
        TorchGraph(model_of([one], {"axis": np.int64(2), "w": numbers(4, 6, 3)}), "cpu")


def test_a_missing_input_is_said():
    with pytest.raises(ValueError, match="no input 'x'"):
        TorchGraph(model_of([node("Sin", "x")]), "cpu").run({})


def test_kokoro():
    """The tokens last as long as in the 8-bit graph, nearly all of them, and what is said sounds alike."""
    folder = os.environ.get("WATCHWORD_VOICES", "")
    try:
        model = _model()
    except VoiceError as error:
        pytest.skip(str(error))
    styles = sorted(Path(folder).glob("*.bin")) if folder else []
    if not styles:
        pytest.skip("no voices (WATCHWORD_VOICES names the folder)")
    tokens = whole(0, 65, 156, 138, 56, 123, 51, 158, 85, 16, 54, 156, 43, 55, 58, 4, 0)
    style = np.fromfile(styles[0], np.float32).reshape(-1, 256)[len(tokens) - 2]
    feeds = {"tokens": tokens[None], "style": style[None], "speed": np.ones(1, np.float32)}
    audio, frames = TorchGraph(model, "cpu").run(feeds)
    right, lengths = map(np.asarray, session_of(onnx.load_model_from_string(model)).run(None, feeds))
    assert np.abs(frames - lengths).max() <= 1
    assert (frames != lengths).sum() <= 4
    assert len(audio) == frames.sum() * 600
    assert np.std(audio) == pytest.approx(np.std(right), rel=0.3)
