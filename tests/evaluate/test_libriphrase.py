"""Released LibriPhrase lists: the three protocols on one episode by hand, counts, and what is refused."""

import csv
from dataclasses import astuple

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from watchword.audio import write
from watchword.evaluate.benchmarks import Settings, find_sources, prepare_benchmark
from watchword.evaluate.libriphrase import TRIALS_A_SET, libriphrase_figures, read_libriphrase
from watchword.evaluate.metrics import equal_error_rate
from watchword.evaluate.trials import TrialError

COLUMNS = [
    *("anchor", "anchor_spk", "anchor_text", "anchor_dur"),
    *("comparison", "comparison_spk", "comparison_text", "comparison_dur", "type", "target", "class"),
]
# One anchor of one word, three comparisons: the smallest list that has every type.
EPISODE = [
    ("a.wav", "1", "friend", "b.wav", "2", "friend", "diffspk_positive", "1"),
    ("a.wav", "1", "friend", "c.wav", "3", "guard", "diffspk_easyneg", "0"),
    ("a.wav", "1", "friend", "d.wav", "4", "frind", "diffspk_hardneg", "0"),
]
COUNTS = {"readme": 2, "pmn": 4, "mm": 4}


def lists(folder, episodes, audio=True):
    """A list a number of words, with a quarter of a second of noise a clip."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for num_words, rows in episodes.items():
        with (folder / f"testset_{num_words}word.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for anchor, speaker, text, other, other_speaker, other_text, kind, target in rows:
                writer.writerow(
                    [anchor, speaker, text, "0.25", other, other_speaker, other_text, "0.25", kind, target, num_words]
                )
                for name in (anchor, other) if audio else ():
                    write(folder / name, 0.1 * rng.standard_normal(4000).astype(np.float32))
    return folder


@pytest.fixture
def folder(tmp_path):
    return lists(tmp_path / "lists", {1: EPISODE})


def trials_of(lists, name):
    """A protocol's trials as (clip, text, is_match, kind, speaker)."""
    protocol = lists.protocols[name]
    found = []
    for pair, is_match, kind, _, speaker in zip(*astuple(protocol), strict=True):
        clip = lists.pairs.clips[lists.pairs.clip_of[pair]].audio.rpartition("/")[2]
        found.append((clip, lists.pairs.texts[lists.pairs.text_of[pair]], bool(is_match), str(kind), str(speaker)))
    return found


def test_the_protocols_of_one_episode_are_these(folder):
    found = read_libriphrase(folder, COUNTS)
    assert trials_of(found, "readme") == [
        ("b.wav", "friend", True, "own", "2"),
        ("c.wav", "friend", False, "easy", "3"),
        ("d.wav", "friend", False, "hard", "4"),
    ]
    assert trials_of(found, "pmn") == [
        ("a.wav", "friend", True, "easy", "1"),
        ("a.wav", "guard", False, "easy", "1"),
        ("c.wav", "guard", True, "easy", "3"),
        ("c.wav", "friend", False, "easy", "3"),
        ("a.wav", "friend", True, "hard", "1"),
        ("a.wav", "frind", False, "hard", "1"),
        ("d.wav", "frind", True, "hard", "4"),
        ("d.wav", "friend", False, "hard", "4"),
    ]
    assert trials_of(found, "mm") == [
        ("a.wav", "friend", True, "own", "1"),
        ("b.wav", "friend", True, "own", "2"),
        ("a.wav", "guard", False, "easy", "1"),
        ("c.wav", "friend", False, "easy", "3"),
        ("a.wav", "frind", False, "hard", "1"),
        ("d.wav", "friend", False, "hard", "4"),
    ]


def test_pairs_are_scored_once_for_all_protocols(folder):
    found = read_libriphrase(folder, COUNTS)
    pairs = set(zip(found.pairs.clip_of.tolist(), found.pairs.text_of.tolist(), strict=True))
    assert len(pairs) == len(found.pairs.clip_of) == 8
    assert found.counts["readme_trials_a_set"] == 2
    assert found.counts["mm_trials_a_set"] == found.counts["pmn_trials_a_set"] == 4


def test_the_released_lists_have_nine_rows_an_episode_in_each_protocol():
    episodes = 4391 + 2605 + 467 + 56
    assert {"readme": episodes * 18, "pmn": episodes * 36, "mm": episodes * 36} == TRIALS_A_SET


