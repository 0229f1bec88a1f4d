"""Pronunciations: given ones first, then the lexicon, a word's parts, its letters, and last the network."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from watchword.cli import main
from watchword.text.pronounce import G2P_FILE, LEXICON_FILE, PhonemeError, Pronouncer, TextError, default_pronouncer

# What the network says of words that no lexicon holds; rounding of its weights must not change it.
GUESSED = {
    "zorblat": "Z AO1 R B AH0 L T",
    "quennifer": "K W EH1 N IH0 F ER0",
    "blenkinsop": "B L EH1 NG K IH0 N S P AA2 K",
    "thrixle": "TH R IH1 K S AH0 L",
    "gwondalia": "G W AA2 N D EY1 L Y AH0",
    "snarfing": "S N AA1 R F IH0 NG",
    "vexilor": "V EH1 K S IH0 L ER0",
    "praxtine": "P R AE1 K S T AY2 N",
    "ulmaridge": "AH1 L M ER0 D IH0 JH",
    "jaktober": "JH AE1 K T OW2 B ER0",
    "moxiware": "M AA1 K S AH0 W AO2 R",
    "spondooli": "S P AA0 N D UW1 L IY0",
    "blicket": "B L IH1 K AH0 T",
}


def say(text):
    return [" ".join(phonemes) for phonemes in default_pronouncer().variants(text)]


def sources(text):
    return [word.source for word in default_pronouncer().alternatives(text)[0]]


@pytest.mark.parametrize("word", GUESSED)
def test_network_equals_golden(word):
    assert sources(word) == ["g2p"]
    assert say(word) == [GUESSED[word]]


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("robot", "lexicon"),
        ("wi-fi", "lexicon"),  # wifi
        ("chatgpt", "lexicon"),
        ("smartlock", "compound"),
        ("robot-butler", "compound"),
        ("fitchly", "compound"),  # an ending
        ("ftpx", "letters"),
        ("zorblat-robot", "g2p"),
        ("zorblat's", "g2p"),
        ("{N OW1}", "given"),
        ("/ˈnoʊ/", "given"),
    ],
)
def test_the_surest_source_is_asked_first(text, source):
    assert sources(text) == [source]


def test_parts_of_a_word_sound_as_they_do_alone():
    (smart,), (lock,) = say("smart"), say("lock")
    assert say("smartlock") == [f"{smart} {lock}".replace("AA1 K", "AA2 K")]
    assert say("zorblat-robot") == [f"{GUESSED['zorblat']} {robot}" for robot in say("robot")]
    assert say("zorblat's") == [f"{GUESSED['zorblat']} S"]


def test_a_phrase_is_its_words_in_a_row():
    assert say("turn the zorblat")[0] == f"{say('turn')[0]} {say('the')[0]} {GUESSED['zorblat']}"
    assert default_pronouncer().words("Dr. Lee, 2nd floor") == [
        (word, default_pronouncer().variants(word)[0]) for word in ("doctor", "lee", "second", "floor")
    ]


def test_letters_are_named():
    assert say("GPS") == ["JH IY1 P IY1 EH1 S"]
    assert say("A") == say("a")  # the word
    assert say("AI")[0].startswith("EY1")  # the letter


@pytest.mark.parametrize("text", ["hey {N OW1 V AH0}", "hey {n ow v ah}", "hey /ˈnoʊvə/", "hey /noʊvə/"])
def test_a_person_may_give_the_pronunciation(text):
    assert say(text) == ["HH EY1 N OW1 V AH0"]


def test_given_pronunciations_mix_with_spelling():
    assert say("/ˈnoʊvə/ lights {AO1 F}, please") == [
        f"N OW1 V AH0 {lights} AO1 F {please}" for lights in say("lights") for please in say("please")
    ]
    assert say("and/or") == say("and or")  # a slash between words is none of IPA


def test_variants_are_distinct_and_the_most_usual_comes_first():
    tomato = default_pronouncer().variants("tomato")
    assert tomato[0] == ("T", "AH0", "M", "EY1", "T", "OW2")
    assert len(tomato) == len(set(tomato)) > 1
    assert len(default_pronouncer().variants("either tomato either tomato")) == 4


def test_all_alternatives_of_a_text_are_kept():
    given = [f"{{{first} IY1}}" for first in ("B", "D", "F", "G", "K", "L")]
    assert say(" | ".join(given)) == [alternative[1:-1] for alternative in given]
    assert say("nova | {N OW1 V AA0}")[:2] == ["N OW1 V AH0", "N OW1 V AA0"]


@pytest.mark.parametrize(
    ("text", "error", "piece"),
    [
        ("🙂", TextError, "nothing to speak: '🙂'"),
        ("", TextError, "the text is empty"),
        ("hey {N OW1 XX}", PhonemeError, "unknown phoneme 'XX' in {N OW1 XX}"),
        ("hey {}", PhonemeError, "empty pronunciation {}"),
        ("hey {N OW1", TextError, "no closing brace after '{N OW1'"),
        ("hey N OW1}", TextError, "no opening brace before 'hey N OW1}'"),
        ("hey /ˈnoʊ", TextError, "no closing slash after '/ˈnoʊ'"),
        ("hey /ŧ/", PhonemeError, "unknown IPA symbol 'ŧ' in /ŧ/"),
        ("hey | ", TextError, "an alternative is empty in 'hey |'"),
    ],
)
def test_errors_show_the_piece_at_fault(text, error, piece):
    with pytest.raises(error) as raised:
        default_pronouncer().variants(text)
    assert piece in str(raised.value)


def test_a_bundle_brings_its_own_lexicon(tmp_path):
    for name in (LEXICON_FILE, G2P_FILE):
        shutil.copy(default_pronouncer().directory / name, tmp_path)
    assert Pronouncer(tmp_path).variants("hey zorblat") == default_pronouncer().variants("hey zorblat")
    (tmp_path / G2P_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=rf"has no {G2P_FILE}; pass a bundle's folder"):
        Pronouncer(tmp_path)


def test_network_needs_neither_torch_nor_nltk():
    program = """
import sys
sys.modules.update(dict.fromkeys(("torch", "nltk", "onnxruntime", "sklearn", "scipy")))
from watchword.text.pronounce import default_pronouncer
print(" ".join(default_pronouncer().variants("zorblat")[0]))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == GUESSED["zorblat"], ended.stderr


def test_command_shows_what_will_be_listened_for(capsys):
    assert main(["phonemes", "chatgpt", "hey zorblat"]) == 0
    shown = capsys.readouterr().out
    assert "{CH AE1 T JH IY2 P IY2 T IY1}" in shown
    assert re.search(r"hey zorblat .*hey: lexicon.*zorblat: g2p", shown)


def test_command_prints_what_can_be_typed_back(capsys):
    assert main(["phonemes", "--ipa", "chatgpt"]) == 0
    assert say(capsys.readouterr().out.strip()) == say("chatgpt")
    assert main(["phonemes", "--json", "chatgpt"]) == 0
    (variant,) = json.loads(capsys.readouterr().out)["variants"]
    assert say(f"{{{variant['arpabet']}}}") == say(f"/{variant['ipa']}/") == say("chatgpt")


def test_command_ends_with_2_and_one_sentence(capsys):
    assert main(["phonemes", "🙂"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("text: nothing to speak: '🙂'")
    assert captured.err.count("\n") == 1
