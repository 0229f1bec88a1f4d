"""Fixtures of the export tests: small models, and a run trained for a few steps on noise with invented words."""

import itertools

import numpy as np
import pytest
import torch

from watchword.audio import SAMPLE_RATE, write
from watchword.data.segment import Segment, Timed, write_segments
from watchword.data.store import pack
from watchword.model.acoustic import AcousticConfig
from watchword.model.keyword_model import KeywordModel, ModelConfig
from watchword.model.textual import TextualConfig
from watchword.train.experiment import Experiment
from watchword.train.loop import train
from watchword.train.recipe import Recipe

TEXT = """
quiet river runs under old stone bridge and little children play there with their red kite until evening comes when
mother calls them home for bread soup warm milk then father tells another story about a brave sailor who crossed the
wide ocean alone in winter storm before his ship went down near green islands full of singing birds that nobody knew
or had ever drawn upon any map made by men
"""
WORDS = list(dict.fromkeys(TEXT.split()))
SILENT, SPOKEN = 0.1, 0.4


def small_model(context="local", seed=0):
    """A KeywordModel of a few thousand weights, its BatchNorm statistics unlike those of a fresh one; with "front" it
    stands, in a local context, on the layers of the speech embedding."""
    torch.manual_seed(seed)
    sizes = {"channels": 32, "scale": 4, "squeeze": 8, "dim": 16, "attention": 8}
    acoustic = AcousticConfig(context=context, **sizes) if context != "front" else front_config(**sizes)
    textual = TextualConfig(embedding=16, hidden_per_direction=32, dim=16)
    model = KeywordModel(ModelConfig(acoustic=acoustic, textual=textual))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return model


def front_config(**sizes):
    """An acoustic encoder on the speech embedding, its blocks of these sizes."""
    return AcousticConfig(
        context="local", front="speech_embedding", front_entry=16, dilations=(1, 2), lookahead_frames=8, **sizes
    )


def tone(rng, word):
    """A word as two tones that are its own, under noise."""
    time = np.arange(round(SPOKEN * SAMPLE_RATE)) / SAMPLE_RATE
    low, high = 200 + 37 * WORDS.index(word), 900 + 53 * WORDS.index(word)
    return 0.1 * (np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time)) + 0.01 * rng.standard_normal(
        len(time)
    )


@pytest.fixture(scope="session")
def segments(tmp_path_factory):
    """Forty sentences of eight words by four speakers, of licence CC0; the last speaker is for validation."""
    folder, rng, made = tmp_path_factory.mktemp("speech"), np.random.default_rng(3), []
    orders = [itertools.cycle(rng.permutation(WORDS).tolist()) for _ in range(4)]
    for number in range(40):
        words = list(itertools.islice(orders[number % 4], 8))
        pause = np.zeros(round(SILENT * SAMPLE_RATE))
        audio = np.concatenate([part for word in words for part in (pause, tone(rng, word))])
        starts = [SILENT + place * (SILENT + SPOKEN) for place in range(len(words))]
        timed = tuple(Timed(word, start, start + SPOKEN) for word, start in zip(words, starts, strict=True))
        path = folder / f"{number}.wav"
        write(path, audio.astype(np.float32))
        seconds = len(audio) / SAMPLE_RATE
        made.append(Segment(str(path), " ".join(words), 0.0, seconds, f"s{number % 4}", "tones", "train", "CC0", timed))
    return made


@pytest.fixture(scope="session")
def recipe(segments, tmp_path_factory):
    """A recipe of three steps on a store of three speakers, validated on the fourth."""
    folder = tmp_path_factory.mktemp("work")
    pack([segment for segment in segments if segment.speaker != "s3"], folder / "store", workers=1)
    write_segments(folder / "validation.segments.jsonl", segments)
    return Recipe.model_validate(
        {
            "name": "tones",
            "model": small_model().config.model_dump(),
            "data": {
                "store": str(folder / "store"),
                "validation": str(folder / "validation.segments.jsonl"),
                "validation_speakers": ["s3"],
                "validation_segments": 40,
            },
            "batch": {"classes": 8, "in_context": True},
            "augment": {"enabled": False},
            "objective": {"point_to_point": {"name": "asyp"}},
            "train": {"steps": 3, "validate_every": 3, "checkpoint_every": 2},
        }
    )


@pytest.fixture(scope="session")
def run(recipe, tmp_path_factory):
    """That recipe, trained: checkpoints of steps 2 and 3."""
    folder = tmp_path_factory.mktemp("runs") / "tones"
    assert train(Experiment(recipe), folder)
    return folder


@pytest.fixture(scope="session")
def small():
    """Makes small models: `small(context, seed)`."""
    return small_model
