"""LibriPhrase by its released lists, in the three protocols in use; EER and AUC, easy and hard, by number of words.

A row of the lists compares an anchor clip with another clip: the same phrase by another speaker (`diffspk_positive`), a
random phrase of as many words (`_easyneg`) or a near one (`_hardneg`). All protocols are half positive:

readme   the comparison's audio against the anchor's text; positives and negatives are rows (the lists' `target`)
pmn      rows of negatives alone, four trials each: either audio against either text (PhonMatchNet's loader)
mm       all rows, both ways: each audio against the other's text (MM-KWS's loader)

Every distinct pair of clip and text is scored once for all three. The script that made the lists draws without a seed,
so only the released ones are comparable: lists of other sizes are refused.
"""

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from watchword.evaluate.clips import Clip, Pairs
from watchword.evaluate.figures import figures_by_kind
from watchword.evaluate.metrics import Figure
from watchword.evaluate.trials import TrialError

TRIALS_A_SET: Mapping[str, int] = {"readme": 135_342, "pmn": 270_684, "mm": 270_684}
"""Trials of the easy set, and of the hard one, by protocol."""
_KINDS = {"diffspk_positive": "own", "diffspk_easyneg": "easy", "diffspk_hardneg": "hard"}
_NEEDED = (
    *(f"{side}{part}" for side in ("anchor", "comparison") for part in ("", "_spk", "_text", "_dur")),
    *("type", "target"),
)
_SUBFOLDERS = (".", "..", "wav", "wavs", "audio", "../LibriPhrase", "../wav")


@dataclass(frozen=True)
class Protocol:
    """The trials of a protocol in columns; `pair` is each one's place among the scored pairs.

    A match of kind "own" belongs to the easy and the hard set, one of kind "easy" or "hard" to that set alone."""

    pair: NDArray[np.int64]
    is_match: NDArray[np.bool_]
    kind: NDArray[np.str_]
    num_words: NDArray[np.int64]
    speaker: NDArray[np.str_]

    def num_trials(self, kind: str) -> int:
        """How many trials the easy or the hard set has."""
        return int(((self.kind == kind) | (self.kind == "own")).sum())


