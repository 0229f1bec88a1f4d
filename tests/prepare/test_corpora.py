"""Corpora that others give out, on tiny folders of their layouts, whole and malformed; each fault in one sentence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from watchword.audio import SAMPLE_RATE, read
from watchword.cli import main
from watchword.data.segment import SegmentError, Timed, read_segments
from watchword.data.sounds import load_sounds
from watchword.prepare.king_asr_066 import read_king_asr_066
from watchword.prepare.known_corpora import CORPORA, KING_ASR_066, WSJ
from watchword.prepare.musan import pack_musan
from watchword.prepare.qualcomm import PHRASES, read_qualcomm
from watchword.prepare.rirs_noises import pack_rirs_noises
from watchword.prepare.speech_commands import read_speech_commands
from watchword.prepare.wsj import read_wsj, spoken_text

COMMANDS = {corpus.name: [corpus.name, "FOLDER"] for corpus in CORPORA} | {
    "libriphrase": ["libriphrase", "FOLDER", "."]
}


def sound(path: Path, seconds: float = 0.5, seed: int = 0, **options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))
    soundfile.write(path, samples, SAMPLE_RATE, **options)
    return path


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("wrong", ["absent", "empty", "file", "another corpus"])
@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.name)
def test_what_is_not_the_corpus_gets_one_sentence(
    corpus, wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what the corpus is, where it is had, under which licence, and which layout is expected."""
    place = tmp_path / "given"
    if wrong == "file":
        place.write_text("a file")
    elif wrong != "absent":
        place.mkdir()
        if wrong == "another corpus":
            sound(place / "photos" / "holiday.wav")
    command = [word.replace("FOLDER", str(place)) for word in COMMANDS[corpus.name]]
    assert main(["prepare", *command, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    told = [line for line in printed.err.splitlines() if line.strip()]
    assert len(told) == 1
    assert told[0].startswith(str(place))
    assert all(part in told[0] for part in (corpus.title, corpus.licence, corpus.where, corpus.layout))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.name)
def test_the_document_says_the_same_of_each_corpus(corpus) -> None:
    document = (Path(__file__).parents[2] / "docs" / "corpora.md").read_text(encoding="utf-8")
    (line,) = [line for line in document.splitlines() if line.startswith(f"| `{corpus.name}` |")]
    assert f"| {corpus.licence} |" in line
    assert corpus.where in line
    assert f"watchword prepare {corpus.name} " in document


@pytest.mark.parametrize("name", ["king-asr-066", "king_asr_066", "speech-commands", "rirs-noises"])
def test_hyphens_and_underscores_are_alike(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", name, "--help"]) == 0
    assert "--out" in capsys.readouterr().out


@pytest.fixture
def king(tmp_path: Path) -> Path:
    """Two channels, two speakers, one of them with two sessions."""
    root = tmp_path / "King-ASR-066"
    for channel, speaker, session in ((0, "0001", 0), (0, "0001", 1), (0, "0002", 0), (1, "0002", 0)):
        place = root / "DATA" / f"CHANNEL{channel}"
        name = f"{channel}{speaker}{session}"
        written(place / "SCRIPT" / f"{name}.TXT", f"{name}001\tHello [SPK] World\n{name}002\t2 cats\n\ttwo cats\n")
        for number in (1, 2):
            sound(place / "WAVE" / f"SPEAKER{speaker}" / f"SESSION{session}" / f"{name}00{number}.WAV", format="WAV")
    return root


def test_king_asr_066(king: Path) -> None:
    segments = list(read_king_asr_066(king))
    assert len(segments) == 8
    assert {segment.text for segment in segments} == {"Hello World", "two cats"}  # as spoken, not as prompted
    assert {segment.speaker for segment in segments} == {"king_0001", "king_0002"}
    assert {(s.corpus, s.licence, s.split, s.words) for s in segments} == {
        ("king_asr_066", KING_ASR_066.licence, "train", ())
    }
    assert all(Path(segment.audio).is_file() for segment in segments)
    for inside in (king / "DATA", king.parent):
        assert list(read_king_asr_066(inside)) == segments
    assert len(list(read_king_asr_066(king / "DATA" / "CHANNEL1"))) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_king_asr_066_encodings_and_what_nobody_understood(king: Path, encoding: str) -> None:
    script = king / "DATA" / "CHANNEL1" / "SCRIPT" / "100020.TXT"
    written(script, "100020001\tcafé <NPS/> bar\r\n100020002\tsome **\r\n", encoding)
    (segment,) = read_king_asr_066(king / "DATA" / "CHANNEL1")
    assert segment.text == "café bar"


def test_king_asr_066_with_word_segments(king: Path, tmp_path: Path) -> None:
    ctm = written(
        tmp_path / "words.ctm", "000010001 1 0.10 0.15 hello\n000010001 1 0.25 0.20 world\n000010002 1 0 1 one\n"
    )
    aligned = [segment for segment in read_king_asr_066(king, alignments=ctm) if segment.words]
    assert [segment.words for segment in aligned] == [(Timed("Hello", 0.1, 0.25), Timed("World", 0.25, 0.45))]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("000010.TXT", b"000010001 Hello\n", r"000010\.TXT, line 1: is not UTTERANCE, a tab"),
        ("000010.TXT", b"\ttwo cats\n", r"000010\.TXT, line 1: is not UTTERANCE"),
        ("000010.TXT", b"000010001\tA\n000010009\tB\n", r"line 2: there is no 000010009\.WAV .* --partial"),
        ("000010.TXT", b"000010001\tcaf\xe9\n", r"000010\.TXT: is neither UTF-8 nor UTF-16"),
    ],
)
def test_malformed_king_asr_066(king: Path, name: str, content: bytes, complaint: str) -> None:
    (king / "DATA" / "CHANNEL0" / "SCRIPT" / name).write_bytes(content)
    with pytest.raises(SegmentError, match=complaint):
        list(read_king_asr_066(king))


