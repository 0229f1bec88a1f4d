"""Praat TextGrids, long and short, as the Montreal Forced Aligner writes them."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

from watchword.data.segment import SegmentError, Timed

# A quoted text, a flag, or a number that stands alone: what is left of the long format is then the short one.
_TOKEN = re.compile(r'"(?:[^"]|"")*"|<\w+>|(?<![^\s])[-+]?\d[\d.eE+-]*(?![^\s])')


def read_textgrid(path: Path) -> dict[str, tuple[Timed, ...]]:
    """Reads the interval tiers by name; intervals without a text are kept, as "".

    Raises SegmentError that names the file and the line."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise SegmentError(f"{path}: is neither UTF-8 nor UTF-16 text; save the TextGrid again as UTF-8") from None
    tokens = _Tokens(path, text)
    if (tokens.text("ooTextFile"), tokens.text("TextGrid")) != ("ooTextFile", "TextGrid"):
        raise SegmentError(f'{path}, line 1: is no TextGrid; it must begin with "ooTextFile" and "TextGrid"')
    tokens.number("the start")
    tokens.number("the end")
    if tokens.next("<exists>") != "<exists>":
        return {}
    tiers = {}
    for _ in range(tokens.count("the number of tiers")):
        kind, name = tokens.text("a tier's class"), tokens.text("a tier's name")
        tokens.number("a tier's start")
        tokens.number("a tier's end")
        size = tokens.count("a tier's size")
        if kind == "IntervalTier":
            tiers[name] = tuple(tokens.interval() for _ in range(size))
        elif kind == "TextTier":
            for _ in range(size):
                tokens.number("a point's time")
                tokens.text("a point's text")
        else:
            raise SegmentError(f"{tokens.where}: a tier of class {kind!r}; there are IntervalTier and TextTier")
    return tiers


class _Tokens:
    """The tokens of a TextGrid one after another, with the line of the last one."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._line, self._place = path, 1, 0
        self._text = text
        self._found: Iterator[re.Match[str]] = _TOKEN.finditer(text)

    @property
    def where(self) -> str:
        return f"{self._path}, line {self._line}"

    def next(self, what: str) -> str:
        match = next(self._found, None)
        end = match.start() if match else len(self._text)
        self._line += self._text.count("\n", self._place, end)
        self._place = end
        if match is None:
            raise SegmentError(f"{self.where}: ends where {what} was expected; the TextGrid is cut short")
        return match[0]

    def text(self, what: str) -> str:
        token = self.next(what)
        if not token.startswith('"'):
            raise SegmentError(f"{self.where}: {token} where {what} was expected, in quotation marks")
        return token[1:-1].replace('""', '"').strip()

    def number(self, what: str) -> float:
        token = self.next(what)
        try:
            number = float(token)
        except ValueError:
            raise SegmentError(f"{self.where}: {token} where {what} was expected, a number") from None
        if not math.isfinite(number):
            raise SegmentError(f"{self.where}: {token} where {what} was expected, a finite number")
        return number

    def count(self, what: str) -> int:
        number = self.number(what)
        if number < 0 or number != int(number):
            raise SegmentError(f"{self.where}: {number:g} where {what} was expected, a whole number")
        return int(number)

    def interval(self) -> Timed:
        start, end = self.number("an interval's start"), self.number("an interval's end")
        text = self.text("an interval's text")
        if end < start:
            raise SegmentError(f"{self.where}: an interval ends at {end} s, before it starts ({start} s)")
        return Timed(text, start, end)
