"""Text turned into lower-case speakable words: numbers, acronyms, abbreviations, symbols and accents are spelled out."""

import re
import unicodedata
from collections.abc import Iterator

from watchword.text import numbers

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
}
_SYMBOLS = {
    "&": "and", "+": "plus", "@": "at", "=": "equals", "%": "percent", "°": "degrees", "×": "times", "÷": "divided by", "§": "section",
    "$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "#": "number", "½": "one half", "¼": "one quarter", "¾": "three quarters",
}  # fmt: skip
# Read so with or without the point; those in _TITLES only before another word.
_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "messrs": "messieurs", "vs": "versus", "jr": "junior", "sr": "senior", "blvd": "boulevard",
    "etc": "et cetera",
}  # fmt: skip
_POINTED = {
    "ave": "avenue", "rd": "road", "inc": "incorporated", "ltd": "limited", "co": "company", "corp": "corporation", "dept": "department",
    "mt": "mount", "ft": "fort", "approx": "approximately", "apt": "apartment", "est": "established", "jan": "january",
    "feb": "february", "aug": "august", "sept": "september", "oct": "october", "nov": "november", "dec": "december",
}  # fmt: skip
_TITLES = {
    "prof": "professor", "gen": "general", "sgt": "sergeant", "capt": "captain", "lt": "lieutenant", "col": "colonel", "gov": "governor",
    "sen": "senator", "rep": "representative", "rev": "reverend", "hon": "honorable", "pres": "president", "maj": "major",
}  # fmt: skip
_LATIN = {"e.g": "for example", "i.e": "that is"}
_UNITS = {
    "km": "kilometers", "m": "meters", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "g": "grams", "mg": "milligrams",
    "ml": "milliliters", "l": "liters", "ft": "feet", "in": "inches", "lb": "pounds", "lbs": "pounds", "oz": "ounces", "mph": "miles per hour",
    "km/h": "kilometers per hour", "kph": "kilometers per hour", "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz",
    "kb": "kilobytes", "mb": "megabytes", "gb": "gigabytes", "tb": "terabytes", "min": "minutes", "sec": "seconds", "hr": "hours",
    "hrs": "hours", "ms": "milliseconds", "k": "thousand", "bn": "billion", "w": "watts", "kw": "kilowatts", "kwh": "kilowatt hours",
    "db": "decibels", "v": "volts",
}  # fmt: skip
# Read letter by letter although they look pronounceable; only when written in capitals ("US" but "us").
_SPELLED = frozenset(
    "AI API APIS ATM AOL BBC BMI CEO CIA DIY DNA DOB EEG ECG EKG ETA EU FAQ FAQS FBI GPA HIV HOA IBM ID IDE IOS IOT IP IPA IPO IQ IRA IRS ISP "
    "IT KO LA MIA MIT MBA MLA NBA NFL NHL NIH NSA OS PA PE PIN QA ROI RNA RSI SUV TA UAE UFO UI UK UN URL US USA USB UV UX VIA VIP".split()
) - {"IT", "PIN", "VIA", "MIA", "LA", "PA", "IRA"}
# Two-letter endings and beginnings no English word has: a capital word with one of them is spelled (GPS, HTML, MP).
_SPEAKABLE = re.compile(
    r"(?:[^aeiouy']{0,1}|s[cklmnpqtw]|[bcdfgkpstw]r|[bcfgpsk]l|[cstpwgr]h|th?r|t?w|dw|qu|kn|gn|wr|ps|ts|s?ch[rl]?|s[hc]r|st?r|spr|spl|squ|phr|phl|shr|thr|mc|mac|sph)"
    r"(?:[aeiouy]+(?:[^aeiouy]{1,4}(?=[aeiouy]))?)+"
    r"(?:[^aeiouy]|[lnr]?[cdgkptsxzm]|[lnrsmc]?[dtksfpm]h?s?|[cst]h|ng|ght|ck|ff|ll|ss|tt|zz|rr|nn|dd|lf|lm|lt|lth|nth|ngth|mb|mph|mpt|nch|nx|nge?|pt|rb|rd|rf|rg|rl|rm|rn|rp|rv|sk|sm|sp|st|tch|tz|wl|wn|wk|ws|xt|ct|ft|bs|gs|ls|ns|rs|ds|ks|ps|ts|ms|fs)?s?"
)
_LETTERS = {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "ð": "th", "þ": "th", "ı": "i"}
_QUOTES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "‐": "-", "‑": "-", "–": " ", "—": " ", "−": "-", "_": " "})

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+"
_TOKEN = re.compile(
    rf"""(?P<clock>(?<![\d.:])(?:[01]?\d|2[0-4]):[0-5]\d(?![\d:]))
    |(?P<currency>[$€£¥])\s?(?P<amount>{_NUMBER})(?:\s?(?P<scale>thousand|million|billion|trillion|[kKmMbB](?![A-Za-z])))?
    |(?P<fraction>(?<![\d/])\d{{1,2}}/\d{{1,2}}(?![\d/]))
    |(?P<decade>(?:1\d|20)?\d0'?s\b)
    |(?P<ordinal>\d{{1,3}}(?:,\d{{3}})+(?:st|nd|rd|th)\b|\d+(?:st|nd|rd|th)\b)
    |(?P<minus>(?<![\w)])-(?=\.?\d))
    |(?P<number>{_NUMBER})
    |(?P<dotted>(?:[A-Za-z]\.){{2,}}[A-Za-z]?|(?<![\w'])[A-Za-z]\.(?=\s*$))
    |(?P<word>'?[A-Za-z]+(?:['-][A-Za-z]+)*'?)
    |(?P<symbol>[^\w\s])""",
    re.VERBOSE | re.IGNORECASE,
)
_FRACTIONS = {"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter", "3/4": "three quarters"}
_SCALE_LETTERS = {"k": "thousand", "m": "million", "b": "billion"}


