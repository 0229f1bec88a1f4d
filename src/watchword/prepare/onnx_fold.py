"""An ONNX graph made ready to be run in float: weights dequantised once, patterns of several nodes made into one."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class GraphError(ValueError):
    """The graph has an operator, an attribute or a pattern that is not known here; the message names the node."""


@dataclass
class Node:
    """One operator of the graph; "" stands for an input that is not given."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)

    def error(self, problem: str) -> GraphError:
        return GraphError(f"graph: node {self.name or self.outputs[0]} ({self.op}): {problem}")


@dataclass
class Graph:
    """The nodes in the order in which they are carried out, and the values that are known before they run."""

    inputs: list[str]
    outputs: list[str]
    nodes: list[Node]
    constants: dict[str, np.ndarray]
    ranks: dict[str, int]

    def prune(self) -> None:
        """Drops nodes and constants that no output needs."""
        needed, kept = set(self.outputs), []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        self.nodes = kept[::-1]
        self.constants = {name: value for name, value in self.constants.items() if name in needed}


def read_graph(model: Any) -> Graph:
    """Reads a model's bytes or a ModelProto, and folds its quantisation and its patterns."""
    import onnx

    proto = onnx.load_model_from_string(model) if isinstance(model, bytes) else model
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    nodes = []
    for given in proto.graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in given.attribute}
        for key, value in attributes.items():
            if isinstance(value, bytes):
                attributes[key] = value.decode()
            elif isinstance(value, onnx.TensorProto):
                attributes[key] = onnx.numpy_helper.to_array(value)
        if given.op_type == "Constant" and "value" in attributes:
            constants[given.output[0]] = attributes["value"]
            continue
        taken = list(given.input)
        if given.op_type == "FastGelu" and len(taken) == 2 and taken[1]:
            # Its bias is added by a node of its own, which can become part of the linear map before.
            nodes.append(Node("Add", f"{given.name}/bias", taken, [f"{given.output[0]}/bias"]))
            taken = [f"{given.output[0]}/bias"]
        nodes.append(Node(given.op_type, given.name, taken, list(given.output), attributes))
    inputs = [value for value in proto.graph.input if value.name not in constants]
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in inputs}
    outputs = [value.name for value in proto.graph.output]
    graph = Graph([value.name for value in inputs], outputs, nodes, constants, ranks)
    for fold in (_dequantise, _merge_linear, _merge_normalisation, _merge_activation):
        fold(graph)
        graph.prune()
    return graph


