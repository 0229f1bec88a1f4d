"""Augmentation: what each distortion does to a tone, and what none of them may change."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from watchword.audio import SAMPLE_RATE
from watchword.data.augment import AugmentConfig, Augmenter, from_afar, reverberate
from watchword.data.channels import codecs, coded, tilted
from watchword.data.voice_shift import shifted, stretched

NONE: dict[str, Any] = {
    "room": 0, "noise": 0, "music": 0, "babble": 0, "low_pass": 0, "telephone": 0, "clip": 0, "quantise": 0,
    "shift": 0, "tilt": 0, "codec": 0, "gain_db": (0.0, 0.0),
}  # fmt: skip
ALL: dict[str, Any] = {"far": 1, **{key: 1 for key in NONE if key != "gain_db"}}
PAPER = AugmentConfig(
    **tomllib.loads((Path(__file__).parents[2] / "recipes" / "base.toml").read_text(encoding="utf-8"))["augment"]
)


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


def paper(audio: np.ndarray, seed: int = 0, sounds: dict[str, Sounds] | None = None, **changed: Any) -> np.ndarray:
    """Distorts with the tables' settings, all else than `changed` left as recipes/base.toml has it."""
    return Augmenter(PAPER.model_copy(update=changed), **(sounds or {}))(audio, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["noise", "music", "babble"])
def test_the_ratio_is_reached_on_the_mixture_within_a_tenth_of_a_decibel(kind: str, seed: int) -> None:
    """At both ends of each range of the tables; of babble it is that of each voice, so here one speaks."""
    sounds = {kind: [tone(3000, 5.0), (32767 * tone(3000, 4.0)).astype(np.int16)]}
    for snr in getattr(PAPER, f"{kind}_snr_db"):
        only = {**NONE, "share": 1.0, kind: 1.0, f"{kind}_snr_db": (snr, snr), "babble_speakers": (1, 1)}
        found = paper(tone(500, 2.0), seed, sounds, **only)
        assert level_db(found, 400, 600) - level_db(found, 2900, 3100) == pytest.approx(snr, abs=0.1)


def test_each_voice_of_babble_has_a_ratio_of_its_own() -> None:
    clean, voices = tone(500, 2.0), [tone(hertz, 5.0) for hertz in (2000, 3000, 4000, 5000)]
    only = {**NONE, "share": 1.0, "babble": 1.0, "babble_speakers": (40, 40)}
    each, together = (
        paper(clean, 1, {"babble": voices}, **only, babble_snr_each=own, babble_snr_db=(15.0, 15.0))
        for own in (True, False)
    )
    assert level_db(together, 400, 600) - level_db(together, 1500, 8000) == pytest.approx(15.0, abs=0.2)
    assert level_db(each, 400, 600) - level_db(each, 1500, 8000) < 0.0  # forty at 15 dB


def test_noises_in_the_foreground_are_a_second_apart() -> None:
    short = tone(3000, 0.4)
    found = paper(
        tone(500, 3.0), 0, {"noise": [short]}, **{**NONE, "share": 1.0, "noise": 1.0, "noise_snr_db": (5.0, 5.0)}
    )
    heard = [
        level_db(piece, 2900, 3100) > level_db(piece, 400, 600) - 20
        for piece in (found[place : place + 1600] for place in range(0, 48000 - 1600, 1600))
    ]
    assert [place for place, there in enumerate(heard) if there] == [0, 1, 2, 3, 14, 15, 16, 17, 28]


def test_shares_are_those_of_the_recipe() -> None:
    """Room, noise, music and babble are drawn each by itself, in 0.8 of all crops."""
    sounds = {"noise": [tone(2000, 5.0)], "music": [tone(3000, 5.0)], "babble": [tone(4000, 5.0)]}
    bands = {"noise": 2000, "music": 3000, "babble": 4000}
    counts = dict.fromkeys([*bands, "nothing"], 0)
    for seed in range(600):
        found = paper(tone(500, 0.5), seed, sounds, room=0.0)
        heard = [
            kind
            for kind, hertz in bands.items()
            if level_db(found, hertz - 50, hertz + 50) > level_db(found, 6000, 6100) + 30
        ]
        for kind in heard or ["nothing"]:
            counts[kind] += 1
    expected = {"noise": 0.24, "music": 0.16, "babble": 0.16, "nothing": 0.2 + 0.8 * 0.7 * 0.8 * 0.8}
    for kind, share in expected.items():
        assert counts[kind] / 600 == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 600)), kind


@pytest.mark.parametrize("size", [400, 4000, 30000])
def test_a_room_keeps_length_energy_and_place(size: int) -> None:
    rng = np.random.default_rng(size)
    spoken = white(size, size / SAMPLE_RATE)
    response = np.zeros(9000, np.float32)
    response[700] = 0.9  # the direct path comes late, as in measured responses
    response[900:] = 0.02 * rng.standard_normal(8100) * np.exp(-np.arange(8100) / 1500)
    for scale in (1.0, 1e-3):
        found = reverberate(spoken, scale * response)
        assert found.shape == spoken.shape
        assert found.dtype == np.float32
        assert float(found @ found) == pytest.approx(float(spoken @ spoken), rel=1e-4)
        assert int(np.argmax(np.correlate(found, spoken, "same"))) == size // 2
    assert np.array_equal(reverberate(spoken, np.zeros(100, np.float32)), spoken)