@dataclass(frozen=True)
class Lists:
    """Released lists: the distinct pairs to score, and the trials of each protocol among them."""

    pairs: Pairs
    protocols: dict[str, Protocol]
    sha256: str
    files: str

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of trials a set, clips, texts and speakers."""
        sizes = {f"{name}_trials_a_set": protocol.num_trials("easy") for name, protocol in self.protocols.items()}
        speakers = len(set(self.protocols["mm"].speaker.tolist()))
        return {
            "trials": len(self.pairs.clip_of),
            **sizes,
            "clips": len(self.pairs.clips),
            "texts": len(self.pairs.texts),
            "speakers": speakers,
        }


class _Collector:
    """Trials of one protocol as they are read."""

    def __init__(self) -> None:
        self.wanted: list[tuple[Clip, str]] = []
        self.columns: list[tuple[bool, str, int, str]] = []

    def add(self, clip: Clip, text: str, is_match: bool, kind: str, num_words: int, speaker: str) -> None:
        self.wanted.append((clip, text))
        self.columns.append((is_match, kind, num_words, speaker))


def read_libriphrase(folder: Path, expected: Mapping[str, int] = TRIALS_A_SET) -> Lists:
    """Reads `*_1word.csv` to `*_4word.csv` of a folder; audio is looked for in it and beside it.

    Raises TrialError for lists that cannot be read, whose audio is not there, or whose trials are not `expected` in
    number."""
    files = sorted(folder.glob("*_[1-4]word.csv"), key=lambda path: path.name)
    if not files:
        raise TrialError(f"{folder}: no list named *_1word.csv to *_4word.csv; give the folder of the released lists")
    digest = hashlib.sha256()
    collectors = {name: _Collector() for name in ("readme", "pmn", "mm")}
    root: Path | None = None
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
        for row in _rows(path):
            root = root or _audio_root(folder, path, row["anchor"])
            _add_row(collectors, row, root)
    pairs, protocols = _protocols(collectors)
    for name, number in expected.items():
        for kind in ("easy", "hard"):
            if (found := protocols[name].num_trials(kind)) != number:
                raise TrialError(
                    f"{folder}: {found:,} {kind} trials of protocol {name!r} instead of {number:,}; give the released "
                    "lists of all four lengths (those that libriphrase.py makes anew are others each time)"
                )
    return Lists(pairs, protocols, digest.hexdigest(), ", ".join(path.name for path in files))


def libriphrase_figures(
    lists: Lists, scores: NDArray[np.floating], *, seed: int = 0, resamples: int = 1000
) -> dict[str, Figure]:
    """Figures of each protocol from the scores of `lists.pairs`: easy_eer … of `readme`, then pmn_easy_eer …, mm_ …"""
    figures: dict[str, Figure] = {}
    for name, protocol in lists.protocols.items():
        found = figures_by_kind(
            protocol.kind,
            protocol.is_match,
            protocol.num_words,
            protocol.speaker,
            scores[protocol.pair],
            seed=seed,
            resamples=resamples,
        )
        prefix = "" if name == "readme" else f"{name}_"
        figures |= {f"{prefix}{key}": figure for key, figure in found.items()}
    return figures


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise TrialError(f"{path}: line 1: no column {missing[0]!r}; needed are {', '.join(_NEEDED)}")
            for number, row in enumerate(reader, start=2):
                target = "1" if row["type"] == "diffspk_positive" else "0"
                if row["type"] not in _KINDS or row["target"] not in (target, f"{target}.0"):
                    raise TrialError(
                        f"{path}: line {number}: type {row['type']!r} with target {row['target']!r}; give the lists of "
                        "mode diffspk_all"
                    )
                yield row
    except (OSError, UnicodeDecodeError) as error:
        raise TrialError(f"{path}: cannot be read ({error}); give the released lists") from error


def _add_row(collectors: Mapping[str, _Collector], row: Mapping[str, str], root: Path) -> None:
    kind, is_match = _KINDS[row["type"]], row["type"] == "diffspk_positive"
    sides = {}
    for side in ("anchor", "comparison"):
        try:
            clip = Clip(str(root / row[side]), 0.0, round(float(row[f"{side}_dur"]), 4))
        except ValueError:
            raise TrialError(f"{root / row[side]}: duration {row[f'{side}_dur']!r} is no number of seconds") from None
        sides[side] = (clip, row[f"{side}_text"].lower(), row[f"{side}_spk"])
    (anchor, anchor_text, anchor_speaker), (other, other_text, other_speaker) = sides["anchor"], sides["comparison"]
    num_words = len(anchor_text.split())
    collectors["readme"].add(other, anchor_text, is_match, kind, num_words, other_speaker)
    collectors["mm"].add(anchor, other_text, is_match, kind, num_words, anchor_speaker)
    collectors["mm"].add(other, anchor_text, is_match, kind, num_words, other_speaker)
    if not is_match:
        collectors["pmn"].add(anchor, anchor_text, True, kind, num_words, anchor_speaker)
        collectors["pmn"].add(anchor, other_text, False, kind, num_words, anchor_speaker)
        collectors["pmn"].add(other, other_text, True, kind, num_words, other_speaker)
        collectors["pmn"].add(other, anchor_text, False, kind, num_words, other_speaker)


def _protocols(collectors: Mapping[str, _Collector]) -> tuple[Pairs, dict[str, Protocol]]:
    wanted = sorted({pair for collector in collectors.values() for pair in collector.wanted})
    place = {pair: number for number, pair in enumerate(wanted)}
    clips, texts = sorted({clip for clip, _ in wanted}), sorted({text for _, text in wanted})
    clip_place = {clip: number for number, clip in enumerate(clips)}
    text_place = {text: number for number, text in enumerate(texts)}
    pairs = Pairs(
        clips,
        texts,
        np.array([clip_place[clip] for clip, _ in wanted], dtype=np.int64),
        np.array([text_place[text] for _, text in wanted], dtype=np.int64),
    )
    protocols = {}
    for name, collector in collectors.items():
        is_match, kind, num_words, speaker = zip(*collector.columns, strict=True) if collector.columns else ((),) * 4
        protocols[name] = Protocol(
            np.array([place[pair] for pair in collector.wanted], dtype=np.int64),
            np.array(is_match, dtype=np.bool_),
            np.array(kind, dtype=np.str_),
            np.array(num_words, dtype=np.int64),
            np.array(speaker, dtype=np.str_),
        )
    return pairs, protocols


def _audio_root(folder: Path, path: Path, audio: str) -> Path:
    for name in _SUBFOLDERS:
        if (folder / name / audio).is_file():
            return (folder / name).resolve()
    raise TrialError(
        f"{path}: no audio at {folder / audio}; put the phrases that libriphrase.py cut beside the lists, so that "
        "their `anchor` column leads to them"
    )
