"""The command `watchword spot`: what it prints, its exit status, and one sentence for every wrong input."""

import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from watchword import audio
from watchword.audio import AudioError
from watchword.cli.listening import pcm_blocks
from watchword.cli.spot import SpotError, sort_arguments

KEYS = ["file", "keyword", "score", "start", "end", "threshold"]


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


def test_status_says_whether_something_was_found(run, local_bundle, recordings):
    status, out, err = run("spot", "hey nova", recordings / "b.wav", "--bundle", local_bundle.path, "--threshold", -1)
    assert (status, err) == (0, "")
    header, *rows = out.splitlines()
    assert header.split() == ["start", "end", "score", "keyword", "file"]
    assert rows
    assert all(row.endswith("b.wav") and "hey nova" in row for row in rows)
    status, out, err = run("spot", "hey nova", recordings, "--bundle", local_bundle.path, "--threshold", 2)
    assert (status, out) == (1, "")
    assert err.startswith("nothing found: no score reached 2.00")
    assert run("spot", "hey nova", recordings, "--json", "--bundle", local_bundle.path, "--threshold", 2) == (1, "", "")


def test_json_has_the_six_keys_and_folders_are_searched_in_order(run, local_bundle, recordings):
    status, out, err = run(
        "spot", "hey nova", "lights off", recordings, "--json", "--bundle", local_bundle.path, "--threshold", -1
    )
    assert (status, err) == (0, "")
    rows = lines(out)
    assert all(list(row) == KEYS for row in rows)
    assert {row["keyword"] for row in rows} == {"hey nova", "lights off"}
    assert list(dict.fromkeys(row["file"] for row in rows)) == [
        str(recordings / name) for name in ("a.flac", "b.wav", "deeper/c.ogg")
    ]
    assert all(0 <= row["start"] < row["end"] <= 2.0 and row["threshold"] == -1.0 for row in rows)


def test_standard_input_equals_the_file(local_bundle, recordings):
    samples = soundfile.read(recordings / "b.wav", dtype="int16")[0]
    command = [sys.executable, "-m", "watchword", "spot", "hey nova", "--json", "--threshold", "-1"]
    command += ["--bundle", str(local_bundle.path)]
    given = subprocess.run([*command, "-"], input=samples.tobytes(), capture_output=True, check=False)
    file = subprocess.run([*command, str(recordings / "b.wav")], capture_output=True, check=False)
    assert given.returncode == file.returncode == 0
    rows, expected = lines(given.stdout), lines(file.stdout)
    assert {row["file"] for row in rows} == {"-"}
    assert [(row["start"], row["end"]) for row in rows] == [(row["start"], row["end"]) for row in expected]
    np.testing.assert_allclose([r["score"] for r in rows], [r["score"] for r in expected], atol=2e-4)


class Pieces(io.BytesIO):
    """A stream that gives a few bytes at a time, as a pipe from a microphone does."""

    def read1(self, size=-1):
        return super().read1(min(size, 5001))


@pytest.mark.parametrize("longest", [0.1, 0.7, 20.0])
def test_raw_samples_are_read_whole_however_they_come(longest):
    samples = np.random.default_rng(0).integers(-3000, 3000, 40001).astype("<i2")
    blocks = list(pcm_blocks(Pieces(samples.tobytes() + b"\x01"), longest))
    np.testing.assert_array_equal(np.concatenate(blocks), audio.to_float(samples))
    assert max(map(len, blocks)) <= longest * 16000


@pytest.mark.parametrize(
    ("given", "message"), [(b"", "no audio"), (b"\x01", "no audio"), (b"RIFF....WAVE", "WAV"), (b"fLaC\0\0", "FLAC")]
)
def test_standard_input_that_is_no_raw_audio_is_refused(given, message):
    with pytest.raises(AudioError, match=message):
        list(pcm_blocks(io.BytesIO(given), 1.0))


