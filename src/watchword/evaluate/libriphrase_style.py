"""LibriPhrase-style trials: phrases of 1-4 words against their own text, a random phrase and a near one; EER and AUC.

Made from any aligned manifest. Each clip gives one positive ("own"), one easy negative ("easy": a random phrase of as
many words) and one hard negative ("hard": one of the 3 nearest by phoneme edit distance, drawn at random). Easy set:
own and easy; hard set: own and hard; both are half positive. These are not the released LibriPhrase lists.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from watchword.data.segment import Segment
from watchword.evaluate.clips import Clip
from watchword.evaluate.pronunciations import Homophones, NearestPhrases, Pronunciations
from watchword.evaluate.trials import Trial, TrialError
from watchword.text.pronounce import Pronouncer, default_pronouncer

SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 2.0
MOST_WORDS = 4
NUM_NEAREST = 3

Occurrences: TypeAlias = dict[tuple[str, str], list[Clip]]


def build_libriphrase_style(
    segments: Iterable[Segment],
    pronouncer: Pronouncer | None = None,
    *,
    seed: int = 0,
    split: str | None = "test",
    num_clips: int = 4000,
) -> list[Trial]:
    """Three trials for each of up to `num_clips` clips, in equal parts of 1-4 words, of `split` (None: of all).

    A speaker says a phrase at most once in the list. Raises TrialError if the split has too few phrases.
    """
    pronunciations = Pronunciations(pronouncer or default_pronouncer())
    wanted = (segment for segment in segments if split is None or segment.split == split)
    by_length = _phrases(wanted, pronunciations)
    rng = np.random.default_rng(seed)
    trials: list[Trial] = []
    for num_words in sorted(by_length):
        trials += _trials(num_words, by_length[num_words], pronunciations, num_clips // MOST_WORDS, rng)
    if not trials:
        raise TrialError(
            f"libriphrase-style: too few phrases with word times in split {split!r}; give a longer aligned manifest"
        )
    return trials


def _phrases(segments: Iterable[Segment], pronunciations: Pronunciations) -> dict[int, Occurrences]:
    """Every run of 1-4 consecutive words of the right duration: number of words -> (text, speaker) -> clips."""
    found: dict[int, Occurrences] = defaultdict(lambda: defaultdict(list))
    for segment in segments:
        words = segment.words
        for first in range(len(words)):
            for last in range(first, min(first + MOST_WORDS, len(words))):
                start, end = words[first].start_seconds, words[last].end_seconds
                text = " ".join(word.text.lower() for word in words[first : last + 1])
                if SHORTEST_SECONDS <= end - start <= LONGEST_SECONDS and pronunciations.of(text):
                    clip = Clip(segment.audio, round(start, 4), round(end, 4))
                    found[last - first + 1][text, segment.speaker].append(clip)
    return found


def _trials(
    num_words: int, occurrences: Occurrences, pronunciations: Pronunciations, num_clips: int, rng: np.random.Generator
) -> list[Trial]:
    vocabulary = sorted({text for text, _ in occurrences})
    place = {text: index for index, text in enumerate(vocabulary)}
    variants = [pronunciations.of(text) for text in vocabulary]
    homophones, nearest = Homophones(variants), NearestPhrases([phrase[0] for phrase in variants])
    spoken = sorted(occurrences)
    trials: list[Trial] = []
    for text, speaker in (spoken[index] for index in np.sort(rng.permutation(len(spoken))[:num_clips])):
        alike = homophones.of(place[text])
        if len(vocabulary) - len(alike) < NUM_NEAREST:
            continue
        clips = sorted(occurrences[text, speaker])
        clip = clips[rng.integers(len(clips))]
        others = np.delete(np.arange(len(vocabulary)), sorted(alike))
        easy = vocabulary[rng.choice(others)]
        near = nearest.of(place[text], NUM_NEAREST, alike)
        hard = vocabulary[near[rng.integers(len(near))]]
        trials.append(Trial(*clip, text, True, "own", num_words, speaker))
        trials.append(Trial(*clip, easy, False, "easy", num_words, speaker))
        trials.append(Trial(*clip, hard, False, "hard", num_words, speaker))
    return trials