class TextError(ValueError):
    """A text cannot be spoken; the message shows the piece at fault and says what to write."""


def normalise(text: str) -> list[str]:
    """Turns any English text into lower-case words; letters read by name stand alone, the letter A as "a.".

    A word holds only a–z, apostrophes and hyphens. Raises TextError for a text without anything speakable or with letters of another script.

    >>> normalise("Dr. Lee, 2nd floor")
    ['doctor', 'lee', 'second', 'floor']
    >>> normalise("ChatGPT & 3D for $5")
    ['chat', 'g', 'p', 't', 'and', 'three', 'd', 'for', 'five', 'dollars']
    """
    plain = _plain_letters(text)
    words = [word for piece in _pieces(plain) for word in piece.split()]
    if not any(letter.isalpha() for word in words for letter in word):
        shown = f"{text.strip()[:40]!r}" if text.strip() else "the text is empty"
        raise TextError(f"text: nothing to speak: {shown}; write at least one English word, such as 'hey robot'")
    return words


def _plain_letters(text: str) -> str:
    """Strips accents and typographic quotes; raises TextError for letters that English has no sound for."""
    text = unicodedata.normalize("NFKC", text.replace("½", " 1/2").replace("¼", " 1/4").replace("¾", " 3/4")).translate(_QUOTES)
    text = "".join(_LETTERS.get(letter, letter) for letter in text)
    text = "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
    foreign = "".join(letter for letter in text if letter.isalpha() and not letter.isascii())
    if foreign:
        word = next(word for word in text.split() if foreign[0] in word)
        raise TextError(f"text: {word!r} is not written in the Latin alphabet; write it in English letters or give its sound, as /ˈnoʊvə/")
    return text


def _pieces(text: str) -> Iterator[str]:
    """Goes through the tokens of a text and yields the words each becomes."""
    letters = [letter for letter in text if letter.isalpha()]
    # A text wholly in capitals (a transcript) says nothing about which of its words are acronyms.
    shouted = " " in text.strip() and len(letters) > 3 and all(letter.isupper() for letter in letters)
    if shouted:
        text = text.lower()
    place, after_number = 0, False
    while match := _TOKEN.search(text, place):
        place = match.end()
        kind = match.lastgroup or ""
        if match["currency"]:
            yield _money(match)
        elif kind == "clock":
            hours, minutes = match[kind].split(":")
            half = re.match(r"\s*[ap]\.?m\b", text[place:], re.IGNORECASE)
            yield " ".join(numbers.cardinal(int(hours)) if half and minutes == "00" else numbers.clock(int(hours), int(minutes)))
        elif kind == "fraction":
            top, bottom = match[kind].split("/")
            yield _FRACTIONS.get(match[kind]) or " ".join([*numbers.number(top), *numbers.number(bottom)])
        elif kind == "decade":
            spoken = match[kind].rstrip("s").rstrip("'")
            yield " ".join(numbers.plural(numbers.year(int(spoken)) if len(spoken) == 4 else numbers.cardinal(int(spoken))))
        elif kind == "ordinal":
            yield " ".join(numbers.ordinal(int(re.sub(r"\D", "", match[kind]))))
        elif kind == "minus":
            yield "minus"
        elif kind == "number":
            yield " ".join(numbers.number(match[kind]))
            unit = re.match(r"\s?(km/h|[A-Za-z]+)(?![\w'-])\.?", text[place:])
            if unit and (name := _unit(unit[1], match[kind], attached=unit[0][0] != " ")):
                place += unit.end()
                yield name
        elif kind == "dotted":
            yield _LATIN.get(match[kind].lower().rstrip("."), " ".join(_letter(letter) for letter in match[kind].replace(".", "")))
        elif kind == "word":
            pointed = text[place : place + 1] == "."
            touching = match.start() > 0 and text[match.start() - 1].isdigit() or text[place : place + 1].isdigit()
            yield from _word(match[kind], pointed, text[place + pointed :], text[: match.start()], touching)
        elif kind == "symbol":
            yield _symbol(match[kind], text, match.start())
        after_number = kind == "number"
    del after_number


