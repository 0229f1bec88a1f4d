"""Settings, small bundles and a small store of tones of the whole test suite."""

import os
from typing import Any

# Threads that outnumber the free cores make small torch and onnxruntime calls many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


def _export_small(folder, context, frame_head=False):
    """A bundle of a small model with random weights and normalisers, so that frames differ well from one another."""
    import torch

    from watchword.export import export_model
    from watchword.model.acoustic import AcousticConfig
    from watchword.model.keyword_model import KeywordModel, ModelConfig
    from watchword.model.textual import TextualConfig

    torch.manual_seed(5)
    acoustic = AcousticConfig(context=context, channels=32, squeeze=16, dim=32, attention=16)
    model = KeywordModel(
        ModelConfig(
            acoustic=acoustic,
            textual=TextualConfig(embedding=16, hidden_per_direction=16, dim=32),
            frame_head=frame_head,
        )
    )
    for name, values in model.named_buffers():
        if name.endswith("running_mean"):
            values.normal_(0.3, 0.3)
        elif name.endswith("running_var"):
            values.uniform_(0.2, 1.0)
    return export_model(model, folder / context, {"name": f"small {context}"})


@pytest.fixture(scope="session")
def local_bundle(tmp_path_factory):
    """A small bundle of local context, as the shipped one is. Not to be changed: copy it."""
    return _export_small(tmp_path_factory.mktemp("bundle"), "local")


@pytest.fixture(scope="session")
def phoneme_bundle(tmp_path_factory):
    """As `local_bundle`, with a phoneme classifier, by which detections are aligned. Not to be changed: copy it."""
    return _export_small(tmp_path_factory.mktemp("bundle"), "local", frame_head=True)


@pytest.fixture(scope="session")
def utterance_bundle(tmp_path_factory):
    """A small bundle whose embeddings see a whole utterance, as the paper's do. Not to be changed: copy it."""
    return _export_small(tmp_path_factory.mktemp("bundle"), "utterance")


TONE_WORDS = ("yes", "no", "stop", "go", "left", "right", "up", "down", "seven", "house")


@pytest.fixture(scope="session")
def tones_hz() -> dict[str, int]:
    """Each word's tone: 600, 1100, … 5100 Hz."""
    return {word: 600 + 500 * number for number, word in enumerate(TONE_WORDS)}


@pytest.fixture(scope="session")
def tone_store(tmp_path_factory: pytest.TempPathFactory, tones_hz: dict[str, int]) -> Any:
    """12 utterances of 5 words: each word 0.3 s of its own sine, 0.1 s of digital silence between; words, phrases of
    two and one phone a word are labelled. "house" is said once only."""
    import numpy as np
    import soundfile

    from watchword.audio import SAMPLE_RATE
    from watchword.data.segment import Segment, Timed
    from watchword.data.store import PackConfig, pack

    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    tone_seconds, gap_seconds = 0.3, 0.1
    time = np.arange(round(tone_seconds * SAMPLE_RATE)) / SAMPLE_RATE
    gap = np.zeros(round(gap_seconds * SAMPLE_RATE))
    segments = []
    for number in range(12):
        said = list(rng.permutation(TONE_WORDS[:-1])[:5]) if number else ["yes", "no", "stop", "go", "house"]
        pieces, words, phones, at = [gap], [], [], gap_seconds
        for word in said:
            pieces += [0.5 * np.sin(2 * np.pi * tones_hz[word] * time), gap]
            words.append(Timed(word, at, at + tone_seconds))
            phones.append(Timed("AA1", at, at + tone_seconds))
            at += tone_seconds + gap_seconds
        path = folder / f"{number}.wav"
        soundfile.write(path, np.concatenate(pieces), SAMPLE_RATE)
        timed = {"words": tuple(words), "phones": tuple(phones)}
        segments.append(Segment(str(path), " ".join(said), 0.0, at, f"speaker {number}", "tones", **timed))
    return pack(segments, folder / "store", PackConfig(phrase_words=2), workers=1)
