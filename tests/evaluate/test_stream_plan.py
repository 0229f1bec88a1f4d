"""Long recordings: which words are looked for, where they are said; lists and audio stay the same."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from watchword.audio import SAMPLE_RATE, read
from watchword.cli.streaming import StreamSettings, find_plans
from watchword.data.augment import speech_power
from watchword.data.segment import Segment, Timed, write_segments
from watchword.evaluate.pronunciations import Pronunciations
from watchword.evaluate.sources import BenchmarkError
from watchword.evaluate.stream_audio import LEVEL_DB, Renderer
from watchword.evaluate.stream_keywords import Occurrence, Places, syllables
from watchword.evaluate.stream_plan import Piece, Recording, plan_commands, plan_speech, write_plan
from watchword.evaluate.trials import Trial
from watchword.text.pronounce import default_pronouncer


@pytest.fixture(scope="module")
def pronunciations():
    return Pronunciations(default_pronouncer())


def said(text):
    """A segment in which every word lasts a second."""
    words = tuple(Timed(word, float(number), number + 1.0) for number, word in enumerate(text.split()))
    return Segment("a.wav", text, 0.0, float(len(words)), "s", words=words)


@pytest.mark.parametrize(
    ("keyword", "text", "expected"),
    [
        ("garden", "the garden wall", [(1, 2, True)]),
        ("garden", "two gardens", [(1, 2, False)]),
        ("right", "write the rite right", [(0, 1, True), (2, 3, True), (3, 4, True)]),
        ("someone", "some one came", [(0, 2, True)]),
        ("old stone", "an old stone bridge of gold stones", [(1, 3, True), (5, 7, False)]),
        ("quiet", "river", []),
    ],
)
def test_places_are_whole_words_that_sound_so_and_what_lies_within_words_does_not_count(
    pronunciations, keyword, text, expected
):
    found = Places([keyword], pronunciations).of(said(text))
    assert sorted((o.start_seconds, o.end_seconds, o.counts) for o in found) == expected


def test_a_plan_is_the_same_every_time_and_its_hash_says_so(segments, tmp_path):
    plan = plan_speech(segments, seed=0, hours=0.1, num_keywords=5)
    again = plan_speech(segments, seed=0, hours=0.1, num_keywords=5)
    assert plan == again
    assert plan.sha256 == again.sha256 != plan_speech(segments, seed=1, hours=0.1, num_keywords=5).sha256
    moved = [replace(s, audio=s.audio.replace("corpus", "elsewhere")) for s in segments]
    assert plan_speech(moved, seed=0, hours=0.1, num_keywords=5).sha256 == plan.sha256
    path = write_plan(tmp_path, plan)
    assert plan.sha256[:12] in path.name
    assert len(path.read_text().splitlines()) == 1 + len(plan.recordings)
    assert json.loads(path.read_text().splitlines()[0])["keywords"] == list(plan.keywords)


def test_a_plan_holds_its_keywords_where_it_says(segments):
    plan = plan_speech(segments, seed=0, hours=0.15, num_keywords=6)
    assert plan.hours == pytest.approx(0.15, abs=0.01)
    by_audio = {segment.audio: segment for segment in segments}
    for recording in plan.recordings:
        ends = [piece.at_seconds + piece.end_seconds - piece.start_seconds for piece in recording.pieces]
        starts = [piece.at_seconds for piece in recording.pieces]
        assert all(0.29 < start - end < 1.51 for start, end in zip(starts[1:], ends, strict=False))
        assert ends[-1] < recording.seconds
        for place in recording.occurrences:
            piece = next(p for p in reversed(recording.pieces) if p.at_seconds <= place.start_seconds)
            start = place.start_seconds - piece.at_seconds
            words = [word for word in by_audio[piece.audio].words if word.start_seconds >= start - 1e-3]
            assert place.keyword.split()[0] == words[0].text
            assert words[0].start_seconds == pytest.approx(start, abs=1e-3)
    said_by_keyword = {k: sum(o.keyword == k for r in plan.recordings for o in r.occurrences) for k in plan.keywords}
    assert min(said_by_keyword.values()) >= 3


def test_no_keyword_contains_another_and_too_few_are_told(segments, pronunciations):
    keywords = plan_speech(segments, seed=3, hours=0.1, num_keywords=8).keywords
    sounds = [" ".join(variant) for keyword in keywords for variant in pronunciations.of(keyword)[:1]]
    assert not [(a, b) for a in sounds for b in sounds if a != b and a in b]
    with pytest.raises(BenchmarkError, match="ask for fewer"):
        plan_speech(segments, seed=0, hours=0.1, num_keywords=500)


def test_keywords_have_as_many_syllables_as_asked_for(segments, pronunciations):
    for least, size in ((2, 6), (3, 1)):
        plan = plan_speech(segments, seed=0, hours=0.1, num_keywords=size, least_syllables=least)
        assert all(syllables(pronunciations.of(keyword)) >= least for keyword in plan.keywords)
    with pytest.raises(BenchmarkError, match="of 9 syllables"):
        plan_speech(segments, seed=0, hours=0.1, least_syllables=9)


def test_speech_that_stands_in_two_manifests_is_heard_once(segments, tmp_path):
    for name in ("one", "two"):
        write_segments(tmp_path / f"{name}.segments.jsonl", segments)
    once = find_plans([tmp_path / "one.segments.jsonl"], StreamSettings(hours=0.1, keywords=5, split="train"))
    assert find_plans([tmp_path], StreamSettings(hours=0.1, keywords=5, split="train")) == once


def test_commands_lie_between_utterances_and_alone(segments):
    clips = [
        Trial(f"c/{w}{n}.wav", 0.0, 1.0, w, True, "own", 1, f"c{n}")
        for w in ("seven", "marvin", "go")
        for n in range(9)
    ]
    plan = plan_commands(clips, segments, seed=0, hours=0.2)
    assert plan.keywords == ("marvin", "seven")
    commands = [p for r in plan.recordings for p in r.pieces if p.audio.startswith("c/")]
    assert len(commands) == len({p.audio for p in commands}) == 18
    alone = [r for r in plan.recordings if all(p.audio.startswith("c/") for p in r.pieces)]
    assert sum(len(r.pieces) for r in alone) == 9
    assert sum(not o.timed for r in plan.recordings for o in r.occurrences) == 18


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    """A recording of two tones, of 1 s and 2 s, and a folder of noise."""
    folder = tmp_path_factory.mktemp("tape")
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    rng = np.random.default_rng(0)
    soundfile.write(folder / "low.wav", 0.3 * np.sin(2 * np.pi * 440 * time[:SAMPLE_RATE]), SAMPLE_RATE)
    soundfile.write(folder / "high.wav", 0.01 * np.sin(2 * np.pi * 1000 * time), SAMPLE_RATE)
    (folder / "noise").mkdir()
    soundfile.write(folder / "noise" / "hiss.wav", 0.2 * rng.standard_normal(3 * SAMPLE_RATE), SAMPLE_RATE)
    low, high = Piece(str(folder / "low.wav"), 0, 1, 1.0, "s"), Piece(str(folder / "high.wav"), 0.5, 2, 3.0, "s")
    recording = Recording("tape", 6.0, (low, high), (Occurrence("k", 1.0, 2.0),))
    return recording, Renderer(0, folder / "noise")


def power_db(audio):
    return 10 * np.log10((audio.astype(np.float64) ** 2).mean())


def test_utterances_lie_in_their_places_at_one_level(tape):
    recording, render = tape
    audio = render(recording, "clean")
    assert len(audio) == 6 * SAMPLE_RATE
    first, second = audio[SAMPLE_RATE : 2 * SAMPLE_RATE], audio[3 * SAMPLE_RATE : round(4.5 * SAMPLE_RATE)]
    for spoken in (first, second):
        assert 10 * np.log10(speech_power(spoken)) == pytest.approx(LEVEL_DB, abs=0.1)
    assert not audio[:SAMPLE_RATE].any()
    assert not audio[2 * SAMPLE_RATE : 3 * SAMPLE_RATE].any()
    original = read(recording.pieces[0].audio)
    np.testing.assert_allclose(first / np.abs(first).max(), original / np.abs(original).max(), atol=1e-3)


def test_noise_lies_so_far_below_the_speech_everywhere(tape):
    recording, render = tape
    clean = render(recording, "clean")
    noises = {}
    for condition, ratio in (("10 dB", 10), ("5 dB", 5), ("0 dB", 0)):
        noises[condition] = render(recording, condition) - clean
        for part in (noises[condition][:SAMPLE_RATE], noises[condition][3 * SAMPLE_RATE : 4 * SAMPLE_RATE]):
            assert power_db(part) == pytest.approx(LEVEL_DB - ratio, abs=0.5)
    # The same noise at every ratio, and a word's place in it the same.
    assert np.corrcoef(noises["10 dB"], noises["0 dB"])[0, 1] > 0.999


def test_a_room_leaves_speech_in_its_place_with_a_tail(tape):
    recording, render = tape
    audio = render(recording, "room")
    assert not audio[:SAMPLE_RATE].any()
    assert audio[SAMPLE_RATE : SAMPLE_RATE + 400].any()
    assert audio[round(2.05 * SAMPLE_RATE) : round(2.2 * SAMPLE_RATE)].any()
    assert not audio[round(2.7 * SAMPLE_RATE) : 3 * SAMPLE_RATE].any()


def test_audio_follows_from_seed_and_name_alone(tape):
    recording, render = tape
    for condition in ("0 dB", "room"):
        again = Renderer(0, render.noise)
        again(replace(recording, name="another"), "room")
        np.testing.assert_array_equal(render(recording, condition), again(recording, condition))
        assert (render(recording, condition) != Renderer(1, render.noise)(recording, condition)).any()


def test_conditions_that_cannot_be_made_are_told(tape, tmp_path):
    for render, condition, message in (
        (Renderer(0), "10 dB", "--noise is not given"),
        (Renderer(0, tmp_path), "0 dB", "holds no recordings"),
        (tape[1], "windy", "no condition 'windy'"),
    ):
        with pytest.raises(BenchmarkError, match=message):
            render.check(["clean", condition])
    Renderer(0).check(["clean", "room"])
