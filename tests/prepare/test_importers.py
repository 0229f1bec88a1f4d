"""Importers on tiny folders of each corpus's layout, whole and malformed; faults are named by file and line."""

import json

import pytest

from watchword.cli import main
from watchword.data.segment import SegmentError, Timed, read_segments
from watchword.prepare.kaldi import read_kaldi
from watchword.prepare.manifest import read_manifest
from watchword.prepare.timed import fit_phones, fit_words

COLUMNS = "path\ttext\tspeaker\tseconds\tcorpus\tsplit\n"


def test_manifest_folder(tmp_path):
    (tmp_path / "c").mkdir()
    lines = 'c/a.opus\tsay "hey\ts1\t1.5\tc\ttrain\nc/b.opus\tbye\ts2\t0.5\tc\ttest\n'
    (tmp_path / "c" / "manifest.tsv").write_text(COLUMNS + lines)
    first, second = read_manifest(tmp_path / "c", "CC0")
    assert (first.audio, first.text, first.end_seconds) == (str(tmp_path / "c" / "a.opus"), 'say "hey', 1.5)
    assert (second.speaker, second.split, second.corpus, second.licence) == ("s2", "test", "c", "CC0")


def test_manifest_command_with_relative_folders(tmp_path, monkeypatch, capsys):
    """Paths still lead to the audio when the manifest is written elsewhere."""
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "manifest.tsv").write_text(COLUMNS + "c/a.opus\they\ts1\t1.5\tc\ttrain\n")
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", "manifest", "c", "--out", "out/m.jsonl", "--licence", "CC0"]) == 0
    assert "1 segments, 0 with word times" in capsys.readouterr().out
    (segment,) = read_segments("out/m.jsonl")
    assert segment.audio == str(tmp_path / "c" / "a.opus")
    assert segment.licence == "CC0"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("path\ttext\nx\ty\n", "line 1: has no column 'speaker'"),
        (COLUMNS + "a\tb\tc\tlong\te\tf\n", "line 2: seconds is 'long'"),
        (COLUMNS + "a\tb\tc\t-1\te\tf\n", "line 2: seconds is '-1'"),
        (COLUMNS + "a\tb\tc\t1\te\tf\na\tb\n", "line 3: has 2 columns"),
    ],
)
def test_malformed_manifest(tmp_path, content, complaint):
    (tmp_path / "manifest.tsv").write_text(content)
    with pytest.raises(SegmentError, match=complaint) as caught:
        list(read_manifest(tmp_path))
    assert str(tmp_path / "manifest.tsv") in str(caught.value)


@pytest.fixture
def kaldi(tmp_path):
    """Writes a Kaldi folder; a file given as None is left out."""

    def write(**files):
        folder = tmp_path / "kaldi"
        folder.mkdir(exist_ok=True)
        given = {"wav_scp": "rec1 audio/rec1.flac\n", "text": "rec1 HELLO WORLD\n"} | files
        for name, content in given.items():
            if content is not None:
                (folder / name.replace("_", ".", 1)).write_text(content)
        return folder

    return write


def test_kaldi_without_segments(kaldi, tmp_path):
    folder = kaldi(utt2spk="rec1 ann\n", wav_scp="rec1 /abs/rec1.flac\nrec2 /abs/rec2.flac\n")
    (segment,) = read_kaldi(folder, split="dev", licence="CC0")
    assert (segment.audio, segment.text, segment.speaker) == ("/abs/rec1.flac", "HELLO WORLD", "ann")
    assert (segment.start_seconds, segment.end_seconds, segment.words) == (0.0, -1.0, ())
    assert (segment.corpus, segment.split, segment.licence) == ("kaldi", "dev", "CC0")


def test_kaldi_relative_audio(kaldi, tmp_path, monkeypatch):
    """From the folder where the file is there, else from the working folder, as in Kaldi."""
    monkeypatch.chdir(tmp_path)
    folder = kaldi()
    assert next(read_kaldi(folder)).audio == str(tmp_path / "audio" / "rec1.flac")
    (folder / "audio").mkdir()
    (folder / "audio" / "rec1.flac").touch()
    assert next(read_kaldi(folder)).audio == str(folder / "audio" / "rec1.flac")


