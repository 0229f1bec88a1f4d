"""Trial lists come back as they were written, and are told apart by their hash."""

from dataclasses import replace

import pytest

from watchword.evaluate.trials import Trial, TrialError, read_trials, trials_hash, write_trials

TRIALS = [
    Trial("/somewhere/a/1.wav", 0.1, 0.6, "hey robot", True, "own", 2, "s1"),
    Trial("/somewhere/b/2.wav", 0.0, 1.25, 'the "old" kite', False, "hard", 3, "s2"),
]


def test_written_list_reads_back_the_same(tmp_path):
    path = tmp_path / "new" / "list.tsv"
    sha256 = write_trials(path, TRIALS)
    assert read_trials(path, sha256) == TRIALS
    assert [entry.name for entry in path.parent.iterdir()] == ["list.tsv"]


def test_hash_is_the_same_where_the_audio_lies_elsewhere():
    moved = [replace(trial, audio=trial.audio.replace("/somewhere", "/other/place")) for trial in TRIALS]
    assert trials_hash(moved) == trials_hash(TRIALS)


@pytest.mark.parametrize(
    "change", [{"text": "hey"}, {"is_match": False}, {"speaker": "s9"}, {"end_seconds": 0.61}, {"kind": "easy"}]
)
def test_any_change_changes_the_hash(change):
    assert trials_hash([replace(TRIALS[0], **change), TRIALS[1]]) != trials_hash(TRIALS)


def test_edited_list_is_refused(tmp_path):
    path = tmp_path / "list.tsv"
    sha256 = write_trials(path, TRIALS)
    path.write_text(path.read_text().replace("hey robot", "hey rabbit"))
    with pytest.raises(TrialError, match=r"hash \w+ instead of"):
        read_trials(path, sha256)


def test_relative_audio_starts_at_the_folder_of_the_list(tmp_path):
    path = tmp_path / "list.tsv"
    write_trials(path, TRIALS)
    path.write_text(path.read_text().replace("/somewhere/", ""))
    assert read_trials(path)[0].audio == str(tmp_path / "a/1.wav")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("is_match", "match", "line 1: no column 'is_match'"),
        ("0.1000", "soon", "line 2: "),
        ("\t1\town", "\tx\town", "0 nor 1"),
    ],
)
def test_bad_list_is_named_by_line(tmp_path, old, new, message):
    path = tmp_path / "list.tsv"
    write_trials(path, TRIALS)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(TrialError, match=message):
        read_trials(path)


def test_missing_list_is_one_sentence(tmp_path):
    with pytest.raises(TrialError, match="not a readable trial list"):
        read_trials(tmp_path / "none.tsv")
