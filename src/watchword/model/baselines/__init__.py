"""The paper's baselines, which compare a clip with each text apart: CMCD and PhonMatchNet."""

from watchword.model.baselines.pair_model import PairModel
from watchword.model.keyword_model import KeywordModel, ModelConfig


def build_model(config: ModelConfig) -> KeywordModel | PairModel:
    """Builds the model that a recipe's `model.kind` names."""
    return KeywordModel(config) if config.kind == "adml" else PairModel(config)
