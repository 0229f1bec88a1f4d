"""King-ASR-066, as DataOceanAI (formerly Speechocean) lays out its King-ASR corpora; with word segments or without.

    DATA/CHANNEL0/SCRIPT/000010.TXT                           channel, speaker, session
    DATA/CHANNEL0/WAVE/SPEAKER0001/SESSION0/000010001.WAV     and the utterance

A line of a script is the utterance's name, a tab and the text as prompted; a line after it that begins with a tab is
what was said, and counts instead. This is the layout of the King-ASR corpora whose readers are public (052, 358, 725)
and of Singapore's National Speech Corpus; 066 itself has no public description."""

import re
from collections.abc import Iterator
from pathlib import Path

from watchword.audio import SUFFIXES
from watchword.data.segment import Segment, SegmentError
from watchword.prepare.alignments import Alignments
from watchword.prepare.known_corpora import KING_ASR_066

# [SPK], <NPS/> and the like are sounds that are no words; ** is what nobody understood.
_SOUND = re.compile(r"\[[^\]]*\]|<[^>]*>")
_UNINTELLIGIBLE = "**"


def read_king_asr_066(
    folder: Path, *, alignments: Path | None = None, split: str = "train", lacking: list[str] | None = None
) -> Iterator[Segment]:
    """Reads every channel's scripts, an utterance a segment; `alignments` (TextGrids or CTM) give its words' times.

    Utterances of which nothing was understood are left out. One whose audio is not there is an error, or goes to
    `lacking`. Raises SegmentError naming file and line."""
    folder = KING_ASR_066.folder(folder)
    channels = [place for place in _channels(folder) if _inside(place, "SCRIPT") and _inside(place, "WAVE")]
    if not channels:
        raise KING_ASR_066.unlike(folder, "has no DATA/CHANNEL*/SCRIPT with WAVE beside")
    times = Alignments(alignments) if alignments else None
    for channel in channels:
        audio = {path.stem.upper(): path for path in (channel / _inside(channel, "WAVE")).rglob("*")
                 if path.suffix.lower() in SUFFIXES}  # fmt: skip
        scripts = sorted(path for path in (channel / _inside(channel, "SCRIPT")).rglob("*") if _is_script(path))
        if not scripts:
            raise KING_ASR_066.unlike(channel, "has no SCRIPT/*.TXT")
        for script in scripts:
            for number, name, text in _read_script(script):
                if name.upper() not in audio:
                    where = f"{script}, line {number}: there is no {name}.WAV below {channel.name}/WAVE"
                    if lacking is None:
                        raise SegmentError(f"{where}; unpack the corpus again, or leave such lines out with --partial")
                    lacking.append(where)
                elif text:
                    yield _segment(audio[name.upper()], name, text, split, times)


def _channels(folder: Path) -> list[Path]:
    """The CHANNEL* folders of a corpus, of its DATA, of a channel itself, or of the parts of a corpus."""
    places = [folder, *(path for path in sorted(folder.iterdir()) if path.is_dir())]
    places += [place / name for place in places if (name := _inside(place, "DATA"))]
    inner = [path for place in dict.fromkeys(places) for path in sorted(place.iterdir()) if path.is_dir()]
    return list(dict.fromkeys([folder, *(path for path in inner if path.name.upper().startswith("CHANNEL"))]))


def _inside(folder: Path, name: str) -> str:
    """The name of a sub-folder in whatever case it is written, or nothing."""
    return next((path.name for path in folder.iterdir() if path.name.upper() == name and path.is_dir()), "")


def _is_script(path: Path) -> bool:
    return path.suffix.lower() == ".txt"


def _segment(path: Path, name: str, text: str, split: str, times: Alignments | None) -> Segment:
    speaker = next((part for part in path.parts[::-1] if part.upper().startswith("SPEAKER")), name[1:5])
    segment = Segment(
        str(path), text, 0.0, -1.0, f"king_{speaker.upper().removeprefix('SPEAKER')}", KING_ASR_066.name, split,
        KING_ASR_066.licence,
    )  # fmt: skip
    return times.laid_on(segment, name) if times else segment


def _read_script(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yields line number, name and text of each utterance; the text is empty where nothing was understood."""
    raw = path.read_bytes()
    try:
        content = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise SegmentError(f"{path}: is neither UTF-8 nor UTF-16 text; save the script again as UTF-8") from None
    waiting: tuple[int, str, str] | None = None
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        name, tab, text = line.partition("\t")
        if not name.strip() and tab and waiting:
            yield waiting[0], waiting[1], _spoken(text)
            waiting = None
            continue
        if waiting:
            yield waiting
        if not tab or not name.strip() or " " in name.strip():
            raise SegmentError(f"{path}, line {number}: is not UTTERANCE, a tab and its text")
        waiting = number, name.strip(), _spoken(text)
    if waiting:
        yield waiting


def _spoken(text: str) -> str:
    return "" if _UNINTELLIGIBLE in text else " ".join(_SOUND.sub(" ", text).split())
