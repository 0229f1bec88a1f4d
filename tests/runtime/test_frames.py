"""Frames of a recording fed in pieces are those of the whole recording."""

import numpy as np
import pytest

from watchword.audio import num_frames
from watchword.runtime.encoder import Encoder
from watchword.runtime.frames import FrameStream


def whole(encoder, sound):
    before, after = encoder.silence_samples
    return encoder.rows(np.pad(sound, (before, after)))


@pytest.mark.parametrize("cuts", [[], [5, 9, 400, 561], [7000, 90000, 90001], range(0, 128000, 16001)])
def test_pieces_equal_the_whole(local_bundle, sound, cuts):
    encoder = Encoder(local_bundle)
    stream = FrameStream(encoder)
    pieces = np.split(sound, list(cuts))
    rows = [stream.feed(piece) for piece in pieces]
    rows.append(stream.feed(sound[:0], last=True))
    expected = whole(encoder, sound)
    assert np.std(expected, axis=0).min() > 0.01, "frames that are all alike would prove nothing"
    np.testing.assert_allclose(np.concatenate(rows), expected, atol=1e-4)


def test_kept_audio_is_bounded(local_bundle, sound):
    stream = FrameStream(Encoder(local_bundle))
    bound = (local_bundle.left_context_frames + local_bundle.lookahead_frames + 3) * 160
    for start in range(0, len(sound), 16000):
        stream.feed(sound[start : start + 16000])
        assert len(stream._audio) <= bound + 8000 * (start < 80000)


def test_utterance_context_streams_log_mel(utterance_bundle, sound):
    encoder = Encoder(utterance_bundle)
    stream = FrameStream(encoder)
    rows = np.concatenate([stream.feed(sound[:30001]), stream.feed(sound[30001:], last=True)])
    assert rows.shape == (num_frames(len(sound)), 40)
    np.testing.assert_allclose(rows, whole(encoder, sound), atol=1e-5)


def test_nothing_fed_gives_nothing_but_silence(local_bundle):
    stream = FrameStream(Encoder(local_bundle))
    rows = stream.feed(np.empty(0, np.float32), last=True)
    assert len(rows) == num_frames(round(0.8 * 16000))
