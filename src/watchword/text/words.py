"""Text turned into lower-case words that can be spoken: numbers, acronyms, symbols and accents are spelled out."""

import re
import unicodedata
from collections.abc import Callable, Iterator

from watchword.text import numbers
from watchword.text.acronyms import cased, is_short_word, spell

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
}
_SCALE_LETTERS = {"k": "thousand", "m": "million", "b": "billion"}
_FRACTIONS = {"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter", "3/4": "three quarters"}
_SYMBOLS = {
    "&": "and", "+": "plus", "@": "at", "=": "equals", "%": "percent", "°": "degrees", "×": "times",
    "÷": "divided by", "§": "section", "$": "dollar", "€": "euro", "£": "pound", "¥": "yen",
}  # fmt: skip
_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "messrs": "messieurs", "vs": "versus", "jr": "junior", "sr": "senior",
    "etc": "et cetera", "blvd": "boulevard",
}  # fmt: skip
# Read so only with their point, and titles only before another word.
_POINTED = {
    "ave": "avenue", "rd": "road", "inc": "incorporated", "ltd": "limited", "co": "company", "corp": "corporation",
    "dept": "department", "mt": "mount", "ft": "fort", "approx": "approximately", "apt": "apartment",
    "jan": "january", "feb": "february", "aug": "august", "sept": "september", "oct": "october", "nov": "november",
    "dec": "december",
}  # fmt: skip
_TITLES = {
    "prof": "professor", "gen": "general", "sgt": "sergeant", "capt": "captain", "lt": "lieutenant", "col": "colonel",
    "gov": "governor", "sen": "senator", "rep": "representative", "rev": "reverend", "hon": "honorable",
    "maj": "major",
}  # fmt: skip
_LATIN = {"eg": "for example", "ie": "that is"}
_UNITS = {
    "km/h": "kilometers per hour", "mph": "miles per hour", "kph": "kilometers per hour", "km": "kilometers",
    "m": "meters", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "g": "grams", "mg": "milligrams",
    "ml": "milliliters", "l": "liters", "ft": "feet", "in": "inches", "lb": "pounds", "lbs": "pounds", "oz": "ounces",
    "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "kb": "kilobytes", "mb": "megabytes",
    "gb": "gigabytes", "tb": "terabytes", "min": "minutes", "sec": "seconds", "hr": "hours", "hrs": "hours",
    "ms": "milliseconds", "bn": "billion", "w": "watts", "kw": "kilowatts", "kwh": "kilowatt hours", "db": "decibels",
    "v": "volts",
}  # fmt: skip
_ONE_UNIT = {"feet": "foot", "inches": "inch"}
_ELISIONS = ("'til", "'tis", "'twas", "'em", "'cause", "'bout", "'round", "'n")
_LETTERS = {
    "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
    "ð": "th", "þ": "th", "Þ": "Th", "ı": "i", "½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3",
    "™": "", "®": "", "©": "", "℠": "", "’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "‐": "-", "‑": "-",
    "−": "-", "–": " ", "—": " ", "_": " ",
}  # fmt: skip

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+"
_TOKEN = re.compile(
    rf"""(?P<clock>(?<![\d.:])(?:[01]?\d|2[0-4]):[0-5]\d(?![\d:]))
    |(?P<money>[$€£¥]\s?(?:{_NUMBER})(?:\s?(?:thousand|million|billion|trillion|[kKmMbB])(?![A-Za-z]))?)
    |(?P<fraction>(?<![\d/])\d{{1,2}}/\d{{1,2}}(?![\d/]))
    |(?P<decade>(?:1\d|20)?\d0'?s\b)
    |(?P<ordinal>(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:st|nd|rd|th)\b)
    |(?P<minus>(?<![\w)])-(?=\.?\d))
    |(?P<number>{_NUMBER})
    |(?P<initials>(?<![\w'])(?:[A-Za-z]\.){{2,}}[A-Za-z]?(?![A-Za-z])|(?<![\w'.])[A-Za-z]\.(?=\s|$))
    |(?P<word>'?[A-Za-z]+(?:['-][A-Za-z]+)*'?)
    |(?P<symbol>[^\w\s])""",
    re.VERBOSE | re.IGNORECASE,
)


