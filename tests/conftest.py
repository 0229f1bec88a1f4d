"""Settings and small bundles of the whole test suite."""

import os

# Threads that outnumber the free cores make small torch and onnxruntime calls many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


def _export_small(folder, context):
    """A bundle of a small model with random weights and normalisers, so that frames differ well from one another."""
    import torch

    from watchword.export import export_model
    from watchword.model.acoustic import AcousticConfig
    from watchword.model.keyword_model import KeywordModel, ModelConfig
    from watchword.model.textual import TextualConfig

    torch.manual_seed(5)
    acoustic = AcousticConfig(context=context, channels=32, squeeze=16, dim=32, attention=16)
    model = KeywordModel(
        ModelConfig(acoustic=acoustic, textual=TextualConfig(embedding=16, hidden_per_direction=16, dim=32))
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
def utterance_bundle(tmp_path_factory):
    """A small bundle whose embeddings see a whole utterance, as the paper's do. Not to be changed: copy it."""
    return _export_small(tmp_path_factory.mktemp("bundle"), "utterance")
