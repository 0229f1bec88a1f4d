"""Utterances of several texts each: lists with pauses, sequences without, and carrier sentences around one or two."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

# How many texts the 20 utterances of a block take, whatever their order: so a clip's texts follow from its number.
_LISTS = (3, 3, 4, 4, 4, 5, 5, 5, 6, 6)
_RUNS = (4, 5, 6, 7, 8)
_CARRIED = (1, 1, 1, 2, 2)
_BLOCK = (*((", ", size) for size in _LISTS), *((" ", size) for size in _RUNS), *(("{}", size) for size in _CARRIED))
_BLOCK_TEXTS = sum(size for _, size in _BLOCK)


def check_carriers(carriers: Sequence[str]) -> None:
    """Raises ValueError unless each carrier has one or two places marked {}, and there are carriers of both sorts."""
    for carrier in carriers:
        if carrier.count("{}") not in (1, 2):
            raise ValueError(f"the carrier {carrier!r} has {carrier.count('{}')} places; mark one or two with {{}}")
    for places in (1, 2):
        if not any(carrier.count("{}") == places for carrier in carriers):
            raise ValueError(f'no carrier has {places} of the places marked {{}}; add one, as "where is the {{}}"')


def clips_for_all(texts: int) -> int:
    """Returns how many utterances say each of so many texts at least once."""
    return -(-texts // _BLOCK_TEXTS) * len(_BLOCK)


def compose(texts: Sequence[str], carriers: Sequence[str], seed: int, clip: int) -> str:
    """Composes the utterance of a clip. Every text is used once before any is used again.

    Of 20 utterances, ten are lists of 3 to 6 texts, five are sequences of 4 to 8 texts and five carry one or two."""
    block, place = divmod(clip, len(_BLOCK))
    order = np.random.default_rng([seed, 1 << 21, block]).permutation(len(_BLOCK))
    first = block * _BLOCK_TEXTS + sum(_BLOCK[other][1] for other in order[:place])
    kind, size = _BLOCK[order[place]]
    items = [text_at(texts, seed, number) for number in range(first, first + size)]
    if kind != "{}":
        return kind.join(items)
    fitting = [carrier for carrier in carriers if carrier.count("{}") == size]
    pieces = fitting[int(np.random.default_rng([seed, 1 << 22, clip]).integers(len(fitting)))].split("{}")
    return pieces[0] + "".join(item + piece for item, piece in zip(items, pieces[1:], strict=True))


def text_at(texts: Sequence[str], seed: int, number: int) -> str:
    """Returns the text of a place in an endless order in which every text comes once before any comes again."""
    lap, place = divmod(number, len(texts))
    return texts[int(_lap_order(seed, lap, len(texts))[place])]


@lru_cache(maxsize=4)
def _lap_order(seed: int, lap: int, texts: int) -> np.ndarray:
    return np.random.default_rng([seed, 1 << 20, lap]).permutation(texts)
