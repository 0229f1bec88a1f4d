"""An experiment: everything a recipe describes, built and ready to be trained."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from watchword.audio import FRAME_SAMPLES, SAMPLE_RATE, num_frames
from watchword.data.augment import Augmenter
from watchword.data.batches import Batch, BatchMaker, batches
from watchword.data.segment import read_segments
from watchword.data.sounds import Sounds, load_sounds
from watchword.data.store import Store
from watchword.evaluate.validation import Validation, build_validation
from watchword.model.features import LogMel
from watchword.model.keyword_model import KeywordModel
from watchword.text.phonemes import encode
from watchword.text.pronounce import default_pronouncer
from watchword.train.objective import Objective, parameter_groups
from watchword.train.recipe import Recipe, RecipeError, resolve

# A clip is set in this much silence where frames see their surroundings, as half of the training crops are.
CLIP_BEFORE_SECONDS, CLIP_AFTER_SECONDS = 0.5, 0.3
PRIOR_BATCHES = 8


class Experiment:
    """Model, losses, optimiser and data of a recipe. Building it seeds torch: one recipe, one set of first weights."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        self.store = Store(resolve(recipe.data.store))
        self.notes: list[str] = []
        self.maker = BatchMaker(self.store, self._augmenter(), recipe.batch, recipe.seed)
        self.num_labels = len(self.store.texts)
        self.model = KeywordModel(recipe.model)
        if recipe.model.acoustic.context == "local":
            self.model.acoustic.set_prior_mean(self._mean_log_mel())
        self.objective = Objective(recipe.objective, self.num_labels, recipe.model.acoustic.dim)
        if recipe.train.init_from:
            self._start_from(recipe.train.init_from)
        train = recipe.train
        groups = parameter_groups(
            self.model,
            self.objective,
            train.learning_rate,
            train.weight_decay,
            train.bias_learning_rate_scale,
            train.adaptive_learning_rate_scale,
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
        """Figures of the model as it stands on the held-out speakers; empty where there are none."""
        if self.validation is None:
            return {}
        return {k: round(v, 5) for k, v in self.validation.evaluate(self.embed_clips, self.embed_texts).items()}

    def embed_clips(self, clips: list[np.ndarray]) -> np.ndarray:
        """Embeds clips (16 kHz float32): [clips, dim]."""
        return embed_clips(self.model, clips)

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """Embeds texts by their first pronunciation: [texts, dim]."""
        said = [encode(default_pronouncer().variants(text)[0]) for text in texts]
        phonemes = torch.zeros(len(said), max(map(len, said)), dtype=torch.int64)
        for row, ids in enumerate(said):
            phonemes[row, : len(ids)] = torch.tensor(ids)
        self.model.eval()
        with torch.inference_mode():
            return self.model.textual(phonemes, torch.tensor([len(s) for s in said]))[1].numpy()

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

    def _mean_log_mel(self) -> Tensor:
        """Mean log-mel of some training batches: what the running mean of the local context starts from."""
        total, count, log_mel = torch.zeros(40, dtype=torch.float64), 0, LogMel()
        for step in range(PRIOR_BATCHES):
            batch = self.maker(step)
            features = log_mel(batch.audio)
            for row, length in zip(features, batch.audio_lengths.tolist(), strict=True):
                total += row[: num_frames(length)].sum(0).double()
                count += num_frames(length)
        return (total / count).float()

    def _start_from(self, path: str) -> None:
        from watchword.train.checkpoint import load_checkpoint

        state = load_checkpoint(resolve(path))["model"]
        missing, unexpected = self.model.load_state_dict(state, strict=False)
        if any(not key.startswith("frame_head") for key in [*missing, *unexpected]):
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


def embed_clips(model: KeywordModel, clips: list[np.ndarray]) -> np.ndarray:
    """Embeds each clip whole, [clips, dim]; a model of local context hears it set in silence."""
    local = model.config.acoustic.context == "local"
    before, after = (round(s * SAMPLE_RATE) if local else 0 for s in (CLIP_BEFORE_SECONDS, CLIP_AFTER_SECONDS))
    lengths = torch.tensor([before + max(len(clip), FRAME_SAMPLES) + after for clip in clips])
    audio = torch.zeros(len(clips), int(lengths.max()))
    for row, clip in enumerate(clips):
        audio[row, before : before + len(clip)] = torch.from_numpy(np.ascontiguousarray(clip, np.float32))
    model.eval()
    with torch.inference_mode():
        frames, counts = model.frames(audio, lengths)
        first = before // 160
        sizes = torch.tensor([num_frames(max(len(clip), FRAME_SAMPLES)) for clip in clips])
        assert int((first + sizes - counts).max()) <= 0
        return model.acoustic.pool(frames[:, first : first + int(sizes.max())], sizes).numpy()
