"""Whisper's encoder in PyTorch, to hear a whole store on a GPU: the weights are those of CTranslate2's form."""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import conv1d, gelu, layer_norm, linear, pad, scaled_dot_product_attention

from watchword.audio import HOP_SAMPLES, SAMPLE_RATE
from watchword.data.store import StoreError
from watchword.data.teaching import STEP

FFT = 400
MEL_BREAK_HZ, MEL_HZ, MEL_OCTAVE = 1000.0, 200 / 3, 27 / np.log(6.4)
"""The scale of Slaney: a mel is 66.7 Hz up to 1000 Hz, and above it 27 of them are a factor of 6.4."""
_HEAD, _BATCH = 64, 32
_SILENCE = 3 * HOP_SAMPLES
"""What WhisperEncoder and the features of faster-whisper add behind the audio."""
_ALIGNED = 16
"""Steps of a batch are a multiple of this, as attention with a mask wants them on a GPU."""
_BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
_VERSIONS = range(4, 7)
_TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2", 5: "<u2"}
_BFLOAT16 = 5


def read_ctranslate2_encoder(model: bytes) -> dict[str, Tensor]:
    """The encoder's weights out of a Whisper model.bin of CTranslate2: in float32, by its names for them without
    "encoder/", and "num_heads". Raises StoreError for anything else."""
    try:
        spec, variables = _variables(model)
    except (struct.error, UnicodeDecodeError, KeyError, ValueError) as error:
        raise StoreError(f"model.bin: is not a whole model of CTranslate2 ({error}); convert it again") from None
    if spec != "WhisperSpec":
        raise StoreError(f"model.bin: holds a {spec or 'nameless'}; give a Whisper model converted by CTranslate2")
    state: dict[str, Tensor] = {}
    for name, values in variables.items():
        if name == "num_heads":
            state[name] = torch.tensor(int(values))
        elif not name.endswith("_scale"):
            values = values.astype(np.float32)
            scale = variables.get(f"{name}_scale")
            if scale is not None:
                values /= scale.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
            state[name] = torch.from_numpy(values)
    state.setdefault("num_heads", torch.tensor(state["conv2/weight"].shape[0] // _HEAD))
    return state


def _variables(model: bytes) -> tuple[str, dict[str, NDArray[Any]]]:
    """The name of the model's kind, and the variables of its encoder as they lie there."""
    at, view = 0, memoryview(model)

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(form, model, at)
        at += struct.calcsize(form)
        return value

    def string() -> str:
        nonlocal at
        size = number("<H")
        at += size
        return bytes(view[at - size : at - 1]).decode()

    version = number("<I")
    if version not in _VERSIONS:
        raise ValueError(f"version {version}, where {_VERSIONS[0]} to {_VERSIONS[-1]} can be read")
    spec, _revision = string(), number("<I")
    variables: dict[str, NDArray[Any]] = {}
    for _ in range(number("<I")):
        name = string()
        shape = [number("<I") for _ in range(number("<B"))]
        kind, size = number("<B"), number("<I")
        if name.startswith("encoder/"):
            values = np.frombuffer(view[at : at + size], _TYPES[kind]).reshape(shape)
            if kind == _BFLOAT16:
                values = (values.astype(np.uint32) << 16).view(np.float32)
            variables[name.removeprefix("encoder/")] = values
        at += size
    for _ in range(number("<I")):
        alias, name = string(), string()
        if alias.startswith("encoder/"):
            variables[alias.removeprefix("encoder/")] = variables[name.removeprefix("encoder/")]
    return spec, variables


def mel_filters(bands: int) -> Tensor:
    """The triangles of Slaney's mel scale from 0 Hz to half the sampling rate, each of the same area: [bands, bins]."""
    highest = SAMPLE_RATE / 2
    straight = MEL_BREAK_HZ / MEL_HZ
    corners = np.linspace(0, straight + MEL_OCTAVE * np.log(highest / MEL_BREAK_HZ), bands + 2)
    curved = MEL_BREAK_HZ * np.exp(np.maximum(corners - straight, 0) / MEL_OCTAVE)
    hertz = np.where(corners < straight, corners * MEL_HZ, curved)
    low, centre, high = (hertz[first : first + bands, None] for first in range(3))
    bins = np.linspace(0, highest, FFT // 2 + 1)
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clip(min=0)
    return torch.from_numpy((triangles * 2 / (high - low)).astype(np.float32))


class TorchWhisperEncoder:
    """Whisper's encoder by PyTorch, many windows at once; says what WhisperEncoder says, and bears its name.

    `state` is what read_ctranslate2_encoder gives. On a GPU it multiplies in float16 and sums up in float32."""

    def __init__(
        self,
        state: Mapping[str, Tensor],
        *,
        name: str = "whisper_base",
        device: str | torch.device = "cpu",
        batch: int | None = None,
    ) -> None:
        self.name = name
        self._device = torch.device(device)
        self._on_gpu = self._device.type == "cuda"
        self.batch = batch or (_BATCH if self._on_gpu else 1)
        self._precision = torch.float16 if self._on_gpu else torch.float32
        self._heads = int(state["num_heads"])
        self._layers = sum(key.endswith("self_attention/layer_norm/gamma") for key in state)
        self._state = {
            key: values.to(self._device, torch.float32 if "norm" in key or "position" in key else self._precision)
            for key, values in state.items()
            if key != "num_heads"
        }
        positions = self._state["position_encodings/encodings"]
        self._positions = pad(positions, (0, 0, 0, -len(positions) % _ALIGNED))
        self._filters = mel_filters(self._state["conv1/weight"].shape[1]).to(self._device)
        self._hann = torch.from_numpy(np.hanning(FFT + 1)[:-1].astype(np.float32)).to(self._device)

    def __call__(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """What it says of up to 30 s of audio [samples]: [steps, dim], one row every 20 ms."""
        return self.encode([audio])[0]

    @torch.inference_mode()
    def encode(self, audios: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """What it says of each of several stretches of audio, as if it heard that one alone."""
        sizes = [-(-len(audio) // STEP) for audio in audios]
        longest = -(-max(sizes) // _ALIGNED) * _ALIGNED
        samples = torch.zeros(len(audios), longest * STEP, pin_memory=self._on_gpu)
        for row, audio in zip(samples.numpy(), audios, strict=True):
            row[: len(audio)] = audio
        steps = torch.tensor(sizes, device=self._device)
        values = self._hidden(self._mel(samples.to(self._device, non_blocking=True), steps), steps)
        said = torch.empty(values.shape, pin_memory=self._on_gpu).copy_(values).numpy()
        return [row[:size] for row, size in zip(said, sizes, strict=True)]

    def _mel(self, samples: Tensor, steps: Tensor) -> Tensor:
        """Logarithms of the mel spectrum of `samples` [batch, samples]: [batch, bands, frames], zero behind the steps
        of each. Each is cut at 8 below its own greatest, which the silence that pads a batch is not."""
        before = samples[:, 1 : FFT // 2 + 1].flip(1)
        padded = torch.cat([before, pad(samples, (0, _SILENCE + FFT // 2))], dim=1)
        spectrum = torch.stft(padded, FFT, HOP_SAMPLES, window=self._hann, center=False, return_complex=True)
        mel = (self._filters @ torch.view_as_real(spectrum).square().sum(-1)).clamp(min=1e-10).log10()
        mel = (torch.maximum(mel, mel.amax((1, 2), keepdim=True) - 8) + 4) / 4
        frames = torch.arange(samples.shape[1] // HOP_SAMPLES, device=self._device)
        return mel[:, :, : len(frames)] * (frames < 2 * steps[:, None])[:, None]

    def _hidden(self, mel: Tensor, steps: Tensor) -> Tensor:
        """The encoder's last values, [batch, steps, dim] in float32; those behind the steps of each mean nothing."""
        x = gelu(self._by("conv1", conv1d, padding=1)(mel))
        # The second convolution sees, for the last step, the last frame and nothing behind it.
        x = gelu(self._by("conv2", conv1d, stride=2, padding=1)(x)).transpose(1, 2)
        x = x.float() + self._positions[: x.shape[1]]
        heard = (torch.arange(x.shape[1], device=self._device) < steps[:, None])[:, None, None]
        for number in range(self._layers):
            layer = f"layer_{number}"
            x = x + self._attention(f"{layer}/self_attention", x, heard)
            inner = gelu(self._by(f"{layer}/ffn/linear_0", linear)(self._normed(f"{layer}/ffn/layer_norm", x)))
            x = x + self._by(f"{layer}/ffn/linear_1", linear)(inner)
        return self._normed("layer_norm", x)

    def _attention(self, name: str, x: Tensor, heard: Tensor) -> Tensor:
        """Attention of each step of `x` [batch, steps, dim] to those that `heard` [batch, 1, 1, steps] names."""
        fused = self._by(f"{name}/linear_0", linear)(self._normed(f"{name}/layer_norm", x))
        query, key, value = fused.unflatten(-1, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)
        with sdpa_kernel(_BACKENDS):
            mixed = scaled_dot_product_attention(query, key, value, attn_mask=heard)
        return self._by(f"{name}/linear_1", linear)(mixed.transpose(1, 2).flatten(2))

    def _by(self, name: str, function: Callable[..., Tensor], **how: int) -> Callable[[Tensor], Tensor]:
        """A linear map or a convolution with the weights of that name, computed as precisely as they are held."""
        weight, bias = self._state[f"{name}/weight"], self._state.get(f"{name}/bias")
        return lambda x: function(x.to(weight.dtype), weight, bias, **how)

    def _normed(self, name: str, x: Tensor) -> Tensor:
        """The layer norm of that name, in float32."""
        gamma, beta = self._state[f"{name}/gamma"], self._state[f"{name}/beta"]
        return layer_norm(x, gamma.shape, gamma, beta)
