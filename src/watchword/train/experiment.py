"""An experiment: everything a recipe describes, built and ready to be trained."""

import copy
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from watchword.audio import num_frames
from watchword.data.augment import Augmenter
from watchword.data.batches import Batch, BatchMaker, batches
from watchword.data.pairs import PairSampler
from watchword.data.segment import read_segments
from watchword.data.sounds import Sounds, load_sounds
from watchword.data.store import Store
from watchword.data.teaching import Teaching
from watchword.evaluate.clips import score_pairs
from watchword.evaluate.validation import Validation, build_validation
from watchword.model.acoustic import FrameEncoder
from watchword.model.baselines import build_model
from watchword.model.baselines.pair_model import PairModel
from watchword.model.embedding_front import EmbeddingEncoder
from watchword.model.features import LogMel
from watchword.model.keyword_model import KeywordModel
from watchword.train.distributed import ALONE, Ranks
from watchword.train.front import speech_embedding
from watchword.train.norms import rank_norms
from watchword.train.objective import Objective, parameter_groups
from watchword.train.precision import choose_device
from watchword.train.recipe import Recipe, RecipeError, resolve
from watchword.train.runs import load_run
from watchword.train.scoring import embed_clips, embed_texts, model_scorer

PRIOR_BATCHES = 8


