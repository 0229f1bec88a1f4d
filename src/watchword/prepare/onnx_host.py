"""The operators of an ONNX graph that reckon with shapes: on the host, with NumPy, so that no device waits for them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from watchword.prepare.onnx_fold import Node

Host = Callable[..., np.ndarray]
TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}


def host_function(node: Node) -> Host | None:
    """Returns what carries out a node on arrays, or None where there is nothing for its operator."""
    plain = _PLAIN.get(node.op)
    return plain or (_BUILT[node.op](node) if node.op in _BUILT else None)


def full_shape(shape: Any, given: tuple[int, ...]) -> list[int]:
    """Puts the sizes of what is reshaped where ONNX writes 0."""
    return [given[place] if size == 0 else size for place, size in enumerate(shape.tolist())]


def slices(starts: Any, ends: Any, axes: Any, steps: Any, rank: int) -> tuple[slice, ...]:
    """ONNX's starts and ends, which stop at the ends of an axis as Python's do."""
    every = [slice(None)] * rank
    places = range(len(starts)) if axes is None else axes.tolist()
    strides = [1] * len(starts) if steps is None else steps.tolist()
    for place, start, end, step in zip(places, starts.tolist(), ends.tolist(), strides, strict=True):
        # With a negative step, ONNX ends before the first place where Python would count from the end.
        every[place] = slice(start, None if step < 0 and end < -(2**30) else end, step)
    return tuple(every)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if np.issubdtype(a.dtype, np.integer):
        return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)  # towards zero
    with np.errstate(divide="ignore", invalid="ignore"):
        return a / b


def _unsqueeze(x: np.ndarray, axes: np.ndarray) -> np.ndarray:
    if x.ndim == 0 and axes.size == 1:
        return x.reshape(1)
    return np.expand_dims(x, tuple(axes.reshape(-1).tolist()))


def _squeeze(x: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    return np.squeeze(x, None if axes is None else tuple(axes.reshape(-1).tolist()))


def _slice(x: np.ndarray, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> np.ndarray:
    return x[slices(starts, ends, axes, steps, x.ndim)]


def _reduce(node: Node, function: Callable[..., Any]) -> Host:
    keep = bool(node.attributes.get("keepdims", 1))
    return lambda x, axes: np.asarray(function(x, axis=tuple(axes.tolist()), keepdims=keep), x.dtype)


def _cast(node: Node) -> Host:
    if node.attributes["to"] not in TYPES:
        raise node.error(f"type {node.attributes['to']} is not known here")
    kind = TYPES[node.attributes["to"]]
    return lambda x: x.astype(kind)


def _cumsum(node: Node) -> Host:
    if node.attributes.get("exclusive") or node.attributes.get("reverse"):
        raise node.error("exclusive or reversed sums are not known here")
    return lambda x, axis: np.cumsum(x, int(axis), dtype=x.dtype)


def _filled(node: Node) -> Host:
    value = np.asarray(node.attributes.get("value", np.zeros(1, np.float32))).reshape(-1)[0]
    return lambda shape: np.full(shape.tolist(), value)


def _gather(node: Node) -> Host:
    axis = node.attributes.get("axis", 0)
    return lambda x, places: x.take(places, axis)


def _transpose(node: Node) -> Host:
    order = node.attributes.get("perm")
    return lambda x: np.transpose(x, order)


def _concat(node: Node) -> Host:
    axis = node.attributes["axis"]
    return lambda *parts: np.concatenate(parts, axis)


_PLAIN: dict[str, Host] = {
    "Add": np.add,
    "And": np.logical_and,
    "Ceil": np.ceil,
    "Div": _divide,
    "Equal": np.equal,
    "Expand": lambda x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist()))),
    "Floor": np.floor,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Mul": np.multiply,
    "NonZero": lambda x: np.stack(np.nonzero(x)),
    "Not": np.logical_not,
    "Pow": lambda x, power: np.power(x, power).astype(x.dtype),
    "Range": lambda start, end, step: np.arange(start.item(), end.item(), step.item()).astype(start.dtype),
    "Reshape": lambda x, shape: x.reshape(full_shape(shape, x.shape)),
    "Slice": _slice,
    "Sqrt": np.sqrt,
    "Squeeze": _squeeze,
    "Sub": np.subtract,
    "Unsqueeze": _unsqueeze,
    "Where": np.where,
}
_BUILT: dict[str, Callable[[Node], Host]] = {
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "CumSum": _cumsum,
    "Gather": _gather,
    "ReduceMean": lambda node: _reduce(node, np.mean),
    "ReduceSum": lambda node: _reduce(node, np.sum),
    "Transpose": _transpose,
}