def test_king_asr_066_in_part(king: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (king / "DATA" / "CHANNEL0" / "WAVE" / "SPEAKER0001").rglob("*.WAV"):
        path.unlink()
    out = tmp_path / "m.jsonl"
    assert main(["prepare", "king_asr_066", str(king), "--out", str(out), "--partial"]) == 0
    printed = capsys.readouterr()
    assert "4 segments" in printed.out
    assert "4 left out, since their audio is not there; the first: " in printed.err
    assert len(list(read_segments(out))) == 4


@pytest.fixture
def wsj(tmp_path: Path) -> Path:
    """A training speaker on one disc, her transcripts on another, a test speaker with SNOR transcripts, lists."""
    root = tmp_path / "csr"
    train, test = root / "11-1.1" / "wsj0" / "si_tr_s" / "01t", root / "11-14.1" / "wsj0" / "si_et_20" / "440"
    for name in ("01to0301", "01to0302", "01to0303"):
        for microphone in (1, 2):
            sound(train / f"{name}.wv{microphone}", format="NIST", subtype="PCM_16")
    sound(test / "440c0201.wv1", format="NIST", subtype="PCM_16")
    dots = (
        "Mr. *Smith* agreed ,COMMA [loud_breath] fully (01to0301)\nit's fi- five (01to0302)\n[door_slam] (01to0303)\n"
    )
    written(root / "11-4.1" / "wsj0" / "transcrp" / "dots" / "si_tr_s" / "01t" / "01to0300.dot", dots)
    written(test / "440c0200.lsn", "THE SALE IS DONE (440C0201)\n")
    listed = ";; a list\n11_14_1:wsj0/si_et_20/440/440c0201.wv1\n"
    written(root / "11-13.1" / "wsj0" / "doc" / "indices" / "si_et_20.ndx", listed)
    return root


def test_wsj(wsj: Path) -> None:
    """Broken-off words and empty texts are left out; what is heard of the others stays."""
    test, train = sorted(read_wsj([wsj]), key=lambda segment: segment.split)
    assert (test.text, test.split, test.speaker) == ("the sale is done", "test", "wsj_440")
    assert (train.text, train.split, train.speaker) == ("mr. smith agreed comma fully", "train", "wsj_01t")
    assert (train.corpus, train.licence) == ("wsj", WSJ.licence)
    assert len(read(train.audio)) == 8000  # a sphere file
    discs = sorted(path for path in wsj.iterdir() if path.is_dir())
    assert sorted(read_wsj(discs), key=lambda segment: segment.split) == [test, train]
    (second,) = read_wsj([wsj], microphone=2)
    assert second.audio.endswith("01to0301.wv2")


def test_wsj_lists_choose(wsj: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = next(wsj.rglob("*.ndx"))
    out = tmp_path / "m.jsonl"
    assert main(["prepare", "wsj", str(wsj), "--list", str(listed), "--out", str(out)]) == 0
    assert [segment.text for segment in read_segments(out)] == ["the sale is done"]
    listed.write_text("11_14_1: wsj0/si_et_20/440/440c0201\n")  # as some lists of the discs have it
    assert len(list(read_wsj([wsj], lists=[listed]))) == 1


def test_wsj_that_was_converted(wsj: Path) -> None:
    (sphere,) = wsj.rglob("440c0201.wv1")
    sound(sphere.with_suffix(".wav"), 0.25)
    assert {Path(s.audio).suffix for s in read_wsj([wsj]) if s.split == "test"} == {".wav"}


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (
            lambda head, rest: head.replace(b"-s3 pcm\n", b"-s26 pcm,embedded-shorten-v2.00\n", 1) + rest,
            "sph2pipe -f wav",
        ),
        (lambda head, rest: head + rest[:1000], "cut short, 1000 of 16000 bytes"),
        (lambda head, rest: b"RIFF" + head[4:] + rest, "is no NIST sphere file"),
        (lambda head, rest: head.replace(b"sample_count", b"sample_cuont") + rest, "states no sample_count"),
        (lambda head, rest: b"", "is no NIST sphere file"),
    ],
    ids=["shorten", "truncated", "wave", "no count", "empty"],
)
def test_sphere_files_that_cannot_be_read(wsj: Path, damage: Callable[[bytes, bytes], bytes], complaint: str) -> None:
    (sphere,) = wsj.rglob("440c0201.wv1")
    whole = sphere.read_bytes()
    sphere.write_bytes(damage(whole[:1024], whole[1024:]))
    with pytest.raises(SegmentError, match=rf"440c0201\.wv1: .*{complaint}"):
        list(read_wsj([wsj]))


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("01to0300.dot", b"no name here\n", r"01to0300\.dot, line 1: is not a text followed by"),
        ("01to0300.dot", b"caf\xe9 (01to0301)\n", r"01to0300\.dot: is not plain text"),
        (
            "si_et_20.ndx",
            b"11_1_1:wsj0/si_et_20/441/441c0201.wv1\n",
            r"si_et_20\.ndx, line 1: there is no si_et_20/441",
        ),
        ("si_et_20.ndx", b"nothing\n", r"si_et_20\.ndx, line 1: is not DISC"),
        ("si_et_20.ndx", b"; nothing\n", r"si_et_20\.ndx: names no utterance"),
        ("440c0200.lsn", b"", "no transcript has its text"),
    ],
)
def test_malformed_wsj(wsj: Path, name: str, content: bytes, complaint: str) -> None:
    (path,) = wsj.rglob(name)
    path.write_bytes(content)
    with pytest.raises(SegmentError, match=complaint):
        list(read_wsj([wsj], lists=[next(wsj.rglob("*.ndx"))]))


