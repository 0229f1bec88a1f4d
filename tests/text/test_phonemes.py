"""Phonemes, their ids, ARPABET and IPA turn into each other without loss."""

import lzma

import pytest

from watchword.text.phonemes import PHONEMES, PhonemeError, decode, encode, from_arpabet, from_ipa, is_vowel, to_ipa
from watchword.text.pronounce import LEXICON_FILE, default_pronouncer

SPEAKABLE = [symbol for symbol in PHONEMES if not symbol.startswith("<")]


@pytest.fixture(scope="module")
def lexicon_sample():
    """The pronunciations of every eleventh word of the lexicon, about 12,000."""
    text = lzma.decompress((default_pronouncer().directory / LEXICON_FILE).read_bytes()).decode()
    lines = text.splitlines()[::11]
    return [tuple(variant.split()) for line in lines for variant in line.partition(" ")[2].split("|")]


def test_the_set_is_that_of_the_text_encoder():
    assert len(PHONEMES) == len(set(PHONEMES)) == 72
    assert PHONEMES[:2] == ("<pad>", "<unk>")
    assert encode(["N", "OW1", "V", "AH0"]) == [46, 49, 67, 8]


def test_decode_inverts_encode():
    assert decode(encode(PHONEMES)) == list(PHONEMES)
    assert encode(decode(range(len(PHONEMES)))) == list(range(len(PHONEMES)))


def test_ipa_gives_the_lexicon_back(lexicon_sample):
    assert len(lexicon_sample) > 10_000
    wrong = [phonemes for phonemes in lexicon_sample if from_ipa(to_ipa(phonemes)) != phonemes]
    assert wrong == []


def test_arpabet_gives_the_lexicon_back(lexicon_sample):
    assert all(from_arpabet(" ".join(phonemes)) == phonemes for phonemes in lexicon_sample)


@pytest.mark.parametrize("first", SPEAKABLE)
def test_ipa_gives_every_pair_back(first):
    if first == "UW":
        assert from_ipa(to_ipa([first, "T"])) == ("UW0", "T")
        return
    for second in SPEAKABLE:
        if second != "UW":
            assert from_ipa(to_ipa([first, second])) == (first, second)


def test_stress_marks_stand_before_syllables():
    assert to_ipa(from_arpabet("K AH0 N T R OW1 L")) == "kənˈtɹoʊl"
    assert to_ipa(from_arpabet("AE1 S T R AH0 N AO2 T")) == "ˈæstɹəˌnɔt"


@pytest.mark.parametrize(
    ("ipa", "arpabet"),
    [
        ("ˈnəʊvə", "N OW1 V AH0"),  # British
        ("ˈwɔːtə", "W AO1 T AH0"),  # long
        ("ˈwɔːɾɚ", "W AO1 D ER0"),  # tapped
        ("t͡ʃɛk", "CH EH0 K"),  # tied
        ("ˈfaɪɚ", "F AY1 ER0"),
        ("ˈfɜːst", "F ER1 S T"),
        ("ɹɛd ˈlaɪt", "R EH0 D L AY1 T"),
    ],
)
def test_reads_ipa_as_people_write_it(ipa, arpabet):
    assert from_ipa(ipa) == tuple(arpabet.split())


def test_reads_arpabet_as_people_write_it():
    assert from_arpabet("n ow v ah") == from_arpabet(" N  OW1 V AH0 ") == ("N", "OW1", "V", "AH0")
    assert from_arpabet("AH T EH1 N") == ("AH0", "T", "EH1", "N")


def test_vowels_carry_stress():
    vowels = [symbol for symbol in SPEAKABLE if is_vowel(symbol)]
    assert len(vowels) == 15 * 3 + 1
    assert all(symbol[-1] in "012" for symbol in vowels if symbol != "UW")


@pytest.mark.parametrize(
    ("call", "argument", "piece"),
    [
        (encode, ["N", "QQ"], "unknown phoneme 'QQ'; the set is AA AE"),
        (decode, [3, 72], "no phoneme has the id 72; ids run from 0 to 71"),
        (decode, [-1], "no phoneme has the id -1"),
        (from_arpabet, "N OW3", "unknown phoneme 'OW3' in {N OW3}; the set is AA AE"),
        (from_arpabet, "<pad>", "unknown phoneme '<PAD>' in {<pad>}"),
        (from_arpabet, " ", "empty pronunciation"),
        (from_ipa, "noʊ7", "unknown IPA symbol '7' in /noʊ7/"),
        (from_ipa, "", "empty pronunciation //"),
        (to_ipa, ["HELLO"], "unknown phoneme 'HELLO'"),
    ],
)
def test_errors_show_the_piece_at_fault(call, argument, piece):
    with pytest.raises(PhonemeError) as raised:
        call(argument)
    assert piece in str(raised.value)
