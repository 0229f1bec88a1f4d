"""LibriPhrase's lists: their counts, their clips found or cut out of LibriSpeech, and what is refused."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from watchword.audio import SAMPLE_RATE, read
from watchword.cli import main
from watchword.data.segment import SegmentError
from watchword.evaluate.libriphrase import TRIALS_A_SET, read_libriphrase
from watchword.prepare import libriphrase as module
from watchword.prepare.libriphrase import COLUMNS, ROWS, prepare_libriphrase

# Utterances of three speakers: words with their times.
SAID = {
    "985-1-0000": [("", 0.0, 0.2), ("the", 0.2, 0.5), ("river", 0.5, 1.1), ("", 1.1, 1.3), ("the", 1.3, 1.7)],
    "7-2-0003": [("the", 0.0, 0.55), ("giver", 0.55, 1.0)],
    "8-3-0001": [("the", 0.1, 0.4), ("river", 0.4, 0.9)],
}
TEXTS = {1: ("the", "giver"), 2: ("the river", "the giver")}


def clip(utterance: str, text: str, number: int = 0) -> dict[str, str]:
    words = text.split()
    said = SAID[utterance]
    first = next(i for i in range(len(said)) if [word for word, _, _ in said[i : i + len(words)]] == words)
    speaker, chapter, _ = utterance.split("-")
    return {
        "": f"train-other-500/train-other-500/{speaker}/{chapter}/{utterance}_{len(words)}word_{number}.wav",
        "_spk": speaker,
        "_text": text,
        "_dur": f"{said[first + len(words) - 1][2] - said[first][1]:.4g}",
    }


def row(anchor: dict[str, str], comparison: dict[str, str], kind: str) -> dict[str, str]:
    sides = {
        f"{side}{key}": value
        for side, one in (("anchor", anchor), ("comparison", comparison))
        for key, value in one.items()
    }
    target = str(int(kind == "positive"))
    return sides | {"type": f"diffspk_{kind}", "target": target, "class": str(len(anchor["_text"].split()))}


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list for each number of words with one row of each type (here the released ones have three), as released."""
    monkeypatch.setattr(module, "ROWS", dict.fromkeys((1, 2), 3))
    folder = tmp_path / "lists"
    folder.mkdir()
    for words, (same, other) in TEXTS.items():
        anchor = clip("985-1-0000", same)
        rows = [
            row(anchor, clip("8-3-0001", same), "positive"),
            row(anchor, clip("7-2-0003", other), "easyneg"),
            row(anchor, clip("7-2-0003", other, 1), "hardneg"),
        ]
        with (folder / f"libriphrase_diffspk_all_{words}word.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(COLUMNS))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def clips(lists: Path, root: Path) -> Path:
    """Writes the clips that the lists name, each of its own noise."""
    for path in lists.glob("*.csv"):
        for line in csv.DictReader(path.read_text().splitlines()):
            for side in ("anchor", "comparison"):
                place = root / line[side]
                place.parent.mkdir(parents=True, exist_ok=True)
                size = round(float(line[f"{side}_dur"]) * SAMPLE_RATE)
                soundfile.write(place, 0.1 * np.random.default_rng(size).standard_normal(size), SAMPLE_RATE)
    return root


def librispeech(root: Path) -> tuple[Path, Path]:
    """Writes the utterances and their TextGrids, as LibriSpeech and its alignments lay them out."""
    for seed, (utterance, words) in enumerate(SAID.items()):
        speaker, chapter, _ = utterance.split("-")
        audio = root / "LibriSpeech" / "train-other-500" / speaker / chapter / f"{utterance}.flac"
        grid = root / "TextGrids" / speaker / f"{utterance}.TextGrid"
        for place in (audio, grid):
            place.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(audio, 0.1 * np.random.default_rng(seed).standard_normal(2 * SAMPLE_RATE), SAMPLE_RATE)
        body = "".join(f'{start}\n{end}\n"{text}"\n' for text, start, end in words)
        head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n2\n<exists>\n1\n"IntervalTier"\n"words"\n'
        grid.write_text(f"{head}0\n2\n{len(words)}\n{body}")
    return root / "LibriSpeech", root / "TextGrids"


def test_the_released_counts_are_those_of_the_protocols() -> None:
    """What preparation and evaluation each hold the released lists to is the same."""
    rows = sum(ROWS.values())
    assert rows == 27 * 7519
    assert rows // 3 * 2 == TRIALS_A_SET["readme"]
    assert rows // 3 * 4 == TRIALS_A_SET["pmn"] == TRIALS_A_SET["mm"]


@pytest.mark.parametrize("inside", ["", "train-other-500", "train-other-500/train-other-500"])
def test_clips_are_found_wherever_the_folder_begins(lists: Path, tmp_path: Path, inside: str) -> None:
    audio = clips(lists, tmp_path / "audio") / inside
    done = prepare_libriphrase(lists, audio, tmp_path / "out")
    assert (done.rows, done.cut, done.lacking) == ({1: 3, 2: 3}, 0, [])
    read_back = read_libriphrase(tmp_path / "out", expected={"readme": 4, "pmn": 8, "mm": 8})
    assert all(Path(clip.audio).is_file() for clip in read_back.pairs.clips)


def test_phrases_are_cut_out_of_librispeech(lists: Path, tmp_path: Path) -> None:
    audio, grids = librispeech(tmp_path)
    out = tmp_path / "out"
    done = prepare_libriphrase(lists, audio, out, alignments=grids)
    # the, the, giver; the river, the river, the giver: what several rows name is cut once.
    assert (done.rows, done.cut) == ({1: 3, 2: 3}, 6)
    whole = read(audio / "train-other-500" / "985" / "1" / "985-1-0000.flac")
    assert np.allclose(read(out / "clips" / "985" / "985-1-0000_200_1100.flac"), whole[3200:17600], atol=1e-4)
    (out / "clips" / "985" / "985-1-0000_200_1100.flac").unlink()
    assert prepare_libriphrase(lists, audio, out, alignments=grids).cut == 1  # goes on
    read_libriphrase(out, expected={"readme": 4, "pmn": 8, "mm": 8})


def test_the_duration_tells_which_of_two_like_phrases_is_meant(lists: Path, tmp_path: Path) -> None:
    audio, grids = librispeech(tmp_path)
    path = lists / "libriphrase_diffspk_all_1word.csv"
    path.write_text(path.read_text().replace("985,the,0.3,", "985,the,0.4,"))
    prepare_libriphrase(lists, audio, tmp_path / "out", alignments=grids)
    assert (tmp_path / "out" / "clips" / "985" / "985-1-0000_1300_1700.flac").exists()
    path.write_text(path.read_text().replace("985,the,0.4,", "985,the,0.7,"))
    with pytest.raises(SegmentError, match=r"1word\.csv, line 2: 'the' of 0\.70 s is not in .*985-1-0000\.TextGrid"):
        prepare_libriphrase(lists, audio, tmp_path / "out", alignments=grids)


def test_other_counts_are_refused_unless_in_part(
    lists: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = clips(lists, tmp_path / "audio")
    path = lists / "libriphrase_diffspk_all_2word.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    command = ["prepare", "libriphrase", str(lists), str(audio), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "has 0 rows of type diffspk_hardneg, and the released list 1; fetch it again" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    next(audio.rglob("985-1-0000_1word_0.wav")).unlink()
    assert main([*command, "--partial"]) == 0
    printed = capsys.readouterr()
    assert "2 rows (0 of 1 word, 2 of 2 words), 0 clips cut" in printed.out
    assert "3 left out" in printed.err


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("anchor_spk,", "anchor_speaker,", r"1word\.csv, line 1: has no column 'anchor_spk'"),
        ("diffspk_positive,1", "diffspk_positive,0", r"line 2: type 'diffspk_positive' with target '0'"),
        ("diffspk_easyneg", "samespk_easyneg", r"line 3: type 'samespk_easyneg'"),
        (",0.45,", ",long,", r"line 3: comparison_dur is 'long'"),
        (",giver,", ",,", r"line 3: the comparison has no path or no text"),
        ("diffspk_easyneg,0,1", "diffspk_easyneg", r"line 3: has not 11 columns"),
        ("the", "caf\xe9", r"is not UTF-8"),
    ],
)
def test_malformed_lists(lists: Path, tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = lists / "libriphrase_diffspk_all_1word.csv"
    text = path.read_text()
    assert old in text
    path.write_bytes(text.replace(old, new).encode("latin-1"))
    with pytest.raises(SegmentError, match=complaint):
        prepare_libriphrase(lists, clips_of(tmp_path), tmp_path / "out")


def clips_of(tmp_path: Path) -> Path:
    (tmp_path / "audio").mkdir()
    return tmp_path / "audio"


def test_audio_that_is_not_there(lists: Path, tmp_path: Path) -> None:
    audio, grids = librispeech(tmp_path)
    with pytest.raises(SegmentError, match=r"there is no train-other-500/.*_1word_0\.wav below .*--alignments"):
        prepare_libriphrase(lists, audio, tmp_path / "out")
    next(grids.rglob("7-2-0003.TextGrid")).unlink()
    with pytest.raises(SegmentError, match=r"the alignments lack 7-2-0003\.TextGrid"):
        prepare_libriphrase(lists, audio, tmp_path / "out", alignments=grids)
    next(audio.rglob("7-2-0003.flac")).unlink()
    with pytest.raises(SegmentError, match=r"there is no 7-2-0003\.flac below"):
        prepare_libriphrase(lists, audio, tmp_path / "out", alignments=grids)
    with pytest.raises(SegmentError, match=r"holds no \*\.TextGrid"):
        prepare_libriphrase(lists, audio, tmp_path / "out", alignments=audio)
    with pytest.raises(SegmentError, match="no such folder of audio"):
        prepare_libriphrase(lists, tmp_path / "absent", tmp_path / "out")
    (lists / "libriphrase_diffspk_all_2word.csv").unlink()
    with pytest.raises(SegmentError, match=r"has no \*_2word\.csv"):
        prepare_libriphrase(lists, audio, tmp_path / "out")
