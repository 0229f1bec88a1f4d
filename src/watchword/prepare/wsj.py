"""The Wall Street Journal corpus (CSR-I and CSR-II) as the LDC gives it out: sphere files and dot transcripts.

Utterances are sphere files `wsj0/si_tr_s/01t/01to030v.wv1` (`.wv2` is the second microphone), or what was made of them
(.wav, .flac). Their texts are lines `text (01to030v)` of `*.dot` or `*.lsn` files, a file for each speaker or session.
`*.ndx` lists name the sets of the field: `11_13_1:wsj0/si_tr_s/01t/01to030v.wv1`, comments after `;`."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from watchword.data.segment import Segment, SegmentError
from watchword.prepare.alignments import Alignments
from watchword.prepare.known_corpora import WSJ

_AUDIO = {1: (".wv1", ".wav", ".flac"), 2: (".wv2",)}
_LINE = re.compile(r"(?P<text>.*)\((?P<name>\w{8})\)\s*")
_SPLITS = (("_tr_", "train"), ("_dt_", "dev"), ("_et_", "test"))
_HEADER_BYTES = 1024
# Sounds: [loud_breath], [door_slam/], [<cross_talk]; a pause; where the recording was cut.
_NO_WORD = re.compile(r"\[[^\]]*\]|\.|~")
# Marks around what was said: *mispronounced*, <spoken over>, !emphasis, leng:thened, \escaped.
_MARKS = re.compile(r"[*<>!:\\~]")
# Punctuation that was read aloud: ,COMMA  "DOUBLE-QUOTE  --DASH  ...ELLIPSIS  (LEFT-PAREN  %PERCENT
_READ_ALOUD = re.compile(r"[^\w\s']+(?P<word>[A-Z]{2}[A-Z-]*)|'(?P<quote>[A-Z]+-QUOTE)")


def read_wsj(
    folders: Sequence[Path], *, lists: Sequence[Path] = (), microphone: int = 1, alignments: Path | None = None
) -> Iterator[Segment]:
    """Reads the utterances below folders (discs, wsj0, wsj1, or what holds them), or those that `*.ndx` lists name.

    The split follows from the folder: si_tr_s is `train`, si_dt_20 `dev`, si_et_20 `test`. Texts come in lower case,
    without the marks of the transcripts. Utterances with a broken-off word are left out: their text is not what is
    heard. Raises SegmentError for what is missing, and for sphere files that are compressed or cut short."""
    places = [WSJ.folder(folder) for folder in folders]
    audio, texts = _find(places, _AUDIO[microphone])
    if not audio:
        raise WSJ.unlike(places[0], f"holds no *{_AUDIO[microphone][0]}")
    if not texts:
        raise WSJ.unlike(places[0], "holds no *.dot or *.lsn")
    wanted = [name for path in lists for name in _read_list(path, audio)] if lists else sorted(audio)
    times = Alignments(alignments) if alignments else None
    for name in wanted:
        stem = name.rpartition("/")[2]
        if stem not in texts:
            if lists:
                raise SegmentError(f"{audio[name]}: no transcript has its text; give the folder of the dots, too")
            continue
        text = spoken_text(texts[stem])
        if text:
            check_sphere(audio[name])
            set_name = audio[name].parent.parent.name.lower()
            split = next((split for part, split in _SPLITS if part in f"_{set_name}_"), "train")
            segment = Segment(str(audio[name]), text, 0.0, -1.0, f"wsj_{stem[:3]}", WSJ.name, split, WSJ.licence)
            yield times.laid_on(segment, stem) if times else segment


def spoken_text(text: str) -> str:
    """What is heard of a transcript, in lower case; nothing where a word is broken off.

    >>> spoken_text("Mr. *Smith* paid [loud_breath] five ,COMMA <no> ten %PERCENT . .PERIOD")
    'mr. smith paid five comma no ten percent period'
    >>> spoken_text("he pai- paid")
    ''
    """
    words = []
    for token in text.split():
        if _NO_WORD.fullmatch(token):
            continue
        if aloud := _READ_ALOUD.fullmatch(token):
            words += (aloud["word"] or aloud["quote"]).lower().split("-")
            continue
        word = _MARKS.sub("", token)
        if any(letter.isalnum() for letter in word):
            if word.startswith("-") or word.endswith("-") or "(" in word:
                return ""
            words.append(word.lower())
    return " ".join(words)


def check_sphere(path: Path) -> None:
    """Raises SegmentError for a NIST sphere file that is compressed, cut short, or none; other formats pass."""
    if path.suffix.lower() not in (".wv1", ".wv2"):
        return
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    if head[:7] != b"NIST_1A":
        raise SegmentError(f"{path}: is no NIST sphere file (it does not begin with NIST_1A); copy the disc again")
    fields = dict(re.findall(r"^(\w+) -\w+ (.*?)\s*$", head.decode("latin-1"), re.MULTILINE))
    coding = fields.get("sample_coding", "pcm")
    if "shorten" in coding or "wavpack" in coding:
        raise SegmentError(
            f"{path}: is compressed ({coding}), which nothing here can read; write it as `sph2pipe -f wav` does "
            f"(https://www.openslr.org/3), to {path.with_suffix('.wav').name} beside it, and delete or move the *.wv1"
        )
    try:
        stated = int(fields["sample_count"]) * int(fields["sample_n_bytes"]) * int(fields.get("channel_count", 1))
    except (KeyError, ValueError):
        raise SegmentError(f"{path}: its sphere header states no sample_count; copy the disc again") from None
    if (there := path.stat().st_size - int(head[8:16])) < stated:
        raise SegmentError(f"{path}: cut short, {there} of {stated} bytes of samples are there; copy the disc again")


def _find(places: Sequence[Path], suffixes: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """All audio by SET/SPEAKER/UTTERANCE, and all texts by UTTERANCE, in lower case; dots come before SNOR."""
    audio: dict[str, Path] = {}
    dots, snors = {}, {}
    for path in sorted(path for place in places for path in place.rglob("*")):
        suffix = path.suffix.lower()
        if suffix in suffixes:
            key = "/".join(part.lower() for part in (*path.parts[-3:-1], path.stem))
            # What was converted stands in for the sphere file beside it.
            if key not in audio or suffix != suffixes[0]:
                audio[key] = path
        elif suffix in (".dot", ".lsn"):
            (dots if suffix == ".dot" else snors).update(_read_transcript(path))
    return audio, snors | dots


def _read_transcript(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            found = _LINE.fullmatch(line)
            if found is None:
                raise SegmentError(f"{path}, line {number}: is not a text followed by (UTTERANCE)")
            yield found["name"].lower(), found["text"].strip()


def _read_list(path: Path, audio: dict[str, Path]) -> Iterator[str]:
    """The utterances of an .ndx list, whatever their disc and suffix."""
    found = 0
    for number, line in enumerate(_lines(Path(path)), 1):
        line = line.strip()
        if not line or line.startswith(";"):
            continue
        parts = line.rpartition(":")[2].strip().lower().split("/")
        name = "/".join([*parts[-3:-1], parts[-1].partition(".")[0]])
        if len(parts) < 3:
            raise SegmentError(f"{path}, line {number}: is not DISC:wsj0/SET/SPEAKER/UTTERANCE.wv1")
        if name not in audio:
            raise SegmentError(f"{path}, line {number}: there is no {name}.wv1; give the folder of its disc, too")
        found += 1
        yield name
    if not found:
        raise SegmentError(f"{path}: names no utterance; give one of the corpus's *.ndx lists")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_bytes().decode("ascii", "strict").splitlines()
    except UnicodeDecodeError:
        raise SegmentError(f"{path}: is not plain text (ASCII), as the discs have it; copy the disc again") from None
    except OSError as error:
        raise SegmentError(f"{path}: cannot be read ({error.strerror})") from None