class Experiment:
    """Model, losses, optimiser and data of a recipe. Building it seeds torch: one recipe, one set of first weights.

    Each of several ranks has all of it, and makes its share of the batches."""

    def __init__(self, recipe: Recipe, ranks: Ranks = ALONE) -> None:
        self.recipe, self.ranks = recipe, ranks
        self.device = choose_device(recipe.train.device)
        torch.manual_seed(recipe.seed)
        self.store = Store(resolve(recipe.data.store))
        self.notes: list[str] = []
        pairs = None if recipe.model.kind == "adml" else PairSampler(self.store.phonemes, recipe.seed)
        augmenter = self._augmenter()
        self.maker = BatchMaker(
            self.store, augmenter, recipe.batch, recipe.seed, ranks.rank, ranks.size, pairs, self._teaching()
        )
        self.maker.keeps_clean = recipe.model.teacher or bool(recipe.train.distil_from and recipe.train.distil_clean)
        self.num_labels = len(self.store.texts)
        self.model = build_model(recipe.model)
        if recipe.model.acoustic.context == "local" and isinstance(
            self.model.acoustic, FrameEncoder | EmbeddingEncoder
        ):
            self.model.acoustic.set_prior_mean(
                self._mean_log_mel(BatchMaker(self.store, augmenter, recipe.batch, recipe.seed))
            )
        self.objective = Objective(recipe.objective, self.num_labels, recipe.model.acoustic.dim)
        if recipe.train.init_from:
            self._start_from(recipe.train.init_from)
        self._open_front()
        self.larger = self._larger()
        self.model.to(self.device)
        self.objective.to(self.device)
        rank_norms(self.model, ranks)
        train = recipe.train
        groups = parameter_groups(
            self.model,
            self.objective,
            train.learning_rate,
            train.weight_decay,
            train.bias_learning_rate_scale,
            train.adaptive_learning_rate_scale,
            train.front_learning_rate_scale,
        )
        self.learning_rates = [float(str(group["lr"])) for group in groups]
        self.optimizer = torch.optim.AdamW(groups)

    def batches(self, start: int) -> Iterator[Batch]:
        """The batches from step `start` on."""
        return batches(self.maker, start, self.recipe.train.steps, self.recipe.train.workers)

    @cached_property
    def validation(self) -> Validation | None:
        """The trials on held-out speakers, or None where the recipe names no manifest for them."""
        return held_out(self.recipe)

    def validate(self) -> dict[str, float]:
        """Figures of the model as it stands on the held-out speakers, scored on the CPU; empty where there are none."""
        if self.validation is None:
            return {}
        model = self._on_cpu()
        if isinstance(model, KeywordModel):
            figures = self.validation.evaluate(self.embed_clips, self.embed_texts)
        else:
            scores = score_pairs(self.validation.pairs, model_scorer(model), sparse=True)
            figures = self.validation.figures_of(scores)
        return {name: round(value, 5) for name, value in figures.items()}

    def embed_clips(self, clips: list[np.ndarray]) -> np.ndarray:
        """Embeds clips (16 kHz float32): [clips, dim]."""
        return embed_clips(self._keyword_model(), clips)

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """Embeds texts by their first pronunciation: [texts, dim]."""
        return embed_texts(self._keyword_model(), texts)

    def _on_cpu(self) -> KeywordModel | PairModel:
        return self.model if self.device.type == "cpu" else copy.deepcopy(self.model).cpu()

    def _keyword_model(self) -> KeywordModel:
        model = self._on_cpu()
        if not isinstance(model, KeywordModel):
            raise RecipeError(f"model.kind: a {self.recipe.model.kind} model scores pairs and embeds nothing alone")
        return model

    def _teaching(self) -> Teaching | None:
        """What a teacher heard in the store, where the recipe names it."""
        data, wanted = self.recipe.data, self.recipe.model.taught_values
        if not data.teaching:
            return None
        found = Teaching(resolve(data.teaching), self.store)
        if found.dim != wanted:
            raise RecipeError(f"model.taught_values: is {wanted}, but {data.teaching} holds {found.dim} values")
        return found

    def _augmenter(self) -> Augmenter:
        """The augmentation with the recordings of `data.noise`; where these have no voices, the store's are babble."""
        config, folder = self.recipe.augment, self.recipe.data.noise
        sounds = load_sounds(resolve(folder)) if folder and config.enabled else Sounds()
        if folder and config.enabled:
            lacking = [
                ("no recordings of noise", "all noise will be synthetic", config.noise and not sounds.noise),
                ("no music", "none will be added", config.music and not sounds.music),
            ]
            self.notes += [f"data.noise: {what} in {resolve(folder)}; {then}" for what, then, lacks in lacking if lacks]
        babble = sounds.speech or [self.store.audio(u) for u in range(0, len(self.store.utterances), 37)]
        return Augmenter(config, sounds.noise, babble, sounds.music, sounds.rooms)

    def _mean_log_mel(self, maker: BatchMaker) -> Tensor:
        """Mean log-mel of some training batches: what the running mean of the local context starts from."""
        total, count, log_mel = torch.zeros(40, dtype=torch.float64), 0, LogMel()
        for step in range(PRIOR_BATCHES):
            batch = maker(step)
            features = log_mel(batch.audio)
            for row, length in zip(features, batch.audio_lengths.tolist(), strict=True):
                total += row[: num_frames(length)].sum(0).double()
                count += num_frames(length)
        return (total / count).float()

    def _open_front(self) -> None:
        """Gives the acoustic encoder's front its public weights, and freezes what the recipe leaves as it is."""
        teacher = self.model.teacher if isinstance(self.model, KeywordModel) else None
        if teacher is not None and not self.recipe.train.init_from:
            teacher.embedding.load_state_dict(speech_embedding())
        if not isinstance(self.model.acoustic, EmbeddingEncoder):
            return
        front, train = self.model.acoustic.embedding, self.recipe.train
        if train.front_weights and (train.front_anew or not train.init_from):
            front.load_state_dict(speech_embedding())
        frozen = len(front.layers) if train.front_learning_rate_scale == 0 else train.front_frozen_layers
        for layer in front.layers[:frozen]:
            layer.requires_grad_(False)

    def _larger(self) -> KeywordModel | None:
        """The larger model that this one learns from; whatever of it fits is what this one begins with, if wanted."""
        path = self.recipe.train.distil_from
        if not path:
            return None
        found = load_run(resolve(path).parents[1], resolve(path)).model
        model, dim = self.model, self.recipe.model.acoustic.dim
        if not (isinstance(found, KeywordModel) and isinstance(model, KeywordModel)) or (
            found.config.acoustic.dim != dim
        ):
            raise RecipeError(f"train.distil_from: {path} has no embeddings of {dim} values; change model.acoustic.dim")
        if self.recipe.train.distil_start:
            own = model.state_dict()
            fitting = {
                name: weight
                for name, weight in found.state_dict().items()
                if name in own and own[name].shape == weight.shape
            }
            model.load_state_dict(fitting, strict=False)
        return found.to(self.device).requires_grad_(False)

    def _start_from(self, path: str) -> None:
        from watchword.train.checkpoint import load_checkpoint

        state = load_checkpoint(resolve(path))["model"]
        missing, unexpected = self.model.load_state_dict(state, strict=False)
        if any(not key.startswith(("frame_head", "taught")) for key in [*missing, *unexpected]):
            raise RecipeError(
                f"train.init_from: {path} holds another model ({', '.join([*missing, *unexpected][:3])} …)"
            )


def held_out(recipe: Recipe) -> Validation | None:
    """Builds the trials on a recipe's held-out speakers, the same each time; None where it names no manifest."""
    data = recipe.data
    if not data.validation:
        return None
    wanted = set(data.validation_speakers)
    segments = [s for s in read_segments(resolve(data.validation)) if not wanted or s.speaker in wanted]
    if not segments:
        raise RecipeError(f"data.validation: {data.validation} has no segment of {', '.join(sorted(wanted))}")
    return build_validation(segments, recipe.seed, data.validation_segments)
