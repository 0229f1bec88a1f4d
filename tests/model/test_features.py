"""Log-mel: equal to Kaldi's, the same by transform and by convolution, each frame from its own samples."""

import kaldi_native_fbank
import numpy as np
import pytest
import torch

from watchword.audio import num_frames
from watchword.model.features import FFT_SIZE, FLOOR, FRAME_SAMPLES, HOP_SAMPLES, LogMel, mel_bank, spec_augment


def kaldi_log_mel(audio):
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = 16000
    options.frame_opts.dither = 0
    options.frame_opts.preemph_coeff = 0
    options.frame_opts.window_type = "povey"
    options.frame_opts.remove_dc_offset = True
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = 40
    options.mel_opts.low_freq = 20
    options.mel_opts.high_freq = 7600
    options.use_energy = False
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(16000, audio.tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(frame) for frame in range(fbank.num_frames_ready)])


def scenes():
    rng, time = np.random.default_rng(0), np.arange(24000) / 16000
    chirp = 0.2 * np.sin(2 * np.pi * (100 + 2400 * time) * time)
    faint = 0.01 * rng.standard_normal(24000)
    return {"noise": 0.3 * rng.standard_normal(24000), "chirp": chirp + faint, "offset": 0.05 + faint}


@pytest.mark.parametrize("scene", ["noise", "chirp", "offset"])
def test_log_mel_is_kaldis(scene):
    audio = scenes()[scene].astype(np.float32)
    ours = LogMel()(torch.from_numpy(audio)[None])[0].numpy()
    theirs = kaldi_log_mel(audio)
    assert ours.shape == theirs.shape == (num_frames(len(audio)), 40)
    np.testing.assert_allclose(ours, np.maximum(theirs, np.log(FLOOR)), atol=1e-4)


@pytest.mark.parametrize("scene", ["noise", "chirp", "offset"])
def test_the_convolution_that_is_exported_equals_the_transform(scene, monkeypatch):
    audio = torch.from_numpy(scenes()[scene].astype(np.float32))[None]
    by_transform = LogMel()(audio)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    torch.testing.assert_close(LogMel()(audio), by_transform, atol=1e-4, rtol=0)


def test_silence_is_the_floor():
    assert torch.equal(LogMel()(torch.zeros(1, 400)), torch.full((1, 1, 40), FLOOR).log())


def test_a_frame_depends_on_its_own_400_samples():
    audio = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    whole = LogMel()(audio)
    for frame in (0, 7, whole.shape[1] - 1):
        own = audio[:, frame * HOP_SAMPLES : frame * HOP_SAMPLES + FRAME_SAMPLES]
        torch.testing.assert_close(LogMel()(own)[0, 0], whole[0, frame], atol=1e-5, rtol=0)


def test_filters_cover_20_to_7600_hertz_and_cross_at_half():
    bank, hertz = mel_bank(), 16000 / FFT_SIZE * np.arange(FFT_SIZE // 2 + 1)
    assert bank.shape == (257, 40)
    assert (bank[(hertz <= 20) | (hertz >= 7600)] == 0).all()
    between = (hertz > 200) & (hertz < 7000)
    np.testing.assert_allclose(bank[between].sum(1), 1, atol=1e-6)


def test_spec_augment_hides_one_band_and_one_stretch_of_each_row():
    torch.manual_seed(0)
    log_mel = torch.randn(20, 60, 40)
    masked = spec_augment(log_mel, bins=5, frames=5)
    changed = masked != log_mel
    assert changed.any()
    for row, mean in zip(range(20), log_mel.mean(dim=(1, 2)), strict=True):
        assert torch.all(masked[row][changed[row]] == mean)
        bins, frames = changed[row].all(0), changed[row].all(1)
        assert bins.sum() <= 5
        assert frames.sum() <= 5
        assert torch.equal(changed[row], bins[None] | frames[:, None])
    assert torch.equal(spec_augment(log_mel, 0, 0), log_mel)
