"""Writes recipes/texts/words_large.txt, words_rare.txt and confusable.txt: words by frequency, rarer ones, and words
and phrases that sound alike.

Usage: python scripts/build_texts.py (needs pocketsphinx, whose language model, BSD, says how frequent a word is)."""

import lzma
import random
import re
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import pocketsphinx
from pocketsphinx import Config, LogMath, NGramModel

import watchword.text
from watchword.text.pronounce import default_pronouncer

TEXTS = Path(__file__).resolve().parents[1] / "recipes" / "texts"
WORDS, RARE_WORDS, ALIKE_WORDS, ALIKE_PHRASES = 20000, 40000, 1000, 500
# Words of the benchmarks, which no text may name alone, and what no list of ours should say.
KEPT_OUT = {"alexa", "jarvis", "mycroft", "nabu", "zorvex"}
RUDE = re.compile(
    r"fuck|shit|cunt|nigg|fag|bitch|whore|slut|piss|wank|porn|rapist|raping|^rap(e|es|ed)$|^cocks?$|dildo|orgas"
)
Sounds = tuple[str, ...]


def bare(phonemes: Sounds) -> Sounds:
    """Returns phonemes without their stress."""
    return tuple(phoneme.rstrip("012") for phoneme in phonemes)


def words_by_frequency() -> tuple[dict[str, Sounds], list[str]]:
    """Returns the lexicon's words of 3 to 14 phonemes with their first pronunciation, the most frequent first; and
    those that the language model does not know."""
    model = NGramModel(Config(), LogMath(), str(files(pocketsphinx) / "model" / "en-us" / "en-us.lm.bin"))
    unknown = model.prob(["no such word"])
    commands = (TEXTS / "speech_commands.txt").read_text(encoding="utf-8").split()
    taken = {bare(said) for word in commands for said in default_pronouncer().variants(word)}
    lines = lzma.decompress((files(watchword.text) / "data" / "lexicon.txt.xz").read_bytes()).decode().splitlines()
    found, rare = [], []
    for line in lines:
        word, _, variants = line.partition(" ")
        said = [tuple(variant.split()) for variant in variants.split("|")]
        if not re.fullmatch(r"[a-z]{3,}", word) or word in KEPT_OUT or RUDE.search(word):
            continue
        if not 3 <= len(said[0]) <= 14 or taken.intersection(map(bare, said)):
            continue
        if (p := model.prob([word])) > unknown:
            found.append((-p, word, bare(said[0])))
        else:
            rare.append(word)
    return {word: said for _, word, said in sorted(found)}, rare


def neighbours(words: dict[str, Sounds]) -> dict[str, list[str]]:
    """Lists for each word those one phoneme away, and those that part from it at their last two phonemes.

    Sequences one edit apart share one with a phoneme blanked or left out, so words need not be compared in pairs."""
    holes: dict[Sounds, list[str]] = defaultdict(list)
    for word, said in words.items():
        for key in _keys(said):
            holes[key].append(word)
    near: dict[str, list[str]] = {}
    for word, said in words.items():
        others = {other for key in _keys(said) for other in holes[key] if words[other] != said}
        near[word] = sorted(others)
    return near


def _keys(said: Sounds) -> set[Sounds]:
    keys = {said, *((*said[:i], "_", *said[i + 1 :]) for i in range(len(said)))}
    keys |= {(*said[:i], *said[i + 1 :]) for i in range(len(said))}
    return keys | {("prefix", *said[:-2])} if len(said) >= 6 else keys


def alike(words: dict[str, Sounds]) -> list[str]:
    """Lists words in pairs that sound alike, frequent ones first, then phrases in which one word is so replaced."""
    near = neighbours(words)
    rank = {word: place for place, word in enumerate(words)}
    chosen: list[str] = []
    for word in words:
        if len(words[word]) >= 4 and word not in chosen:
            others = [other for other in near[word] if other not in chosen and len(words[other]) >= 4]
            if others:
                chosen += [word, min(others, key=rank.__getitem__)]
        if len(chosen) >= ALIKE_WORDS:
            break
    phrases: list[str] = []
    said_before = set((TEXTS / "wake.txt").read_text(encoding="utf-8").splitlines())
    for phrase in sorted(said_before):
        pieces = phrase.split()
        for place, word in enumerate(pieces):
            for other in sorted(near.get(word, []), key=rank.__getitem__)[:2]:
                changed = " ".join((*pieces[:place], other, *pieces[place + 1 :]))
                if len(pieces) > 1 and changed not in said_before and changed not in phrases:
                    phrases.append(changed)
    step = max(1, len(phrases) // ALIKE_PHRASES)
    return chosen + phrases[::step][:ALIKE_PHRASES]


def main() -> None:
    """Writes the lists."""
    known, rare = words_by_frequency()
    words = dict(list(known.items())[:WORDS])
    rare += list(known)[WORDS:]
    chosen = sorted(random.Random(1).sample(sorted(rare), min(RARE_WORDS, len(rare))))
    (TEXTS / "words_rare.txt").write_text("".join(f"{word}\n" for word in chosen), encoding="utf-8")
    (TEXTS / "words_large.txt").write_text("".join(f"{word}\n" for word in sorted(words)), encoding="utf-8")
    common = dict(list(words.items())[:8000])
    (TEXTS / "confusable.txt").write_text("".join(f"{text}\n" for text in alike(common)), encoding="utf-8")


if __name__ == "__main__":
    main()
