"""Classes drawn by corpora: shares hold, what is drawn first is of that corpus, and nothing is drawn twice."""

import numpy as np
import pytest
import soundfile

from watchword.audio import SAMPLE_RATE
from watchword.data.class_sampler import BatchConfig, BatchError, ClassSampler
from watchword.data.segment import Segment, Timed
from watchword.data.store import PackConfig, Store, pack

SAID = {
    "people": ("yes", "no", "stop", "go", "house", "water", "morning", "garden"),
    "voices": ("yes", "no", "left", "right", "window", "letter", "music", "paper", "seven", "apple"),
    "robots": ("river", "winter"),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("corpora")
    path = folder / "noise.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE), SAMPLE_RATE)
    segments = [
        Segment(str(path), " ".join(words), 0.0, 5.0, speaker, corpus, words=timed)
        for corpus, words in SAID.items()
        for speaker in (f"{corpus} 1", f"{corpus} 2")
        for timed in [tuple(Timed(word, 0.4 * n, 0.4 * n + 0.35) for n, word in enumerate(words))]
    ]
    return pack(segments, folder / "store", PackConfig(phrase_words=1), workers=1)


def drawn(store: Store, steps: int, **config: object) -> tuple[np.ndarray, np.ndarray]:
    """The corpora [steps · classes] of what was drawn first, and the labels [steps, classes, 2]."""
    settings = BatchConfig.model_validate({"classes": 3, **config})
    sampler = ClassSampler(store, settings, 1)
    items = [sampler.draw(step)[0].reshape(-1, 2) for step in range(steps)]
    first = np.concatenate([each[:, 0] for each in items])
    corpora = store.utterances["corpus"][store.items["utterance"][first]]
    labels = store.items["label"][np.concatenate(items)]
    assert (labels[:, 0] == labels[:, 1]).all()
    for each in items:
        assert len(np.unique(store.items["label"][each[:, 0]])) == len(each)
    return np.array(store.corpora)[corpora], labels[:, 0]


def test_shares_hold(store: Store) -> None:
    corpora, _ = drawn(store, 600, corpus_shares={"people": 3.0, "voices": 1.0})
    assert set(corpora.tolist()) == {"people", "voices"}
    assert np.mean(corpora == "people") == pytest.approx(0.75, abs=0.04)


def test_every_class_of_a_corpus_is_drawn_evenly(store: Store) -> None:
    _, labels = drawn(store, 600, corpus_shares={"people": 1.0})
    counts = np.unique(labels, return_counts=True)[1]
    assert len(counts) == len(SAID["people"])
    assert counts.max() < 1.3 * counts.min()


def test_without_shares_every_corpus_is_drawn_from(store: Store) -> None:
    assert set(drawn(store, 200)[0].tolist()) == set(SAID)


def test_a_store_of_few_words_gives_fewer_and_never_one_twice(store: Store) -> None:
    _, labels = drawn(store, 20, classes=10, corpus_shares={"robots": 1.0})
    assert len(labels) == 20 * len(SAID["robots"])


def test_the_same_step_draws_the_same(store: Store) -> None:
    config = BatchConfig(classes=3, corpus_shares={"people": 1.0, "robots": 1.0})
    one, other = (ClassSampler(store, config, 5).draw(7) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    assert one[1].random() == other[1].random()


def test_an_unknown_corpus_is_named(store: Store) -> None:
    config = BatchConfig(corpus_shares={"people": 1.0, "librispeech": 1.0})
    with pytest.raises(BatchError, match="has no corpus 'librispeech'; it has people, robots, voices"):
        ClassSampler(store, config, 0)


@pytest.mark.parametrize("share", [0.0, -1.0])
def test_a_share_is_above_zero(share: float) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        BatchConfig(corpus_shares={"people": share})