class _Links:
    """Which node makes a value and which nodes take it, for the length of one folding."""

    def __init__(self, graph: Graph) -> None:
        self.constants = graph.constants
        self.producers = {name: node for node in graph.nodes for name in node.outputs}
        self.consumers: dict[str, list[Node]] = defaultdict(list)
        for node in graph.nodes:
            for name in dict.fromkeys(node.inputs):
                self.consumers[name].append(node)
        self.outputs = set(graph.outputs)

    def maker(self, name: str, op: str, uses: int = 1) -> Node | None:
        """The node of this operator that makes a value, if that value has so many consumers and is no output."""
        node = self.producers.get(name)
        known = node is not None and node.op == op and len(self.consumers[name]) == uses and name not in self.outputs
        return node if known else None

    def taker(self, name: str, op: str) -> Node | None:
        """The only node that takes a value, if it is of this operator."""
        nodes = self.consumers[name]
        return nodes[0] if len(nodes) == 1 and nodes[0].op == op and name not in self.outputs else None

    def other(self, node: Node, name: str) -> str:
        """The other one of a node's two inputs."""
        return node.inputs[1] if node.inputs[0] == name else node.inputs[0]

    def scalar(self, name: str) -> float | None:
        value = self.constants.get(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None


def _replace(graph: Graph, new: dict[int, list[Node]], gone: set[int]) -> None:
    """Puts new nodes at the places of old ones (by their ids), and takes others out."""
    nodes = []
    for node in graph.nodes:
        nodes += new.get(id(node), [] if id(node) in gone else [node])
    graph.nodes = nodes


def _scaled(quantised: np.ndarray, scale: np.ndarray, zero: np.ndarray | None, axis: int) -> np.ndarray:
    """Dequantises; scale and zero point are single numbers or belong to the places along an axis."""

    def spread(value: np.ndarray) -> np.ndarray:
        if value.size == 1:
            return value.reshape(())
        return value.reshape([-1 if place == axis % quantised.ndim else 1 for place in range(quantised.ndim)])

    whole = quantised.astype(np.int32)
    if zero is not None:
        whole = whole - spread(zero.astype(np.int32))
    return (whole * spread(scale)).astype(np.float32)


def _dequantise(graph: Graph) -> None:
    links = _Links(graph)
    new: dict[int, list[Node]] = {}
    gone: set[int] = set()
    for node in graph.nodes:
        if node.op in ("MatMulInteger", "ConvInteger"):
            _dequantise_product(graph, links, node, new, gone)
        elif node.op == "DynamicQuantizeLSTM":
            _dequantise_lstm(graph, node)
        elif node.op == "DequantizeLinear" and node.inputs[0] not in graph.constants:
            _dequantise_table(graph, links, node, new, gone)
    _replace(graph, new, gone)


def _dequantise_product(graph: Graph, links: _Links, node: Node, new: dict[int, list[Node]], gone: set[int]) -> None:
    """Makes one float product of DynamicQuantizeLinear, an integer product, the bias added to it, Cast and Mul."""
    quantised = links.producers.get(node.inputs[0])
    if quantised is None or quantised.op != "DynamicQuantizeLinear" or node.inputs[1] not in graph.constants:
        raise node.error("its first input is no DynamicQuantizeLinear's, or its weights are no constant")
    result, bias = node.outputs[0], None
    add = links.taker(result, "Add")
    if add is not None:
        bias, result = _bias(links, links.other(add, result), node), add.outputs[0]
        gone.add(id(add))
    cast = links.taker(result, "Cast")
    scaling = links.taker(cast.outputs[0], "Mul") if cast else None
    if cast is None or scaling is None:
        raise node.error("its result is not cast and scaled")
    scales = links.producers.get(links.other(scaling, cast.outputs[0]))
    if scales is None or scales.op != "Mul" or quantised.outputs[1] not in scales.inputs:
        raise node.error("its scale is not the product of two")
    scale = links.other(scales, quantised.outputs[1])
    zero = graph.constants.get(node.inputs[3]) if len(node.inputs) > 3 else None
    if scale not in graph.constants or (len(node.inputs) > 3 and node.inputs[3] and zero is None):
        raise node.error("the scale or the zero point of its weights is no constant")
    weight = f"{node.inputs[1]}*{scale}"
    if weight not in graph.constants:
        axis = 0 if node.op == "ConvInteger" else -1
        graph.constants[weight] = _scaled(graph.constants[node.inputs[1]], graph.constants[scale], zero, axis)
    inputs = [quantised.inputs[0], weight, *([bias] if bias else [])]
    op = node.op.removesuffix("Integer")
    new[id(scaling)] = [Node(op, node.name, inputs, scaling.outputs, node.attributes)]
    gone.update((id(node), id(cast)))


def _bias(links: _Links, name: str, node: Node) -> str:
    """Finds the float bias of which Div, Floor or Round, Cast and Reshape made what an integer product adds."""
    maker = links.producers.get(name)
    while maker is not None and maker.op != "Div":
        maker = links.producers.get(maker.inputs[0]) if maker.op in ("Cast", "Floor", "Round", "Reshape") else None
    if maker is None or maker.inputs[0] not in links.constants:
        raise node.error("its bias comes from no division of a constant")
    return maker.inputs[0]


def _dequantise_lstm(graph: Graph, node: Node) -> None:
    """Makes an LSTM with ONNX's own weights of DynamicQuantizeLSTM (X W R B lengths h c P, and scales and zeros)."""
    inputs = [*node.inputs, *[""] * (12 - len(node.inputs))]
    if any(name not in graph.constants for name in (*inputs[1:3], *inputs[8:])):
        raise node.error("its weights are no constants")
    for place, at in ((1, 8), (2, 10)):
        quantised, scale, zero = (graph.constants[name] for name in (inputs[place], inputs[at], inputs[at + 1]))
        parts = [
            _scaled(q, np.atleast_1d(s), np.atleast_1d(z), -1).T for q, s, z in zip(quantised, scale, zero, strict=True)
        ]
        inputs[place] = f"{inputs[place]}*{inputs[at]}"
        graph.constants[inputs[place]] = np.ascontiguousarray(np.stack(parts))
    node.op, node.inputs = "LSTM", inputs[:8]


def _dequantise_table(graph: Graph, links: _Links, node: Node, new: dict[int, list[Node]], gone: set[int]) -> None:
    """Looks up in a float table instead of dequantising what was looked up."""
    gather = links.maker(node.inputs[0], "Gather")
    parts = [graph.constants.get(name) for name in (gather.inputs[:1] if gather else []) + node.inputs[1:]]
    if gather is None or any(part is None or (place and part.size != 1) for place, part in enumerate(parts)):
        raise node.error("what it dequantises was not looked up in a constant of a single scale")
    table, scale, *zero = [part for part in parts if part is not None]
    name = f"{gather.inputs[0]}*{node.inputs[1]}"
    graph.constants[name] = _scaled(table, scale, zero[0] if zero else None, 0)
    new[id(node)] = [Node("Gather", gather.name, [name, gather.inputs[1]], node.outputs, gather.attributes)]
    gone.add(id(gather))


@dataclass
class _Piece:
    """Some columns of a linear map and the value that they make; `nodes` are those that they replace."""

    weight: np.ndarray
    bias: np.ndarray
    output: str
    key: str


def _merge_linear(graph: Graph) -> None:
    """Makes one linear map of MatMul and Add with constants, and one of all those that take the same value.

    Where such a map of a style vector is given a third axis and split, and a number is added, that is done too."""
    links = _Links(graph)
    for node in graph.nodes:
        if node.op == "Split" and node.inputs[0] in graph.ranks:
            graph.ranks.update(dict.fromkeys(node.outputs, graph.ranks[node.inputs[0]]))
    groups: dict[tuple[str, bool], list[tuple[Node, list[_Piece], set[int]]]] = defaultdict(list)
    for node in graph.nodes:
        weight = graph.constants.get(node.inputs[1]) if node.op == "MatMul" else None
        add = links.taker(node.outputs[0], "Add") if weight is not None and weight.ndim == 2 else None
        bias = graph.constants.get(links.other(add, node.outputs[0])) if add else None
        if weight is None or add is None or bias is None or bias.shape != weight.shape[1:]:
            continue
        key = f"{node.inputs[1]}+{links.other(add, node.outputs[0])}"
        pieces, gone = [_Piece(weight, bias, add.outputs[0], key)], {id(node), id(add)}
        raised = graph.ranks.get(node.inputs[0]) == 2 and _split(graph, links, pieces, gone)
        groups[node.inputs[0], raised].append((node, pieces, gone))
    new: dict[int, list[Node]] = {}
    every: set[int] = set()
    for (source, raised), members in groups.items():
        pieces = [piece for _, pieces, _ in members for piece in pieces]
        name = "|".join(piece.key for piece in pieces)
        if name not in graph.constants:
            graph.constants[name] = np.concatenate([piece.weight for piece in pieces], axis=1)
            graph.constants[name + "+"] = np.concatenate([piece.bias for piece in pieces])
        attributes = {"sizes": [piece.bias.size for piece in pieces], "raised": raised}
        outputs = [piece.output for piece in pieces]
        first = members[0][0]
        new[id(first)] = [Node("Linear", first.name, [source, name, name + "+"], outputs, attributes)]
        every.update(*(gone for _, _, gone in members))
    _replace(graph, new, every)


def _split(graph: Graph, links: _Links, pieces: list[_Piece], gone: set[int]) -> bool:
    """Takes the Unsqueeze, Split and Add after a linear map of a matrix into its pieces, if that is all there is."""
    (whole,) = pieces
    raised = links.taker(whole.output, "Unsqueeze")
    axes = graph.constants.get(raised.inputs[1]) if raised else None
    split = links.taker(raised.outputs[0], "Split") if raised else None
    sizes = graph.constants.get(split.inputs[1]) if split and len(split.inputs) > 1 else None
    if raised is None or split is None or sizes is None or axes is None or axes.tolist() != [2]:
        return False
    if split.attributes.get("axis", 0) != 1:
        return False
    ends = np.cumsum(sizes)
    found = []
    gone.update((id(raised), id(split)))
    for name, start, end in zip(split.outputs, ends - sizes, ends, strict=True):
        bias = whole.bias[start:end]
        add = links.taker(name, "Add")
        more = links.constants.get(links.other(add, name)) if add else None
        key = f"{whole.key}[{start}:{end}]"
        if add and more is not None and more.size == 1 and more.ndim <= 3:
            name, bias, key = add.outputs[0], bias + np.float32(more.reshape(())), f"{key}+{links.other(add, name)}"
            gone.add(id(add))
        found.append(_Piece(whole.weight[:, start:end], bias, name, key))
    pieces[:] = found
    return True


def _merge_normalisation(graph: Graph) -> None:
    """Makes one node of a normalisation spelled out: (x - mean) / sqrt(mean((x - mean)^2) + epsilon)."""
    links = _Links(graph)
    new: dict[int, list[Node]] = {}
    for node in graph.nodes:
        found = _normalisation(links, node) if node.op == "Div" else None
        if found:
            source, axis, epsilon = found
            attributes = {"axis": axis, "epsilon": epsilon}
            new[id(node)] = [Node("Normalise", node.name, [source], node.outputs, attributes)]
    _replace(graph, new, set())


def _normalisation(links: _Links, node: Node) -> tuple[str, int, float] | None:
    root = links.maker(node.inputs[1], "Sqrt")
    add = links.maker(root.inputs[0], "Add") if root else None
    mean = next((m for name in add.inputs if (m := links.maker(name, "ReduceMean"))), None) if add else None
    square = links.maker(mean.inputs[0], "Mul") if mean else None
    apart = links.maker(node.inputs[0], "Sub", uses=2)
    if not (add and mean and square and apart) or square.inputs != apart.outputs * 2:
        return None
    epsilon = links.scalar(links.other(add, mean.outputs[0]))
    middle = links.producers.get(apart.inputs[1])
    if epsilon is None or middle is None or middle.op != "ReduceMean" or middle.inputs[0] != apart.inputs[0]:
        return None
    axes = [links.scalar(each.inputs[1]) if len(each.inputs) > 1 else None for each in (mean, middle)]
    kept = all(each.attributes.get("keepdims", 1) for each in (mean, middle))
    return (apart.inputs[0], int(axes[0]), epsilon) if kept and axes[0] is not None and axes[0] == axes[1] else None


def _merge_activation(graph: Graph) -> None:
    """Makes one node of a normalisation, of n * g + b and of the LeakyRelu or Snake, y + sin(ay)^2 / a, after it."""
    links = _Links(graph)
    new: dict[int, list[Node]] = {}
    gone: set[int] = set()
    for node in graph.nodes:
        product = next((m for name in node.inputs if (m := links.maker(name, "Mul"))), None)
        if node.op != "Add" or product is None:
            continue
        makers = [links.producers[name] for name in product.inputs if name in links.producers]
        normal = next((maker for maker in makers if maker.op == "Normalise"), None)
        if normal is None:
            continue
        scale = links.other(product, normal.outputs[0])
        inputs = [normal.inputs[0], scale, links.other(node, product.outputs[0])]
        result = node.outputs[0]
        leaky, snake = links.taker(result, "LeakyRelu"), _snake(links, result)
        if leaky:
            attributes = {**normal.attributes, "alpha": leaky.attributes.get("alpha", 0.01)}
            new[id(leaky)] = [Node("NormaliseLeaky", node.name, inputs, leaky.outputs, attributes)]
        elif snake:
            end, within, around = snake
            inputs += [within, around]
            new[id(end)] = [Node("NormaliseSnake", node.name, inputs, end.outputs, normal.attributes)]
        else:
            continue
        gone.add(id(node))
    _replace(graph, new, gone)


def _snake(links: _Links, result: str) -> tuple[Node, str, str] | None:
    """The last node of a Snake activation of a value, and the names of its factors within and around the sine."""
    takers = links.consumers[result]
    if Counter(node.op for node in takers) != Counter(("Mul", "Add")) or result in links.outputs:
        return None
    within, end = sorted(takers, key=lambda node: node.op, reverse=True)
    sine = links.taker(within.outputs[0], "Sin")
    power = links.taker(sine.outputs[0], "Pow") if sine else None
    around = links.taker(power.outputs[0], "Mul") if power and links.scalar(power.inputs[1]) == 2 else None
    if power is None or around is None or links.taker(around.outputs[0], "Add") is not end:
        return None
    factors = links.other(within, result), links.other(around, power.outputs[0])
    return (end, *factors) if all(name in links.constants for name in factors) else None


def known(node: Node, allowed: Sequence[str]) -> None:
    """Raises for an attribute that is not allowed for."""
    unknown = sorted(set(node.attributes) - set(allowed))
    if unknown:
        raise node.error(f"attribute {unknown[0]} is not known here")
