"""`watchword spot` over many files: by processes as by one, kept, interrupted, killed, and taken up again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from watchword.cli.scan_record import RecordError, ScanRecord

SEARCH = ("spot", "hey nova", "lights off", "--threshold", "-1")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Eight recordings of noise, 1 to 8 s, the longest first."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(3)
    for number in range(8):
        soundfile.write(folder / f"{number}.wav", 0.1 * rng.standard_normal(16000 * (8 - number)), 16000)
    return folder


@pytest.fixture(scope="module")
def unbroken(many, local_bundle, tmp_path_factory):
    """The record of an unbroken scan of them, in one process."""
    from watchword.cli import main

    path = tmp_path_factory.mktemp("records") / "unbroken.jsonl"
    assert main([*SEARCH, str(many), "--bundle", str(local_bundle.path), "--resume", str(path)]) == 0
    return path.read_bytes()


def rows_of(record):
    return [json.loads(line) for line in record.splitlines()]


def program(*arguments):
    return [sys.executable, "-m", "watchword", *map(str, arguments)]


def test_processes_find_what_one_finds_in_the_same_order(run, many, local_bundle):
    command = (*SEARCH, many, "--json", "--bundle", local_bundle.path)
    assert run(*command, "--jobs", 1) == run(*command, "--jobs", 3)


def test_a_record_says_what_was_sought_found_and_finished(run, many, local_bundle, unbroken):
    header, *rows = rows_of(unbroken)
    assert [text for text, _ in header["scan"]["keywords"]] == ["hey nova", "lights off"]
    ends = [row for row in rows if "finished" in row]
    assert [row["file"] for row in ends] == [str(many / f"{number}.wav") for number in range(8)]
    assert [row["seconds"] for row in ends] == [8, 7, 6, 5, 4, 3, 2, 1]
    for end in ends:
        assert sum(row["file"] == end["file"] and "keyword" in row for row in rows) == end["detections"]
    shown = run(*SEARCH, many, "--json", "--bundle", local_bundle.path)[1]
    assert [row for row in rows if "keyword" in row] == rows_of(shown)


def test_nothing_found_is_known_too(run, many, local_bundle, tmp_path):
    record = tmp_path / "out.jsonl"
    command = ("spot", "nova", many, "--threshold", 2, "--bundle", local_bundle.path, "--resume", record)
    status, out, err = run(*command)
    assert (status, out) == (1, "")
    assert "0 detections in 8 of 8 files" in err
    assert sum(row.get("detections") == 0 for row in rows_of(record.read_bytes())) == 8
    before = record.read_bytes()
    assert run(*command)[0] == 1
    assert record.read_bytes() == before


def test_cut_anywhere_it_goes_on_to_the_same_record(run, many, local_bundle, unbroken, tmp_path):
    record = tmp_path / "out.jsonl"
    rng = np.random.default_rng(1)
    for cut in [0, 5, len(unbroken) - 1, *rng.integers(1, len(unbroken), 5).tolist()]:
        record.write_bytes(unbroken[:cut])
        assert run(*SEARCH, many, "--bundle", local_bundle.path, "--resume", record)[0] == 0
        assert record.read_bytes() == unbroken


def test_finished_files_are_not_searched_again(run, many, local_bundle, unbroken, tmp_path):
    record = tmp_path / "out.jsonl"
    changed = unbroken.replace(b'"keyword": "hey nova"', b'"keyword": "kept"')
    record.write_bytes(changed)
    status, _, err = run(*SEARCH, many, "--bundle", local_bundle.path, "--resume", record)
    assert status == 0
    assert "8 of 8 files, 8 of them before" in err
    assert record.read_bytes() == changed


def wait_for_a_finished_file(record: Path, process: subprocess.Popen) -> None:
    for _ in range(1200):
        if record.exists() and b'"finished"' in record.read_bytes():
            return
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.05)
    pytest.fail("no file was finished within a minute")


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_or_killed_it_keeps_what_is_done_and_goes_on(run, local_bundle, tmp_path, ended_by):
    folder, record, whole = tmp_path / "long", tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    folder.mkdir()
    rng = np.random.default_rng(4)
    soundfile.write(folder / "0.wav", 0.1 * rng.standard_normal(16000 * 2), 16000)
    for number in range(1, 4):
        soundfile.write(folder / f"{number}.wav", 0.1 * rng.standard_normal(16000 * 100), 16000)
    command = (*SEARCH, folder, "--bundle", local_bundle.path, "--resume")
    with subprocess.Popen(program(*command, record, "--jobs", 2), stderr=subprocess.PIPE) as process:
        wait_for_a_finished_file(record, process)
        children = children_of(process.pid)
        process.send_signal(ended_by)
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == (130 if ended_by == signal.SIGINT else -signal.SIGKILL)
    if ended_by == signal.SIGINT:
        assert "files are done; the same command goes on from there" in said
        assert "Traceback" not in said
    for child in children:
        for _ in range(400):
            if not os.path.exists(f"/proc/{child}"):
                break
            time.sleep(0.05)
        assert not os.path.exists(f"/proc/{child}"), "a process searches on although nobody waits for it"
    assert 1 <= record.read_bytes().count(b'"finished"') < 4
    assert run(*command, record, "--jobs", 1)[0] == 0
    assert run(*command, whole, "--jobs", 1)[0] == 0
    assert record.read_bytes() == whole.read_bytes()


def test_a_broken_file_is_told_kept_and_tried_again(run, many, local_bundle, unbroken, tmp_path):
    folder, record = tmp_path / "some", tmp_path / "out.jsonl"
    folder.mkdir()
    (folder / "a.wav").write_text("no audio at all")
    (folder / "b.wav").write_bytes((many / "7.wav").read_bytes())
    command = (*SEARCH, folder, "--bundle", local_bundle.path, "--resume", record)
    status, _, err = run(*command, "--jobs", 2)
    assert status == 2
    assert f"{folder / 'a.wav'}: cannot be read as audio" in err
    rows = rows_of(record.read_bytes())
    assert [row["file"] for row in rows if "error" in row] == [str(folder / "a.wav")]
    assert [row["file"] for row in rows if "finished" in row] == [str(folder / "b.wav")]
    (folder / "a.wav").write_bytes((many / "6.wav").read_bytes())
    assert run(*command)[0] == 0
    rows = rows_of(record.read_bytes())
    assert not [row for row in rows if "error" in row]
    assert [row["seconds"] for row in rows if "finished" in row] == [2.0, 1.0]


def test_a_file_of_another_size_is_searched_again(run, many, local_bundle, tmp_path):
    folder, record = tmp_path / "some", tmp_path / "out.jsonl"
    folder.mkdir()
    command = (*SEARCH, folder, "--bundle", local_bundle.path, "--resume", record)
    for name, seconds in (("7.wav", 1.0), ("6.wav", 2.0)):
        (folder / "a.wav").write_bytes((many / name).read_bytes())
        assert run(*command)[0] == 0
        assert [row["seconds"] for row in rows_of(record.read_bytes()) if "finished" in row] == [seconds]


@pytest.mark.parametrize("there", [b"RIFF....WAVE\n", b'{"some": "thing"}\n', b"a shopping list", b"[1]\n{}\n"])
def test_a_file_of_anything_else_stays_as_it_is(refused, many, local_bundle, tmp_path, there):
    record = tmp_path / "out.jsonl"
    record.write_bytes(there)
    refused(*SEARCH, many, "--bundle", local_bundle.path, "--resume", record, parts=["name another file"])
    assert record.read_bytes() == there


def test_another_scan_does_not_go_on_from_it(refused, many, local_bundle, unbroken, tmp_path):
    record = tmp_path / "out.jsonl"
    record.write_bytes(unbroken)
    command = ("--bundle", local_bundle.path, "--resume", record)
    refused("spot", "other words", many, "--threshold", -1, *command, parts=["other keywords"])
    refused("spot", "hey nova", "lights off", many, "--threshold", 0.5, *command, parts=["other keywords"])
    refused(*SEARCH, "-", *command, parts=["standard input"])
    record.write_bytes(unbroken.splitlines(keepends=True)[0] + b"noise\n" + unbroken)
    refused(*SEARCH, many, *command, parts=["line 2"])
    refused(*SEARCH, many, "--bundle", local_bundle.path, "--resume", tmp_path, parts=["cannot be written"])


def test_a_record_is_put_in_the_order_of_the_files(tmp_path):
    path = tmp_path / "out.jsonl"
    with ScanRecord(path, {"keywords": []}) as record:
        record.add("z", [{"file": "z", "keyword": "k"}], 1.0, 10)
        record.add("b", [], 1.0, 11)
        record.fail("a", "a: broken")
        record.put_in_order(["a", "b", "z"])
        record.add("c", [], 1.0, 12)
    assert [row["file"] for row in rows_of(path.read_bytes())[1:]] == ["a", "b", "z", "z", "c"]
    with ScanRecord(path, {"keywords": []}) as record:
        assert [record.holds(file, size) for file, size in (("z", 10), ("b", 11), ("a", 0), ("b", 12))] == [
            True,
            True,
            False,
            False,
        ]
        assert record.found_before("z", 10) == 1
    with pytest.raises(RecordError, match="other keywords"):
        ScanRecord(path, {"keywords": ["another"]})
