"""Any English spelling becomes words that can be spoken."""

import re

import pytest

from watchword.text.words import TextError, normalise

SPOKEN = {
    # numbers
    "42": "forty two",
    "3.14": "three point one four",
    "1984": "nineteen eighty four",
    "1,984": "one thousand nine hundred eighty four",
    "007": "zero zero seven",
    "2nd floor": "second floor",
    "21st": "twenty first",
    "-5": "minus five",
    "1/2": "one half",
    "the 1990s": "the nineteen nineties",
    "7:05": "seven oh five",
    "$5.50": "five dollars and fifty cents",
    "20%": "twenty percent",
    "5 km": "five kilometers",
    # acronyms and capitals
    "GPS": "g p s",
    "NASA": "nasa",
    "USB-C": "u s b c",
    "AI": "a. i",
    "A": "a",
    "AT&T": "a. t and t",
    "R&D": "r and d",
    "iPhone": "i phone",
    "ChatGPT": "chat g p t",
    "McDonald": "mcdonald",
    "HEY NOVA": "hey nova",
    "Hey Nova": "hey nova",
    "U.S.A.": "u s a.",
    # hyphens and apostrophes
    "wi-fi": "wi-fi",
    "mother-in-law": "mother-in-law",
    "don't": "don't",
    "don’t": "don't",
    "o'clock": "o'clock",
    "'hey robot'": "hey robot",
    "rock 'n' roll": "rock 'n roll",
    # abbreviations, told apart by their neighbours
    "Dr. Lee": "doctor lee",
    "lives on Maple Dr.": "lives on maple drive",
    "St. John's St.": "saint john's street",
    "No. 5": "number five",
    "no": "no",
    "Mr. & Mrs. Smith": "mister and missus smith",
    # marks and accents
    "turn it up!": "turn it up",
    "well... yes?": "well yes",
    "café": "cafe",
    "naïve": "naive",
    "C#": "c sharp",
    "  hey \t robot\n": "hey robot",
}


@pytest.mark.parametrize("written", SPOKEN)
def test_reads_as_people_do(written):
    assert normalise(written) == SPOKEN[written].split()


@pytest.mark.parametrize("written", SPOKEN)
def test_words_are_of_letters_apostrophes_and_hyphens(written):
    for word in normalise(written):
        assert re.fullmatch(r"[a-z]\.|[a-z'-]*[a-z][a-z'-]*", word)


@pytest.mark.parametrize("written", SPOKEN)
def test_reading_again_changes_nothing(written):
    words = normalise(written)
    assert normalise(" ".join(words)) == words


@pytest.mark.parametrize("written", ["hey robot", "lights off", "do not forget the milk"])
def test_case_does_not_matter(written):
    assert normalise(written.title()) == normalise(written.upper()) == normalise(written) == written.split()


@pytest.mark.parametrize("nothing", ["🙂", "...", "--", "'", "\x00"])
def test_error_shows_what_cannot_be_spoken(nothing):
    with pytest.raises(TextError, match=f"nothing to speak: {re.escape(repr(nothing))}; write at least one English"):
        normalise(nothing)


@pytest.mark.parametrize("empty", ["", "   ", "\n\t"])
def test_error_says_that_the_text_is_empty(empty):
    with pytest.raises(TextError, match="nothing to speak: the text is empty"):
        normalise(empty)


def test_error_names_the_foreign_word_alone():
    with pytest.raises(
        TextError, match=r"^text: 'привет' has letters that are not English; respell it or give its IPA"
    ):
        normalise("hey привет there")
