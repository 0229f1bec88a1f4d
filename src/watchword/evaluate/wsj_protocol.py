"""WSJ-style protocol: each spoken word against its own text and 50 random other words; average precision.

On any aligned manifest in place of the licensed corpus. Words that sound the same (equal phonemes, stress aside) are
never paired; negatives are drawn uniformly over the other words of the split, so chance is 1/51 = 1.96 %.
"""

from collections.abc import Iterable

import numpy as np

from watchword.data.segment import Segment
from watchword.evaluate.pronunciations import Homophones, Pronunciations
from watchword.evaluate.trials import Trial, TrialError
from watchword.text.pronounce import Pronouncer, default_pronouncer

SHORTEST_SECONDS, LONGEST_SECONDS = 0.2, 2.5
PAPER_SEGMENTS, PAPER_WORDS = "18 k", "3.2 k"
"""The size of the paper's test, as far as it is stated."""


def build_wsj_protocol(
    segments: Iterable[Segment],
    pronouncer: Pronouncer | None = None,
    *,
    seed: int = 0,
    split: str | None = "test",
    num_segments: int = 3000,
    negatives: int = 50,
) -> list[Trial]:
    """One positive and `negatives` random other words for up to `num_segments` word segments of `split` (None: of all).

    Raises TrialError if the split has no word times, or too few different words.
    """
    pronunciations = Pronunciations(pronouncer or default_pronouncer())
    spoken = sorted(
        (segment.audio, round(word.start_seconds, 4), round(word.end_seconds, 4), word.text.lower(), segment.speaker)
        for segment in segments
        if split is None or segment.split == split
        for word in segment.words
        if SHORTEST_SECONDS <= word.end_seconds - word.start_seconds <= LONGEST_SECONDS
    )
    spoken = [word for word in spoken if pronunciations.of(word[3])]
    vocabulary = sorted({word[3] for word in spoken})
    place = {text: index for index, text in enumerate(vocabulary)}
    homophones = Homophones([pronunciations.of(text) for text in vocabulary])
    if len(vocabulary) <= negatives:
        raise TrialError(
            f"wsj-protocol: {len(vocabulary)} different words with times in split {split!r}, "
            f"and {negatives} negatives need more; give an aligned manifest of more speech"
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(spoken))[:num_segments])
    trials: list[Trial] = []
    for audio, start, end, text, speaker in (spoken[index] for index in chosen):
        others = np.delete(np.arange(len(vocabulary)), sorted(homophones.of(place[text])))
        if len(others) < negatives:
            raise TrialError(f"wsj-protocol: fewer than {negatives} words differ from {text!r}; give more speech")
        trials.append(Trial(audio, start, end, text, True, "own", 1, speaker))
        drawn = rng.choice(others, negatives, replace=False)
        trials.extend(Trial(audio, start, end, vocabulary[other], False, "random", 1, speaker) for other in drawn)
    return trials


def build_wsj(
    segments: Iterable[Segment],
    pronouncer: Pronouncer | None = None,
    *,
    seed: int = 0,
    split: str | None = "test",
    segments_wanted: str = PAPER_SEGMENTS,
    words_wanted: str = PAPER_WORDS,
) -> list[Trial]:
    """The paper's own test on a WSJ manifest: all of its word segments, one positive and 50 negatives each.

    Raises TrialError where their number, rounded, is not the paper's 18 k segments of 3.2 k words."""
    held = list(segments)
    trials = build_wsj_protocol(held, pronouncer, seed=seed, split=split, num_segments=len(held) * 1000)
    own = [trial for trial in trials if trial.is_match]
    found = _rounded(len(own), segments_wanted), _rounded(len({trial.text for trial in own}), words_wanted)
    if found != (segments_wanted, words_wanted):
        raise TrialError(
            f"wsj: {found[0]} segments of {found[1]} words in split {split!r}, the paper has {segments_wanted} of "
            f"{words_wanted}; choose the split that has them, or use wsj-protocol, whose figures stand apart"
        )
    return trials


def _rounded(count: int, like: str) -> str:
    """A count in thousands, with as many decimals as another such.

    >>> _rounded(17_961, "18 k"), _rounded(3_249, "3.2 k")
    ('18 k', '3.2 k')
    """
    _, _, decimals = like.removesuffix(" k").partition(".")
    return f"{count / 1000:.{len(decimals)}f} k"