def test_arguments_are_sorted(recordings, monkeypatch):
    monkeypatch.chdir(recordings)
    names = [str(path) for path in sort_arguments(["hey nova", "b.wav", "hey /ˈnoʊvə/", "-", "b.wav"], [])[1]]
    assert names == ["b.wav", "-"]
    keywords, paths = sort_arguments(["hey nova", ".", "hey nova"], ["deeper"])
    assert keywords == ["deeper", "hey nova"]
    assert [path.name for path in paths] == ["a.flac", "b.wav", "c.ogg"]
    with pytest.raises(SpotError, match="'deeper' exists as a file or folder"):
        sort_arguments(["deeper"], [])
    with pytest.raises(SpotError, match="no keyword given"):
        sort_arguments([], [])
    with pytest.raises(SpotError, match="only keywords"):
        sort_arguments(["hey nova", "lights off"], [])
    for missing in ("gone.wav", "gone.MP3", "folder/gone"):
        with pytest.raises(AudioError, match="no such file"):
            sort_arguments(["nova", missing], [])
    (recordings / "deeper" / "empty").mkdir(exist_ok=True)
    with pytest.raises(AudioError, match="no audio file below it"):
        sort_arguments(["nova", "deeper/empty"], [])


def wrong_file(kind, folder):
    """A file of a kind that cannot be searched, and a part of the sentence about it."""
    noise = 0.1 * np.random.default_rng(1).standard_normal(32000)
    path = folder / f"{kind}.{'flac' if kind == 'truncated' else 'wav'}"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is a text, whatever its name says")
    elif kind == "nothing":
        soundfile.write(path, np.zeros(0), 16000)
    elif kind == "nan":
        soundfile.write(path, np.where(np.arange(32000) == 20000, np.nan, noise), 16000, subtype="FLOAT")
    elif kind == "truncated":
        soundfile.write(path, noise, 16000)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such file"),
        ("empty", "is empty"),
        ("text", "cannot be read as audio"),
        ("nothing", "0 seconds"),
        ("nan", "NaN"),
        ("truncated", "truncated.flac"),
    ],
)
def test_wrong_files_are_one_sentence(refused, local_bundle, tmp_path, kind, message):
    path = wrong_file(kind, tmp_path)
    refused("spot", "nova", path, "--bundle", local_bundle.path, "--threshold", 2, parts=[path.name, message])


def test_a_broken_file_does_not_stop_the_others(run, local_bundle, recordings, tmp_path):
    wrong_file("text", tmp_path)
    shutil.copy(recordings / "b.wav", tmp_path / "z.wav")
    status, out, err = run("spot", "nova", tmp_path, "--json", "--bundle", local_bundle.path, "--threshold", -1)
    assert status == 2
    assert {row["file"] for row in lines(out)} == {str(tmp_path / "z.wav")}
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("🙂", "nothing to speak"),
        ("", "the text is empty"),
        ("{N QQ}", "unknown phoneme 'QQ'"),
        ("nova |", "alternative"),
    ],
)
def test_wrong_keywords_are_one_sentence(refused, local_bundle, recordings, keyword, message):
    refused("spot", keyword, recordings / "b.wav", "--bundle", local_bundle.path, parts=[message])


def test_wrong_bundles_are_one_sentence(refused, local_bundle, recordings, tmp_path):
    bundle = shutil.copytree(local_bundle.path, tmp_path / "bundle")
    command = ("spot", "nova", recordings / "b.wav", "--bundle", bundle)
    (bundle / "pooling.onnx").write_bytes(b"damaged")
    refused(*command, parts=["pooling.onnx: damaged"])
    card = json.loads((bundle / "card.json").read_text())
    (bundle / "card.json").write_text(json.dumps({**card, "format": 9}))
    refused(*command, parts=["format 9 is newer than this Watchword", "upgrade"])
    refused("spot", "nova", recordings / "b.wav", "--bundle", tmp_path / "none", parts=["no such folder"])


def test_telephone_stereo_simply_works(run, local_bundle, tmp_path):
    noise = 0.1 * np.random.default_rng(2).standard_normal((16000, 2))
    soundfile.write(tmp_path / "phone.wav", noise, 8000)
    status, out, err = run("spot", "nova", tmp_path, "--json", "--bundle", local_bundle.path, "--threshold", -1)
    assert (status, err) == (0, "")
    assert max(row["end"] for row in lines(out)) > 1.5


def test_a_reader_that_leaves_is_no_error(local_bundle, recordings):
    command = [sys.executable, "-m", "watchword", "spot", "nova", str(recordings), "--json", "--threshold", "-1"]
    command += ["--bundle", str(local_bundle.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
    assert err == b""
    assert process.returncode == 141
