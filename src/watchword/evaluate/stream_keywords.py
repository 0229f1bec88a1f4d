"""The keywords of a stream benchmark: which words and phrases are looked for, and where in transcripts they are said.

Rules
    keywords      drawn by seed from words and phrases of up to 3 words that are said often enough in the speech, two
                  words to a phrase: two syllables or more, by default; a word of 5 phonemes or more; a phrase of 7 or
                  more, with a word of 4 or more in it. None contains another.
    occurrence    a run of whole words, up to 4, that has a pronunciation of the keyword, stress aside: homophones
                  count, and so does the keyword within a longer phrase.
    within        the keyword's phonemes inside other words ("garden" in "gardens"): neither right nor wrong there.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from watchword.data.segment import Segment
from watchword.evaluate.pronunciations import Phonemes, Pronunciations
from watchword.evaluate.sources import BenchmarkError
from watchword.text.phonemes import is_vowel

MOST_WORDS, MOST_WORDS_SAID = 3, 4
LEAST_SYLLABLES, WORD_PHONEMES, PHRASE_PHONEMES, MOST_PHONEMES, PHRASE_WORD_PHONEMES = 2, 5, 7, 16, 4


@dataclass(frozen=True)
class Occurrence:
    """A place of a keyword. `counts` false: within other words; `timed` false: only the clip's own times are known."""

    keyword: str
    start_seconds: float
    end_seconds: float
    counts: bool = True
    timed: bool = True


class Places:
    """Finds keywords in transcripts with word times."""

    def __init__(self, keywords: Sequence[str], pronunciations: Pronunciations) -> None:
        self._pronunciations = pronunciations
        self._sounds = [(keyword, {_joined(variant) for variant in pronunciations.of(keyword)}) for keyword in keywords]

    def of(self, segment: Segment) -> list[Occurrence]:
        """The places in the segment's own file, in order of keywords, then of time."""
        words, found = segment.words, []
        runs = [
            (first, last, [_joined(variant) for variant in self._pronunciations.of(_text(segment, first, last))])
            for first in range(len(words))
            for last in range(first + 1, min(first + MOST_WORDS_SAID, len(words)) + 1)
        ]
        everything = "|".join(one for _, _, said in runs for one in said)
        for keyword, sounds in self._sounds:
            if not any(sound in everything for sound in sounds):
                continue
            exact = [(first, last) for first, last, said in runs if sounds & set(said)]
            within = [(f, n) for f, n, said in runs if any(sound in one for sound in sounds for one in said)]
            for first, last in exact:
                found.append(Occurrence(keyword, words[first].start_seconds, words[last - 1].end_seconds))
            for first, last in within:
                # The shortest run says where; one that holds an occurrence, or a shorter such run, says nothing new.
                inner = [*exact, *(run for run in within if run != (first, last))]
                if (first, last) not in exact and not any(first <= f and n <= last for f, n in inner):
                    span = words[first].start_seconds, words[last - 1].end_seconds
                    found.append(Occurrence(keyword, *span, counts=False))
        return found


def choose_stream_keywords(
    segments: Sequence[Segment],
    size: int,
    seed: int,
    least: int,
    pronunciations: Pronunciations,
    least_syllables: int = LEAST_SYLLABLES,
) -> list[str]:
    """Draws `size` words and phrases, two words to a phrase, each said at least `least` times by two or more people.

    Raises BenchmarkError where there are fewer."""
    said: defaultdict[str, list[str]] = defaultdict(list)
    for segment in segments:
        for first in range(len(segment.words)):
            for last in range(first + 1, min(first + MOST_WORDS, len(segment.words)) + 1):
                said[_text(segment, first, last)].append(segment.speaker)
    often = sorted(text for text, speakers in said.items() if len(speakers) >= least and len(set(speakers)) > 1)
    fit = [text for text in often if _fits(text, pronunciations, least_syllables)]
    rng = np.random.default_rng(seed)
    fit = [fit[index] for index in rng.permutation(len(fit))]
    words, phrases = ([t for t in fit if (" " in t) == is_phrase] for is_phrase in (False, True))
    mixed = [text for index in range(len(fit)) for text in (*words[2 * index : 2 * index + 2], *phrases[index:][:1])]
    chosen: list[str] = []
    for text in mixed:
        sounds = [_joined(variant) for variant in pronunciations.of(text)]
        others = [_joined(variant) for other in chosen for variant in pronunciations.of(other)]
        if not any(one in other or other in one for one in sounds for other in others):
            chosen.append(text)
        if len(chosen) == size:
            return chosen
    raise BenchmarkError(
        f"stream: {len(chosen)} keywords of {least_syllables} syllables or more are said {least} times or more, {size} "
        "asked for; give more aligned speech, or ask for fewer"
    )


def syllables(variants: Sequence[Phonemes]) -> int:
    """The syllables of the first pronunciation; 0 where there is none."""
    return sum(is_vowel(phoneme) for phoneme in variants[0]) if variants else 0


def _fits(text: str, pronunciations: Pronunciations, least_syllables: int) -> bool:
    variants = pronunciations.of(text)
    if not variants or syllables(variants) < least_syllables or len(variants[0]) > MOST_PHONEMES:
        return False
    if " " not in text:
        return len(variants[0]) >= WORD_PHONEMES
    longest = max(len(pronunciations.of(word)[0]) for word in text.split())
    return len(variants[0]) >= PHRASE_PHONEMES and longest >= PHRASE_WORD_PHONEMES


def _text(segment: Segment, first: int, last: int) -> str:
    return " ".join(word.text.lower() for word in segment.words[first:last])


def _joined(phonemes: Phonemes) -> str:
    return f" {' '.join(phonemes)} "