@pytest.mark.parametrize(
    ("transcript", "heard"),
    [
        (r"\"DOUBLE-QUOTE no ...ELLIPSIS it's -- --DASH", "double quote no ellipsis it's dash"),
        ("'SINGLE-QUOTE 'tis (LEFT-PAREN &AMPERSAND", "single quote 'tis left paren ampersand"),
        ("<and> the U.S. [<cross_talk] [phone/] . ~", "and the u.s."),
        ("lo:ng !really! self-made .POINT", "long really self-made point"),
        ("the (w)all", ""),
        ("-ing", ""),
    ],
)  # fmt: skip
def test_what_is_heard_of_a_dot_transcript(transcript: str, heard: str) -> None:
    assert spoken_text(transcript) == heard


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    root = tmp_path / "speech_commands_v0.02"
    for number, clip in enumerate(("yes/0a_nohash_0", "yes/0a_nohash_1", "yes/1b_nohash_0", "no/1b_nohash_0")):
        sound(root / f"{clip}.wav", seed=number)
    sound(root / "_background_noise_" / "running_tap.wav", 2.0)
    written(root / "testing_list.txt", "yes/1b_nohash_0.wav\n")
    written(root / "validation_list.txt", "yes/0a_nohash_1.wav\n")
    return root


def test_speech_commands(commands: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "m.jsonl"
    arguments = [str(commands), "--out", str(out), "--noise", str(tmp_path / "noise")]
    assert main(["prepare", "speech-commands", *arguments]) == 0
    found = sorted((segment.text, segment.speaker, segment.split) for segment in read_segments(out))
    assert found == [
        ("no", "sc_1b", "train"),
        ("yes", "sc_0a", "dev"),
        ("yes", "sc_0a", "train"),
        ("yes", "sc_1b", "test"),
    ]
    assert "1 recordings, 0.00 hours" in capsys.readouterr().out
    assert [len(noise) for noise in load_sounds(tmp_path / "noise").noise] == [32000]


def test_speech_commands_test_set(tmp_path: Path) -> None:
    root = tmp_path / "test_set"
    for clip in ("yes/0a_nohash_0", "_unknown_/bed_1b_nohash_0", "_silence_/0"):
        sound(root / f"{clip}.wav")
    found = [(segment.text, segment.speaker, segment.split) for segment in read_speech_commands(root)]
    assert found == [("yes", "sc_0a", "test"), ("bed", "sc_1b", "test")]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("testing_list.txt", b"yes/9z_nohash_0.wav\n", r"testing_list\.txt, line 1: there is no yes/9z_nohash_0\.wav"),
        ("testing_list.txt", b"\nyes\n", r"testing_list\.txt, line 2: 'yes' is not WORD/"),
        ("testing_list.txt", b"yes/0a_nohash_1.wav\n", "is in both lists"),
        ("validation_list.txt", b"\xff\xfe\n", r"validation_list\.txt, line 1: not UTF-8"),
        ("validation_list.txt", None, r"has no validation_list\.txt"),
    ],
)
def test_malformed_speech_commands(commands: Path, name: str, content: bytes | None, complaint: str) -> None:
    (commands / name).unlink()
    if content is not None:
        (commands / name).write_bytes(content)
    with pytest.raises(SegmentError, match=complaint):
        list(read_speech_commands(commands))


def test_qualcomm(tmp_path: Path) -> None:
    root = tmp_path / "qualcomm_keyword_speech_dataset"
    for phrase in PHRASES:
        sound(root / phrase / "speaker1" / "a.wav")
    for place in (root, tmp_path):
        found = [(segment.text, segment.speaker, segment.split) for segment in read_qualcomm(place)]
        assert found == [(phrase.replace("_", " "), "qualcomm_speaker1", "test") for phrase in PHRASES]
    (root / "hi_lumina" / "speaker1" / "a.wav").unlink()
    with pytest.raises(SegmentError, match=r"has no hi_lumina/\*\*/\*\.wav"):
        list(read_qualcomm(root))


@pytest.fixture
def musan(tmp_path: Path) -> Path:
    root = tmp_path / "musan"
    for seed, clip in enumerate(("noise/free-sound/noise-free-sound-0000", "noise/sound-bible/noise-sound-bible-0000",
                                 "music/fma/music-fma-0000", "speech/librivox/speech-librivox-0000")):  # fmt: skip
        sound(root / f"{clip}.wav", 0.5 * (seed + 1), seed)
    written(root / "music" / "fma" / "ANNOTATIONS", "music-fma-0000 classical N Somebody\n")
    return root


def test_musan(musan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is packed is what training hears, sample by sample."""
    for place in (musan, tmp_path):
        out = tmp_path / "packed" / place.name
        assert main(["prepare", "musan", str(place), "--out", str(out)]) == 0
        assert "2 recordings" in capsys.readouterr().out
        sounds = load_sounds(out)
        sizes = [[len(one) for one in kind] for kind in (sounds.noise, sounds.music, sounds.speech, sounds.rooms)]
        assert sizes == [[8000, 16000], [24000], [32000], []]
        (path,) = (musan / "music").rglob("*.wav")
        assert np.allclose(sounds.music[0] / 32767, read(path), atol=1e-4)
    loose = load_sounds(musan)
    assert [len(kind) for kind in loose] == [2, 1, 1, 0]  # small enough to be used as it is


def test_malformed_musan(musan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (annotations,) = musan.rglob("ANNOTATIONS")
    annotations.write_text("music-fma-0009 classical N Somebody\n")
    with pytest.raises(SegmentError, match="Lhotse's recipe gave up"):
        pack_musan(musan, tmp_path / "out")
    annotations.write_text("music-fma-0000 classical N Somebody\n")
    (speech,) = (musan / "speech").rglob("*.wav")
    whole = speech.read_bytes()
    speech.write_bytes(whole[:5000])
    with pytest.raises(SegmentError, match=r"speech-librivox-0000\.wav: cut short"):
        pack_musan(musan, tmp_path / "out")
    assert not (tmp_path / "out" / "speech" / "musan.npy").exists()
    speech.unlink()
    with pytest.raises(SegmentError, match=r"has no speech/\*\*/\*\.wav"):
        pack_musan(musan, tmp_path / "out")
    speech.write_bytes(whole)
    annotations.unlink()
    with pytest.raises(SegmentError, match="ANNOTATIONS"):
        pack_musan(musan, tmp_path / "out")
    written(annotations, "music-fma-0000 classical N Somebody\n")
    monkeypatch.setitem(__import__("sys").modules, "lhotse", None)
    with pytest.raises(SegmentError, match=r'pip install "watchword\[lhotse\]"'):
        pack_musan(musan, tmp_path / "out")


@pytest.fixture
def rirs(tmp_path: Path) -> Path:
    root = tmp_path / "RIRS_NOISES"
    for size in ("small", "medium", "large"):
        response = np.zeros(8000, np.float32)
        response[40], response[2000], response[7999] = 0.05, 0.02, 1e-6
        path = root / "simulated_rirs" / f"{size}room" / "Room001" / "Room001-00001.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, response, SAMPLE_RATE, subtype="FLOAT")
    return root


def test_rirs_noises(rirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "rirs-noises", str(rirs), "--out", str(tmp_path / "a")]) == 0
    assert main(["prepare", "rirs-noises", str(tmp_path), "--out", str(tmp_path / "b"), "--rooms", "large"]) == 0
    assert "2 recordings" in capsys.readouterr().out
    assert [len(load_sounds(tmp_path / name).rooms) for name in "ab"] == [2, 1]
    response = load_sounds(tmp_path / "a").rooms[0]
    assert len(response) == 2001  # what had died away is cut
    assert response[40] == 32767
    assert response[2000] / 32767 == pytest.approx(0.4, abs=1e-3)


def test_malformed_rirs_noises(rirs: Path, tmp_path: Path) -> None:
    with pytest.raises(SegmentError, match="no rooms of size 'huge'; there are small, medium, large"):
        pack_rirs_noises(rirs, tmp_path / "out", sizes=["huge"])
    (path,) = (rirs / "simulated_rirs" / "mediumroom").rglob("*.wav")
    path.write_bytes(b"no audio")
    with pytest.raises(SegmentError, match="Lhotse's recipe gave up"):
        pack_rirs_noises(rirs, tmp_path / "out")
    path.unlink()
    with pytest.raises(SegmentError, match=r"has no simulated_rirs/mediumroom"):
        pack_rirs_noises(rirs, tmp_path / "out")
