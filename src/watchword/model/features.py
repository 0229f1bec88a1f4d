"""Log-mel features: 40 bins, 25 ms frames every 10 ms, each from its own 400 samples."""

import math

import numpy as np
import torch
from torch import Tensor, nn

NUM_BINS = 40
FRAME_SAMPLES = 400
HOP_SAMPLES = 160
FFT_SIZE = 512
LOW_HZ, HIGH_HZ = 20.0, 7600.0
FLOOR = 1e-6


def mel_bank() -> np.ndarray:
    """Computes Kaldi's triangular mel filters over the power spectrum: float32 [257, 40]."""

    def mel(hertz: float) -> float:
        return 1127.0 * math.log(1.0 + hertz / 700.0)

    low, high = mel(LOW_HZ), mel(HIGH_HZ)
    step = (high - low) / (NUM_BINS + 1)
    bins = np.array([mel(16000.0 / FFT_SIZE * k) for k in range(FFT_SIZE // 2 + 1)])
    bank = np.zeros((FFT_SIZE // 2 + 1, NUM_BINS))
    for b in range(NUM_BINS):
        left, centre, right = low + b * step, low + (b + 1) * step, low + (b + 2) * step
        rise, fall = (bins - left) / (centre - left), (right - bins) / (right - centre)
        bank[:, b] = np.clip(np.minimum(rise, fall), 0.0, None)
    return bank.astype(np.float32)


def povey_window() -> np.ndarray:
    """Kaldi's window over a frame: float64 [400]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_SAMPLES) / (FRAME_SAMPLES - 1))) ** 0.85


class LogMel(nn.Module):
    """Waveform to log-mel energies; in training with SpecAugment's masks, if it is given their sizes.

    Kaldi's filter bank, povey window, the frame's mean removed; no dither, no pre-emphasis; samples in [-1, 1].
    Training uses the fast Fourier transform; the ONNX export writes the same as one convolution with fixed cosines and
    sines, since operator support for transforms differs between runtimes (a test holds the two equal)."""

    def __init__(self, mask_bins: int = 0, mask_frames: int = 0) -> None:
        super().__init__()
        self.mask_bins, self.mask_frames = mask_bins, mask_frames
        window = povey_window()
        angles = 2 * np.pi * np.outer(np.arange(FRAME_SAMPLES), np.arange(FFT_SIZE // 2 + 1)) / FFT_SIZE
        basis = np.concatenate([np.cos(angles), -np.sin(angles)], axis=1) * window[:, None]
        # Removing the frame's mean is linear too: fold it into the basis.
        basis = (basis - basis.mean(axis=0, keepdims=True)).T[:, None, :]
        self.register_buffer("window", torch.from_numpy(window.astype(np.float32)), persistent=False)
        self.register_buffer("basis", torch.from_numpy(basis.astype(np.float32)), persistent=False)
        self.register_buffer("bank", torch.from_numpy(mel_bank()), persistent=False)
        self.window: Tensor
        self.basis: Tensor
        self.bank: Tensor

    def forward(self, audio: Tensor) -> Tensor:
        """Turns audio [batch, samples] into log-mel [batch, frames, 40]; frames = 1 + (samples - 400) // 160."""
        log_mel = self.plain(audio)
        if self.training and (self.mask_bins or self.mask_frames):
            return spec_augment(log_mel, self.mask_bins, self.mask_frames)
        return log_mel

    def plain(self, audio: Tensor) -> Tensor:
        """The same, never masked."""
        audio = audio.float()
        if torch.onnx.is_in_onnx_export():
            spectrum = torch.nn.functional.conv1d(audio[:, None], self.basis, stride=HOP_SAMPLES).transpose(1, 2)
            half = FFT_SIZE // 2 + 1
            power = spectrum[..., :half] ** 2 + spectrum[..., half:] ** 2
        else:
            frames = audio.unfold(1, FRAME_SAMPLES, HOP_SAMPLES)
            frames = (frames - frames.mean(dim=2, keepdim=True)) * self.window
            spectrum = torch.fft.rfft(frames, FFT_SIZE)
            power = spectrum.real.square() + spectrum.imag.square()
        return (power @ self.bank).clamp_min(FLOOR).log()


def frame_counts(audio_lengths: Tensor) -> Tensor:
    """How many whole frames so many samples hold."""
    return 1 + (audio_lengths - FRAME_SAMPLES) // HOP_SAMPLES


def spec_augment(log_mel: Tensor, bins: int, frames: int) -> Tensor:
    """Sets one band of up to `bins` mel bins and one stretch of up to `frames` frames of each row to the row's mean.

    Shape [batch, frames, 40] in and out. SpecAugment, Park et al. 2019, without warping."""
    batch, length, width = log_mel.shape
    hidden = torch.zeros(batch, length, width, dtype=torch.bool, device=log_mel.device)
    for size, most, dim in ((width, bins, 2), (length, frames, 1)):
        if most:
            span = torch.rand(batch, 1, device=log_mel.device) * (min(most, size) + 1)
            start = torch.rand(batch, 1, device=log_mel.device) * (size - span.floor() + 1)
            place = torch.arange(size, device=log_mel.device)[None]
            band = (place >= start.floor()) & (place < start.floor() + span.floor())
            hidden |= band.unsqueeze(1 if dim == 2 else 2)
    return torch.where(hidden, log_mel.mean(dim=(1, 2), keepdim=True), log_mel)