SEGMENTS = "utt1 rec1 10.0 12.0\nutt2 rec1 12.0 14.0\n"


def test_kaldi_segments_and_ctm_of_recordings(kaldi):
    ctm = ";; made\nrec1 1 10.5 0.5 hello 1.0\nrec1 1 11.0 0.5 <unk>\nrec1 1 12.2 0.3 bye\nrec1 1 12.0 0.2 <eps>\n"
    folder = kaldi(segments=SEGMENTS, text="utt1 HELLO XYLOPHONE\nutt2 BYE\n", ctm=ctm)
    first, second = read_kaldi(folder)
    assert (first.start_seconds, first.end_seconds) == (10.0, 12.0)
    assert first.words == (Timed("HELLO", 10.5, 11.0), Timed("XYLOPHONE", 11.0, 11.5))
    assert second.words == (Timed("BYE", 12.2, 12.5),)


def test_kaldi_ctm_of_utterances_starts_at_the_utterance(kaldi):
    folder = kaldi(segments=SEGMENTS, text="utt2 BYE\n", ctm="utt2 1 0.25 0.5 bye\n")
    (segment,) = read_kaldi(folder)
    assert segment.words == (Timed("BYE", 12.25, 12.75),)


def test_kaldi_ctm_with_other_words_is_not_used(kaldi):
    """A recogniser's output is no alignment of the text."""
    (segment,) = read_kaldi(kaldi(ctm="rec1 1 0.0 0.5 hello\nrec1 1 0.5 0.5 word\n"))
    assert segment.words == ()


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (
            {"wav_scp": "a x.wav\nrec1 sph2pipe -f wav rec1.sph |\n"},
            r"wav\.scp, line 2: the audio of rec1 is a command",
        ),
        ({"wav_scp": "rec1 foo.ark:123\n"}, r"wav\.scp, line 1: the audio of rec1 lies in an archive"),
        ({"wav_scp": "rec1\n"}, r"wav\.scp, line 1: is not an id followed by a value"),
        ({"wav_scp": "rec1 a\nrec1 b\n"}, r"wav\.scp, line 2: rec1 is there twice"),
        ({"wav_scp": None}, r"wav\.scp: cannot be read"),
        ({"text": "rec9 HELLO\n"}, r"text, line 1: the utterance rec9 is not in wav\.scp"),
        ({"text": "rec1 A\n\n"}, r"text, line 2: is not an id"),
        ({"text": ""}, "text: is empty"),
        ({"segments": "utt1 rec1 3\n"}, "segments, line 1: is not UTTERANCE RECORDING START END"),
        ({"segments": "utt1 rec1 3 2\n"}, "segments, line 1: goes from 3.0 s to 2.0 s"),
        ({"segments": "utt1 rec7 1 2\n"}, "segments, line 1: the recording rec7 is not in wav.scp"),
        ({"ctm": "rec1 1 zero 1 hello\n"}, "ctm, line 1: is not NAME CHANNEL"),
        ({"ctm": "rec1 1 0 1 a\nrec2 1 0 1 hello\n"}, "ctm, line 2: rec2 is neither"),
        ({"utt2spk": "rec1\n"}, "utt2spk, line 1: is not an id"),
    ],
)
def test_malformed_kaldi(kaldi, files, complaint):
    with pytest.raises(SegmentError, match=complaint):
        list(read_kaldi(kaldi(**files)))


