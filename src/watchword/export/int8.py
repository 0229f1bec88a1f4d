"""The acoustic graph in 8 bits: static quantisation of its widest convolutions, calibrated on training speech."""

import logging
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from watchword.audio import SAMPLE_RATE
from watchword.data.store import Store
from watchword.export.graphs import describe
from watchword.export.parity import Array, Sessions

CALIBRATION_CLIPS = 96
LONGEST_CALIBRATION_SECONDS = 6.0
# What stays in float32. The first convolution reads log-mel and the last writes embeddings; the gates scale everything;
# the chains are narrow, so that casting costs them more than 8 bits save (2 ms of 22 for ten seconds of audio).
KEPT_IN_FLOAT = ("/entry/", "/project/", "/squeeze/", "/excite/", "/chain.")


def quantise(source: Path, target: Path, log_mels: Iterable[Array]) -> None:
    """Writes the graph `source` to `target` with its wide 1×1 convolutions in 8 bits, weights scaled by channel.

    `log_mels`, [1, frames, 40] each, show the range of every activation. Weights use 7 bits, since processors without
    dot-product instructions overflow on 8."""
    with tempfile.TemporaryDirectory() as scratch, _silent():
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        nodes = [node.name for node in onnx.load(prepared).graph.node if node.op_type == "Conv"]
        quantize_static(
            str(prepared),
            str(target),
            _Reader(log_mels, prepared),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[name for name in nodes if any(part in name for part in KEPT_IN_FLOAT)],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    _declare_used_domains(target)
    describe(target)


def calibration(store: Store, sessions: Sessions, seed: int = 0) -> Iterator[Array]:
    """Log-mel of stretches of a store's recordings, at several loudnesses, every fourth between digital silence."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(store.utterances))[:CALIBRATION_CLIPS]
    longest = round(LONGEST_CALIBRATION_SECONDS * SAMPLE_RATE)
    for place, utterance in enumerate(chosen.tolist()):
        audio = store.audio(utterance)[:longest].astype(np.float32) / 32768.0
        audio *= 10 ** (rng.uniform(-20, 3) / 20)
        silence = SAMPLE_RATE // 2 if place % 4 == 0 or len(audio) < SAMPLE_RATE // 10 else 0
        log_mel = sessions.log_mel(np.pad(audio, silence)[None])
        yield log_mel[:, : log_mel.shape[1] // sessions.multiple * sessions.multiple]


def times_faster(folder: Path, other: str, frames: int = 1000) -> float:
    """How many times faster the acoustic graph `other` is than the float32 one, on one thread, best of five."""
    log_mel = np.full((1, frames, 40), -7.0, np.float32)

    taken: tuple[list[float], list[float]] = ([], [])
    pair = Sessions(folder), Sessions(folder, other)
    for _ in range(6):  # by turns, so that whatever else the machine does slows both
        for sessions, seconds in zip(pair, taken, strict=True):
            began = time.perf_counter()
            sessions.frames(log_mel)
            seconds.append(time.perf_counter() - began)
    return min(taken[0][1:]) / min(taken[1][1:])


def _declare_used_domains(path: Path) -> None:
    """Drops the operator sets that a graph declares and does not use: other runtimes may not know them."""
    model = onnx.load(path)
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.save(model, path)


class _Reader(CalibrationDataReader):
    """Gives each recording whole; a graph with a state begins each with none."""

    def __init__(self, log_mels: Iterable[Array], graph: Path) -> None:
        self._left = iter(log_mels)
        past = list(onnx.load(graph).graph.input)[1:]
        shapes = {state.name: [size.dim_value for size in state.type.tensor_type.shape.dim] for state in past}
        self._states = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}

    def get_next(self) -> dict[str, Array] | None:  # type: ignore[override]
        log_mel = next(self._left, None)
        return None if log_mel is None else {"log_mel": log_mel, **self._states}


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps the quantiser from writing advice to the root logger."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def agreement(ours: Array, theirs: Array) -> tuple[float, float]:
    """Median and lowest cosine of the rows of two arrays of embeddings [n, dim]."""
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    found = (ours * theirs).sum(1) / np.maximum(norms, 1e-12)
    return float(np.median(found)), float(found.min())


def loss_points(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What each figure lost, in points of a hundred; error rates lose by rising. Below 0 is a gain."""
    return {name: 100 * (after[name] - value) * (1 if name.endswith("eer") else -1) for name, value in before.items()}


__all__: Sequence[str] = ["agreement", "calibration", "loss_points", "quantise", "times_faster"]
