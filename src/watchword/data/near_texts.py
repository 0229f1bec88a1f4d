"""Texts that are easily taken for another: its neighbours in the store, and pseudo-words a phoneme or two away."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from watchword.data.negatives import WITHOUT_STRESS
from watchword.text.distance import Phrases, edit_distances
from watchword.text.phonemes import PHONEMES, encode, is_vowel

_REACH = 6
"""How many texts on each side, in each order, are looked at."""
_FARTHEST = 0.6
"""Neighbours differ in this share of their phonemes at most."""
_LIKE = (
    "P B", "T D", "K G", "F V", "TH DH F", "DH D V", "S Z", "SH ZH CH", "S SH", "CH JH", "M N", "N NG", "L R", "W V",
    "HH F", "Y JH", "P T K", "B D G", "AA AO", "AE EH", "AH AA", "AW AA OW", "AY EY", "EH IH", "EY EH", "ER AO",
    "IH IY", "OW AO", "OY AY", "UH UW AH",
)  # fmt: skip
"""Phonemes that are taken for each other, in groups."""
_SCHWAS = frozenset(encode(["AH0", "IH0", "ER0", "IY0"]))
"""People and dictionaries do not agree on these: a text that differs in them alone is said alike."""


class NearTexts:
    """Draws texts that resemble given labels of a store, and sound like none of them.

    Neighbours are found where the texts are sorted by their phonemes (those that begin alike: "turn the volume up" and
    "down"), by them backwards (that end alike), and by groups of like phonemes (that differ in a vowel or in voice).
    `phonemes` has each label's ids. The orders are made when they are first needed, in about a second for 100,000."""

    def __init__(self, phonemes: Sequence[np.ndarray]) -> None:
        self._phonemes = phonemes
        self._near: dict[int, np.ndarray] = {}

    def draw(self, labels: np.ndarray, near: int, made_up: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Returns the ids of `near` neighbours of as many of the labels [n], then of `made_up` pseudo-words; fewer
        where labels have no neighbours, and never one that sounds like one of the labels, or twice the same."""
        distinct = np.unique(labels)
        taken = {self._sound(self._phonemes[label]) for label in distinct}
        found: list[np.ndarray] = []
        for count, make in ((near, self._neighbour), (made_up, self._pseudo_word)):
            for label in rng.permutation(distinct)[:count]:
                found += self._fresh(int(label), make, taken, rng)
        return found

    def neighbours(self, label: int) -> np.ndarray:
        """The labels of texts near one: at most `_FARTHEST` of their phonemes differ, and one that is no schwa."""
        if label not in self._near:
            around = {
                int(other)
                for order, place in self._orders
                for other in order[max(0, place[label] - _REACH) : place[label] + _REACH + 1]
            }
            others = np.array(sorted(around - {label}), np.int64)
            self._near[label] = self._near_enough(label, others) if len(others) else others
        return self._near[label]

    def _near_enough(self, label: int, others: np.ndarray) -> np.ndarray:
        said = [WITHOUT_STRESS[self._phonemes[k]] for k in others]
        distances = edit_distances(Phrases.of([WITHOUT_STRESS[self._phonemes[label]]]), Phrases.of(said))[0]
        longest = np.array([max(len(ids), len(self._phonemes[label])) for ids in said])
        return others[(distances > 0) & (distances <= _FARTHEST * longest)]

    def _fresh(
        self, label: int, make: Callable[[int, np.random.Generator], np.ndarray | None], taken: set[bytes],
        rng: np.random.Generator,
    ) -> list[np.ndarray]:  # fmt: skip
        for _ in range(4):
            ids = make(label, rng)
            if ids is not None and (sound := self._sound(ids)) not in taken:
                taken.add(sound)
                return [ids]
        return []

    def _neighbour(self, label: int, rng: np.random.Generator) -> np.ndarray | None:
        near = self.neighbours(label)
        return self._phonemes[int(rng.choice(near))] if len(near) else None

    def _pseudo_word(self, label: int, rng: np.random.Generator) -> np.ndarray:
        ids = self._phonemes[label].tolist()
        for _ in range(1 if len(ids) < 5 else int(rng.integers(1, 3))):
            ids = changed(ids, rng)
        return np.array(ids, np.int64)

    def _sound(self, ids: np.ndarray) -> bytes:
        """What two texts that are said alike have in common: phonemes without stress, all schwas as one."""
        return np.where([i in _SCHWAS for i in ids.tolist()], 0, WITHOUT_STRESS[ids]).astype(np.uint8).tobytes()

    @cached_property
    def _orders(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Three orders of all labels, each with every label's place in it."""
        plain = [WITHOUT_STRESS[ids].astype(np.uint8).tobytes() for ids in self._phonemes]
        like = [_FAMILY[ids].tobytes() for ids in self._phonemes]
        orders = []
        for keys in (plain, [key[::-1] for key in plain], like):
            order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
            orders.append((order, np.argsort(order)))
        return orders


def changed(ids: list[int], rng: np.random.Generator) -> list[int]:
    """Changes one phoneme: another like it in its place (in 7 of 10 cases), none, or one more.

    Schwas are left alone, since words may be said with either."""
    places = [place for place, number in enumerate(ids) if number not in _SCHWAS]
    chance = rng.random()
    if chance < 0.7 and places:
        place = int(rng.choice(places))
        return [*ids[:place], int(rng.choice(_ALIKE[ids[place]])), *ids[place + 1 :]]
    if chance < 0.85 and len(places) > 2:
        place = int(rng.choice(places))
        return [*ids[:place], *ids[place + 1 :]]
    place = int(rng.integers(len(ids) + 1))
    return [*ids[:place], int(rng.choice(_CONSONANTS)), *ids[place:]]


def _alike() -> dict[int, list[int]]:
    """The ids that may stand in each one's place: of the same stress, and another phoneme."""
    found: dict[int, list[int]] = {}
    for number, symbol in enumerate(PHONEMES):
        plain, stress = symbol.rstrip("012"), symbol[len(symbol.rstrip("012")) :]
        others = dict.fromkeys(o for group in _LIKE if plain in group.split() for o in group.split() if o != plain)
        # A bare UW, which dictionaries do not use, is as good as a stressed one.
        found[number] = encode([o + (stress or "1") if is_vowel(o) else o for o in others]) or [number]
    return found


def _families() -> np.ndarray:
    """One number for all phonemes that are linked by being alike, whatever the stress; consonants by manner alone."""
    groups = ("P B", "T D", "K G", "F V TH DH", "S Z SH ZH CH JH", "M N NG", "L R W Y", "HH")
    number = {name: i + 2 for i, group in enumerate(groups) for name in group.split()}
    plain = [symbol.rstrip("012") for symbol in PHONEMES]
    return np.array([1 if is_vowel(name) else number.get(name, 0) for name in plain], np.uint8)


_ALIKE = _alike()
_FAMILY = _families()
_CONSONANTS = encode([symbol for symbol in PHONEMES[2:] if not is_vowel(symbol)])