def test_rooms_that_were_recorded_are_used() -> None:
    echo = np.zeros(8001, np.int16)
    echo[0], echo[8000] = 30000, 20000
    click = np.zeros(16000, np.float32)
    click[100] = 1.0
    found = paper(click, 0, {"rooms": [echo]}, **{**NONE, "share": 1.0, "room": 1.0})
    assert np.flatnonzero(np.abs(found) > 0.01).tolist() == [100, 8100]
    assert found[8100] / found[100] == pytest.approx(2 / 3, rel=1e-3)


@pytest.mark.parametrize("size", [1, 160, 400, 16000])
def test_the_tables_settings_bear_silence_and_the_shortest_crops(size: int) -> None:
    sounds = {kind: [white(1, 0.01), np.zeros(4000, np.int16), white(2, 2.0)] for kind in ("noise", "music", "babble")}
    sounds["rooms"] = [white(3, 0.3), np.zeros(100, np.float32)]
    everything = dict.fromkeys(("share", "room", "noise", "music", "babble"), 1.0)
    for seed in range(12):
        for audio in (np.zeros(size, np.float32), white(seed, size / SAMPLE_RATE)):
            found, same = (paper(audio, seed, sounds, **everything) for _ in range(2))
            assert found.shape == (size,)
            assert np.isfinite(found).all()
            assert np.abs(found).max() <= 1.0
            assert np.array_equal(found, same)


@pytest.mark.parametrize("factor", [0.85, 1.0, 1.1, 1.35])
def test_a_shifted_voice_is_higher_and_no_faster(factor: float) -> None:
    """Every frequency is multiplied, formants with them; what is said stays in its place."""
    spoken = np.concatenate(
        [np.zeros(4000, np.float32), tone(500, 0.4) + 0.3 * tone(2000, 0.4), np.zeros(6000, np.float32)]
    )
    found = shifted(spoken, factor)
    assert found.shape == spoken.shape
    assert found.dtype == np.float32
    spectrum, hertz = np.abs(np.fft.rfft(found)), np.fft.rfftfreq(len(found), 1 / SAMPLE_RATE)
    assert hertz[spectrum.argmax()] == pytest.approx(500 * factor, abs=4)
    high = hertz > 1200
    assert hertz[high][spectrum[high].argmax()] == pytest.approx(2000 * factor, abs=4)
    loud = np.flatnonzero(np.abs(found) > 0.1)
    assert loud[0] == pytest.approx(4000, abs=200)
    assert loud[-1] == pytest.approx(4000 + 6400, abs=200)
    assert np.abs(found[4500:10000]).max() == pytest.approx(np.abs(spoken).max(), rel=0.15)


@pytest.mark.parametrize("size", [0, 1, 400, 959, 960, 12345])
def test_stretching_bears_any_length(size: int) -> None:
    for longer in (0.7, 1.0, 1.4):
        found = stretched(white(0, size / SAMPLE_RATE), round(size * longer))
        assert found.shape == (round(size * longer),)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("codec", ["mu_law", "gsm", "mp3", "vorbis", "opus"])
def test_a_codec_keeps_length_and_place_and_loses_something(codec: str) -> None:
    assert codec in codecs()[0]
    time = np.arange(24_000) / SAMPLE_RATE
    spoken = (0.3 * np.sin(2 * np.pi * 400 * time * (1 + time)) * (1 + np.sin(2 * np.pi * 4 * time)) / 2).astype(
        np.float32
    )
    for scale in (1.0, 5.0, 0.01):
        found = coded(scale * spoken, codec)
        assert found.shape == spoken.shape
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert np.abs(found).max() <= 1.6
        lag = int(np.argmax(np.correlate(np.pad(found, 100), spoken, "valid"))) - 100
        assert abs(lag) <= 2
        assert not np.allclose(found, scale * spoken, atol=1e-5 * scale)
    assert snr_db(spoken, coded(spoken, codec)) > 3
    for size in (1, 160, 401):
        assert coded(white(0, size / SAMPLE_RATE), codec).shape == (size,)


def test_a_tilt_raises_what_lies_below_and_above_its_corner() -> None:
    audio = white(0, 3.0)
    found = tilted(audio, 6.0, -4.0, 1000.0)
    assert level_db(found, 20, 80) - level_db(audio, 20, 80) == pytest.approx(6.0, abs=0.3)
    assert level_db(found, 7500, 8000) - level_db(audio, 7500, 8000) == pytest.approx(-4.0, abs=0.3)
    assert -4 < level_db(found, 900, 1100) - level_db(audio, 900, 1100) < 6
    assert np.allclose(tilted(audio, 0.0, 0.0, 1000.0), audio, atol=1e-5)


@pytest.mark.parametrize("ratio", [-8.0, 2.0])
def test_from_afar_the_room_has_so_much_more_than_what_comes_straight(ratio: float) -> None:
    response = np.zeros(8000, np.float32)
    response[50], response[400:] = 1.0, 0.01 * np.random.default_rng(0).standard_normal(7600)
    found = from_afar(response, ratio)
    direct, late = float((found[:90] ** 2).sum()), float((found[90:] ** 2).sum())
    assert 10 * np.log10(direct / late) == pytest.approx(ratio, abs=0.01)
    assert np.array_equal(from_afar(response[:80], ratio), response[:80])


def test_what_is_off_draws_nothing() -> None:
    """A recipe of before these distortions gives the sound it gave."""
    voices = [white(8), white(9)]
    before = distort(tone(500), 3, voices=voices, room=1, noise=1)
    assert np.array_equal(
        before, distort(tone(500), 3, voices=voices, room=1, noise=1, shift=0, tilt=0, codec=0, far=0)
    )
    for key in ("shift", "tilt", "codec", "far"):
        assert not np.array_equal(before, distort(tone(500), 3, voices=voices, room=1, noise=1, **{key: 1})), key
