"""An ONNX graph carried out with PyTorch, for a GPU where ONNX Runtime has none: compiled once into a list of steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from watchword.prepare.onnx_fold import Graph, Node, read_graph
from watchword.prepare.onnx_host import host_function
from watchword.prepare.torch_operators import HOST_INPUTS, device_function

# A constant with more numbers than this is looked up on the device, and not on the host to be sent there in each run.
_SMALL = 2048
# Of small arrays that the host sends, so many are remembered, by what they hold.
_REMEMBERED = 512
_SCALAR_OPS = ("Add", "Sub", "Mul", "Div", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal")
# These give a value of the shape of their first input.
_SAME_SHAPE = ("FastGelu", "LayerNormalization", "LeakyRelu", "SkipLayerNormalization", "Softmax")
Place = Literal["host", "device"]


@dataclass
class _Step:
    function: Callable[..., Any]
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    several: bool
    dead: tuple[int, ...] = ()


class TorchGraph:
    """Carries out a model (bytes or a ModelProto) in float on a device.

    What depends on shapes alone is reckoned on the host; the device is waited for only where its numbers make a
    shape."""

    def __init__(self, model: Any, device: str = "cuda") -> None:
        self._device = torch.device(device)
        if self._device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = False
        self._sent: dict[tuple[Any, ...], torch.Tensor] = {}
        with torch.no_grad():
            self._compile(read_graph(model))

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Returns the model's outputs, in their order."""
        missing = sorted(set(self._inputs) - set(feeds))
        if missing:
            raise ValueError(f"graph: no input {missing[0]!r}; there are {', '.join(sorted(feeds))}")
        with torch.inference_mode():
            values = self._values.copy()
            for name, slot in self._inputs.items():
                values[slot] = self._send(np.asarray(feeds[name]))
            for function, sources, targets, several, dead in self._steps:
                result = function(*[values[source] for source in sources])
                if several:
                    for target, part in zip(targets, result, strict=False):
                        values[target] = part
                else:
                    values[targets[0]] = result
                for slot in dead:
                    values[slot] = None
            return [_fetch(values[slot]) for slot in self._outputs]

    def _compile(self, graph: Graph) -> None:
        compiler = _Compiler(graph, self._device, self._send)
        self._inputs = {name: compiler.slots[name, "device"] for name in graph.inputs}
        for node in graph.nodes:
            compiler.add(node)
        self._outputs = [compiler.output(name) for name in graph.outputs]
        self._values: list[Any] = compiler.values
        ends = {slot: place for place, step in enumerate(compiler.steps) for slot in (*step.sources, *step.targets)}
        kept = {*self._outputs, *compiler.constant_slots}
        for slot, place in ends.items():
            if slot not in kept:
                compiler.steps[place].dead += (slot,)
        self._steps = [(s.function, s.sources, s.targets, s.several, s.dead) for s in compiler.steps]

    def _send(self, array: np.ndarray) -> torch.Tensor:
        """Copies an array to the device, without waiting; small ones that come again and again are remembered."""
        if array.nbytes > 8 * _SMALL:
            return torch.from_numpy(np.array(array)).to(self._device, non_blocking=True)
        key = (array.dtype.char, array.shape, array.tobytes())
        tensor = self._sent.get(key)
        if tensor is None:
            tensor = torch.from_numpy(np.array(array)).to(self._device, non_blocking=True)
            if len(self._sent) >= _REMEMBERED:
                self._sent.pop(next(iter(self._sent)))
            self._sent[key] = tensor
        return tensor


def _fetch(value: Any) -> np.ndarray:
    return value.cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _shape(value: Any) -> np.ndarray:
    return np.array(value.shape, np.int64)


