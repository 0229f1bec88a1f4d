"""What a client may say: JSON messages read into dataclasses, or refused in one sentence."""

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

MAX_KEYWORDS, MAX_TEXT, MAX_NAME = 100, 300, 300
LOWEST_RATE, HIGHEST_RATE = 4000, 192000


class MessageError(ValueError):
    """A message that cannot be understood or carried out; the client is told so and may go on."""


@dataclass(frozen=True)
class Wanted:
    """A keyword as a client asks for it: an id of its own, the text, and a threshold, or None for the bundle's."""

    id: str
    text: str
    threshold: float | None = None


@dataclass(frozen=True)
class Keywords:
    """The keywords from now on, all of them; those not named are no longer listened for."""

    keywords: tuple[Wanted, ...]


@dataclass(frozen=True)
class Pronounce:
    """How is this said? Changes nothing."""

    id: str
    text: str


@dataclass(frozen=True)
class Start:
    """Audio follows: binary frames of little-endian int16 mono samples at `sample_rate`."""

    sample_rate: int


@dataclass(frozen=True)
class File:
    """A file follows: binary frames that are so many bytes together."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Again:
    """Search the file that came last once more, with the keywords of now."""


@dataclass(frozen=True)
class Stop:
    """The audio has ended, or the file is no longer wanted."""


@dataclass(frozen=True)
class Clip:
    """Send the audio between two times; the answer carries the id."""

    id: str
    start: float
    end: float


Message: TypeAlias = Keywords | Pronounce | Start | File | Again | Stop | Clip


def parse(text: str, most_bytes: int) -> Message:
    """Reads a text message; `most_bytes` is the largest file that is taken. Raises MessageError."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise MessageError('message: is no JSON; send an object such as {"type": "stop"}') from None
    if not isinstance(given, dict):
        raise MessageError('message: is no JSON object; send one such as {"type": "stop"}')
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in _READERS:
        raise MessageError(f"message: no type {_shown(kind)}{_instead(str(kind), _READERS)}")
    read, fields = _READERS[kind]
    for name in given:
        if name != "type" and name not in fields:
            raise MessageError(f"{kind}: no field {_shown(name)}{_instead(name, fields)}")
    return read(given, most_bytes)


def _keywords(given: Mapping[str, Any], most_bytes: int) -> Keywords:
    rows = given.get("keywords")
    if not isinstance(rows, list):
        raise MessageError("keywords: keywords is no list; give objects with id, text and perhaps threshold")
    if len(rows) > MAX_KEYWORDS:
        raise MessageError(f"keywords: {len(rows)} are too many here; give {MAX_KEYWORDS} at most")
    wanted = []
    for row in rows:
        if not isinstance(row, dict):
            raise MessageError("keywords: a keyword is no object; give id, text and perhaps threshold")
        for name in row:
            if name not in _WANTED_FIELDS:
                raise MessageError(f"keywords: no field {_shown(name)}{_instead(name, _WANTED_FIELDS)}")
        threshold = row.get("threshold")
        if threshold is not None:
            threshold = _number(row, "keywords", "threshold", -1.0, 1.0)
        wanted.append(Wanted(_id(row, "keywords"), _text(row, "keywords", "text", MAX_TEXT), threshold))
    if len({keyword.id for keyword in wanted}) < len(wanted):
        raise MessageError("keywords: two have the same id; give each one of its own")
    return Keywords(tuple(wanted))


def _pronounce(given: Mapping[str, Any], most_bytes: int) -> Pronounce:
    return Pronounce(_id(given, "pronounce"), _text(given, "pronounce", "text", MAX_TEXT))


def _start(given: Mapping[str, Any], most_bytes: int) -> Start:
    return Start(_integer(given, "start", "sample_rate", LOWEST_RATE, HIGHEST_RATE, " Hz"))


def _file(given: Mapping[str, Any], most_bytes: int) -> File:
    name = _text(given, "file", "name", MAX_NAME)
    size = given.get("bytes")
    if isinstance(size, int) and size > most_bytes:
        raise MessageError(
            f"{name}: {size / 1e6:.0f} MB are too many for this page ({most_bytes / 1e6:.0f} MB at most); "
            "search it with watchword spot"
        )
    if size == 0:
        raise MessageError(f"{name}: is empty (0 bytes)")
    return File(name, _integer(given, "file", "bytes", 1, most_bytes, ""))


def _again(given: Mapping[str, Any], most_bytes: int) -> Again:
    return Again()


def _stop(given: Mapping[str, Any], most_bytes: int) -> Stop:
    return Stop()


def _clip(given: Mapping[str, Any], most_bytes: int) -> Clip:
    start = _number(given, "clip", "start", 0.0, 1e7)
    end = _number(given, "clip", "end", 0.0, 1e7)
    if not 0.0 < end - start <= LONGEST_CLIP_SECONDS:
        raise MessageError(
            f"clip: {start:g} to {end:g} s is no clip; give a start before an end, at most {LONGEST_CLIP_SECONDS:g} s"
        )
    return Clip(_id(given, "clip"), start, end)


LONGEST_CLIP_SECONDS = 30.0
_WANTED_FIELDS = ("id", "text", "threshold")
_READERS: dict[str, tuple[Callable[[Mapping[str, Any], int], Message], tuple[str, ...]]] = {
    "keywords": (_keywords, ("keywords",)),
    "pronounce": (_pronounce, ("id", "text")),
    "start": (_start, ("sample_rate",)),
    "file": (_file, ("name", "bytes")),
    "again": (_again, ()),
    "stop": (_stop, ()),
    "clip": (_clip, ("id", "start", "end")),
}
KINDS = tuple(_READERS)
"""The types of messages that a client may send."""


def _text(given: Mapping[str, Any], where: str, name: str, longest: int) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise MessageError(f"{where}: {name} is {_shown(value)}; give a text")
    if len(value) > longest:
        raise MessageError(f"{where}: {name} has {len(value)} characters; give {longest} at most")
    return value


def _id(given: Mapping[str, Any], where: str) -> str:
    value = _text(given, where, "id", 60)
    if not value:
        raise MessageError(f"{where}: id is empty; give any text that tells it from others")
    return value


def _number(given: Mapping[str, Any], where: str, name: str, lowest: float, highest: float) -> float:
    value = given.get(name)
    # NaN, the infinities and integers too large for a float are outside of any range.
    if not isinstance(value, int | float) or isinstance(value, bool) or not lowest <= value <= highest:
        raise MessageError(f"{where}: {name} is {_shown(value)}; give a number from {lowest:g} to {highest:g}")
    return float(value)


def _integer(given: Mapping[str, Any], where: str, name: str, lowest: int, highest: int, unit: str) -> int:
    value = given.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise MessageError(f"{where}: {name} is {_shown(value)}; give a whole number from {lowest} to {highest}{unit}")
    return value


def _shown(value: object) -> str:
    """A client's value, short enough for a sentence."""
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return shown if len(shown) <= 40 else f"{shown[:40]}…"


def _instead(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known) or 'none'}"