class TextError(ValueError):
    """A text cannot be spoken; the message shows the piece at fault and says what to write."""


def normalise(text: str) -> list[str]:
    """Turns any English text into lower-case words of a–z, apostrophes and hyphens.

    Letters read by name stand alone, the letter A as "a." to tell it from the article. A text of several words wholly
    in capitals is read like one in small letters. Raises TextError for a text with nothing to speak or with letters of
    another script.

    >>> normalise("Dr. Lee, 2nd floor")
    ['doctor', 'lee', 'second', 'floor']
    >>> normalise("ChatGPT & 3D for $5")
    ['chat', 'g', 'p', 't', 'and', 'three', 'd', 'for', 'five', 'dollars']
    """
    plain = _latin(text)
    if plain.isupper() and " " in plain.strip():
        plain = plain.lower()
    words = [word for piece in _pieces(plain) for word in piece.split()]
    if not words:
        shown = repr(text.strip()[:40]) if text.strip() else "the text is empty"
        raise TextError(f"text: nothing to speak: {shown}; write at least one English word, such as 'hey robot'")
    return words


def _latin(text: str) -> str:
    """Strips accents and typographic marks; raises TextError for letters that English has no sound for."""
    text = re.sub(r"(?<=\d)\s?–\s?(?=\d)", " to ", text)
    text = "".join(_LETTERS.get(letter, letter) for letter in text)
    text = unicodedata.normalize("NFKC", text).replace("⁄", "/")
    text = "".join(
        _LETTERS.get(letter, letter)
        for letter in unicodedata.normalize("NFD", text)
        if not unicodedata.combining(letter)
    )
    if foreign := next((letter for letter in text if letter.isalpha() and not letter.isascii()), ""):
        word = next(word for word in text.split() if foreign in word)
        raise TextError(
            f"text: {word[:40]!r} has letters that are not English; respell it or give its IPA, as /ˈnoʊvə/"
        )
    return text


def _pieces(text: str) -> Iterator[str]:
    """Goes through the tokens of a text and yields the words each becomes, parted by spaces."""
    place = 0
    while match := _TOKEN.search(text, place):
        kind, token, place = str(match.lastgroup), match[0], match.end()
        before, after = text[: match.start()], text[place:]
        if kind == "number":
            yield " ".join(numbers.number(token))
            unit = re.match(r"(\s?)(km/h|[A-Za-z]+)(?![\w'-])\.?", after)
            if unit and (name := _unit(unit[2], token, attached=not unit[1])):
                place += unit.end()
                yield name
        elif kind == "word":
            yield _word(token, before, after)
        elif kind == "symbol":
            yield _symbol(token, before, after)
        elif kind == "clock":
            yield _clock(token, after)
        else:
            yield _READERS[kind](token)


def _money(token: str) -> str:
    amount, *scales = map(str, re.findall(rf"{_NUMBER}|[a-z]+", token.lower()))
    one, many, cent, cents = _CURRENCIES[token[0]]
    if not scales:
        return " ".join(numbers.money(amount, one, many, cent, cents))
    return " ".join([*numbers.number(amount), _SCALE_LETTERS.get(scales[0], scales[0]), many])


def _fraction(token: str) -> str:
    top, bottom = token.split("/")
    return _FRACTIONS.get(token) or " ".join([*numbers.number(top), *numbers.number(bottom)])


def _decade(token: str) -> str:
    first = token.rstrip("sS").rstrip("'")
    return " ".join(numbers.plural(numbers.year(int(first)) if len(first) == 4 else numbers.cardinal(int(first))))