class _Compiler:
    """Decides where every value lives, and gives each a slot there; a value that is needed elsewhere is sent once."""

    def __init__(self, graph: Graph, device: torch.device, send: Callable[[np.ndarray], torch.Tensor]) -> None:
        self.steps: list[_Step] = []
        self.values: list[Any] = [None]  # the first stands for an input that is not given
        self.slots: dict[tuple[str, Place], int] = {}
        self.constant_slots: set[int] = {0}
        self._constants = dict(graph.constants)
        self._device, self._send = device, send
        self._numbers: dict[str, int] = {}
        self._done: dict[tuple[Any, ...], int] = {}
        self._shapes: dict[str, tuple[Any, ...]] = {}
        for name in graph.inputs:
            self._slot(name, "device")

    def add(self, node: Node) -> None:
        """Adds the step of a node, or its result where that is known already."""
        given = [name for name in node.inputs if name]
        if node.op == "Shape":
            if node.attributes.get("start", 0) or "end" in node.attributes:
                raise node.error("a part of a shape is not known here")
            where: Place = "host" if (node.inputs[0], "host") in self.slots else "device"
            self._host_step(node, _shape, (self._source(node.inputs[0], where),), self._shape_of(node.inputs[0]))
            return
        function = host_function(node)
        if function and all(name in self._constants for name in given) and len(node.outputs) == 1:
            arguments = [self._constants[name] if name else None for name in node.inputs]
            self._constants[node.outputs[0]] = np.asarray(function(*arguments))
        elif function and (all(map(self._on_host, given)) or (node.op == "Cast" and node.attributes["to"] in (6, 7))):
            # What is cast to integers counts something: its places or sizes are reckoned on the host.
            self._host_step(node, _as_array(function), tuple(self._source(name, "host") for name in node.inputs))
        elif node.op == "Range" or node.op == "NonZero":
            sources = tuple(self._source(name, "host") for name in node.inputs)
            assert function
            self._host_step(node, _as_array(function), sources)
        else:
            self._device_step(node)
            self._follow_shape(node)

    def output(self, name: str) -> int:
        """The slot of one of the graph's outputs, wherever it lives."""
        return self._source(name, "host" if (name, "host") in self.slots or name in self._constants else "device")

    def _host_step(
        self, node: Node, function: Callable[..., Any], sources: tuple[int, ...], key: tuple[Any, ...] = ()
    ) -> None:
        """Adds a step on the host, unless the same was done to the same before: layers reckon the same shapes."""
        key = (node.op, key or sources, repr(sorted(node.attributes.items())))
        if key in self._done and len(node.outputs) == 1:
            self.slots[node.outputs[0], "host"] = self._done[key]
            return
        self._step(node, function, sources, "host")
        self._done[key] = self.slots[node.outputs[0], "host"]

    def _shape_of(self, name: str) -> tuple[Any, ...]:
        """What two values have in common if their shapes are surely the same: a place of origin, and the last size."""
        return self._shapes.get(name, (name, None))

    def _follow_shape(self, node: Node) -> None:
        shapes = [self._shape_of(name) for name in node.inputs]
        if node.op in _SAME_SHAPE or (node.op == "Add" and shapes[0] == shapes[1]):
            self._shapes[node.outputs[0]] = shapes[0]
        elif node.op == "Linear" and not node.attributes["raised"]:
            for name, size in zip(node.outputs, node.attributes["sizes"], strict=True):
                self._shapes[name] = (shapes[0][0], size)
        elif node.op == "Reshape":
            self._shapes[node.outputs[0]] = (("Reshape", shapes[0], self._source(node.inputs[1], "host")), None)

    def _device_step(self, node: Node) -> None:
        self._reciprocal(node)
        on_host = HOST_INPUTS.get(node.op, set())
        sources = []
        for place, name in enumerate(node.inputs):
            value = self._constants.get(name)
            if (
                value is not None
                and value.ndim == 0
                and node.op in _SCALAR_OPS
                and place == 1
                and value.dtype.kind == "f"
            ):
                sources.append(self._number(name, value))
            else:
                sources.append(self._source(name, "host" if place in on_host else "device"))

        def constant(place: int) -> np.ndarray | None:
            return self._constants.get(node.inputs[place]) if place < len(node.inputs) else None

        function = device_function(node, constant, self._device)
        self._step(node, function, tuple(sources), "device")

    def _reciprocal(self, node: Node) -> None:
        """Multiplies instead of dividing by a constant, and puts a number after what it is added to."""
        value = self._constants.get(node.inputs[1]) if len(node.inputs) == 2 else None
        if node.op == "Div" and value is not None and value.dtype == np.float32 and np.all(value != 0):
            node.op, name = "Mul", f"1/{node.inputs[1]}"
            node.inputs = [node.inputs[0], name]
            self._constants[name] = np.asarray(1 / value.astype(np.float64)).astype(np.float32)
        elif node.op in ("Add", "Mul") and node.inputs[0] in self._constants:
            node.inputs = node.inputs[::-1]

    def _number(self, name: str, value: np.ndarray) -> int:
        """The slot of a single number as Python has it: no kernel has to read it from memory."""
        if name not in self._numbers:
            self.values.append(float(value))
            self._numbers[name] = len(self.values) - 1
            self.constant_slots.add(self._numbers[name])
        return self._numbers[name]

    def _on_host(self, name: str) -> bool:
        value = self._constants.get(name)
        return (name, "host") in self.slots or (value is not None and value.size <= _SMALL)

    def _slot(self, name: str, where: Place) -> int:
        self.slots[name, where] = len(self.values)
        self.values.append(None)
        return self.slots[name, where]

    def _source(self, name: str, where: Place) -> int:
        """The slot of a value where it is needed; adds the step that brings it there if it lives elsewhere."""
        if not name:
            return 0
        if (name, where) in self.slots:
            return self.slots[name, where]
        if name in self._constants:
            slot = self._slot(name, where)
            value = self._constants[name]
            self.values[slot] = value if where == "host" else torch.from_numpy(np.array(value)).to(self._device)
            self.constant_slots.add(slot)
            return slot
        other: Place = "device" if where == "host" else "host"
        source = self.slots[name, other]
        if (where, source) in self._done:
            self.slots[name, where] = self._done[where, source]
            return self._done[where, source]
        slot = self._done[where, source] = self._slot(name, where)
        self.steps.append(_Step(_fetch if where == "host" else self._send, (source,), (slot,), several=False))
        return slot

    def _step(self, node: Node, function: Callable[..., Any], sources: tuple[int, ...], where: Place) -> None:
        targets = tuple(self._slot(name, where) for name in node.outputs if name)
        several = len(node.outputs) > 1 or node.op in ("LSTM", "Split")
        self.steps.append(_Step(function, sources, targets, several))


def _as_array(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    return lambda *given: np.asarray(function(*given))
