"""The acoustic encoder: sizes, padding, how far a frame looks, pooling and its split."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from watchword.model.acoustic import AcousticConfig, AcousticEncoder, StatisticsPooling, frame_mask, window_sums

CONTEXTS = ["utterance", "local"]


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_default_has_the_papers_1_8_million_parameters(context):
    encoder = AcousticEncoder(AcousticConfig(context=context))
    assert sum(weight.numel() for weight in encoder.parameters()) == 1_767_136


@pytest.mark.parametrize("context", CONTEXTS)
def test_padding_changes_neither_frames_nor_embedding(encoder, context):
    acoustic, log_mel, lengths = encoder(context), torch.randn(3, 61, 40), torch.tensor([61, 30, 1])
    padded = torch.cat([log_mel, torch.full((3, 37, 40), 50.0)], dim=1)
    with torch.inference_mode():
        frames = acoustic(padded, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = acoustic(log_mel[row : row + 1, :length])
            torch.testing.assert_close(frames[row : row + 1, :length], alone, atol=1e-5, rtol=0)
            assert not frames[row, length:].any()
            pooled = acoustic.pool(alone, lengths[row : row + 1])
            torch.testing.assert_close(acoustic.pool(frames, lengths)[row : row + 1], pooled, atol=1e-5, rtol=0)


@pytest.mark.parametrize("lookahead", [2, 5, 25, 70])
def test_a_local_frame_does_not_see_past_its_lookahead(encoder, lookahead):
    # In float64: a dozen convolutions of fresh weights leave little of what the furthest frame adds.
    acoustic = encoder("local", lookahead_frames=lookahead).double()
    assert acoustic.lookahead_frames <= lookahead
    first, changed_from = torch.randn(1, 400, 40).double(), 200
    second = torch.cat([first[:, :changed_from], torch.randn(1, 200, 40).double() * 5], dim=1)
    with torch.inference_mode():
        difference = (acoustic(first) - acoustic(second)).abs().amax(dim=(0, 2))
    seen_from = changed_from - acoustic.lookahead_frames
    assert difference[:seen_from].max() < 1e-14
    # The look-ahead is not merely a bound: the first frame that may see the change does.
    assert difference[seen_from] > 1e-13


def test_a_local_frame_does_not_see_beyond_its_left_context(encoder):
    acoustic = encoder("local", mean_window_frames=40, squeeze_window_frames=20)
    left = acoustic.left_context_frames
    log_mel = torch.randn(1, left + 200, 40)
    with torch.inference_mode():
        whole, later = acoustic(log_mel), acoustic(log_mel[:, 100:])
    difference = (whole[:, 100:] - later).abs().amax(dim=(0, 2))
    assert difference[left:].max() < 1e-5
    assert difference[: left // 4].max() > 1e-3


def test_frames_of_the_default_sizes_computed_later_equal_those_of_the_whole():
    torch.manual_seed(0)
    acoustic = AcousticEncoder(AcousticConfig(context="local")).eval()
    left, log_mel = acoustic.left_context_frames, torch.randn(1, 700, 40)
    with torch.inference_mode():
        whole, later = acoustic(log_mel), acoustic(log_mel[:, 100:])
    torch.testing.assert_close(later[:, left:], whole[:, 100 + left :], atol=1e-5, rtol=0)


@pytest.mark.parametrize("context", CONTEXTS)
def test_one_frame_is_legal_and_has_finite_gradients(encoder, context):
    acoustic = encoder(context)
    frames = acoustic(torch.randn(4, 1, 40), torch.ones(4, dtype=torch.int64))
    acoustic.train().pool(frames, torch.ones(4, dtype=torch.int64)).square().sum().backward()
    gradients = [weight.grad for weight in acoustic.parameters() if weight.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("window", [1, 3, 10, 50])
def test_window_sums_are_those_of_a_loop(window):
    x = torch.randn(2, 3, 20)
    sums, counts = window_sums(x, window)
    for frame in range(20):
        first = max(0, frame - window + 1)
        torch.testing.assert_close(sums[:, :, frame], x[:, :, first : frame + 1].sum(2))
        assert counts[0, 0, frame] == frame + 1 - first


def test_window_sums_of_half_a_minute_lose_nothing():
    # All of one sign: the running sum grows to 40,000.
    x = torch.full((1, 2, 3000), -13.8155) + torch.randn(1, 2, 3000) * 0.01
    exact = window_sums_in_float64(x, 150)
    assert (window_sums(x, 150)[0].double() - exact).abs().max() / 150 < 1e-4


def window_sums_in_float64(x, window):
    padded = functional.pad(x.double(), (window - 1, 0))
    return padded.unfold(2, window, 1).sum(3)


def unsplit_pooling(pooling, x):
    """CCSP as SPEC writes it, for one utterance x [dim, frames]: W1 [x; μ; σ] in one piece."""
    mean = x.mean(1)
    deviation = (x - mean[:, None]).square().mean(1).clamp_min(1e-7).sqrt()
    told = torch.cat([x, mean[:, None].expand_as(x), deviation[:, None].expand_as(x)])
    hidden = functional.relu(pooling.inner.weight @ told + pooling.inner.bias[:, None])
    norm = pooling.norm
    hidden = (hidden - norm.running_mean[:, None]) / (norm.running_var[:, None] + norm.eps).sqrt()
    hidden = torch.tanh(hidden * norm.weight[:, None] + norm.bias[:, None])
    weights = torch.softmax(pooling.outer.weight @ hidden + pooling.outer.bias[:, None], dim=1)
    mean = (weights * x).sum(1)
    return torch.cat([mean, (weights * (x - mean[:, None]).square()).sum(1).clamp_min(1e-7).sqrt()])


def test_split_pooling_is_the_unsplit_formula_in_float64():
    torch.manual_seed(0)
    pooling = StatisticsPooling(6, 5).double().eval()
    pooling.norm.running_mean.normal_()
    pooling.norm.running_var.uniform_(0.5, 2)
    nn.init.normal_(pooling.norm.weight)
    nn.init.normal_(pooling.norm.bias)
    x, lengths = torch.randn(4, 6, 9, dtype=torch.float64), torch.tensor([9, 5, 2, 1])
    pooled = pooling(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(pooled[row], unsplit_pooling(pooling, x[row, :, :length]), atol=1e-12, rtol=0)


def test_pooling_in_training_normalises_over_the_real_frames_alone():
    torch.manual_seed(0)
    pooling, other = StatisticsPooling(6, 5).train(), StatisticsPooling(6, 5).train()
    other.load_state_dict(pooling.state_dict())
    x, lengths = torch.randn(3, 6, 8), torch.tensor([8, 4, 2])
    padded = torch.cat([x, torch.full((3, 6, 11), 9.0)], dim=2)
    torch.testing.assert_close(pooling(x, lengths), other(padded, lengths), atol=1e-5, rtol=0)
    torch.testing.assert_close(pooling.norm.running_mean, other.norm.running_mean, atol=1e-6, rtol=0)


def test_frame_mask_marks_the_first_frames():
    assert frame_mask(torch.tensor([0, 2, 3]), 3).tolist() == [[False] * 3, [True, True, False], [True] * 3]


def test_a_lookahead_shorter_than_the_first_convolution_is_refused():
    with pytest.raises(ValueError, match="the first convolution alone needs 2"):
        AcousticEncoder(AcousticConfig(context="local", lookahead_frames=1))


def test_pooling_without_padding_is_pooling():
    """In training spans are pooled as one list of frames; under the same norm that gives what padded ones give."""
    torch.manual_seed(4)
    pooling, lengths = StatisticsPooling(12, 6), torch.tensor([40, 3, 17, 1])
    assert pooling.norm.running_mean is not None
    pooling.norm.running_mean.uniform_(-1, 1)
    x = torch.randn(4, 12, 40)
    pooling.train()
    pooling.norm.eval()
    as_a_list = pooling(x, lengths)
    torch.testing.assert_close(as_a_list, pooling.eval()(x, lengths), rtol=1e-4, atol=1e-5)
