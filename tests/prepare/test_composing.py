"""Utterances of several texts: all texts evenly, the promised kinds and sizes, the same again for the same number."""

from collections import Counter
from pathlib import Path

import pytest

from watchword.prepare.composing import check_carriers, clips_for_all, compose
from watchword.text.pronounce import default_pronouncer

TEXTS = Path(__file__).resolve().parents[2] / "recipes" / "texts"
CARRIERS = ("say {} please", "from {} to {} and back", "{} now")
LISTS = ("words_large.txt", "words_rare.txt", "wake.txt", "confusable.txt")


def lines(name):
    return (TEXTS / name).read_text(encoding="utf-8").splitlines()


def items(clip, texts, seed=1):
    spoken = compose(texts, CARRIERS, seed, clip).replace(",", "").split()
    return [word for word in spoken if word in set(texts)]


@pytest.mark.parametrize("number", [1, 7, 82, 300])
def test_every_text_once_before_any_again(number):
    texts = [f"w{i}" for i in range(number)]
    counts = Counter(dict.fromkeys(texts, 0))
    for clip in range(100):
        for item in items(clip, texts):
            counts[item] += 1
            assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("number", [5, 82, 83, 500])
def test_so_many_clips_say_every_text(number):
    texts = [f"w{i}" for i in range(number)]
    clips = clips_for_all(number)
    assert {item for clip in range(clips) for item in items(clip, texts)} == set(texts)
    assert clips <= 20 * (number // 82 + 1)


def test_a_block_has_lists_sequences_and_carriers():
    texts = [f"w{i}" for i in range(1000)]
    spoken = [compose(texts, CARRIERS, 3, clip) for clip in range(40, 60)]
    listed = [text.split(", ") for text in spoken if "," in text]
    carried = [text for text in spoken if any(word[0] != "w" for word in text.split())]
    running = [text.split() for text in spoken if text not in carried and "," not in text]
    assert sorted(map(len, listed)) == [3, 3, 4, 4, 4, 5, 5, 5, 6, 6]
    assert sorted(map(len, running)) == [4, 5, 6, 7, 8]
    assert len(carried) == 5
    assert spoken == [compose(texts, CARRIERS, 3, clip) for clip in range(40, 60)]
    assert spoken != [compose(texts, CARRIERS, 4, clip) for clip in range(40, 60)]


def test_given_pronunciations_survive_a_carrier():
    assert any("{N OW1 V AH0} now" in compose(["{N OW1 V AH0}"], CARRIERS, 1, clip) for clip in range(40))


@pytest.mark.parametrize(
    ("carriers", "complaint"),
    [
        (("say it", "{}", "{} {}"), "'say it' has 0 places; mark one or two"),
        (("{} {} {}",), "has 3 places"),
        (("say {}",), "no carrier has 2 of the places"),
        (("{} and {}",), "no carrier has 1 of the places"),
    ],
)
def test_carriers_that_cannot_be_used(carriers, complaint):
    with pytest.raises(ValueError, match=complaint):
        check_carriers(carriers)


def test_our_carriers_can_be_used():
    carriers = lines("carriers.txt")
    check_carriers(carriers)
    assert len(set(carriers)) == len(carriers) >= 60
    for carrier in carriers:
        assert default_pronouncer().words(carrier.replace("{}", "banana"))


@pytest.mark.parametrize("name", LISTS)
def test_our_texts(name):
    """Each stands once, can be spoken, and is none of the words that benchmarks keep for words never met."""
    texts = lines(name)
    assert len(set(texts)) == len(texts)
    assert not {*lines("speech_commands.txt"), "alexa", "jarvis", "mycroft", "nabu"}.intersection(texts)
    for text in texts[:: max(1, len(texts) // 400)]:
        assert 2 <= len(default_pronouncer().variants(text)[0]) < 60


def test_words_sound_like_no_word_of_speech_commands():
    kept_out = {
        tuple(p.rstrip("012") for p in said)
        for word in lines("speech_commands.txt")
        for said in default_pronouncer().variants(word)
    }
    for word in lines("words_large.txt")[::10] + lines("words_rare.txt")[::20]:
        for said in default_pronouncer().variants(word):
            assert tuple(p.rstrip("012") for p in said) not in kept_out, word