def test_every_figure_is_sklearns_on_its_own_trials(tmp_path):
    """Two lengths, ties included; the pooled figure is over both."""
    episodes = {
        n: [
            (
                f"{n}a{i}.wav",
                str(i),
                f"{'x ' * n}{i}"[2:],
                f"{n}{t}{i}.wav",
                str(i + 1),
                f"{t} {n} {i}",
                kind,
                m,
            )
            for i in range(6)
            for t, kind, m in (
                ("p", "diffspk_positive", "1"),
                ("e", "diffspk_easyneg", "0"),
                ("h", "diffspk_hardneg", "0"),
            )
        ]
        for n in (1, 2)
    }
    found = read_libriphrase(lists(tmp_path / "lists", episodes), {"readme": 24, "pmn": 48, "mm": 48})
    scores = np.round(np.random.default_rng(1).normal(size=len(found.pairs.clip_of)), 1)
    figures = libriphrase_figures(found, scores, resamples=0)
    assert len(figures) == 3 * 2 * 2 * 3
    for name, protocol in found.protocols.items():
        for kind in ("easy", "hard"):
            for words, suffix in ((0, ""), (1, "_1_word"), (2, "_2_words")):
                among = np.isin(protocol.kind, ("own", kind)) & ((protocol.num_words == words) | (words == 0))
                prefix = "" if name == "readme" else f"{name}_"
                labels, values = protocol.is_match[among], scores[protocol.pair][among]
                assert figures[f"{prefix}{kind}_auc{suffix}"].value == pytest.approx(roc_auc_score(labels, values))
                assert figures[f"{prefix}{kind}_eer{suffix}"].value == equal_error_rate(labels, values)


@pytest.mark.parametrize("name", ["readme", "pmn", "mm"])
def test_other_counts_are_refused(folder, name):
    with pytest.raises(TrialError) as raised:
        read_libriphrase(folder, {**COUNTS, name: 135_342})
    assert f"easy trials of protocol {name!r} instead of 135,342; give the released lists" in str(raised.value)


def test_one_row_too_few_is_refused(tmp_path):
    folder = lists(tmp_path / "lists", {1: EPISODE + EPISODE[:2]})
    with pytest.raises(TrialError, match="3 hard trials of protocol 'readme' instead of 4"):
        read_libriphrase(folder, {"readme": 4})


def test_audio_that_is_not_there_is_named(tmp_path):
    folder = lists(tmp_path / "lists", {1: EPISODE}, audio=False)
    with pytest.raises(TrialError, match=r"no audio at .*a\.wav; put the phrases"):
        read_libriphrase(folder, COUNTS)


def test_audio_may_lie_beside_the_lists(tmp_path):
    (tmp_path / "all").mkdir()
    folder = lists(tmp_path / "all" / "data", {1: EPISODE})
    for path in folder.glob("*.wav"):
        path.rename(folder.parent / path.name)
    assert read_libriphrase(folder, COUNTS).pairs.clips[0].audio == str((folder.parent / "a.wav").resolve())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((*EPISODE[0][:6], "samespk_positive", "1"), "line 2: type 'samespk_positive' with target '1'"),
        ((*EPISODE[1][:6], "diffspk_easyneg", "1"), "line 2: type 'diffspk_easyneg' with target '1'"),
    ],
)
def test_lists_of_another_mode_are_refused(tmp_path, row, message):
    with pytest.raises(TrialError, match=message):
        read_libriphrase(lists(tmp_path / "lists", {1: [row]}), {})


def test_a_list_without_its_columns_is_refused(tmp_path):
    (tmp_path / "x_1word.csv").write_text("anchor,anchor_spk\na.wav,1\n")
    with pytest.raises(TrialError, match="line 1: no column 'anchor_text'"):
        read_libriphrase(tmp_path)


def test_the_benchmark_refuses_lists_of_another_size(folder, tmp_path):
    (source,) = find_sources("libriphrase", [folder.parent / "lists"])
    with pytest.raises(TrialError, match="2 easy trials of protocol 'readme' instead of 135,342"):
        prepare_benchmark("libriphrase", source, Settings(), tmp_path)
