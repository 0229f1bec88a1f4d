"""Audio is read the same whole, in blocks and from any format; what cannot be used is refused in one sentence."""

import numpy as np
import pytest
import soundfile

from watchword import audio
from watchword.audio import AudioError


@pytest.fixture(scope="module")
def tone():
    """2 s of a 440 Hz tone that swells, at 16 kHz."""
    time = np.arange(32000) / 16000
    return (0.4 * time / 2 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def refused(path, message, use=audio.read):
    with pytest.raises(AudioError) as caught:
        use(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seconds", [0.013, 0.5, 3.0])
@pytest.mark.parametrize("rate", [16000, 8000, 44100])
def test_blocks_joined_equal_the_whole(tmp_path, tone, rate, seconds):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([tone, 0.5 * tone], axis=1), rate)
    blocks = list(audio.blocks(path, seconds))
    np.testing.assert_allclose(np.concatenate(blocks), audio.read(path), atol=1e-6)
    assert abs(len(audio.read(path)) - 32000 * 16000 / rate) <= 1


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_formats_give_the_same_sound(tmp_path, tone, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone, 16000)
    read = audio.read(path)
    size = min(len(read), len(tone))
    assert abs(len(read) - len(tone)) < 2500
    best = max(np.corrcoef(read[shift:size], tone[: size - shift])[0, 1] for shift in range(0, 1200, 1))
    assert best > 0.99
    assert audio.duration(path) == pytest.approx(2.0, abs=0.15)


def test_channels_are_averaged_and_rates_converted(tmp_path, tone):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([tone[::2], -tone[::2]], axis=1), 8000)
    assert np.abs(audio.read(path)).max() < 1e-3
    soundfile.write(path, np.stack([tone[::2], tone[::2]], axis=1), 8000)
    read = audio.read(path)
    assert len(read) == 32000
    assert np.abs(read - tone)[100:-100].max() < 0.01


def test_what_is_no_audio_is_refused(tmp_path):
    refused(tmp_path / "none.wav", "no such file")
    refused(tmp_path, "is a folder")
    (tmp_path / "empty.wav").touch()
    refused(tmp_path / "empty.wav", "is empty (0 bytes)")
    (tmp_path / "text.wav").write_text("hello, this is a text and no audio at all")
    refused(tmp_path / "text.wav", "cannot be read as audio")
    refused(tmp_path / "text.wav", "cannot be read as audio", use=audio.duration)
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16000)
    refused(tmp_path / "none.wav", "0 seconds")


def test_samples_that_are_not_numbers_are_refused(tmp_path, tone):
    for bad in (np.nan, np.inf):
        broken = tone.copy()
        broken[20000] = bad
        soundfile.write(tmp_path / "nan.wav", broken, 16000, subtype="FLOAT")
        refused(tmp_path / "nan.wav", "NaN or infinite")


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_file_cut_short_is_refused(tmp_path, suffix, part):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 64000)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise, 16000)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    refused(path, "cut short" if suffix == "wav" else "")


def test_written_is_read_back(tmp_path, tone):
    audio.write(tmp_path / "a.flac", tone)
    np.testing.assert_allclose(audio.read(tmp_path / "a.flac"), tone, atol=1 / 32768)


def test_integers_are_scaled_and_other_types_refused():
    np.testing.assert_array_equal(audio.to_float(np.array([-32768, 16384], np.int16)), [-1.0, 0.5])
    with pytest.raises(AudioError, match="int64"):
        audio.to_float(np.array([1]))


def test_spans_are_within_the_recording():
    for frames in (1, 7, 100):
        for start in range(0, 20000, 1234):
            for end in range(start + 1, 20000, 777):
                first, last = audio.span_frames(start, end, frames)
                assert 0 <= first < last <= max(frames, first + 1)
