"""Recordings under conditions: as they are, or the same distorted samples every time, as long as the file."""

import numpy as np
import pytest

from watchword.audio import SAMPLE_RATE, read, write
from watchword.evaluate.heard import conditions
from watchword.evaluate.sources import BenchmarkError


@pytest.fixture
def said(tmp_path):
    path = tmp_path / "said.wav"
    wave = np.sin(np.arange(2 * SAMPLE_RATE) * 0.2) * np.linspace(0.0, 0.5, 2 * SAMPLE_RATE)
    write(path, wave.astype(np.float32))
    return str(path)


@pytest.fixture
def noise(tmp_path):
    path = tmp_path / "noise" / "hiss.wav"
    path.parent.mkdir()
    write(path, np.random.default_rng(0).normal(0, 0.05, 3 * SAMPLE_RATE).astype(np.float32))
    return path.parent


def test_without_noise_a_file_is_heard_as_it_is(said):
    assert {name: hear(said) for name, hear in conditions(None, 0).items()} == {"clean": said}


def test_noise_and_rooms_change_a_file_alike_every_time_and_keep_its_length(said, noise):
    ways, again = conditions(noise, 3), conditions(noise, 3)
    heard = {name: ways[name](said) for name in ("10 dB", "room")}
    for name, samples in heard.items():
        assert len(samples) == len(read(said))
        np.testing.assert_array_equal(samples, again[name](said))
    assert not np.array_equal(heard["10 dB"], heard["room"])
    assert not np.array_equal(heard["10 dB"], conditions(noise, 4)["10 dB"](said))


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="noise"):
        conditions(tmp_path, 0)
