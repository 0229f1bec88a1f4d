"""Lhotse CutSets (`cuts.jsonl`, `cuts.jsonl.gz`), read through the lhotse package."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from watchword.data.segment import Segment, SegmentError, Timed, numbered_lines
from watchword.prepare.timed import fit_phones, fit_words

# Whatever else a recording or cut was put through, its file does not hold.
_HARMLESS_TRANSFORMS = frozenset({"Resample"})


def read_lhotse(path: Path, *, corpus: str = "", split: str = "train", licence: str = "") -> Iterator[Segment]:
    """Reads the supervisions of a CutSet's cuts, each a segment of its cut's recording, but for those without a text.

    Relative audio paths start at the working folder, as in Lhotse, or where nothing is there, at the manifest's. Words
    and phones come from the alignments "word" and "phone" (or "phoneme"); where their words are not those of the text,
    a supervision comes without times. Raises SegmentError naming file and line, and where lhotse is not installed."""
    parse = _open_lhotse()
    path = Path(path).absolute()
    name = corpus or path.name.split(".")[0]
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            cut = parse(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
            raise SegmentError(
                f"{where}: is no cut ({type(error).__name__}: {error}); give a cuts.jsonl[.gz]"
            ) from None
        audio = _audio(cut, path, where)
        for supervision in cut.supervisions:
            if supervision.text and supervision.text.strip():
                yield _segment(cut, supervision, audio, where, name, split, licence)


def _open_lhotse() -> Callable[[dict[str, Any]], Any]:
    try:
        from lhotse.serialization import deserialize_item
    except ImportError as error:
        raise SegmentError(
            f'lhotse: CutSets need the package {error.name or "lhotse"}; pip install "watchword[lhotse]"'
        ) from None
    return deserialize_item


def _audio(cut: Any, path: Path, where: str) -> str:
    """Returns the audio file of a cut, or raises SegmentError where it is not a stretch of one mono file as it is."""
    kind = type(cut).__name__
    if kind != "MonoCut":
        raise SegmentError(
            f"{where}: is a {kind}; only a MonoCut of a file can be used: write others with save_audios()"
        )
    recording = cut.recording
    if recording is None:
        raise SegmentError(f"{where}: the cut {cut.id} has features but no recording; give the CutSet with recordings")
    if len(recording.sources) != 1 or recording.sources[0].type != "file":
        kinds = ", ".join(source.type for source in recording.sources) or "none"
        raise SegmentError(
            f"{where}: the recording {recording.id} must be one audio file, not {kinds}; write it with save_audios()"
        )
    if len(recording.sources[0].channels) != 1:
        raise SegmentError(
            f"{where}: the recording {recording.id} has {len(recording.sources[0].channels)} channels; "
            "write each cut's channel to a file of its own with save_audios()"
        )
    for transform in recording.transforms or ():
        kind = transform.get("name", "?") if isinstance(transform, dict) else type(transform).__name__
        if kind not in _HARMLESS_TRANSFORMS:
            raise SegmentError(
                f"{where}: the recording {recording.id} is changed by {kind}; write it with save_audios()"
            )
    audio = str(recording.sources[0].source)
    beside = os.path.join(path.parent, audio)
    return beside if not os.path.exists(audio) and os.path.exists(beside) else os.path.abspath(audio)


def _segment(cut: Any, supervision: Any, audio: str, where: str, corpus: str, split: str, licence: str) -> Segment:
    start = max(cut.start, cut.start + supervision.start)
    end = min(cut.start + cut.duration, cut.start + supervision.start + supervision.duration)
    if end <= start:
        raise SegmentError(f"{where}: the supervision {supervision.id} lies outside of its cut")
    tiers = {
        kind: [Timed(item.symbol, cut.start + item.start, cut.start + item.start + item.duration) for item in items]
        for kind, items in (supervision.alignment or {}).items()
    }
    text = supervision.text.strip()
    words = fit_words(text, tiers.get("word", ()))
    phones = fit_phones(tiers.get("phone") or tiers.get("phoneme") or ()) if words else ()
    return Segment(
        audio, text, round(start, 4), round(end, 4), supervision.speaker or "", corpus, split, licence, words, phones
    )
