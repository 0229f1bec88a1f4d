"""Alignments that come apart from their corpus: a folder of TextGrids, or a CTM file, each named by its utterance."""

from dataclasses import replace
from pathlib import Path

from watchword.data.segment import Segment, SegmentError, Timed
from watchword.prepare.textgrid import read_textgrid
from watchword.prepare.timed import fit_phones, fit_words, read_ctm


class Alignments:
    """Word and phone times by the utterance's name (the audio file's, without its suffix)."""

    def __init__(self, place: Path) -> None:
        """Finds the `*.TextGrid` files of a folder, whatever folders are inside, or reads a CTM file.

        Raises SegmentError where there are none."""
        place = Path(place).absolute()
        self._grids: dict[str, Path] = {}
        self._words: dict[str, list[Timed]] = {}
        if place.is_file():
            self._words = _read_ctm(place)
            return
        self._grids = {path.stem: path for path in sorted(place.rglob("*.TextGrid"))}
        if not self._grids:
            raise SegmentError(f"{place}: holds no *.TextGrid; give the unpacked folder of the alignments, or none")

    def laid_on(self, segment: Segment, name: str) -> Segment:
        """Returns a segment that is a whole file with its times; unchanged where there are none, or of other words."""
        if name in self._words:
            return replace(segment, words=fit_words(segment.text, self._words[name]))
        if name not in self._grids:
            return segment
        grid = self._grids[name]
        tiers = {tier.casefold(): intervals for tier, intervals in read_textgrid(grid).items()}
        if "words" not in tiers:
            raise SegmentError(f'{grid}: has no tier "words"; its tiers are {", ".join(tiers) or "none"}')
        words = fit_words(segment.text, tiers["words"])
        return replace(segment, words=words, phones=fit_phones(tiers.get("phones", ())) if words else ())


def _read_ctm(path: Path) -> dict[str, list[Timed]]:
    """Reads lines `NAME CHANNEL START DURATION WORD`, in seconds, comments after `;;`."""
    words: dict[str, list[Timed]] = {}
    for _, name, word in read_ctm(path):
        words.setdefault(name, []).append(word)
    if not words:
        raise SegmentError(f"{path}: is empty; give a CTM file or a folder of TextGrids")
    return {name: sorted(found, key=lambda word: word.start_seconds) for name, found in words.items()}
