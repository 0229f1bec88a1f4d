"""Forced alignment with a bundle's phoneme classifier, which has heard the accents that pocketsphinx has not."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from watchword.audio import SAMPLE_RATE
from watchword.bundle import Bundle, bundle_hash
from watchword.data.segment import Timed
from watchword.prepare.alignment import AlignError, Alignment, too_long_or_short
from watchword.runtime.alignment import CLASSES, classes_of
from watchword.runtime.encoder import Encoder
from watchword.runtime.spans import frame_seconds
from watchword.text.pronounce import Spoken

MOST_NATS = 1.3
"""What a frame may cost on average where the text is what is said: of 2,149 utterances of speechocean762 1 in 130 costs
more."""
SILENCE = int(CLASSES[0])
_FAR = np.float32(1e9)


class Lattice(NamedTuple):
    """The ways to say a text: a state for each phoneme of each pronunciation (two where it is the only one, so that
    the word lasts two steps), and one of silence before each word and behind the last.

    `classes` [states]; `word` [states] (-1: silence), `place` [states] within its pronunciation; `inner` [states],
    those that are reached from the state before. `firsts` are the states that begin a word and `firsts_word` whose they
    are; `exits` [words, variants] are those that end one (-1: none); `silences` [words + 1]."""

    classes: NDArray[np.int64]
    word: NDArray[np.int64]
    place: NDArray[np.int64]
    inner: NDArray[np.bool_]
    firsts: NDArray[np.int64]
    firsts_word: NDArray[np.int64]
    exits: NDArray[np.int64]
    silences: NDArray[np.int64]

    @classmethod
    def of(cls, words: Sequence[Sequence[Sequence[str]]]) -> "Lattice":
        """The lattice of words, each with its pronunciations."""
        states: list[tuple[int, int, int, bool]] = []
        firsts, firsts_word, silences = [], [], []
        exits = np.full((len(words), max(map(len, words))), -1)
        for number, pronunciations in enumerate(words):
            silences.append(len(states))
            states.append((SILENCE, -1, 0, False))
            for variant, phonemes in enumerate(pronunciations):
                firsts.append(len(states))
                firsts_word.append(number)
                places = list(range(len(phonemes))) if len(phonemes) > 1 else [0, 0]
                classes = classes_of(phonemes).tolist()
                states += [(classes[place], number, place, step > 0) for step, place in enumerate(places)]
                exits[number, variant] = len(states) - 1
        silences.append(len(states))
        states.append((SILENCE, -1, 0, False))
        columns = (np.array(column) for column in zip(*states, strict=True))
        return cls(*columns, *map(np.array, (firsts, firsts_word, exits, silences)))

    def path(self, costs: NDArray[np.float32]) -> tuple[NDArray[np.int64], float] | None:
        """The cheapest way through costs [steps, classes]: the state of each step, and what a step costs on average.
        None where there are too few steps."""
        emitted = costs[:, self.classes]
        states = np.arange(len(self.classes))
        came = np.zeros(emitted.shape, np.int32)
        total = np.full(len(states), _FAR, np.float32)
        begins = [self.silences[0], *self.firsts[self.firsts_word == 0]]
        total[begins] = emitted[0, begins]
        later = self.firsts_word > 0
        rows = np.arange(len(self.exits))
        for step in range(1, len(emitted)):
            # The cheapest way to have said each word, of its variants.
            ends = np.where(self.exits >= 0, total[self.exits], _FAR)
            variant = ends.argmin(axis=1)
            said, said_by = ends[rows, variant], self.exits[rows, variant]
            coming, source = np.full(len(states), _FAR, np.float32), np.zeros(len(states), np.int64)
            coming[1:], source[1:] = total[:-1], states[:-1]
            coming[~self.inner] = _FAR
            coming[self.silences[1:]], source[self.silences[1:]] = said, said_by
            # A word begins after the silence before it, or right after the word before it.
            quiet = self.silences[self.firsts_word]
            coming[self.firsts], source[self.firsts] = total[quiet], quiet
            before = np.where(later, self.firsts_word - 1, 0)
            direct = np.where(later, said[before], _FAR)
            better = direct < coming[self.firsts]
            coming[self.firsts] = np.where(better, direct, coming[self.firsts])
            source[self.firsts] = np.where(better, said_by[before], source[self.firsts])
            moves = coming < total
            came[step] = np.where(moves, source, states)
            total = np.minimum(np.where(moves, coming, total) + emitted[step], _FAR)
        lasts = np.array([self.silences[-1], *self.exits[-1][self.exits[-1] >= 0]])
        state = int(lasts[total[lasts].argmin()])
        least = float(total[state])
        if least >= _FAR / 2:
            return None
        path = np.empty(len(emitted), np.int64)
        for step in range(len(emitted) - 1, -1, -1):
            path[step] = state
            state = int(came[step, state])
        return path, least / len(emitted)


class ModelAligner:
    """Aligns with a bundle's acoustic encoder and phoneme classifier; of a word's pronunciations the best one counts.

    Raises AlignError for a bundle that has no such classifier."""

    def __init__(self, bundle: Bundle) -> None:
        self._encoder = Encoder(bundle)
        if not self._encoder.hears_phonemes:
            raise AlignError(f"align: {bundle.path} does not hear phonemes; name another bundle, or leave --bundle out")
        self.name = f"bundle {bundle_hash(bundle.path)[:12]}"

    def align(self, samples: NDArray[np.float32], text: str) -> Alignment | str:
        """Aligns 16 kHz samples with their text; returns the alignment, or why it was rejected."""
        spoken = self._encoder.pronouncer.alternatives(text)[0]
        if not spoken:
            return "no words"
        # Frames that a bundle gives twice are looked at once.
        multiple = self._encoder.bundle.frame_multiple
        costs = self._encoder.phoneme_costs(self._encoder.clip_rows(samples)[::multiple])
        lattice = Lattice.of([word.pronunciations for word in spoken])
        found = lattice.path(costs)
        if found is None:
            return "does not align"
        path, nats = found
        if nats > MOST_NATS:
            return f"something else is said ({nats:.1f} nats a frame)"
        alignment = _alignment(lattice, path, spoken, multiple, len(samples) / SAMPLE_RATE)
        return too_long_or_short(alignment) or alignment


def _alignment(
    lattice: Lattice, path: NDArray[np.int64], spoken: Sequence[Spoken], multiple: int, seconds: float
) -> Alignment:
    """The words and phones of a path, a state for each step of `multiple` frames of a recording of so many seconds."""
    # Where the word or the place in it changes, a phone begins; silences of two places never meet.
    told = np.stack([lattice.word[path], lattice.place[path]])
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(told).any(axis=0)) + 1, [len(path)]])
    starts, ends = frame_seconds(bounds[:-1] * multiple, bounds[1:] * multiple)
    starts, ends = np.minimum(starts, seconds), np.minimum(ends, seconds)
    starts[0] = 0.0  # the first frame's middle is not its beginning
    words: list[Timed] = []
    phones: list[Timed] = []
    for state, start, end in zip(path[bounds[:-1]].tolist(), starts.tolist(), ends.tolist(), strict=True):
        number, place = int(lattice.word[state]), int(lattice.place[state])
        if number < 0:
            phones.append(Timed("SIL", start, end))
            continue
        variant = int(np.searchsorted(lattice.exits[number][lattice.exits[number] >= 0], state))
        phones.append(Timed(spoken[number].pronunciations[variant][place], start, end))
        if place == 0:
            words.append(Timed(spoken[number].word, start, end))
        else:
            words[-1] = replace(words[-1], end_seconds=end)
    return Alignment(tuple(words), tuple(phones))
