"""The encoder on the speech embedding: its layers are the published ones at a finer rate, and its context is local."""

import pytest
import torch
from torch.nn import functional

from watchword.model.acoustic import AcousticConfig
from watchword.model.embedding_front import LAYERS, PAIR, SILENCE, EmbeddingEncoder, SpeechEmbedding, Teacher
from watchword.model.keyword_model import build_acoustic


def encoder(**changed):
    torch.manual_seed(1)
    sizes = {
        "channels": 32,
        "scale": 4,
        "squeeze": 8,
        "dim": 16,
        "attention": 8,
        "dilations": (1, 2),
        "lookahead_frames": 8,
    }
    config = AcousticConfig(context="local", front="speech_embedding", front_entry=16, **{**sizes, **changed})
    made = build_acoustic(config)
    assert isinstance(made, EmbeddingEncoder)
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
    return made.eval()


def speech(frames, rows=1, seed=0):
    return torch.randn(rows, frames, 40, generator=torch.Generator().manual_seed(seed)) * 2 - 6


def published(network, bands):
    """The network as it was published: it halves the rate at both of its later maxima, and dilates nothing."""
    x = bands
    for layer, module in zip(LAYERS, network.layers, strict=True):
        if layer.kind in ("halve", "pool"):
            x = functional.max_pool2d(x, 2)
        elif layer.kind == "pool_bands":
            x = functional.max_pool2d(x, (1, 2))
        else:
            x = functional.conv2d(x, module.weight, module.bias, padding=module.padding)
            x = x if layer.kind == "last" else torch.where(x > 0, x, 0.2 * x).clamp_min(-0.4)
    return x[..., 0]


@torch.no_grad()
def test_every_fourth_value_is_the_one_that_the_published_network_computes():
    torch.manual_seed(0)
    network = SpeechEmbedding()
    log_mel = speech(76 + 8 * 9).transpose(1, 2)
    ours = network(log_mel)[-1]
    theirs = published(network, network.bands(log_mel))
    assert theirs.shape == (1, 96, 10)
    torch.testing.assert_close(ours[:, :, ::4], theirs, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("lengths", [(90, 131), (91, 130), (1, 2)])
def test_padding_changes_nothing(lengths):
    model, rows = encoder(), [speech(n, seed=n)[0] for n in lengths]
    alone = [model(row[None])[0] for row in rows]
    batch = 50 * torch.ones(len(rows), max(lengths) + 33, 40)
    for place, row in enumerate(rows):
        batch[place, : len(row)] = row
    together = model(batch, torch.tensor(lengths))
    for place, row in enumerate(alone):
        torch.testing.assert_close(together[place, : len(row)], row, rtol=1e-4, atol=1e-5)
        assert not together[place, len(row) :].any()


@torch.no_grad()
@pytest.mark.parametrize(("front_ahead", "ahead"), [(20, 8), (12, 0), (38, 5)])
def test_a_frame_looks_no_farther_ahead_than_it_says(front_ahead, ahead):
    model = encoder(front_lookahead_frames=front_ahead, lookahead_frames=ahead)
    log_mel, at = speech(400), 300
    changed = log_mel.clone()
    changed[:, at:] += 3
    moved = (model(changed) - model(log_mel)).abs().amax(dim=2)[0]
    assert not moved[: at - model.lookahead_frames].any()
    # Untrained weights let nearly nothing through at the very edge of what they see.
    assert moved[at - model.lookahead_frames :][:16].any()


@torch.no_grad()
def test_what_lies_farther_back_than_it_says_changes_nothing():
    model = encoder()
    frames = model.left_context_frames + 40
    log_mel = speech(frames)
    cut = log_mel[:, 20:]
    torch.testing.assert_close(model(cut)[:, -20:], model(log_mel)[:, -20:], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_silence_before_a_recording_is_what_it_begins_in():
    model, log_mel = encoder(), speech(120)
    taps = [tap for tap in model.embedding(functional.pad(log_mel.transpose(1, 2), (54, 20), value=SILENCE))]
    assert [tap.shape[2] - before - later for tap, (before, later) in zip(taps, model.delays(), strict=True)] == [
        60
    ] * 3
    assert model(log_mel).shape == (1, 120, 16)
    assert torch.equal(*model(log_mel)[0].reshape(-1, PAIR, 16).unbind(1))


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"context": "utterance"}, "needs acoustic.context"), ({"front_lookahead_frames": 10}, "must be 12 to 38")],
)
def test_what_cannot_be_is_said(changed, told):
    config = AcousticConfig(front="speech_embedding", **{"context": "local", **changed})
    with pytest.raises(ValueError, match=told):
        build_acoustic(config)


def test_the_teacher_hears_the_clean_audio_and_never_learns():
    torch.manual_seed(2)
    teacher, frames = Teacher(16), torch.randn(2, 51, 16, requires_grad=True)
    clean, lengths = speech(51, rows=2), torch.tensor([51, 30])
    taught, teaching = teacher(frames, clean, lengths)
    assert taught.shape == teaching.shape == (26 + 15, 96)
    taught.square().sum().backward()
    assert frames.grad is not None
    assert all(weight.grad is None for weight in teacher.embedding.parameters())
    assert teacher.head.weight.grad is not None
    # What the student would compute itself: the last layer of an encoder on the same network, in its own place.
    front = encoder()
    front.embedding.load_state_dict(teacher.embedding.state_dict())
    padded = functional.pad(clean[:1, :50].transpose(1, 2), (2 * front.behind, 2 * front.ahead), value=SILENCE)
    torch.testing.assert_close(teaching[:15], front.embedding(padded)[-1][0, :, :15].T)
