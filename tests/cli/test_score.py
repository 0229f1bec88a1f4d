"""The command `watchword score`: the list comes back with the scores of the runtime, or the bad line is named."""

import csv
import io

import pytest

from watchword import Spotter, audio
from watchword.evaluate.trials import Trial, write_trials


def table(text):
    return list(csv.reader(io.StringIO(text), delimiter="\t"))


def test_scores_are_the_runtimes(run, local_bundle, recordings, tmp_path):
    lists = tmp_path / "list.tsv"
    rows = [(recordings / "b.wav", "hey nova"), (recordings / "a.flac", "lights off"), (recordings / "b.wav", "off")]
    lists.write_text("keyword\tpath\n" + "".join(f"{text}\t{path}\n" for path, text in rows))
    status, out, _ = run("score", lists, "--bundle", local_bundle.path)
    assert status == 0
    header, *scored = table(out)
    assert header == ["keyword", "path", "score"]
    spotter = Spotter([], local_bundle)
    for (path, text), cells in zip(rows, scored, strict=True):
        assert cells[:2] == [text, str(path)]
        assert float(cells[2]) == pytest.approx(spotter.score(audio.read(path), text), abs=1e-4)


def test_stretches_and_relative_paths_and_a_file(run, local_bundle, recordings):
    lists, out = recordings / "list.tsv", recordings / "scored.tsv"
    lists.write_text("file\ttext\tstart\tend\tnote\nb.wav\tnova\t0.5\t1.25\tx\nb.wav\tnova\t\t\ty\n")
    assert run("score", lists, "--out", out, "--bundle", local_bundle.path)[:2] == (0, "")
    header, one, two = table(out.read_text())
    assert header == ["file", "text", "start", "end", "note", "score"]
    assert (one[4], two[4]) == ("x", "y")
    samples, spotter = audio.read(recordings / "b.wav"), Spotter([], local_bundle)
    assert float(one[5]) == pytest.approx(spotter.score(samples[8000:20000], "nova"), abs=1e-4)
    assert float(two[5]) == pytest.approx(spotter.score(samples, "nova"), abs=1e-4)
    # What comes out goes in again: the column is replaced.
    again = run("score", out, "--bundle", local_bundle.path)[1]
    assert table(again) == table(out.read_text())
    out.unlink()
    lists.unlink()


def test_two_columns_need_no_header(run, local_bundle, recordings, tmp_path):
    (tmp_path / "list.tsv").write_text(f"{recordings / 'b.wav'}\tnova\n\n{recordings / 'a.flac'}\they {{N OW1}}\n")
    status, out, _ = run("score", tmp_path / "list.tsv", "--bundle", local_bundle.path)
    assert status == 0
    assert [len(row) for row in table(out)] == [3, 3]


def test_trial_lists_of_evaluate_work(run, local_bundle, recordings, tmp_path):
    trials = [Trial(str(recordings / "b.wav"), 0.25, 1.0, "nova", True, "own", 1, "s")]
    write_trials(tmp_path / "trials.tsv", trials)
    status, out, _ = run("score", tmp_path / "trials.tsv", "--bundle", local_bundle.path)
    assert status == 0
    header, row = table(out)
    assert header[-1] == "score"
    assert row[:-1] == trials[0].row()


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["is empty"]),
        ("audio\tspeaker\nb.wav\ts\n", ["line 1", "no column 'text'"]),
        ("b.wav\tnova\nb.wav\n", ["line 2", "1 columns instead of 2"]),
        (
            "audio\ttext\nb.wav\tnova\nnone.wav\tnova\nb.wav\t\n",
            ["line 3", "no such file 'none.wav'", "1 more bad line"],
        ),
        ("b.wav\t🙂\n", ["line 1", "nothing to speak"]),
        ("b.wav\t{QQ}\n", ["line 1", "unknown phoneme"]),
        ("notes.txt\tnova\n", ["line 1", "cannot be read as audio"]),
        ("audio\ttext\tstart\tend\nb.wav\tnova\t1.5\t0.5\n", ["line 2", "no stretch"]),
        ("audio\ttext\tstart\tend\nb.wav\tnova\tsoon\t0.5\n", ["line 2", "soon"]),
        ("audio\ttext\tstart\tend\nb.wav\tnova\t7\t8\n", ["line 2", "past the file's end"]),
    ],
)
def test_bad_lines_are_named_by_number(refused, local_bundle, recordings, content, parts):
    path = recordings / "bad.tsv"
    path.write_text(content)
    refused("score", path, "--bundle", local_bundle.path, parts=["bad.tsv", *parts])
    path.unlink()


def test_a_list_that_is_missing_or_binary(refused, local_bundle, tmp_path):
    refused("score", tmp_path / "none.tsv", "--bundle", local_bundle.path, parts=["none.tsv", "no such file"])
    (tmp_path / "binary.tsv").write_bytes(b"\xff\xfe\x00")
    refused("score", tmp_path / "binary.tsv", "--bundle", local_bundle.path, parts=["cannot be read"])


def test_nothing_half_written_is_left(refused, local_bundle, recordings, tmp_path):
    (tmp_path / "list.tsv").write_text(f"{recordings / 'b.wav'}\tnova\n")
    command = ("score", tmp_path / "list.tsv", "--bundle", local_bundle.path)
    refused(*command, "--out", tmp_path / "no" / "out.tsv", parts=["there is no folder"])
    assert [path.name for path in tmp_path.iterdir()] == ["list.tsv"]