def _initials(token: str) -> str:
    letters = token.replace(".", "").lower()
    return _LATIN.get(letters) or " ".join(spell(letters))


def _ordinal(token: str) -> str:
    return " ".join(numbers.ordinal(int(re.sub(r"\D", "", token))))


_READERS: dict[str, Callable[[str], str]] = {
    "money": _money,
    "fraction": _fraction,
    "decade": _decade,
    "ordinal": _ordinal,
    "minus": lambda token: "minus",
    "initials": _initials,
}


def _clock(token: str, after: str) -> str:
    hours, minutes = map(int, token.split(":"))
    on_the_hour = minutes == 0 and re.match(r"\s*([ap]\.?m\b|o'clock)", after, re.IGNORECASE)
    return " ".join(numbers.cardinal(hours) if on_the_hour else numbers.clock(hours, minutes))


def _unit(written: str, amount: str, attached: bool) -> str | None:
    """The name of a unit after a number; single letters and "in" count only when attached; 3G and 5M are none."""
    name = _UNITS.get(written.lower())
    if name is None or (not attached and (len(written) == 1 or written.lower() == "in")) or written in ("G", "M"):
        return None
    if amount == "1" and name.endswith("s"):
        return _ONE_UNIT.get(name, name[:-1])
    return name


def _symbol(symbol: str, before: str, after: str) -> str:
    if symbol == "#":  # C# is a language, #1 a rank, #topic a tag
        return "sharp" if before[-1:].isalpha() and not after[:1].isalnum() else "number" if after[:1].isdigit() else ""
    if symbol == ".":
        return "dot" if before[-1:].isalnum() and after[:1].isalnum() else ""
    return _SYMBOLS.get(symbol, "")


def _word(word: str, before: str, after: str) -> str:
    """Reads one run of letters, apostrophes and hyphens; its neighbours decide on Dr., St., No. and units."""
    low = word.lower()
    pointed = after.startswith(".")
    follower = re.match(r"\.?\s+([A-Za-z])", after)
    if low == "dr":
        return "doctor" if follower or not before.strip() else "drive"
    if low == "st":
        return "saint" if follower and (follower[1].isupper() or not before.strip()) else "street"
    if low == "no" and re.match(r"\.\s*\d", after):
        return "number"
    if low in _ABBREVIATIONS:
        return _ABBREVIATIONS[low]
    if pointed and follower and low in _TITLES:
        return _TITLES[low]
    if pointed and low in _POINTED:
        return _POINTED[low]
    if word.isupper() and len(word) < 4 and (before.endswith("&") or re.match("&[A-Z]", after)):  # AT&T, R&D
        return " ".join(spell(word))
    if word == "US" and (before.strip() or after.strip()):  # alone it may be a shouted "us"
        return "u s"
    if low in ("c", "f") and before.rstrip().endswith("°"):
        return "celsius" if low == "c" else "fahrenheit"
    if low in ("am", "pm") and re.search(r"\d\s*$", before):
        return " ".join(spell(low))
    touches_digit = before[-1:].isdigit() or after[:1].isdigit()
    if (
        touches_digit
        and word.isalpha()
        and (not re.search("[aeiouy]", low) or (len(word) < 3 and not is_short_word(word)))
    ):
        return " ".join(spell(word))
    # Hyphens stay inside words (wi-fi) but part what stands beside an acronym (USB-C).
    return " ".join(
        _trim(piece) for part in re.split(r"-(?=[A-Z]{2})|(?<=[A-Z]{2})-", word) for piece in _recased(part)
    )


def _recased(word: str) -> list[str]:
    return [word.lower()] if "-" in word or word.islower() else cased(word)


def _trim(word: str) -> str:
    """Drops quotation marks around a word but keeps the apostrophes that belong to it ('til, rock 'n' roll)."""
    return word.rstrip("'") if word.rstrip("'") in _ELISIONS else word.strip("'")
