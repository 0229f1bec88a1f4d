"""The larger layers of an ONNX graph with PyTorch: convolutions, LSTMs, STFTs, and normalisations with activations."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from watchword.prepare.onnx_fold import Node, known

Tensor = torch.Tensor
Device = Callable[..., Any]
Constant = Callable[[int], np.ndarray | None]
"""The value of a node's input where that is known before the graph runs."""

_LEAKY = """template <typename T> T normalise_leaky(T x, T variance, T mean, T g, T b, T epsilon, T slope) {
  T y = (x - mean) * rsqrt(variance + epsilon) * g + b; return y > T(0) ? y : y * slope; }"""
_SNAKE = """template <typename T> T normalise_snake(T x, T variance, T mean, T g, T b, T within, T around, T epsilon) {
  T y = (x - mean) * rsqrt(variance + epsilon) * g + b; T s = sin(within * y); return y + around * s * s; }"""


def needed(node: Node, constant: Constant, place: int) -> np.ndarray:
    """A node's input that has to be known before the graph runs."""
    value = constant(place)
    if value is None:
        raise node.error(f"its input {place} is no constant")
    return value


def convolution(node: Node, constant: Constant) -> Device:
    transposed = node.op == "ConvTranspose"
    given = node.attributes
    known(node, ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides", "output_padding"))
    rank = needed(node, constant, 1).ndim - 2
    ones, zeros = [1] * rank, [0] * rank
    pads = list(given.get("pads", zeros * 2))
    if given.get("auto_pad", "NOTSET") != "NOTSET" or pads[:rank] != pads[rank:]:
        raise node.error("padding that differs at an axis's two ends is not known here")
    strides, dilations = list(given.get("strides", ones)), list(given.get("dilations", ones))
    more, group, pads = list(given.get("output_padding", zeros)), given.get("group", 1), pads[:rank]

    def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return torch.convolution(x, weight, bias, strides, pads, dilations, transposed, more, group)

    return convolve


def activation(node: Node, device: torch.device) -> Device:
    """A normalisation, n * g + b and what follows it: two kernels on CUDA, if one of them can be compiled."""
    axis, epsilon = node.attributes["axis"], node.attributes["epsilon"]
    slope: float | None = node.attributes.get("alpha")
    normal = normalise(node, lambda _: None)

    def leaky(x: Tensor, g: Tensor, b: Tensor) -> Tensor:
        return functional.leaky_relu_(torch.addcmul(b, normal(x), g), slope or 0.0)

    def snake(x: Tensor, g: Tensor, b: Tensor, within: Tensor, around: Tensor) -> Tensor:
        y = torch.addcmul(b, normal(x), g)
        sine = torch.mul(y, within).sin_()
        return y.addcmul_(sine.square_(), around)

    compiled = _compiled(slope, epsilon) if device.type == "cuda" else None
    if compiled is None:
        return snake if slope is None else leaky

    def fused(x: Tensor, *factors: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, axis, correction=0, keepdim=True)
        return compiled(x, variance, mean, *factors)

    return fused


@functools.cache
def _compiled(slope: float | None, epsilon: float) -> Device | None:
    """One CUDA kernel for a LeakyRelu (with a slope) or a Snake and what is before it; None where it does not work."""
    numbers = {"epsilon": epsilon} if slope is None else {"epsilon": epsilon, "slope": slope}
    try:
        kernel = torch.cuda.jiterator._create_jit_fn(_SNAKE if slope is None else _LEAKY, **numbers)
        x = torch.linspace(-3, 3, 40, device="cuda").reshape(1, 4, 10)
        variance, mean, g, b, within, around = (x[:, :, place : place + 1] + 4 for place in range(6))
        y = (x - mean) * torch.rsqrt(variance + epsilon) * g + b
        if slope is None:
            found, right = kernel(x, variance, mean, g, b, within, around), y + around * torch.sin(within * y) ** 2
        else:
            found, right = kernel(x, variance, mean, g, b), functional.leaky_relu(y, slope)
        torch.testing.assert_close(found, right, rtol=1e-3, atol=1e-3)
    except Exception as error:
        warnings.warn(f"graph: goes on with more kernels, since none can be compiled: {error}", stacklevel=2)
        return None
    return kernel


def lstm(node: Node, constant: Constant, device: torch.device) -> Device:
    known(node, ("direction", "hidden_size", "input_forget", "layout"))
    if (
        node.attributes.get("layout")
        or node.attributes.get("input_forget")
        or (len(node.inputs) > 7 and node.inputs[7])
    ):
        raise node.error("its layout, coupled gates or peepholes are not known here")
    if len(node.inputs) > 4 and node.inputs[4]:
        raise node.error("sequences' lengths are not known here")
    first, second, bias = (needed(node, constant, place) for place in (1, 2, 3))
    hidden, directions = int(node.attributes["hidden_size"]), len(first)
    if node.attributes.get("direction", "forward") != ("bidirectional" if directions == 2 else "forward"):
        raise node.error("its direction is not known here")
    order = np.arange(4 * hidden).reshape(4, hidden)[[0, 2, 3, 1]].reshape(-1)  # iofc to ifco
    inner = torch.nn.LSTM(first.shape[2], hidden, bidirectional=directions == 2, device=device).requires_grad_(False)
    for way, suffix in enumerate(("", "_reverse")[:directions]):
        for name, value in (
            ("weight_ih", first[way]), ("weight_hh", second[way]),
            ("bias_ih", bias[way, : 4 * hidden]), ("bias_hh", bias[way, 4 * hidden :]),
        ):  # fmt: skip
            getattr(inner, f"{name}_l0{suffix}").copy_(torch.from_numpy(value[order]))
    inner.eval()

    def apply(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
        for state in rest[4:6]:
            if state is not None and state.any():
                raise node.error("a first state other than zero is not known here")
        y, (h, c) = inner(x)
        return y.reshape(*y.shape[:2], directions, hidden).transpose(1, 2), h, c

    return apply


def stft(node: Node, constant: Constant, device: torch.device) -> Device:
    """The transform as a product with the answers of ONNX Runtime to single impulses, in double precision.

    Where a part of the spectrum is zero (always, of the imaginary parts of the first and the last band), its rounding
    errors decide between the phases pi and -pi, which are far from the same to the layers after it."""
    known(node, ("onesided",))
    step, window = int(needed(node, constant, 1)), needed(node, constant, 2).astype(np.float32)
    length = len(window)
    if not node.attributes.get("onesided", 1) or (len(node.inputs) > 3 and int(needed(node, constant, 3)) != length):
        raise node.error("two sides, or a frame of another length than its window, are not known here")
    waves = torch.from_numpy(_answers(window).astype(np.float64)).to(device)

    def transform(x: Tensor, *_: Any) -> Tensor:
        frames = x.reshape(x.shape[:2]).double().unfold(1, length, step)
        return torch.matmul(frames, waves).float().unflatten(-1, (-1, 2))

    return transform


def _answers(window: np.ndarray) -> np.ndarray:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    length = len(window)
    given = {"step": np.array(length), "window": window, "length": np.array(length)}
    graph = helper.make_graph(
        [helper.make_node("STFT", ["x", *given], ["y"])],
        "impulses",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [length, length])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in given.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": np.eye(length, dtype=np.float32)})[0]).reshape(length, -1)


def normalise(node: Node, constant: Constant) -> Device:
    axis, epsilon = node.attributes["axis"], node.attributes["epsilon"]

    def apply(x: Tensor) -> Tensor:
        if axis in (-1, x.dim() - 1):
            return functional.layer_norm(x, x.shape[-1:], None, None, epsilon)
        variance, mean = torch.var_mean(x, axis, correction=0, keepdim=True)
        return (x - mean).mul_(torch.rsqrt(variance + epsilon))

    return apply
