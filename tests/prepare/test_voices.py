"""Every voice that is installed speaks: audible, in range, and the same for the same random generator."""

import os

import numpy as np
import pytest

from watchword.prepare import voices
from watchword.prepare.intelligibility import hama_listener, phoneme_error
from watchword.prepare.kokoro import kokoro_letters
from watchword.prepare.voices import ENGINES, LICENCES, VoiceError
from watchword.text.pronounce import default_pronouncer

# flite and eSpeak NG come with the system's packages, Piper with pip; the others are large and asked for by name.
_EXACT = ("flite", "festival", "kokoro", "kokoro_accented")


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request):
    try:
        return request.param, ENGINES[request.param](os.environ.get("WATCHWORD_VOICES", ""))
    except VoiceError as error:
        pytest.skip(str(error))


def test_speaks_audibly_and_in_range(engine):
    name, speak = engine
    spoken = speak("open the window", np.random.default_rng(1))
    assert 8000 <= spoken.sample_rate <= 48000
    assert spoken.samples.ndim == 1
    assert np.issubdtype(spoken.samples.dtype, np.floating)
    assert 0.4 < len(spoken.samples) / spoken.sample_rate < 4.0
    assert 0.02 < np.abs(spoken.samples).max() <= 1.0
    assert spoken.voice.startswith(f"{name}:")
    assert name in LICENCES


def test_the_same_generator_gives_the_same_clip(engine):
    name, speak = engine
    one, two = (speak("hello", np.random.default_rng(7)) for _ in range(2))
    assert one.voice == two.voice
    if name in _EXACT:
        assert np.array_equal(one.samples, two.samples)
    elif name == "espeak":  # its breath is noise of its own
        assert len(one.samples) == pytest.approx(len(two.samples), rel=0.05)


def test_other_generators_give_other_clips(engine):
    _, speak = engine
    lengths = {len(speak("hello", np.random.default_rng(seed)).samples) for seed in range(3)}
    assert len(lengths) > 1


def test_espeak_library_speaks_as_the_program_does(monkeypatch):
    """Without the program, the library of espeakng-loader draws the same voices and says the same."""
    program = ENGINES["espeak"]("") if voices.shutil.which("espeak-ng") else None
    monkeypatch.setattr(voices.shutil, "which", lambda name: None)
    library = ENGINES["espeak"]("")
    for seed in range(6):
        spoken = library("good morning", np.random.default_rng(seed))
        assert np.abs(spoken.samples).max() > 0.1
        if program is not None:
            other = program("good morning", np.random.default_rng(seed))
            assert spoken.voice == other.voice
            assert len(spoken.samples) / spoken.sample_rate == pytest.approx(
                len(other.samples) / other.sample_rate, rel=0.1
            )


def test_kokoro_letters_cover_the_phoneme_set():
    for text in ("the quick brown fox jumps over the lazy dog", "measure joy church thing vision how young"):
        for _, phonemes in default_pronouncer().words(text):
            assert kokoro_letters(phonemes)


def test_phoneme_error():
    said = ["L", "AY1", "T", "S"]
    assert phoneme_error(said, ["L", "AY", "T", "S"]) == 0
    assert phoneme_error(said, ["L", "EY", "T", "S"]) == 0.5 / 4
    assert phoneme_error(said, ["N", "AY", "T", "S"]) == 1 / 4
    assert phoneme_error(said, []) == 1
    assert phoneme_error(said, ["L", "AY", "T", "S", "ER", "Z"]) == 2 / 4


def test_the_recogniser_tells_texts_apart(flite, tmp_path):
    """What was said is nearer to what is heard than each of the other texts is."""
    listen, texts = hama_listener(), ("banana", "open the window", "lights off", "seventy two")
    for text in texts:
        samples, _ = flite(text, tmp_path / "spoken.wav")
        heard = listen(samples)
        errors = {
            other: min(phoneme_error(variant, heard) for variant in default_pronouncer().variants(other))
            for other in texts
        }
        assert min(errors, key=errors.__getitem__) == text, errors
        assert errors[text] < 0.5