def test_kaldi_command_says_one_sentence(kaldi, tmp_path, capsys):
    folder = kaldi(wav_scp="rec1 cat rec1.wav |\n")
    assert main(["prepare", "kaldi", str(folder), "--out", str(tmp_path / "m.jsonl")]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(told) == 1
    assert f"{folder / 'wav.scp'}, line 1" in told[0]
    assert not (tmp_path / "m.jsonl").exists()


def test_words_that_do_not_fit_are_left_out():
    one, two = Timed("ONE", 0.0, 0.5), Timed("two", 0.5, 1.0)
    assert [word.text for word in fit_words("one - two.", (one, two))] == ["one", "two."]
    assert fit_words("one", (one, two)) == ()
    assert fit_words("two one", (one, two)) == ()
    assert fit_words("two one", (two, one)) == ()  # not in order
    assert fit_words("one two", (one, Timed("two", 0.5, 0.5))) == ()


def test_phones_of_other_sets_are_left_out():
    assert fit_phones((Timed("AH0_B", 0.0, 0.1), Timed("", 0.1, 0.2))) == (
        Timed("AH0", 0.0, 0.1),
        Timed("SIL", 0.1, 0.2),
    )
    assert fit_phones((Timed("AH0", 0.0, 0.1), Timed("spn", 0.1, 0.2))) == ()
    assert fit_phones((Timed("ɑ", 0.0, 0.1),)) == ()


def lhotse_cut(**changes):
    recording = {
        "id": "rec1",
        "sources": [{"type": "file", "channels": [0], "source": "audio/rec1.flac"}],
        "sampling_rate": 16000,
        "num_samples": 320000,
        "duration": 20.0,
    }
    alignment = {
        "word": [["hey", 0.5, 0.2, None], ["nova", 0.7, 0.4, None]],
        "phone": [["HH", 0.5, 0.1, None], ["EY1", 0.6, 0.1, None], ["N", 0.7, 0.4, None]],
    }
    supervision = {
        "id": "sup1", "recording_id": "rec1", "start": 0.4, "duration": 1.0, "channel": 0, "text": "Hey, Nova!",
        "speaker": "ann", "alignment": alignment,
    }  # fmt: skip
    cut = {
        "id": "cut1", "start": 10.0, "duration": 5.0, "channel": 0, "supervisions": [supervision],
        "recording": recording, "type": "MonoCut",
    }  # fmt: skip
    recording.update(changes.pop("recording", {}))
    supervision.update(changes.pop("supervision", {}))
    return json.dumps(cut | changes)


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_lhotse_as_lhotse_writes_it(tmp_path, suffix):
    from lhotse import CutSet
    from lhotse.serialization import deserialize_item

    from watchword.prepare.lhotse import read_lhotse

    path = tmp_path / f"cuts.{suffix}"
    silent = lhotse_cut(id="cut2", supervision={"id": "sup2", "text": None})
    CutSet.from_cuts([deserialize_item(json.loads(line)) for line in (lhotse_cut(), silent)]).to_file(path)
    (segment,) = read_lhotse(path, corpus="mine", split="dev")
    assert (segment.text, segment.speaker, segment.corpus, segment.split) == ("Hey, Nova!", "ann", "mine", "dev")
    assert (segment.start_seconds, segment.end_seconds) == (10.4, 11.4)
    assert [word.text for word in segment.words] == ["Hey,", "Nova!"]
    assert [word.start_seconds for word in segment.words] == pytest.approx([10.5, 10.7])
    assert [phone.text for phone in segment.phones] == ["HH", "EY1", "N"]
    assert segment.phones[-1].end_seconds == pytest.approx(11.1)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "is no cut"),
        ('{"type": "MonoCut"}', "is no cut"),
        ('{"id": "a", "type": "Sausage"}', "is no cut"),
        (lhotse_cut(recording={"sources": [{"type": "command", "channels": [0], "source": "cat"}]}), "not command"),
        (lhotse_cut(recording={"sources": [{"type": "file", "channels": [0, 1], "source": "a"}]}), "has 2 channels"),
        (lhotse_cut(recording={"transforms": [{"name": "Speed", "kwargs": {"factor": 1.1}}]}), "changed by Speed"),
        (lhotse_cut(duration=0.1), "lies outside of its cut"),
    ],
)
def test_malformed_lhotse(tmp_path, line, complaint):
    from watchword.prepare.lhotse import read_lhotse

    path = tmp_path / "cuts.jsonl"
    path.write_text(lhotse_cut() + "\n" + line + "\n")
    with pytest.raises(SegmentError, match=complaint) as caught:
        list(read_lhotse(path))
    assert str(caught.value).startswith(f"{path}, line 2: ")


def test_lhotse_not_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "lhotse.serialization", None)
    (tmp_path / "cuts.jsonl").write_text(lhotse_cut() + "\n")
    assert main(["prepare", "lhotse", str(tmp_path / "cuts.jsonl"), "--out", str(tmp_path / "m.jsonl")]) == 2
    assert 'pip install "watchword[lhotse]"' in capsys.readouterr().err
