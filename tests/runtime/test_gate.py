"""Laws of the gate: speech is found as without it, silence is not computed, and a stream stays a stream."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from watchword import Keyword, Spotter
from watchword.audio import AudioError
from watchword.runtime.encoder import Encoder
from watchword.runtime.frames import FrameSteps
from watchword.runtime.gate import GatedSteps, GateError, WebRtcVoice

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TEXTS = ["kitchen lights", "good morning", "hey nova", "umbrella", "front door", "this evening", "the weather", "take"]
STEP = 3200


def loud(samples):
    """A detector for sounds that are loud or not there."""
    return bool(np.abs(samples).max(initial=0.0) > 1e-3)


def spoken(names, pauses, noise=0.0):
    """The examples one after the other, with pauses of so many seconds, of silence or faint noise, around them."""
    rng, pieces = np.random.default_rng(0), []
    for name, seconds in zip([*names, None], pauses, strict=True):
        pieces.append(noise * rng.standard_normal(round(seconds * 16000)))
        if name:
            pieces.append(soundfile.read(EXAMPLES / f"{name}.flac", dtype="float32")[0])
    return np.concatenate(pieces).astype(np.float32)


def run(stream, sound, cuts=()):
    hits = [hit for piece in np.split(sound, list(cuts)) for hit in stream.feed(piece)]
    return hits + stream.flush()


def alike(one, two):
    assert [h.keyword for h in one] == [h.keyword for h in two]
    for name in ("start_seconds", "end_seconds", "decided_seconds"):
        np.testing.assert_allclose([getattr(h, name) for h in one], [getattr(h, name) for h in two], atol=1e-3)
    np.testing.assert_allclose([h.score for h in one], [h.score for h in two], atol=1e-4)


@pytest.fixture(scope="module")
def spotter():
    """The bundle inside the package, at a threshold that much passes that is not the keyword."""
    return Spotter(TEXTS, threshold=0.0)


@pytest.fixture(scope="module")
def small(phoneme_bundle):
    return Spotter(["nova", "hey robot"], phoneme_bundle, -1.0)


@pytest.mark.parametrize("noise", [0.0, 3e-4])
def test_speech_between_long_pauses_is_found_as_without_a_gate(spotter, noise):
    pytest.importorskip("webrtcvad")
    sound = spoken(["morning", "kitchen", "morning"], [70, 2, 45, 20], noise)
    expected = run(spotter.stream(), sound, range(0, len(sound), 16000))
    assert len(expected) >= 8
    for cuts in ([], range(0, len(sound), 1600), range(0, len(sound), 48001)):
        gated = spotter.stream(gate=True)
        alike(run(gated, sound, cuts), expected)
        computed = gated._steps.computed / 100
        assert computed < len(sound) / 16000 / 2
        assert gated.rests


@pytest.mark.parametrize("kind", ["phoneme", "local", "utterance"])
def test_frames_are_those_of_the_whole_recording(request, sound, kind):
    encoder = Encoder(request.getfixturevalue(f"{kind}_bundle"))
    pause = np.zeros(16000 * 7, np.float32)
    whole = np.concatenate([sound, pause, pause, sound[:20000], pause[:32000], sound[20000:50001]])
    every = np.concatenate([rows for rows, _ in FrameSteps(encoder, STEP).feed(whole, last=True)])
    gated, numbers = GatedSteps(encoder, STEP, loud, 100), []
    for piece in np.split(whole, [7, 40000, 40001]):
        for rows, _ in gated.feed(piece):
            numbers.append(np.arange(gated.first, gated.first + len(rows)))
            np.testing.assert_allclose(rows, every[numbers[-1]], atol=1e-4)
    for rows, _ in gated.feed(whole[:0], last=True):
        numbers.append(np.arange(gated.first, gated.first + len(rows)))
        np.testing.assert_allclose(rows, every[numbers[-1]], atol=1e-4)
    given = np.concatenate(numbers)
    assert (np.diff(given) >= 1).all()
    assert given[-1] == len(every) - 1
    back, silence = (len(sound) + 2 * len(pause)) // 160, encoder.silence_frames
    assert set(range(silence, silence + len(sound) // 160 + 50)) <= set(given)
    assert set(range(silence + back - 100, len(every))) <= set(given)
    gap = np.diff(given).max()
    assert gap > 300
    left = encoder.bundle.left_context_frames if encoder.is_local else 0
    assert gated.computed == len(every) - (gap - 1) + left


def test_silence_is_not_computed(small):
    stream = small.stream(gate=lambda: loud)
    assert run(stream, np.zeros(16000 * 60, np.float32), range(0, 960000, 1000)) == []
    assert stream._steps.computed == 0
    assert stream.seconds == 60
    assert stream.levels() == {"nova": -1.0, "hey robot": -1.0}


def test_a_gate_that_always_hears_voice_is_none(small, sound):
    alike(
        run(small.stream(gate=lambda: lambda samples: True), sound, range(0, len(sound), 1234)),
        run(small.stream(), sound),
    )


def test_voice_that_is_heard_late_is_caught_up(small, sound):
    """Detections of what was held back come when the networks begin, and say so."""
    late = run(small.stream(gate=lambda: _after(20)), sound)
    expected = run(small.stream(), sound)
    assert [(h.keyword, h.end_seconds) for h in late] == [(h.keyword, h.end_seconds) for h in expected]
    assert min(h.decided_seconds for h in late) == pytest.approx(21 * 0.2)
    assert all(h.decided_seconds >= e.decided_seconds for h, e in zip(late, expected, strict=True))


def _after(steps):
    """A detector that hears voice after so many steps."""
    count = iter(range(1000))
    return lambda samples: next(count) >= steps


def test_reset_is_fresh_and_an_end_is_an_end(spotter):
    sound = spoken(["morning"], [15, 12])
    stream = spotter.stream(gate=lambda: loud)
    expected = run(stream, sound)
    assert expected
    with pytest.raises(AudioError, match="has ended"):
        stream.feed(sound)
    stream.reset()
    stream.feed(sound[::-1][:300001].copy())
    stream.reset()
    assert stream.rests
    alike(run(stream, sound, [5000, 400000]), expected)


def test_keywords_come_and_go_while_the_networks_rest(spotter):
    sound = spoken(["morning", "morning"], [1, 40, 3])
    stream = spotter.stream(gate=lambda: loud)
    middle = 16000 * 30
    hits = stream.feed(sound[:middle])
    assert stream.rests
    stream.remove("hey nova")
    stream.add(Keyword("lisbon", 0.0))
    hits += run(stream, sound[middle:], [777])
    expected = run(Spotter([*TEXTS, "lisbon"], threshold=0.0).stream(), sound)
    alike(
        hits,
        [
            hit
            for hit in expected
            if hit.keyword not in ("hey nova", "lisbon") or (hit.keyword == "lisbon") == (hit.end_seconds > 30)
        ],
    )
    assert {"hey nova", "lisbon"} <= {hit.keyword for hit in hits}


def test_a_refractory_time_lasts_through_a_rest(spotter):
    sound = spoken(["morning", "morning"], [1, 40, 3])
    own = Spotter([Keyword("hey nova", refractory_seconds=100.0)])
    assert len(run(spotter.stream(gate=lambda: loud), sound)) > 1
    assert len(run(own.stream(gate=lambda: loud), sound)) == len(run(own.stream(), sound)) == 1


def test_what_is_held_back_does_not_grow(small):
    stream = small.stream(gate=lambda: loud)
    for _ in range(20):
        stream.feed(np.zeros(16000 * 20, np.float32))
    assert sum(piece.nbytes for piece in stream._steps._held) < 1_000_000


def test_bundles_that_find_by_length_have_no_gate(local_bundle, small):
    with pytest.raises(GateError, match="leave the gate out"):
        Spotter(["nova"], local_bundle).stream(gate=True)
    by_length = Spotter(["nova"], small.bundle, settings=replace(small.settings, by_phonemes=False))
    with pytest.raises(GateError, match="leave the gate out"):
        by_length.stream(gate=True)


def test_without_the_package_a_sentence_says_what_to_install(phoneme_bundle):
    program = f"""
import sys
sys.modules["webrtcvad"] = None
from watchword.cli import main
sys.argv = ["watchword", "listen", "nova", "-", "--gate", "--bundle", {str(phoneme_bundle.path)!r}]
sys.exit(main())
"""
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, input=b"\0" * 64000, capture_output=True, check=False)
    sentence = 'gate: the package webrtcvad is not installed; run pip install "watchword[gate]"\n'
    assert (ended.returncode, ended.stderr.decode()) == (2, sentence)


def test_the_detector_hears_speech_and_not_silence_however_it_is_cut():
    pytest.importorskip("webrtcvad")
    sound = spoken(["morning"], [2, 0.7], 1e-4)
    for size in (STEP, 3000, 160):
        voice = WebRtcVoice()
        heard = [voice(sound[first : first + size]) for first in range(0, len(sound), size)]
        assert not any(heard[16000 // size : 16000 * 2 // size])  # it begins by listening to the noise
        assert any(heard[16000 * 3 // size : 16000 * 4 // size])