def _money(match: re.Match[str]) -> str:
    amount, scale = match["amount"], match["scale"]
    one, many, cent, cents = _CURRENCIES[match["currency"]]
    if scale:
        return " ".join([*numbers.number(amount), _SCALE_LETTERS.get(scale.lower(), scale.lower()), many])
    return " ".join(numbers.money(amount, one, many, cent, cents))


def _unit(written: str, amount: str, attached: bool) -> str | None:
    """The name of a unit after a number; words that are also English words or names count only when attached."""
    name = _UNITS.get(written.lower())
    if name is None or (not attached and written.lower() in ("in", "m", "g", "l", "k", "v", "w", "ms", "min", "sec", "hr", "db")):
        return None
    if len(written) == 1 and written.isupper() and written not in "KWVL":
        return None  # 3G, 5G, 3D
    return name if amount not in ("1",) or not name.endswith("s") or name in ("hertz",) else {"feet": "foot", "inches": "inch"}.get(name, name[:-1])


def _symbol(symbol: str, text: str, place: int) -> str:
    before, after = text[:place], text[place + 1 :]
    if symbol == "#":
        # C# is a language, #1 a rank, #topic a hashtag.
        return "sharp" if before[-1:].isalpha() and not after[:1].isalnum() else "number" if after[:1].isdigit() else ""
    if symbol == ".":
        return "dot" if before[-1:].isalnum() and after[:1].isalnum() else ""
    if symbol == "°":
        return "degrees"
    return _SYMBOLS.get(symbol, "")


def _letter(letter: str) -> str:
    return "a." if letter in "aA" else letter.lower()


def _spell(letters: str) -> str:
    return " ".join(_letter(letter) for letter in letters)


def _word(word: str, pointed: bool, after: str, before: str, touching_digit: bool) -> Iterator[str]:
    """Reads one run of letters, apostrophes and hyphens."""
    low = word.lower()
    follows = re.match(r"\s+(['A-Za-z])", after)
    if low == "dr":
        yield "doctor" if follows or not before.strip() else "drive"
    elif low == "st":
        yield "saint" if follows and (follows[1].isupper() or not before.strip()) else "street"
    elif low == "no" and pointed and re.match(r"\s*\d", after):
        yield "number"
    elif low in _ABBREVIATIONS:
        yield _ABBREVIATIONS[low]
    elif pointed and low in _TITLES and follows:
        yield _TITLES[low]
    elif pointed and low in _POINTED:
        yield _POINTED[low]
    elif low in ("c", "f") and before.rstrip().endswith("°"):
        yield "celsius" if low == "c" else "fahrenheit"
    elif low in ("am", "pm") and re.search(r"\d\s*$", before):
        yield _spell(low)
    elif touching_digit and (len(word) <= 2 or not re.search(r"[aeiouy]", low)) and word.isalpha():
        yield _spell(word)
    else:
        for part in re.split(r"-(?=[A-Z]{2})|(?<=[A-Z]{2})-", word):
            yield _cased(part)


def _cased(word: str) -> str:
    """Reads capitals inside a word: acronyms, iPhone, ChatGPT, GitHub, CDs."""
    if word.islower() or "-" in word:
        return _trim(word.lower())
    if found := re.fullmatch(r"([A-Z]{2,})('?s)", word):  # CDs, USA's
        spelled = _acronym(found[1])
        return f"{spelled}'s" if spelled.endswith(tuple("abcdefghijklmnopqrstuvwxyz")) and " " in spelled else _trim(word.lower())
    if word.isupper() and len(word) > 1:
        return _acronym(word)
    if re.search(r"[a-z][A-Z]", word) and not re.match(r"(?:Mc|Mac|De|Di|Du|Le|La|Van|Von|O'|D')[A-Z]", word):
        parts = re.findall(r"[A-Z]?[a-z']+|[A-Z]+(?![a-z])|[A-Z](?=[a-z])", word)
        if parts and "".join(parts) == word and (len(parts[0]) != 2 or word[2:].isupper()):
            return " ".join(_acronym(part) if part.isupper() else _spell(part) if len(part) == 1 else part.lower() for part in parts)
    return _trim(word.lower())


def _acronym(word: str) -> str:
    """A word in capitals: spelled when known as letters or unpronounceable, else read as a word (NASA)."""
    if "'" in word:
        return _trim(word.lower())
    spelled = word in _SPELLED or not _SPEAKABLE.fullmatch(word.lower())
    return _spell(word) if spelled else word.lower()


def _trim(word: str) -> str:
    """Drops quotation marks around a word but keeps the apostrophes that belong to it ('til, dogs')."""
    if word.startswith("'") and word.endswith("'"):
        word = word.strip("'")
    if word.startswith("'") and word not in ("'til", "'tis", "'twas", "'em", "'cause", "'bout", "'round", "'n"):
        word = word[1:]
    return word.rstrip("'") if not word.endswith("s'") else word[:-1]
