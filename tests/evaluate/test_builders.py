"""The laws of the trial lists: halves, equal lengths, no homophones, nearest negatives, one seed one list."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from watchword.evaluate.libriphrase_style import build_libriphrase_style
from watchword.evaluate.pronunciations import Homophones, NearestPhrases, Pronunciations
from watchword.evaluate.speech_commands import build_speech_commands, speech_commands_figures
from watchword.evaluate.trials import TrialError, trials_hash
from watchword.evaluate.wsj_protocol import build_wsj_protocol
from watchword.text.pronounce import default_pronouncer

TEST_SPEAKERS = {"s4", "s5", "s6", "s7"}


def sounds(text):
    return set(Pronunciations(default_pronouncer()).of(text))


def naive_distance(one, other):
    table = [[max(i, j) if 0 in (i, j) else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i, left in enumerate(one, 1):
        for j, right in enumerate(other, 1):
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (left != right))
    return table[-1][-1]


@pytest.fixture(scope="module")
def words(segments):
    return build_wsj_protocol(segments, num_segments=50, negatives=30)


@pytest.fixture(scope="module")
def phrases(segments):
    return build_libriphrase_style(segments, num_clips=160)


def test_wsj_has_one_positive_and_the_negatives_of_each_segment(words):
    assert len(words) == 50 * 31
    for start in range(0, len(words), 31):
        own, *others = words[start : start + 31]
        assert [trial.is_match for trial in (own, *others)] == [True, *[False] * 30]
        assert len({(t.audio, t.start_seconds, t.speaker) for t in (own, *others)}) == 1
        assert len({trial.text for trial in others}) == 30
        assert not any(sounds(own.text) & sounds(trial.text) for trial in others)


def test_speakers_only_from_the_split(words, phrases):
    assert {trial.speaker for trial in words} == TEST_SPEAKERS
    assert {trial.speaker for trial in phrases} == TEST_SPEAKERS


def test_easy_and_hard_are_half_positive_and_of_equal_length(phrases):
    assert Counter(trial.kind for trial in phrases) == {"own": 160, "easy": 160, "hard": 160}
    assert Counter(trial.num_words for trial in phrases if trial.is_match).keys() >= {2, 3, 4}
    for start in range(0, len(phrases), 3):
        own, easy, hard = phrases[start : start + 3]
        assert [own.is_match, easy.is_match, hard.is_match] == [True, False, False]
        assert {len(trial.text.split()) for trial in (own, easy, hard)} == {own.num_words}
        assert 0.5 <= own.end_seconds - own.start_seconds <= 2.0
        assert not sounds(own.text) & sounds(easy.text)
        assert not sounds(own.text) & sounds(hard.text)


def test_a_speaker_says_a_phrase_once(phrases):
    said = Counter((trial.speaker, trial.text) for trial in phrases if trial.is_match)
    assert set(said.values()) == {1}


def test_hard_is_nearer_than_easy(phrases):
    pronunciations = Pronunciations(default_pronouncer())
    distance = {"easy": 0, "hard": 0}
    for start in range(0, len(phrases), 3):
        own, *others = phrases[start : start + 3]
        for trial in others:
            distance[trial.kind] += naive_distance(pronunciations.of(own.text)[0], pronunciations.of(trial.text)[0])
    assert distance["hard"] < 0.8 * distance["easy"]


@pytest.mark.parametrize("build", [build_wsj_protocol, build_libriphrase_style])
def test_seed_decides_the_list(segments, build):
    size = {"num_segments": 20, "negatives": 20} if build is build_wsj_protocol else {"num_clips": 40}
    first = trials_hash(build(segments, seed=3, **size))
    assert trials_hash(build(segments[::-1], seed=3, **size)) == first
    assert trials_hash(build(segments, seed=4, **size)) != first


@pytest.mark.parametrize("build", [build_wsj_protocol, build_libriphrase_style])
def test_split_without_word_times_is_refused(segments, build):
    bare = [replace(segment, words=()) for segment in segments]
    with pytest.raises(TrialError, match="split 'test'"):
        build(bare)
    with pytest.raises(TrialError, match="split 'nowhere'"):
        build(segments, split="nowhere")


def test_nearest_phrases_equal_naive_search():
    rng = np.random.default_rng(0)
    phrases = sorted({tuple(rng.choice(list("abcdef"), rng.integers(1, 9)).tolist()) for _ in range(200)})
    nearest = NearestPhrases(phrases)
    for index in range(0, len(phrases), 5):
        excluded = {index, (index + 1) % len(phrases)}
        ranked = sorted(
            (naive_distance(phrases[index], other), place)
            for place, other in enumerate(phrases)
            if place not in excluded
        )
        assert nearest.of(index, 3, excluded) == [place for distance, place in ranked if distance > 0][:3]


def test_homophones_share_any_pronunciation():
    pronunciations = Pronunciations(default_pronouncer())
    texts = ["to", "two", "sea", "see", "sees", "red", "read"]
    homophones = Homophones([pronunciations.of(text) for text in texts])
    assert homophones.of(0) == {0, 1}
    assert homophones.of(2) == {2, 3}
    assert homophones.of(5) == {5, 6}


def test_unspeakable_word_has_no_pronunciation():
    pronunciations = Pronunciations(default_pronouncer())
    assert pronunciations.of("hey 🙂") == ()
    assert pronunciations.of("") == ()


def command_folder(folder, rows):
    folder.mkdir()
    lines = ["\t".join(("path", "text", "speaker", "seconds", "corpus", "split")), *rows]
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


def test_speech_commands_leaves_silence_out(tmp_path):
    rows = ["c/yes/1.wav\tyes\ta\t1.0\tc\ttest", "c/no/2.wav\tno\tb\t1.0\tc\ttest", "c/_/3.wav\t\t\t1.0\tc\ttest"]
    trials = build_speech_commands(command_folder(tmp_path / "c", rows))
    assert [(trial.text, trial.audio) for trial in trials] == [
        ("yes", str(tmp_path / "c/yes/1.wav")),
        ("no", str(tmp_path / "c/no/2.wav")),
    ]
    figures = speech_commands_figures(trials, ["no", "yes"], np.array([[0.1, 0.9], [0.2, 0.4]]), resamples=10)
    assert figures["top1"].value == 0.5
    assert figures["ap"].value == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["c/1.wav\thello you\ta\t1.0\tc\ttest"], "line 2: 'hello you' is not one word"),
        (["c/1.wav\tyes\ta\tlong\tc\ttest"], "line 2: could not convert"),
        (["c/1.wav\tyes\ta\t1.0\tc\ttest"], "fewer than two different words"),
    ],
)
def test_unfit_speech_commands_folder_is_refused(tmp_path, rows, message):
    with pytest.raises(TrialError, match=message):
        build_speech_commands(command_folder(tmp_path / "c", rows))
