"""`watchword pack` when things go wrong: a full disk, a kill, a bad manifest. Nothing half-written is a store."""

import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from watchword.audio import SAMPLE_RATE, write
from watchword.cli import main
from watchword.data.segment import Segment, Timed, write_segments
from watchword.data.store import PART_SEGMENTS, Store

FILES = ("items.npy", "utterances.npy", "phones.npy", "audio.bin", "index.json", "skipped.tsv")
SEGMENTS = 3 * PART_SEGMENTS + 10


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Four parts of short segments of one file, about 3.4 MB of audio altogether."""
    folder = tmp_path_factory.mktemp("corpus")
    noise = 0.1 * np.random.default_rng(5).standard_normal(40 * SAMPLE_RATE)
    write(folder / "noise.wav", noise.astype(np.float32))
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    segments = []
    for number in range(SEGMENTS):
        start, word = number / 40, words[number % 10]
        timed = (Timed(word, start, start + 0.14),)
        segments.append(Segment(str(folder / "noise.wav"), word, start, start + 0.14, words=timed))
    segments = [segment for segment in segments if segment.end_seconds < 40]
    write_segments(folder / "segments.jsonl", segments)
    return folder / "segments.jsonl"


@pytest.fixture(scope="module")
def unbroken(manifest):
    """The files of the store that an undisturbed call makes."""
    assert main(["pack", str(manifest.parent / "whole"), str(manifest), "--workers", "1"]) == 0
    return {name: (manifest.parent / "whole" / name).read_bytes() for name in FILES}


def command(*arguments):
    return [sys.executable, "-m", "watchword", *map(str, arguments)]


def run(out, manifest, **rest):
    """Packs in a process of its own."""
    words = command("pack", out, manifest, "--workers", "1")
    return subprocess.run(words, capture_output=True, text=True, timeout=120, **rest)


def complaint(done):
    """The one sentence on standard error, apart from progress."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("packing: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def contents(store):
    return {name: (store / name).read_bytes() for name in FILES}


@pytest.mark.parametrize("share", [0.1, 1.5, 1.995])
def test_a_full_disk(tmp_path, manifest, unbroken, share):
    """The parts need as much room as the store, so that the disk is full while the first part is written, while they
    are joined, or with the last bytes of the index."""
    disk = tmp_path / "disk"
    disk.mkdir()
    need = sum(map(len, unbroken.values()))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={round(share * need)}", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        done = run(disk / "store", manifest)
        assert done.returncode == 2
        assert "the disk is full" in complaint(done)
        assert str(disk / "store") in complaint(done)
        assert not (disk / "store").exists()
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert run(disk / "store", manifest).returncode == 0
        assert contents(disk / "store") == unbroken
        assert [path.name for path in disk.iterdir()] == ["store"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_size_limit(tmp_path, manifest, unbroken):
    """Parts fit under the limit, the joined audio does not: the parts are kept and joined by the next call."""
    limit = len(unbroken["audio.bin"]) // 2

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = run(tmp_path / "store", manifest, preexec_fn=limited)
    assert done.returncode == 2
    assert "the disk is full" in complaint(done)
    assert not (tmp_path / "store").exists()
    again = run(tmp_path / "store", manifest)
    assert again.returncode == 0
    assert "packing: 500" not in again.stderr  # no part was made again
    assert contents(tmp_path / "store") == unbroken


def test_a_kill(tmp_path, manifest, unbroken):
    """Killed as soon as a part is finished; the next call keeps that part and makes the same store."""
    words = command("pack", tmp_path / "store", manifest, "--workers", "1")
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)
    partial = tmp_path / "store.partial"
    while not (finished := list(partial.glob("*.json"))):
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "store").exists()
    made = {path: path.stat().st_mtime_ns for path in finished}
    kept = dict(made)
    again = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    while again.poll() is None:
        for path in made:
            if path.exists():
                kept[path] = path.stat().st_mtime_ns
        time.sleep(0.005)
    assert again.returncode == 0
    assert kept == made
    assert contents(tmp_path / "store") == unbroken


def test_a_manifest_line_that_is_not_json(tmp_path, capsys):
    path = tmp_path / "segments.jsonl"
    path.write_text('{"audio": "a.wav", "text": "a"}\nhello\n')
    assert main(["pack", str(tmp_path / "store"), str(path)]) == 2
    assert f"{path}, line 2: not JSON" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_what_is_said_at_the_end(tmp_path, manifest, capsys):
    out = tmp_path / "store"
    bad = tmp_path / "bad.jsonl"
    write_segments(bad, [Segment(str(tmp_path / "none.wav"), "none", 0.0, 1.0)])
    assert main(["pack", str(out), str(manifest), str(bad), "--workers", "1"]) == 0
    told = capsys.readouterr()
    assert f"{len(Store(out).utterances)} utterances of 1 speakers" in told.out
    assert "1 segments could not be used" in told.err


def test_speakers_splits_and_held_out_words(tmp_path, make_segment):
    segments = [
        make_segment("one two", "a", speaker="keep"),
        make_segment("three", "b", speaker="leave"),
        make_segment("four", "c", speaker="keep", split="test"),
    ]
    write_segments(tmp_path / "m.jsonl", segments)
    (tmp_path / "holdout.txt").write_text("Two\n")
    arguments = ["--without-speaker", "leave", "--holdout", str(tmp_path / "holdout.txt"), "--workers", "1"]
    assert main(["pack", str(tmp_path / "store"), str(tmp_path / "m.jsonl"), *arguments]) == 0
    assert Store(tmp_path / "store").texts == ["one"]
