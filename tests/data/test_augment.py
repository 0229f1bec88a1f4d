"""Augmentation: what each distortion does to a tone, and what none of them may change."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from watchword.audio import SAMPLE_RATE
from watchword.data.augment import AugmentConfig, Augmenter, load_noise

NONE: dict[str, Any] = {
    "room": 0, "noise": 0, "babble": 0, "low_pass": 0, "telephone": 0, "clip": 0, "quantise": 0, "gain_db": (0.0, 0.0),
}  # fmt: skip
ALL: dict[str, Any] = {key: 1 for key in NONE if key != "gain_db"}


Sounds = list[np.ndarray]


def distort(
    audio: np.ndarray, seed: int = 0, recordings: Sounds | None = None, voices: Sounds | None = None, **config: Any
) -> np.ndarray:
    return Augmenter(AugmentConfig(**config), recordings or [], voices or [])(audio, np.random.default_rng(seed))


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def white(seed: int, seconds: float = 1.0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def level_db(audio: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Power between two frequencies, in dB."""
    hertz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    power = np.abs(np.fft.rfft(audio)[(hertz >= low_hz) & (hertz < high_hz)]) ** 2
    return float(10 * np.log10(power.sum()))


def snr_db(clean: np.ndarray, noisy: np.ndarray) -> float:
    """What is left of `noisy` when the clean signal's share in it is taken out, in dB below that share."""
    share = float(noisy @ clean) / float(clean @ clean)
    rest = noisy - share * clean
    return float(10 * np.log10((share * clean) @ (share * clean) / (rest @ rest)))


def test_switched_off_it_changes_nothing() -> None:
    audio = white(0)
    assert np.array_equal(distort(audio, enabled=False, **ALL), audio)


def test_the_same_generator_gives_the_same_sound() -> None:
    voices = [white(8), white(9)]
    one, same, other = (distort(tone(500), seed, voices=voices, **ALL) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("size", [400, 401, 16000, 40123])
def test_length_type_and_range_stay(size: int) -> None:
    for seed in range(8):
        for config in ({}, ALL):
            found = distort(white(seed, size / SAMPLE_RATE), seed, [white(1, 2.0)], [white(2)], **config)
            assert found.shape == (size,)
            assert found.dtype == np.float32
            assert np.isfinite(found).all()
            assert np.abs(found).max() <= 1.0


def test_silence_stays_finite() -> None:
    assert np.isfinite(distort(np.zeros(8000, np.float32), voices=[white(0)], **ALL)).all()


@pytest.mark.parametrize("snr", [0.0, 10.0, 25.0])
@pytest.mark.parametrize("kind", ["noise", "babble"])
def test_noise_and_babble_reach_the_ratio_asked_for(kind: str, snr: float) -> None:
    clean = tone(1000, 2.0)
    voices = [(32767 * white(seed, 3.0)).astype(np.int16) for seed in (5, 6, 7)]
    for seed in range(5):
        found = distort(clean, seed, voices=voices, **{**NONE, kind: 1, f"{kind}_snr_db": (snr, snr)})
        assert snr_db(clean, found) == pytest.approx(snr, abs=0.6)


def test_silence_around_a_word_does_not_make_its_noise_faint() -> None:
    word = np.concatenate([np.zeros(8000, np.float32), tone(1000, 1.0), np.zeros(8000, np.float32)])
    found = distort(word, **{**NONE, "noise": 1, "noise_snr_db": (10.0, 10.0)})
    assert snr_db(word[8000:-8000], found[8000:-8000]) == pytest.approx(10.0, abs=1.0)


def test_recorded_noise_is_used_most_of_the_time() -> None:
    whistle, clean = [tone(3000, 5.0)], tone(700)
    heard = [
        level_db(found, 2950, 3050) > level_db(found, 3500, 8000) + 20
        for found in (distort(clean, seed, whistle, **{**NONE, "noise": 1}) for seed in range(60))
    ]
    assert 0.5 < np.mean(heard) < 0.9


def test_low_pass_and_telephone_take_their_bands_away() -> None:
    audio = white(0, 2.0)
    low = distort(audio, **{**NONE, "low_pass": 1, "low_pass_hz": (3400.0, 3400.0)})
    telephone = distort(audio, **{**NONE, "telephone": 1})

    def change(found: np.ndarray, low_hz: float, high_hz: float) -> float:
        kept = level_db(found, 1000, 2000) - level_db(audio, 1000, 2000)
        return level_db(found, low_hz, high_hz) - level_db(audio, low_hz, high_hz) - kept

    for found in (low, telephone):
        assert change(found, 5000, 8000) < -25
        assert change(found, 500, 2500) == pytest.approx(0.0, abs=1.0)
    assert change(low, 50, 200) == pytest.approx(0.0, abs=1.0)
    assert change(telephone, 20, 150) < -15


@pytest.mark.parametrize("gain", [-20.0, -6.0, 0.0])
def test_gain_sets_the_peak(gain: float) -> None:
    found = distort(0.01 * white(0), **{**NONE, "gain_db": (gain, gain)})
    assert np.abs(found).max() == pytest.approx(10 ** (gain / 20), rel=1e-4)


def test_a_room_echoes_without_moving_what_is_said() -> None:
    click = np.zeros(16000, np.float32)
    click[4000] = 1.0
    for seed in range(10):
        found = distort(click, seed, **{**NONE, "room": 1})
        assert np.abs(found[:3990]).max() < 1e-4
        assert np.abs(found[4032:]).max() > 1e-3
    spoken = white(3)
    shifted = np.correlate(distort(spoken, **{**NONE, "room": 1}), spoken, "same")
    assert int(np.argmax(shifted)) == len(spoken) // 2


def test_clipping_flattens_and_quantising_makes_steps() -> None:
    clipped = [distort(tone(300), seed, **{**NONE, "clip": 1}) for seed in range(10)]
    assert np.mean([(np.abs(found) > 0.999).mean() for found in clipped]) > 0.2
    coarse = distort(tone(300), **{**NONE, "quantise": 1})
    assert np.allclose(coarse * 127, np.round(coarse * 127), atol=1e-4)
    assert len(np.unique(coarse)) <= 255


def test_noise_is_read_from_a_folder_and_those_below_it(tmp_path: Path) -> None:
    (tmp_path / "street").mkdir()
    soundfile.write(tmp_path / "street" / "a.wav", white(0, 2.0)[::2], 8000)
    soundfile.write(tmp_path / "b.flac", white(1), SAMPLE_RATE)
    (tmp_path / "readme.txt").write_text("no sound")
    found = load_noise(tmp_path)
    assert sorted(len(noise) for noise in found) == pytest.approx([16000, 32000], abs=50)
    assert load_noise(tmp_path / "absent") == []
