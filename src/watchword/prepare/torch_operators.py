"""The operators of an ONNX graph as PyTorch carries them out on a device, each made once for its node."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from watchword.prepare.onnx_fold import Node, known
from watchword.prepare.onnx_host import full_shape, slices
from watchword.prepare.torch_layers import (
    Constant,
    Device,
    Tensor,
    activation,
    convolution,
    lstm,
    needed,
    normalise,
    stft,
)  # fmt: skip

TYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}
HOST_INPUTS = {
    "CumSum": {1}, "Expand": {1}, "Pad": {1, 2}, "ReduceMean": {1}, "ReduceSum": {1}, "Reshape": {1},
    "Resize": {1, 2, 3}, "STFT": {1, 2, 3}, "Slice": {1, 2, 3, 4}, "Split": {1}, "Squeeze": {1}, "Unsqueeze": {1},
    "LSTM": {1, 2, 3, 4, 5, 6, 7}, "Clip": {1, 2},
}  # fmt: skip
"""The inputs, by operator, that are needed on the host; what is reckoned with shapes stays there."""


def device_function(node: Node, constant: Constant, device: torch.device) -> Device:
    """Returns what carries out a node on tensors.

    It takes all the node's inputs: tensors, the HOST_INPUTS of its operator as arrays, None where one is not given."""
    if node.op in _PLAIN:
        return _PLAIN[node.op]
    if node.op in ("Conv", "ConvTranspose"):
        return convolution(node, constant)
    if node.op in ("NormaliseLeaky", "NormaliseSnake"):
        return activation(node, device)
    if node.op == "LSTM":
        return lstm(node, constant, device)
    if node.op == "STFT":
        return stft(node, constant, device)
    if node.op not in _BUILT:
        raise node.error("the operator is not known here")
    return _BUILT[node.op](node, constant)


def _axes(node: Node, constant: Constant) -> list[int]:
    return [int(axis) for axis in needed(node, constant, 1).reshape(-1)]


def _linear(node: Node, constant: Constant) -> Device:
    sizes, raised = node.attributes["sizes"], node.attributes["raised"]
    alone = len(sizes) == 1 and not raised

    def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Any:
        y = functional.linear(x, weight.t(), bias)
        if alone:
            return y
        return y.unsqueeze(2).split(sizes, 1) if raised else y.split(sizes, -1)

    return linear


def _layer_norm(node: Node, constant: Constant) -> Device:
    known(node, ("axis", "epsilon", "stash_type"))
    if node.attributes.get("axis", -1) != -1 or len(node.outputs) > 1:
        raise node.error("only the last axis and one output are known here")
    shape, epsilon = needed(node, constant, 1).shape, node.attributes.get("epsilon", 1e-5)
    return lambda x, weight, bias=None: functional.layer_norm(x, shape, weight, bias, epsilon)


def _skip_norm(node: Node, constant: Constant) -> Device:
    known(node, ("epsilon",))
    if len(node.inputs) > 4 or len(node.outputs) > 1:
        raise node.error("its bias and further outputs are not known here")
    shape, epsilon = needed(node, constant, 2).shape, node.attributes.get("epsilon", 1e-12)
    return lambda x, skip, weight, bias=None: functional.layer_norm(x + skip, shape, weight, bias, epsilon)


def _resize(node: Node, constant: Constant) -> Device:
    how = node.attributes
    sizes = needed(node, constant, 2).tolist()
    if len(node.inputs) > 3 or sizes[:2] != [1, 1] or len(sizes) != 3 or how.get("antialias"):
        raise node.error("only scales of the last of three axes are known here")
    scale, where = sizes[2], how.get("coordinate_transformation_mode", "half_pixel")
    if how.get("mode", "nearest") == "linear" and where == "half_pixel":
        return lambda x, *_: functional.interpolate(
            x, scale_factor=scale, mode="linear", align_corners=False, recompute_scale_factor=False
        )
    floors = (where, how.get("nearest_mode")) == ("asymmetric", "floor")
    if how.get("mode", "nearest") != "nearest" or not floors or scale != int(scale):
        raise node.error("this way of resizing is not known here")
    times = int(scale)
    return lambda x, *_: x.unsqueeze(-1).expand(*x.shape, times).reshape(*x.shape[:-1], -1)


def _pad(node: Node, constant: Constant) -> Device:
    mode, pads = node.attributes.get("mode", "constant"), needed(node, constant, 1).tolist()
    rank = len(pads) // 2
    if mode not in ("constant", "reflect") or len(node.inputs) > 3:
        raise node.error("this way of padding is not known here")
    if mode == "reflect" and any(pads[: rank - 1] + pads[rank:-1]):
        raise node.error("only the last axis can be reflected here")
    both = [end for place in reversed(range(rank)) for end in (pads[place], pads[rank + place])]
    if mode == "reflect":
        return lambda x, *_: functional.pad(x, both[:2], mode="reflect")
    return lambda x, _, value=None: functional.pad(x, both, value=0.0 if value is None else float(value))


def _gather(node: Node, constant: Constant) -> Device:
    axis, places = node.attributes.get("axis", 0), constant(1)
    if places is not None and places.ndim == 0:
        place = int(places)
        return lambda x, _: x.select(axis, place)

    def gather(x: Tensor, places: Tensor) -> Tensor:
        if axis == 0 and x.dim() == 2:
            return functional.embedding(places, x)
        found = torch.index_select(x, axis, places.reshape(-1))
        return found.reshape(*x.shape[:axis], *places.shape, *x.shape[axis % x.dim() + 1 :])

    return gather


