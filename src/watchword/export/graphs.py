"""The graphs of a bundle: features, acoustic, pooling, textual and, where there is one, the phoneme classifier."""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from watchword import __version__
from watchword.audio import HOP_SAMPLES, SAMPLE_RATE
from watchword.bundle import ACOUSTIC_FILE, FEATURES_FILE, PHONEMES_FILE, POOLING_FILE, TEXTUAL_FILE
from watchword.export.front_streaming import StreamingEmbedding
from watchword.export.packing import (
    LARGE,
    rounded_to_int8,
    store_as_float16,
    store_as_int8,
    store_basis_as_formula,
)
from watchword.export.streaming import StreamingAcoustic
from watchword.model.acoustic import AcousticEncoder
from watchword.model.embedding_front import EmbeddingEncoder
from watchword.model.features import NUM_BINS
from watchword.model.keyword_model import KeywordModel

OPSET = 17
# The traced exporter is deprecated, but the new one needs onnxscript; the others say what the parity proof rules out.
_EXPECTED_WARNINGS = (
    "You are using the legacy TorchScript-based ONNX export",
    "The feature will be removed",
    "Constant folding - Only steps=1",
    "Converting a tensor to a Python boolean",
    "Exporting a model to ONNX with a batch_size other than 1",
)


class _Frames(nn.Module):
    def __init__(self, acoustic: AcousticEncoder | EmbeddingEncoder) -> None:
        super().__init__()
        self.acoustic = acoustic

    def forward(self, log_mel: Tensor) -> Tensor:
        return self.acoustic(log_mel)


class _Pool(_Frames):
    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        return self.acoustic.pool(frames, lengths)


class _Phonemes(nn.Module):
    def __init__(self, frame_head: nn.Linear) -> None:
        super().__init__()
        self.frame_head = frame_head

    def forward(self, frames: Tensor) -> Tensor:
        return torch.log_softmax(self.frame_head(frames), dim=-1)


def exportable(model: KeywordModel, compact: bool = False) -> KeywordModel:
    """Copies a model as it is exported: for evaluation, in float32, large weights rounded to what files store.

    Those of the text encoder are 8 bits of each row's largest, those of the acoustic encoder float16, or, where it is
    to be `compact`, 8 bits too; see `packing`."""
    model = copy.deepcopy(model).cpu().float().eval()
    with torch.no_grad():
        for weight in model.textual.parameters():
            weight.copy_(rounded_to_int8(weight))
        for tensor in [*model.acoustic.parameters(), *model.acoustic.buffers()]:
            if tensor.is_floating_point() and tensor.numel() >= LARGE:
                tensor.copy_(rounded_to_int8(tensor) if compact else tensor.half().float())
        if compact:  # whose two parts stand apart in the graph
            inner, dim = model.acoustic.pooling.inner.weight, model.config.acoustic.dim
            inner.copy_(torch.cat([rounded_to_int8(inner[:, :dim]), rounded_to_int8(inner[:, dim:])], dim=1))
        if compact and model.frame_head is not None:
            model.frame_head.weight.copy_(rounded_to_int8(model.frame_head.weight))
    return model


def write_graphs(model: KeywordModel, folder: Path, compact: bool = False) -> None:
    """Writes the ONNX files of an `exportable` model into a folder: four, or five with a phoneme classifier.

    What was rounded to 8 bits is stored so; of a `compact` model that is everything but the features, whose cosines and
    sines are computed.

    Where the context is local, the acoustic graph takes and gives its state, see `StreamingAcoustic`."""
    dim = model.config.acoustic.dim
    # Examples of odd sizes, unlike any width, so that a size wrongly taken for a constant shows.
    _write(
        model.features,
        {"audio": torch.zeros(2, 400 + 52 * HOP_SAMPLES)},
        {"log_mel": ("batch", "frames")},
        folder / FEATURES_FILE,
        {"audio": ("batch", "samples")},
    )
    if model.config.acoustic.context == "local":
        acoustic = model.acoustic
        streaming = (
            StreamingAcoustic(acoustic) if isinstance(acoustic, AcousticEncoder) else StreamingEmbedding(acoustic)
        )
        _write_stream(streaming, folder / ACOUSTIC_FILE)
    else:
        _write(
            _Frames(model.acoustic),
            {"log_mel": torch.zeros(2, 53, NUM_BINS)},
            {"frames": ("batch", "frames")},
            folder / ACOUSTIC_FILE,
            {"log_mel": ("batch", "frames")},
        )
    _write(
        _Pool(model.acoustic),
        {"frames": torch.zeros(3, 53, dim), "lengths": torch.tensor([53, 20, 1])},
        {"embedding": ("spans",)},
        folder / POOLING_FILE,
        {"frames": ("spans", "frames"), "lengths": ("spans",)},
    )
    _write(
        model.textual,
        {"phonemes": torch.full((1, 7), 2)},
        {"tokens": (None, "phonemes"), "embedding": ()},
        folder / TEXTUAL_FILE,
        {"phonemes": (None, "phonemes")},
    )
    store_as_int8(folder / TEXTUAL_FILE)
    if compact:
        store_basis_as_formula(folder / FEATURES_FILE)
        store_as_int8(folder / ACOUSTIC_FILE)
        store_as_int8(folder / POOLING_FILE)
    else:
        store_as_float16(folder / POOLING_FILE)
    if model.frame_head is not None:
        _write(
            _Phonemes(model.frame_head),
            {"frames": torch.zeros(2, 53, dim)},
            {"log_posteriors": ("batch", "frames")},
            folder / PHONEMES_FILE,
            {"frames": ("batch", "frames")},
        )
        if compact:
            store_as_int8(folder / PHONEMES_FILE)


def _write_stream(streaming: StreamingAcoustic | StreamingEmbedding, path: Path) -> None:
    """Writes the graph with inputs log_mel and past_NAME, and outputs frames and next_NAME, for each state's NAME."""
    states = streaming.states
    _write(
        streaming,
        {
            "log_mel": torch.zeros(1, 54, NUM_BINS),
            **{f"past_{state.name}": torch.zeros(state.shape) for state in states},
        },
        {"frames": (None, "new"), **{f"next_{state.name}": (None, None, f"{state.name}_kept") for state in states}},
        path,
        {"log_mel": (None, "frames"), **{f"past_{state.name}": (None, None, f"{state.name}_past") for state in states}},
    )
    describe(path, frame_multiple=str(streaming.acoustic.frame_multiple))


def describe(path: Path, **more: str) -> None:
    """Writes into a graph which Watchword made it, for what sample rate, and what else is to be known of it."""
    model = onnx.load(path)
    model.producer_name, model.producer_version = "watchword", __version__
    known = {entry.key: entry.value for entry in model.metadata_props} | {
        "watchword": __version__,
        "graph": path.name,
        "sample_rate": str(SAMPLE_RATE),
        "hop_samples": str(HOP_SAMPLES),
        **more,
    }
    helper.set_model_props(model, known)
    onnx.save(model, path)


Axes = Mapping[str, Sequence[str | None]]


def _write(module: nn.Module, inputs: Mapping[str, Tensor], outputs: Axes, path: Path, axes: Axes) -> None:
    named = {
        name: {place: axis for place, axis in enumerate(names) if axis} for name, names in {**axes, **outputs}.items()
    }
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            # torch puts a module back into the mode of its outermost layer: that must be evaluation too.
            module.eval(),
            tuple(inputs.values()),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=named,
        )
    describe(path)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield
