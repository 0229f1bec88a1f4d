"""LibriSpeech and its alignments on a tiny folder of the same layout; TextGrids long, short, and broken."""

import pytest

from watchword.cli import main
from watchword.data.segment import SegmentError, Timed, read_segments
from watchword.prepare.librispeech import read_librispeech
from watchword.prepare.textgrid import read_textgrid

WORDS = [("", 0.0, 0.3), ("the", 0.3, 0.5), ("<unk>", 0.5, 1.0), ("", 1.0, 1.2)]
PHONES = [("sil", 0.0, 0.3), ("DH", 0.3, 0.4), ("AH0", 0.4, 0.5), ("K", 0.5, 0.7), ("AE1", 0.7, 1.0), ("", 1.0, 1.2)]


def long_textgrid(**tiers):
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0 ",
        "xmax = 1.2 ",
        "tiers? <exists> ",
    ]
    lines += [f"size = {len(tiers)} ", "item []: "]
    for number, (name, intervals) in enumerate(tiers.items(), 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier" ', f'        name = "{name}" ']
        lines += ["        xmin = 0 ", "        xmax = 1.2 ", f"        intervals: size = {len(intervals)} "]
        for place, (text, start, end) in enumerate(intervals, 1):
            lines += [f"        intervals [{place}]:", f"            xmin = {start} ", f"            xmax = {end} "]
            lines += [f'            text = "{text}" ']
    return "\n".join(lines) + "\n"


def short_textgrid(**tiers):
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", "1.2", "<exists>", str(len(tiers))]
    for name, intervals in tiers.items():
        lines += ['"IntervalTier"', f'"{name}"', "0", "1.2", str(len(intervals))]
        for text, start, end in intervals:
            lines += [str(start), str(end), f'"{text}"']
    return "\n".join(lines) + "\n"


@pytest.fixture
def corpus(tmp_path):
    """Two subsets, three speakers, a chapter each; alignments of the first utterance of speaker 84."""
    root = tmp_path / "LibriSpeech"
    table = "; The speakers\n;ID  |SEX| SUBSET |MINUTES| NAME\n"
    for subset, speaker, sex in (
        ("train-clean-100", "84", "F"),
        ("train-clean-100", "103", "M"),
        ("dev-other", "7", "F"),
    ):
        chapter = root / subset / speaker / "121"
        chapter.mkdir(parents=True)
        name = f"{speaker}-121"
        (chapter / f"{name}.trans.txt").write_text(f"{name}-0000 THE CAT\n{name}-0001 IT'S HERE\n")
        for number in range(2):
            (chapter / f"{name}-000{number}.flac").touch()
        table += f"{speaker:<5}| {sex} | {subset:<16} | 25.03 | Some | One\n"
    (root / "SPEAKERS.TXT").write_text(table)
    grids = tmp_path / "alignments" / "train-clean-100" / "84" / "121"
    grids.mkdir(parents=True)
    (grids / "84-121-0000.TextGrid").write_text(long_textgrid(words=WORDS, phones=PHONES))
    return root


def test_without_alignments(corpus):
    segments = list(read_librispeech(corpus))
    assert len(segments) == 6
    by_speaker = {segment.speaker: segment for segment in segments}
    assert by_speaker["7"].split == "dev"
    assert by_speaker["84"].split == "train"
    assert by_speaker["84"].corpus == "librispeech:train-clean-100"
    assert {segment.text for segment in segments} == {"the cat", "it's here"}
    assert segments[0].licence == "CC BY 4.0"
    assert all(segment.audio.endswith(".flac") and segment.end_seconds == -1 for segment in segments)
    assert list(read_librispeech(corpus.parent)) == segments


def test_with_alignments(corpus):
    segments = list(read_librispeech(corpus, alignments=corpus.parent / "alignments", subsets=["train-clean-100"]))
    aligned = [segment for segment in segments if segment.words]
    assert len(segments) == 4
    assert [segment.speaker for segment in aligned] == ["84"]
    assert aligned[0].words == (Timed("the", 0.3, 0.5), Timed("cat", 0.5, 1.0))
    assert [phone.text for phone in aligned[0].phones] == ["SIL", "DH", "AH0", "K", "AE1", "SIL"]


def test_alignments_of_another_text_are_not_used(corpus):
    (grid,) = corpus.parent.rglob("*.TextGrid")
    grid.write_text(short_textgrid(words=[("a", 0.3, 0.5), ("dog", 0.5, 1.0)], phones=PHONES))
    (segment,) = (s for s in read_librispeech(corpus, alignments=grid.parent) if s.audio.endswith("84-121-0000.flac"))
    assert (segment.words, segment.phones) == ((), ())


def test_command(corpus, tmp_path, capsys):
    out = tmp_path / "out" / "segments.jsonl"
    arguments = ["--alignments", str(tmp_path / "alignments"), "--subset", "train-clean-100"]
    assert main(["prepare", "librispeech", str(corpus), "--out", str(out), *arguments]) == 0
    assert len(list(read_segments(out))) == 4
    assert "4 segments, 1 with word times, 1 with phones" in capsys.readouterr().out
    assert len(list(read_librispeech(corpus, subsets=["100"]))) == 4


def damage(corpus, name, content):
    (path,) = corpus.rglob(name)
    path.write_text(content)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("SPEAKERS.TXT", "; one\n84 F train\n", r"SPEAKERS\.TXT, line 2: is not ID"),
        ("SPEAKERS.TXT", "84 | F | train | 1.0 | A\n", r"speaker 7 is not in SPEAKERS\.TXT"),
        ("84-121.trans.txt", "84-121-0000 A\n84-121-0001\n", r"84-121\.trans\.txt, line 2: has no text"),
        ("84-121.trans.txt", "84-121-0009 A\n", r"84-121\.trans\.txt, line 1: there is no 84-121-0009\.flac"),
    ],
)
def test_malformed(corpus, name, content, complaint):
    damage(corpus, name, content)
    with pytest.raises(SegmentError, match=complaint):
        list(read_librispeech(corpus))


def test_wrong_folders(corpus, tmp_path):
    with pytest.raises(SegmentError, match=r"alignments: has no SPEAKERS\.TXT; expected is .*OpenSLR 12"):
        list(read_librispeech(tmp_path / "alignments"))
    with pytest.raises(SegmentError, match="has no subset 'train-clean-360'; there are dev-other, train-clean-100"):
        list(read_librispeech(corpus, subsets=["train-clean-360"]))
    with pytest.raises(SegmentError, match=r"holds no \*\.TextGrid"):
        list(read_librispeech(corpus, alignments=corpus))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("written", [long_textgrid, short_textgrid])
def test_textgrids(tmp_path, written, encoding):
    tricky = [('say ""xmin = 3""', 0.0, 0.5), ("naïve\n2", 0.5, 1.2)]
    path = tmp_path / "a.TextGrid"
    path.write_text(written(words=tricky, phones=PHONES), encoding=encoding)
    tiers = read_textgrid(path)
    assert tiers["words"] == (Timed('say "xmin = 3"', 0.0, 0.5), Timed("naïve\n2", 0.5, 1.2))
    assert [phone.text for phone in tiers["phones"]] == [text for text, _, _ in PHONES]


@pytest.mark.parametrize("written", [long_textgrid, short_textgrid])
def test_textgrids_cut_short(tmp_path, written):
    """Wherever a TextGrid ends early, the line is named; none is taken for whole."""
    whole = written(words=WORDS, phones=PHONES)
    path = tmp_path / "a.TextGrid"
    for length in range(0, len(whole.rstrip()) - 1, 7):
        path.write_text(whole[:length])
        with pytest.raises(SegmentError, match=r"a\.TextGrid, line \d+: "):
            read_textgrid(path)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("0.3\n0.5\n", "0.3\nhalf\n", r"line 18: \"the\" where an interval's end"),
        ("0.3\n0.5\n", "0.6\n0.5\n", "line 18: an interval ends at 0.5 s, before it starts"),
        ('"IntervalTier"', '"Tier"', "a tier of class 'Tier'"),
        ("ooTextFile", "ooBinaryFile", "line 1: is no TextGrid"),
        ("1.2\n4\n", "1.2\n4.5\n", "4.5 where a tier's size was expected, a whole number"),
    ],
)
def test_malformed_textgrids(tmp_path, old, new, complaint):
    text = short_textgrid(words=WORDS, phones=PHONES)
    assert old in text
    (tmp_path / "a.TextGrid").write_text(text.replace(old, new, 1))
    with pytest.raises(SegmentError, match=complaint):
        read_textgrid(tmp_path / "a.TextGrid")
