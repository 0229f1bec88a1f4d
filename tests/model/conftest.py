"""Fixtures of the model tests: encoders whose weights and BatchNorm statistics are unlike those of a fresh one."""

import pytest
import torch

from watchword.model.acoustic import AcousticConfig, AcousticEncoder
from watchword.model.keyword_model import KeywordModel, ModelConfig
from watchword.model.textual import TextualConfig


def unsettle(module):
    """Draws BatchNorm statistics and biases at random, so that nothing hides behind zeros and ones; evaluation mode."""
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(part.bias, 0, 0.3)
    return module.eval()


@pytest.fixture
def encoder():
    """Makes small acoustic encoders: `encoder(context, **sizes)`."""

    def make(context, **sizes):
        torch.manual_seed(0)
        config = {"channels": 32, "scale": 4, "squeeze": 8, "dim": 16, "attention": 8, **sizes}
        return unsettle(AcousticEncoder(AcousticConfig(context=context, **config)))

    return make


@pytest.fixture
def model():
    """Makes small whole models: `model(context)`."""

    def make(context):
        torch.manual_seed(0)
        acoustic = AcousticConfig(context=context, channels=32, scale=4, squeeze=8, dim=16, attention=8)
        textual = TextualConfig(embedding=16, hidden_per_direction=16, dim=16)
        return unsettle(KeywordModel(ModelConfig(acoustic=acoustic, textual=textual)))

    return make