def _slice(x: Tensor, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Tensor:
    if steps is not None and (steps < 0).any():
        every = slices(starts, ends, axes, steps, x.dim())
        for axis, part in enumerate(every):
            places = torch.arange(*part.indices(x.shape[axis]), device=x.device)
            x = x if part == slice(None) else x.index_select(axis, places)
        return x
    return x[slices(starts, ends, axes, steps, x.dim())]


def _expand(x: Tensor, shape: Any) -> Tensor:
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(shape.tolist())))


def _scatter(node: Node, constant: Constant) -> Device:
    if node.attributes.get("reduction", "none") != "none":
        raise node.error("reductions are not known here")
    return lambda x, places, values: x.index_put(places.unbind(-1), values)


def _product(node: Node, constant: Constant) -> Device:
    known(node, ("transA", "transB", "alpha", "transBatchA", "transBatchB"))
    first, second, alpha = (
        node.attributes.get(key, other) for key, other in (("transA", 0), ("transB", 0), ("alpha", 1))
    )
    if alpha != 1 or node.attributes.get("transBatchA") or node.attributes.get("transBatchB"):
        raise node.error("a factor or transposed batches are not known here")
    return lambda a, b: torch.matmul(a.mT if first else a, b.mT if second else b)


def _cumsum(node: Node, constant: Constant) -> Device:
    axis = int(needed(node, constant, 1))
    if node.attributes.get("exclusive") or node.attributes.get("reverse"):
        raise node.error("exclusive or reversed sums are not known here")
    return lambda x, _: torch.cumsum(x, axis)


def _reduce(function: Device) -> Callable[[Node, Constant], Device]:
    def build(node: Node, constant: Constant) -> Device:
        axes, keep = _axes(node, constant), bool(node.attributes.get("keepdims", 1))
        return lambda x, _: function(x, axes, keep)

    return build


def _power(node: Node, constant: Constant) -> Device:
    power = constant(1)
    return (lambda x, _: torch.square(x)) if power is not None and power.ndim == 0 and power == 2 else torch.pow


def _gelu(node: Node, constant: Constant) -> Device:
    if len(node.inputs) > 1 and node.inputs[1]:
        raise node.error("its bias is not known here")
    return lambda x: functional.gelu(x, approximate="tanh")


def _cast(node: Node, constant: Constant) -> Device:
    if node.attributes["to"] not in TYPES:
        raise node.error(f"type {node.attributes['to']} is not known here")
    kind = TYPES[node.attributes["to"]]
    return lambda x: x.to(kind)


def _split(node: Node, constant: Constant) -> Device:
    sizes, axis = _axes(node, constant), node.attributes.get("axis", 0)
    return lambda x, _: x.split(sizes, axis)


def _unsqueeze(node: Node, constant: Constant) -> Device:
    axes = _axes(node, constant)
    if len(axes) != 1:
        raise node.error("only one axis is known here")
    return lambda x, _: x.unsqueeze(axes[0])


def _squeeze(node: Node, constant: Constant) -> Device:
    axes = tuple(_axes(node, constant))
    return lambda x, _: x.squeeze(axes)


def _transpose(node: Node, constant: Constant) -> Device:
    order = node.attributes["perm"]
    return lambda x: x.permute(order)


def _concat(node: Node, constant: Constant) -> Device:
    axis = node.attributes["axis"]
    return lambda *parts: torch.cat(parts, axis)


def _softmax(node: Node, constant: Constant) -> Device:
    axis = node.attributes.get("axis", -1)
    return lambda x: torch.softmax(x, axis)


def _leaky(node: Node, constant: Constant) -> Device:
    slope = node.attributes.get("alpha", 0.01)
    return lambda x: functional.leaky_relu(x, slope)


def _clip(x: Tensor, least: Any = None, most: Any = None) -> Tensor:
    return x.clamp(None if least is None else float(least), None if most is None else float(most))


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


_PLAIN: dict[str, Device] = {
    "Add": torch.add, "And": torch.logical_and, "Atan": torch.atan, "Clip": _clip, "Cos": torch.cos, "Div": _divide,
    "Equal": torch.eq, "Exp": torch.exp, "Expand": _expand, "Floor": torch.floor, "Greater": torch.gt,
    "GreaterOrEqual": torch.ge, "Less": torch.lt, "LessOrEqual": torch.le, "MatMul": torch.matmul, "Mul": torch.mul,
    "Reshape": lambda x, shape: x.reshape(full_shape(shape, tuple(x.shape))), "Round": torch.round,
    "Sigmoid": torch.sigmoid, "Sin": torch.sin, "Slice": _slice, "Sqrt": torch.sqrt, "Sub": torch.sub,
    "Tanh": torch.tanh, "Where": torch.where,
}  # fmt: skip
_BUILT: dict[str, Callable[[Node, Constant], Device]] = {
    "Cast": _cast, "Concat": _concat, "CumSum": _cumsum, "FastGelu": _gelu, "FusedMatMul": _product, "Gather": _gather,
    "LayerNormalization": _layer_norm, "LeakyRelu": _leaky, "Linear": _linear, "Normalise": normalise, "Pad": _pad,
    "Pow": _power, "ReduceMean": _reduce(torch.mean), "ReduceSum": _reduce(torch.sum), "Resize": _resize,
    "ScatterND": _scatter, "SkipLayerNormalization": _skip_norm, "Softmax": _softmax, "Split": _split,
    "Squeeze": _squeeze, "Transpose": _transpose, "Unsqueeze": _unsqueeze,
}  # fmt: skip
