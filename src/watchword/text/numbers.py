"""Numbers spelled out in English: cardinals, ordinals, years, clock times, money."""

_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_LARGEST = 10**15


def cardinal(number: int) -> list[str]:
    """Spells a whole number; one of 10^15 or more is read digit by digit.

    >>> " ".join(cardinal(1042))
    'one thousand forty two'
    """
    if number >= _LARGEST:
        return digits(str(number))
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        return [_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])]
    scale, name = next((scale, name) for scale, name in _SCALES if number >= scale)
    rest = number % scale
    return [*cardinal(number // scale), name, *(cardinal(rest) if rest else [])]


def digits(text: str) -> list[str]:
    """Spells a run of digits one by one.

    >>> digits("007")
    ['zero', 'zero', 'seven']
    """
    return [_ONES[int(digit)] for digit in text]


def ordinal(number: int) -> list[str]:
    """Spells 1st, 2nd, 3rd ….

    >>> ordinal(22)
    ['twenty', 'second']
    """
    *head, last = cardinal(number)
    if last in _ORDINALS:
        return [*head, _ORDINALS[last]]
    return [*head, last[:-1] + "ieth" if last.endswith("y") else last + "th"]


def year(number: int) -> list[str]:
    """Spells a four-digit number as a year is said.

    >>> year(1984), year(1905), year(2007)
    (['nineteen', 'eighty', 'four'], ['nineteen', 'oh', 'five'], ['two', 'thousand', 'seven'])
    """
    century, rest = divmod(number, 100)
    if number % 1000 < 10:
        return cardinal(number)
    if not rest:
        return [*cardinal(century), "hundred"]
    return [*cardinal(century), *(["oh", _ONES[rest]] if rest < 10 else cardinal(rest))]


def plural(words: list[str]) -> list[str]:
    """Puts the last word of a spelled number in the plural: nineteen eighties, sixes."""
    *head, last = words
    if last.endswith("y"):
        return [*head, last[:-1] + "ies"]
    return [*head, last + ("es" if last.endswith("x") else "s")]


def clock(hours: int, minutes: int) -> list[str]:
    """Spells a time of day.

    >>> clock(7, 5), clock(7, 0), clock(19, 30)
    (['seven', 'oh', 'five'], ['seven', "o'clock"], ['nineteen', 'thirty'])
    """
    if not minutes:
        return [*cardinal(hours), "o'clock"] if 0 < hours <= 12 else [*cardinal(hours), "hundred"]
    return [*cardinal(hours), *(["oh", _ONES[minutes]] if minutes < 10 else cardinal(minutes))]


def number(text: str) -> list[str]:
    """Spells a plain number as written: "42", "1,000", "3.14", "1984" (a year), "007" (digit by digit).

    >>> number("3.14")
    ['three', 'point', 'one', 'four']
    """
    whole, point, fraction = text.replace(",", "").partition(".")
    if point and fraction:
        return [*(cardinal(int(whole)) if whole else ["zero"]), "point", *digits(fraction)]
    if (len(whole) > 1 and whole.startswith("0")) or whole in ("911", "411", "311", "112"):
        return digits(whole)
    if "," not in text and len(whole) >= 7 and int(whole) % 1000:  # a telephone number or the like
        return digits(whole)
    if "," not in text and len(whole) == 4 and (1100 <= int(whole) < 2000 or 2010 <= int(whole) < 2100):
        return year(int(whole))
    return cardinal(int(whole))


def money(amount: str, one: str, many: str, cent: str, cents: str) -> list[str]:
    """Spells a sum of money, given the names of its units.

    >>> " ".join(money("5.50", "dollar", "dollars", "cent", "cents"))
    'five dollars and fifty cents'
    """
    whole, point, fraction = amount.replace(",", "").partition(".")
    if not point:
        return [*cardinal(int(whole)), one if int(whole) == 1 else many]
    if len(fraction) != 2:
        return [*number(amount), many]
    hundredths = int(fraction)
    small = [*cardinal(hundredths), cent if hundredths == 1 else cents]
    if not int(whole or 0):
        return small
    large = [*cardinal(int(whole)), one if int(whole) == 1 else many]
    return [*large, "and", *small] if hundredths else large
