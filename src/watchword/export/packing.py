"""Weights stored small: float16, or 8 bits a weight and a scale a row, each with the nodes that give float32 back."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from watchword.model.features import FFT_SIZE, FRAME_SAMPLES, povey_window

LARGE = 1024
"""How many numbers a weight has at least for it to be stored small; biases and norms are not worth it."""
_LEVELS = 127
_ROUNDING = 1e-6


def rounded_to_int8(weight: Tensor) -> Tensor:
    """Rounds each row of a weight [rows, …] to 255 steps up to its largest; what `store_as_int8` then stores exactly.

    A weight of one dimension, or of fewer than `LARGE` numbers, comes back as it is."""
    if weight.ndim < 2 or weight.numel() < LARGE:
        return weight
    scale = weight.flatten(1).abs().amax(1).clamp_min(1e-12) / _LEVELS
    scale = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return torch.round(weight / scale) * scale


def store_as_float16(path: Path) -> None:
    """Stores the large weights of a graph as float16, each with a node that casts it back: half the size.

    Nothing is lost where the weights were float16 numbers to begin with. The runtime folds the casts when it loads."""
    model = onnx.load(path)
    nodes = []
    for weight in _large(model):
        name = f"{weight.name}.float16"
        nodes.append(helper.make_node("Cast", [name], [weight.name], name=f"{name}.cast", to=TensorProto.FLOAT))
        half = numpy_helper.from_array(numpy_helper.to_array(weight).astype("float16"), name)
        model.graph.initializer.remove(weight)
        model.graph.initializer.append(half)
    _save(model, nodes, path)


def store_as_int8(path: Path) -> None:
    """Stores the large weights of a graph in 8 bits with a scale for each of their rows: a quarter of the size.

    Those are stored that came from `rounded_to_int8`, also where the graph holds them transposed, or several on top of
    each other, so that nothing but float32's own rounding is lost; others are left as they are. The runtime computes
    float32 weights from them when it loads."""
    model = onnx.load(path)
    nodes = []
    for weight in _large(model):
        values = numpy_helper.to_array(weight)
        # A convolution's rows are its filters; those of a matrix may lie across, or several on top of each other.
        views = [values.reshape(len(values), -1), values.reshape(-1, values.shape[-1])]
        flat, axis = min(((view, axis) for view in views for axis in (0, 1)), key=lambda one: _loss(*one))
        if _loss(flat, axis) > _ROUNDING * float(np.abs(flat).max()):
            continue
        levels, scale = _levels(flat, axis)
        # Not DequantizeLinear: onnxruntime would fuse it with a product, and multiply in 8 bits.
        name, shape = weight.name, np.array(values.shape, np.int64)
        stored = {"int8": levels, "scale": np.expand_dims(scale, 1 - axis), "shape": shape}
        part = {key: f"{name}.{key}" for key in (*stored, "levels", "rows")}
        nodes += [
            helper.make_node("Cast", [part["int8"]], [part["levels"]], name=f"{name}.cast", to=TensorProto.FLOAT),
            helper.make_node("Mul", [part["levels"], part["scale"]], [part["rows"]], name=f"{name}.scaled"),
            helper.make_node("Reshape", [part["rows"], part["shape"]], [name], name=f"{name}.reshaped"),
        ]
        model.graph.initializer.remove(weight)
        arrays = [numpy_helper.from_array(np.ascontiguousarray(array), part[key]) for key, array in stored.items()]
        model.graph.initializer.extend(arrays)
    _save(model, nodes, path)


def store_basis_as_formula(path: Path) -> None:
    """Stores the windowed cosines and sines of the features as one table of each, and the window: 17 KB, not 0.8 MB.

    The runtime computes the basis when it loads, in float64 as `LogMel` does, and rounds it to float32."""
    model = onnx.load(path)
    shape = [2 * (FFT_SIZE // 2 + 1), 1, FRAME_SAMPLES]
    (found,) = (
        node for node in model.graph.node if node.op_type == "Constant" and list(node.attribute[0].t.dims) == shape
    )
    n, k = np.arange(FRAME_SAMPLES)[:, None], np.arange(FFT_SIZE // 2 + 1)[None]
    turns = 2 * np.pi * np.arange(FFT_SIZE) / FFT_SIZE
    stored = {
        "sample": n, "bin": k, "size": np.array(FFT_SIZE), "cosines": np.cos(turns), "sines": -np.sin(turns),
        "window": povey_window()[:, None], "channel": np.array([1]),
    }  # fmt: skip
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Mul", ["sample", "bin"], "turned", {}),
        ("Mod", ["turned", "size"], "place", {}),
        ("Gather", ["cosines", "place"], "real", {"axis": 0}),
        ("Gather", ["sines", "place"], "imaginary", {"axis": 0}),
        ("Concat", ["real", "imaginary"], "waves", {"axis": 1}),
        ("Mul", ["waves", "window"], "windowed", {}),
        ("ReduceMean", ["windowed"], "mean", {"axes": [0], "keepdims": 1}),
        ("Sub", ["windowed", "mean"], "centred", {}),
        ("Transpose", ["centred"], "rows", {"perm": [1, 0]}),
        ("Unsqueeze", ["rows", "channel"], "exact", {}),
        ("Cast", ["exact"], "basis", {"to": TensorProto.FLOAT}),
    ]
    names = {name: f"basis.{name}" for name in {*stored, *(step[2] for step in steps)}} | {"basis": found.output[0]}
    nodes = [
        helper.make_node(kind, [names[name] for name in taken], [names[given]], name=f"basis.{given}.{kind}", **more)
        for kind, taken, given, more in steps
    ]
    model.graph.node.remove(found)
    model.graph.initializer.extend(numpy_helper.from_array(array, names[name]) for name, array in stored.items())
    _save(model, nodes, path)


def _large(model: ModelProto) -> list[TensorProto]:
    found = [w for w in model.graph.initializer if w.data_type == TensorProto.FLOAT]
    return [weight for weight in found if int(np.prod(weight.dims)) >= LARGE]


def _levels(flat: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The levels [rows, columns] and the scale along `axis` of a matrix."""
    scale = np.maximum(np.abs(flat).max(axis=1 - axis), 1e-12).astype(np.float32) / np.float32(_LEVELS)
    return np.round(flat / np.expand_dims(scale, 1 - axis)).astype(np.int8), scale


def _loss(flat: np.ndarray, axis: int) -> float:
    levels, scale = _levels(flat, axis)
    return float(np.abs(levels * np.expand_dims(scale, 1 - axis) - flat).max())


def _save(model: ModelProto, first: list[NodeProto], path: Path) -> None:
    """Puts nodes before all others, and writes the graph."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*first, *nodes])
    onnx.checker.check_model(model)
    onnx.save(model, path)
