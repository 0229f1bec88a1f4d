"""Laws of manifests: what is written is read, other projects' names are understood, faults are named by line."""

import gzip
import json
import shutil

import pytest

from watchword.data.segment import Segment, SegmentError, Timed, read_segments, write_segments


def test_what_is_written_is_read(tmp_path):
    segments = [
        Segment(
            "/elsewhere/a.flac", "naïve “quotes”", 1.25, 2.5, "s1", "c", "dev", "CC0",
            (Timed("naïve", 1.3, 1.8),), (Timed("SIL", 1.25, 1.3), Timed("N", 1.3, 1.4)),
        ),
        Segment(str(tmp_path / "clips" / "b.wav"), "b", 0.0, -1.0),
    ]  # fmt: skip
    write_segments(tmp_path / "segments.jsonl", segments)
    assert list(read_segments(tmp_path / "segments.jsonl")) == segments


def test_a_manifest_moves_with_the_audio_below_it(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    write_segments(here / "segments.jsonl", [Segment(str(here / "clips" / "b.wav"), "b", 0.0, 1.0)])
    shutil.move(here, there)
    assert next(read_segments(there / "segments.jsonl")).audio == str(there / "clips" / "b.wav")


def test_relative_manifest_gives_absolute_audio(tmp_path, monkeypatch):
    (tmp_path / "m.jsonl").write_text('{"audio": "b.wav", "text": "b"}\n')
    monkeypatch.chdir(tmp_path)
    assert next(read_segments("m.jsonl")).audio == str(tmp_path / "b.wav")


@pytest.mark.parametrize(
    ("line", "start", "end"),
    [
        ({"audio_filepath": "a.wav", "duration": 2.0, "text": "hey"}, 0.0, 2.0),
        ({"audio_filepath": "a.wav", "offset": 1.5, "duration": 2.0, "text": "hey"}, 1.5, 3.5),
        ({"audio_path": "a.wav", "sentence": "hey", "start": 1, "end": 2}, 1.0, 2.0),
        ({"path": "a.wav", "transcript": "hey"}, 0.0, -1.0),
        ({"audio": "a.wav", "text": "hey", "start_seconds": None, "duration": 1.5}, 0.0, 1.5),
    ],
)
def test_names_of_other_projects(tmp_path, line, start, end):
    (tmp_path / "m.jsonl").write_text(json.dumps(line))
    (segment,) = read_segments(tmp_path / "m.jsonl")
    assert (segment.text, segment.start_seconds, segment.end_seconds) == ("hey", start, end)
    assert segment.audio == str(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{'audio': 'a'}", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"text": "a"}', "no 'audio'"),
        ('{"audio": "a.wav"}', "no 'text'"),
        ('{"audio": "a.wav", "text": "a", "start": "soon"}', "must be numbers"),
        ('{"audio": "a.wav", "text": "a", "words": [["a", 1]]}', "must be numbers"),
        ('{"audio": "a.wav", "text": "a", "start": 2, "end": 1}', "ends at 1.0 s"),
        ('{"audio": "a.wav", "text": "a", "start": -2, "end": 1}', "negative"),
        ('{"audio": "a.wav", "text": "a", "start": NaN}', "not finite"),
    ],
)
def test_faults_are_named_by_file_and_line(tmp_path, line, complaint):
    path = tmp_path / "m.jsonl"
    path.write_text('{"audio": "a.wav", "text": "a"}\n\n' + line + "\n")
    with pytest.raises(SegmentError, match=complaint) as caught:
        list(read_segments(path))
    assert str(caught.value).startswith(f"{path}, line 3: ")


def test_other_encodings_and_broken_archives(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"audio": "a.wav", "text": "a"}\n{"audio": "a.wav", "text": "caf\xe9"}\n')
    with pytest.raises(SegmentError, match="line 2: not UTF-8"):
        list(read_segments(path))
    packed = tmp_path / "m.jsonl.gz"
    packed.write_bytes(gzip.compress(b'{"audio": "a.wav", "text": "a"}\n' * 1000)[:-20])
    with pytest.raises(SegmentError, match="cannot be read"):
        list(read_segments(packed))
    with pytest.raises(SegmentError, match=r"none.jsonl: cannot be read \(No such file"):
        list(read_segments(tmp_path / "none.jsonl"))


def test_a_fault_while_writing_leaves_the_old_manifest(tmp_path):
    path = tmp_path / "m.jsonl"
    write_segments(path, [Segment("/a.wav", "a", 0.0, 1.0)])
    before = path.read_text()

    def faulty():
        yield Segment("/b.wav", "b", 0.0, 1.0)
        raise SegmentError("later")

    with pytest.raises(SegmentError, match="later"):
        write_segments(path, faulty())
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.jsonl"]
