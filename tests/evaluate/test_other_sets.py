"""Benchmarks of released sets: ten Speech Commands 1:9, four Qualcomm phrases 1:3, WSJ by its size; clips distorted."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from watchword.audio import read, write
from watchword.data.segment import Segment, write_segments
from watchword.evaluate.benchmarks import BenchmarkError, Settings, find_sources, prepare_benchmark
from watchword.evaluate.distortion import Distorted
from watchword.evaluate.qualcomm import build_qualcomm
from watchword.evaluate.sources import QUALCOMM_FOLDERS
from watchword.evaluate.speech_commands import TEN_WORDS, build_speech_commands
from watchword.evaluate.trials import TrialError
from watchword.evaluate.wsj_protocol import build_wsj


def noise(seed, seconds=0.3):
    return 0.1 * np.random.default_rng(seed).standard_normal(round(16000 * seconds)).astype(np.float32)


@pytest.fixture
def commands(tmp_path):
    """A release of the ten words and two more: two clips a word, of which the first is listed as test."""
    folder = tmp_path / "speech_commands"
    listed = []
    for number, word in enumerate((*TEN_WORDS, "marvin", "zero")):
        (folder / word).mkdir(parents=True)
        for speaker in ("0a", "0b"):
            write(folder / word / f"{speaker}_nohash_0.wav", noise(number))
        listed.append(f"{word}/0a_nohash_0.wav")
    (folder / "testing_list.txt").write_text("\n".join(listed) + "\n")
    return folder


def scorer(clips, texts):
    return np.array([[(clip.std() * len(text)) % 0.01 for text in texts] for clip in clips])


def test_ten_words_meet_every_test_clip_of_theirs_one_to_nine(commands, tmp_path):
    (source,) = find_sources("speech-commands-10", [tmp_path])
    prepared = prepare_benchmark("speech-commands-10", source, Settings(resamples=0), tmp_path / "trials")
    assert prepared.counts["trials"] == 100
    assert prepared.counts["matches"] == 10
    trials = build_speech_commands(commands, TEN_WORDS)
    assert {trial.speaker for trial in trials} == {"0a"}
    # The figure is scikit-learn's on the same hundred pairs.
    pairs = [(trial, text) for trial in trials for text in sorted(TEN_WORDS)]
    labels = [trial.text == text for trial, text in pairs]
    scores = [scorer([read(trial.audio)], [text])[0, 0] for trial, text in pairs]
    assert prepared.measure(scorer).figures["ap"].value == pytest.approx(average_precision_score(labels, scores))


def test_all_words_of_a_release_are_used_without_a_choice(commands):
    assert len({trial.text for trial in build_speech_commands(commands)}) == 12


def test_a_word_without_a_clip_is_named(commands):
    listed = commands / "testing_list.txt"
    listed.write_text(listed.read_text().replace("go/0a_nohash_0.wav\n", ""))
    with pytest.raises(TrialError, match="no clip of 'go'; give the whole test set"):
        build_speech_commands(commands, TEN_WORDS)


def test_a_listed_clip_that_is_not_there_is_named(commands):
    (commands / "yes" / "0a_nohash_0.wav").unlink()
    with pytest.raises(TrialError, match=r"yes/0a_nohash_0\.wav: listed in testing_list.txt and not there"):
        build_speech_commands(commands)


@pytest.fixture
def qualcomm(tmp_path):
    folder = tmp_path / "qualcomm"
    for number, name in enumerate(QUALCOMM_FOLDERS):
        for speaker in ("s1", "s2"):
            (folder / name / speaker).mkdir(parents=True)
            write(folder / name / speaker / "1.wav", noise(number))
    return folder


def test_four_phrases_meet_every_clip_one_to_three(qualcomm, tmp_path):
    (source,) = find_sources("qualcomm", [tmp_path])
    prepared = prepare_benchmark("qualcomm", source, Settings(resamples=0), tmp_path / "trials")
    assert (prepared.counts["trials"], prepared.counts["matches"], prepared.counts["speakers"]) == (32, 8, 2)
    assert {"ap", "eer", "auc", "top1"} <= set(prepared.measure(scorer).figures)


def test_a_prepared_manifest_gives_the_same_trials(qualcomm, tmp_path):
    listed = build_qualcomm(qualcomm)
    segments = [Segment(t.audio, t.text, 0.0, -1.0, t.speaker, "qualcomm", "test") for t in listed]
    write_segments(tmp_path / "phrases.segments.jsonl", segments)
    (source,) = find_sources("qualcomm", [tmp_path / "phrases.segments.jsonl"])
    assert build_qualcomm(source.path) == listed


def test_a_missing_phrase_is_named(qualcomm):
    for path in (qualcomm / "hi_lumina").rglob("*.wav"):
        path.unlink()
    with pytest.raises(TrialError, match="hi_lumina: no audio; the benchmark compares four phrases"):
        build_qualcomm(qualcomm)


def test_wsj_takes_every_word_and_is_refused_where_their_number_is_another(segments):
    wanted = {"segments_wanted": "1.3 k", "words_wanted": "0.06 k"}
    trials = build_wsj(segments, **wanted)
    own = [trial for trial in trials if trial.is_match]
    assert len(own) == sum(len(segment.words) for segment in segments if segment.split == "test") == 1280
    assert len(trials) == 51 * len(own)
    with pytest.raises(TrialError, match=r"1 k segments of 0\.1 k words in split 'test', the paper has 18 k of 3\.2 k"):
        build_wsj(segments)


def test_wsj_is_found_by_the_corpus_that_a_manifest_names(segments, tmp_path):
    from dataclasses import replace

    write_segments(tmp_path / "other.segments.jsonl", segments[:16])
    with pytest.raises(BenchmarkError, match="it needs the licensed corpus"):
        find_sources("wsj", [tmp_path])
    write_segments(tmp_path / "news.segments.jsonl", [replace(s, corpus="wsj") for s in segments[:16]])
    assert [source.path.name for source in find_sources("wsj", [tmp_path])] == ["news.segments.jsonl"]


@pytest.fixture
def noises(tmp_path):
    folder = tmp_path / "noise"
    folder.mkdir()
    for number in range(2):
        write(folder / f"{number}.wav", noise(number, seconds=2.0))
    return folder


def test_distortion_is_the_same_every_time_and_keeps_the_length(noises):
    clips = [noise(number, seconds=0.5) for number in range(8)]
    heard = [Distorted(scorer, noises).hear(clip) for clip in clips]
    again = [Distorted(scorer, noises).hear(clip) for clip in reversed(clips)][::-1]
    for one, other, clip in zip(heard, again, clips, strict=True):
        assert np.array_equal(one, other)
        assert one.shape == clip.shape
        assert not np.allclose(one / np.abs(one).max(), clip / np.abs(clip).max(), atol=0.01)
    other_seed = Distorted(scorer, noises, seed=1).hear(clips[0])
    assert not np.array_equal(other_seed, heard[0])


def test_distorted_scores_are_those_of_distorted_clips(noises):
    clips = [noise(number) for number in range(3)]
    distorted = Distorted(scorer, noises)
    assert np.array_equal(distorted(clips, ["a", "bcd"]), scorer([distorted.hear(c) for c in clips], ["a", "bcd"]))
    assert distorted.sparse is False


def test_a_folder_without_noise_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="no recordings of noise"):
        Distorted(scorer, tmp_path)
