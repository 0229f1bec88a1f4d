"""Kokoro's own times: in order and within the rendering, of the words' phonemes, pauses where it is quiet."""

import os
from itertools import pairwise
from string import ascii_uppercase

import numpy as np
import pytest

from watchword.prepare.accents import Accent
from watchword.prepare.kokoro import kokoro, lay_out, place
from watchword.prepare.rendering import VoiceError
from watchword.text.pronounce import default_pronouncer

RATE, FRAME, LEAD = 24000, 0.025, 0.05
TEXTS = ("open the window", "robot, banana, a, stretched murmur", "sixths, {N OW1 V AH0}, judge", "hm")


def parts_of(text):
    return [default_pronouncer().words(part) for part in text.split(", ")]


def rendering(text, pause_frames, seed=0):
    """A rendering as Kokoro makes it: a token's sound comes 50 ms early, and some tokens between words are quiet."""
    rng = np.random.default_rng(seed)
    parts = parts_of(text)
    letters, owners = lay_out(parts)
    frames = np.ones(len(letters) + 2)
    frames[1:-1] = [rng.integers(1, 6) if owner else 1 for owner in owners]
    frames[0], frames[-2], frames[-1] = 14, 7, 1
    quiet = np.zeros(len(frames), bool)
    quiet[[0, -2, -1]] = True
    for index, letter in enumerate(letters):
        if letter == "\0":
            frames[index + 1], quiet[index + 1] = pause_frames, True
    loud = np.repeat(~quiet, (frames * FRAME * RATE).astype(int))
    shift = round(LEAD * RATE)
    loud = np.concatenate([loud[shift:], np.zeros(shift, bool)])
    samples = np.where(loud, 0.3, 1e-4) * rng.standard_normal(len(loud))
    return [word for part in parts for word in part], owners, frames, samples.astype(np.float32)


def check_times(said, words, phones, length):
    """The laws that any placing obeys."""
    assert [word.text for word in words] == [word for word, _ in said]
    spoken = [phone for phone in phones if phone.text != "SIL"]
    assert [phone.text for phone in spoken] == [phoneme for _, phonemes in said for phoneme in phonemes]
    assert phones[0].start_seconds >= 0
    assert phones[-1].end_seconds <= length + 1e-9
    assert all(timed.end_seconds > timed.start_seconds for timed in (*words, *phones))
    assert all(a.end_seconds == pytest.approx(b.start_seconds) for a, b in pairwise(phones))
    rest = iter(spoken)
    for word, (_, phonemes) in zip(words, said, strict=True):
        own = [next(rest) for _ in phonemes]
        assert word.span == (own[0].start_seconds, own[-1].end_seconds)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("pause_frames", [1, 2, 8])
@pytest.mark.parametrize("seed", range(3))
def test_times_are_whole_and_in_order(text, pause_frames, seed):
    said, owners, frames, samples = rendering(text, pause_frames, seed)
    check_times(said, *place(said, owners, frames, samples), len(samples) / RATE)


@pytest.mark.parametrize("seed", range(3))
def test_a_pause_is_where_it_is_quiet(seed):
    said, owners, frames, samples = rendering(TEXTS[1], 8, seed)
    _, phones = place(said, owners, frames, samples)
    pauses = [phone for phone in phones[1:-1] if phone.text == "SIL"]
    assert [p.end_seconds - p.start_seconds for p in pauses] == pytest.approx([8 * FRAME] * 3, abs=0.02)
    level = np.square(samples).mean()
    for pause in (phones[0], *pauses, phones[-1]):
        inside = samples[int(pause.start_seconds * RATE) + 240 : int(pause.end_seconds * RATE) - 240]
        assert np.square(inside).mean() < level / 1000


def test_a_short_quiet_is_no_pause():
    said, owners, frames, samples = rendering(TEXTS[1], 2)
    _, phones = place(said, owners, frames, samples)
    assert [p.text for p in phones].count("SIL") == 2  # before and after everything


@pytest.mark.parametrize("seed", range(3))
def test_sound_within_a_word_is_where_the_frames_say(seed):
    said, owners, frames, samples = rendering("banana", 1, seed)
    _, phones = place(said, owners, frames, samples)
    after = np.cumsum(frames)[1:-2] * FRAME - LEAD
    changes = [i for i in range(len(owners) - 2) if owners[i] != owners[i + 1]]
    assert [p.end_seconds for p in phones[1:-2]] == pytest.approx(after[changes].tolist())


def test_stress_belongs_to_the_phoneme_after_it():
    letters, owners = lay_out([[("a", ("AH0",)), ("fur", ("F", "ER1"))], [("no", ("N", "OW1"))]])
    assert len(letters) == len(owners)
    of = {}
    for letter, owner in zip(letters, owners, strict=True):
        of.setdefault(owner, []).append(letter)
    assert ["".join(of[0, 0]), "".join(of[1, 1]), "".join(of[2, 1])] == ["ə", "ˈɜɹ", "ˈO"]
    assert "".join(of[None]) == " .\0 ."


def test_an_accent_replaces_phonemes_one_by_one_and_keeps_their_stress():
    words = [phonemes for _, phonemes in default_pronouncer().words("they think that very good things live in the zoo")]
    rng = np.random.default_rng(0)
    changed = total = 0
    for _ in range(100):
        accent = Accent(rng)
        for phonemes in words:
            said = accent.of(phonemes, rng)
            assert [one.lstrip(ascii_uppercase) for one in said] == [one.lstrip(ascii_uppercase) for one in phonemes]
            assert lay_out([[("word", said)]])[0]
            changed += sum(one != other for one, other in zip(said, phonemes, strict=True))
            total += len(phonemes)
    assert 0.04 < changed / total < 0.2


def test_what_has_an_accent_is_labelled_as_it_was_meant():
    """The letters are of other phonemes, as many as were meant, and the times are those of what was meant."""
    said = default_pronouncer().words("they think that")
    accent = Accent(np.random.default_rng(3))
    accent.strength = 1.0
    letters, owners = lay_out([[(word, accent.of(phonemes, np.random.default_rng(0))) for word, phonemes in said]])
    assert letters != lay_out([said])[0]
    frames = np.full(len(letters) + 2, 4.0)
    samples = np.random.default_rng(0).standard_normal(round(frames.sum() * FRAME * RATE)).astype(np.float32)
    check_times(said, *place(said, owners, frames, samples), len(samples) / RATE)


@pytest.fixture(scope="module")
def speak():
    try:
        return kokoro(os.environ.get("WATCHWORD_VOICES", ""))
    except VoiceError as error:
        pytest.skip(f"{error} (WATCHWORD_VOICES names the folder)")


@pytest.mark.parametrize("text", ["robot, banana, window", "turn the old lamp off"])
def test_kokoro_tells_when_it_says_what(speak, text):
    """The words lie on the sound, and what is called silence is quiet."""
    spoken = speak(text, np.random.default_rng(5))
    said = [word for part in parts_of(text) for word in part]
    check_times(said, spoken.words, spoken.phones, len(spoken.samples) / RATE)

    def level(timed):
        return np.square(spoken.samples[int(timed.start_seconds * RATE) : int(timed.end_seconds * RATE)]).mean()

    loudest = max(level(word) for word in spoken.words)
    assert all(level(word) > loudest / 30 for word in spoken.words)
    assert all(level(phone) < loudest / 300 for phone in spoken.phones if phone.text == "SIL")
