"""Which words a batch has: what a recipe says of batches, and the draw of word classes and of their recordings."""

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from watchword.data.store import Store


class BatchConfig(BaseModel):
    """How batches are drawn and cut; seconds throughout. `speed` is a range, or three or more speeds to choose from.

    `in_context = false` cuts exactly the word (the paper). With `in_context` a crop keeps `before` and `after` of what
    really surrounds the word, or, for `silence_share` of them, the word alone is set in near-silence; the spans of
    `wide_share` of these take in some of that silence, since recordings of one word are scored whole. Up to
    `extra_spans` other words and phrases that lie wholly in the crop are learned from as well. Crops are then joined
    into rows of about the longest one's length, so that a batch holds little padding, and each row is distorted as one
    scene.

    Five add what `objective.negatives` learns from, beside the words. `partial_share` of crops give a part of
    their word as a span without a text, `straddle_share` of those in context one over a border of words, where their
    neighbour is known; `non_speech_share` of words in silence one of that silence, and, in context, that share of crops
    again is noise or babble. `near_texts` and `made_up_texts` add, for that share of a batch's texts, a neighbour in
    the store and a pseudo-word.

    `corpus_shares` weighs the corpora of the store: each class is drawn from those that one of them says, and its first
    recording is of that corpus. Corpora that are not named are not drawn from first. Where it is empty, all classes of
    all corpora are drawn evenly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: int = Field(default=250, ge=2)
    utterances_per_class: int = Field(default=2, ge=1)
    repeated_share: float = Field(default=0.0, ge=0, le=1)
    in_context: bool = False
    before: tuple[float, float] = (0.1, 0.9)
    after: tuple[float, float] = (0.1, 0.5)
    silence_share: float = 0.5
    wide_share: float = Field(default=0.0, ge=0, le=1)
    extra_spans: int = Field(default=4, ge=0)
    jitter: float = 0.0
    speed: tuple[float, ...] = Field(default=(1.0, 1.0), min_length=2)
    partial_share: float = Field(default=0.0, ge=0, le=1)
    straddle_share: float = Field(default=0.0, ge=0, le=1)
    non_speech_share: float = Field(default=0.0, ge=0, le=1)
    near_texts: float = Field(default=0.0, ge=0, le=1)
    made_up_texts: float = Field(default=0.0, ge=0, le=1)
    corpus_shares: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)

    @property
    def has_negatives(self) -> bool:
        """Whether batches hold spans without a text, or texts without a span."""
        return any(
            (self.partial_share, self.straddle_share, self.non_speech_share, self.near_texts, self.made_up_texts)
        )


class BatchError(ValueError):
    """A batch cannot be made as the recipe asks."""


class ClassSampler:
    """Draws word classes evenly without replacement, and recordings of each; all follows from (seed, step).

    Raises BatchError for shares of a corpus that the store does not have."""

    def __init__(self, store: Store, config: BatchConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        order = np.argsort(store.items["label"], kind="stable")
        counts = np.bincount(store.items["label"], minlength=len(store.texts))
        self._items = np.split(order, np.cumsum(counts)[:-1])
        self._classes = np.flatnonzero(counts)
        self._repeated = np.flatnonzero(counts > 1)
        if unknown := sorted(set(config.corpus_shares) - set(store.corpora)):
            raise BatchError(
                f"batch.corpus_shares: the store has no corpus {unknown[0]!r}; it has "
                f"{', '.join(sorted(store.corpora))}"
            )
        # For each corpus that has a share: its classes, those of them with several recordings anywhere, and its own
        # recordings of each.
        self._by_corpus: dict[str, tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]] = {}
        corpus_of = store.utterances["corpus"][store.items["utterance"]]
        for name in config.corpus_shares:
            own = np.flatnonzero(corpus_of == store.corpora.index(name))
            own = own[np.argsort(store.items["label"][own], kind="stable")]
            labels, firsts = np.unique(store.items["label"][own], return_index=True)
            recordings = dict(zip(labels.tolist(), np.split(own, firsts[1:]), strict=True))
            self._by_corpus[name] = labels, labels[counts[labels] > 1], recordings

    def draw(self, step: int) -> tuple[np.ndarray, np.random.Generator]:
        """Returns the item numbers of a step, and the generator for whatever else the step decides by chance.

        A class with too few recordings gives one of them twice: augmentation makes them differ."""
        rng = np.random.default_rng((self.seed, step))
        if self.config.corpus_shares:
            return self._by_shares(rng), rng
        wanted = min(self.config.classes, len(self._classes))
        repeated = min(round(wanted * self.config.repeated_share), len(self._repeated))
        drawn = rng.choice(self._repeated, repeated, replace=False)
        rest = self._classes if not repeated else np.setdiff1d(self._classes, drawn, assume_unique=True)
        drawn = np.concatenate([drawn, rng.choice(rest, wanted - repeated, replace=False)])
        items = [
            rng.choice(
                self._items[label],
                self.config.utterances_per_class,
                replace=len(self._items[label]) < self.config.utterances_per_class,
            )
            for label in drawn
        ]
        return np.concatenate(items), rng

    def _by_shares(self, rng: np.random.Generator) -> np.ndarray:
        """The item numbers of a step whose classes come from corpora by their shares, none twice."""
        names, weights = list(self.config.corpus_shares), np.array(list(self.config.corpus_shares.values()))
        taken: set[int] = set()
        found: list[int] = []
        repeated = round(self.config.classes * self.config.repeated_share)
        for number, place in enumerate(rng.choice(len(names), self.config.classes, p=weights / weights.sum())):
            labels, several, recordings = self._by_corpus[names[place]]
            among = several if number < repeated and len(several) else labels
            # None twice; but a store of a few words is not searched for ever.
            label = next((one for one in rng.choice(among, 8).tolist() if one not in taken), None)
            if label is None:
                continue
            taken.add(label)
            first = int(rng.choice(recordings[label]))
            others = self._items[label][self._items[label] != first]
            more = self.config.utterances_per_class - 1
            drawn = rng.choice(others, more, replace=len(others) < more) if len(others) else np.full(more, first)
            found += [first, *drawn.tolist()]
        return np.array(found, np.int64)
