"""An experiment as a file: TOML with `extends`, strict keys and dotted overrides, read into a checked Recipe."""

import difflib
import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from watchword.data.augment import AugmentConfig
from watchword.data.class_sampler import BatchConfig
from watchword.model.keyword_model import ModelConfig
from watchword.recipe_file import RecipeError, read_recipe


class Strict(BaseModel):
    """A table of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Term(BaseModel):
    """One loss: its name in the family's registry, its weight in the total, and the arguments of its constructor."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    weight: float = 1.0

    def arguments(self) -> dict[str, Any]:
        """Returns what the loss's constructor is given."""
        return dict(self.model_extra or {})


class ObjectiveConfig(Strict):
    """Eq. 3 and Eq. 5: which losses, with which weights; a family that is absent is switched off.

    `phoneme_stress = false` lets the phoneme loss take AH0, AH1 and AH2 for one class (39 in place of 70).
    `keyword_classes` keeps the keyword classifier to the most frequent classes of the store (0: all). `verification`
    and `verification_phoneme` are what the baselines learn by: is it this text, is it this phoneme."""

    relational: Term | None = None
    point_to_point: Term | None = None
    phoneme: Term | None = None
    phoneme_stress: bool = True
    monotonic: Term | None = None
    keyword: Term | None = None
    keyword_classes: int = Field(default=0, ge=0)
    adversary: Term | None = None
    adversary_levels: tuple[Literal["phoneme", "utterance"], ...] = ("phoneme", "utterance")
    frame: Term | None = None
    teacher: Term | None = None
    negatives: Term | None = None
    verification: Term | None = None
    verification_phoneme: Term | None = None


class SynthesisConfig(Strict):
    """What is spoken by offline voices and packed where the store does not exist yet.

    `texts` is a list, or a file with one text a line; `engines` gives each voice engine's share of the clips; `voices`
    is the folder of voices that an engine may need; a clip whose phoneme error is above `reject_above` is dropped."""

    texts: tuple[str, ...] | str
    clips: int = Field(ge=1)
    engines: dict[str, float]
    seed: int = 1
    voices: str = ""
    reject_above: float | None = None


class DataConfig(Strict):
    """Where the store, what a teacher heard in it, noise and validation speech are.

    Relative paths start at WATCHWORD_WORK or the current folder."""

    store: str
    synthesis: SynthesisConfig | None = None
    teaching: str | None = None
    noise: str | None = None
    validation: str | None = None
    validation_split: str = "validation"
    validation_speakers: tuple[str, ...] = ()
    validation_segments: int = 400


class TrainConfig(Strict):
    """How long, how fast, how often saved and validated.

    A model can begin where the checkpoint `init_from` is, and learn from that of a larger one (or one as large),
    `distil_from`: whatever of it fits is what it begins with (not with `distil_start = false`), and it hears what this
    one hears, or with `distil_clean` the same before it was distorted.

    Where the acoustic encoder has a front, `front_weights` begins with those that are public (`front_anew`: even where
    `init_from` brings others, since what was fine-tuned beside random weights has been spoilt), which learn
    `front_learning_rate_scale` as fast as the rest (0: not at all), but for its first `front_frozen_layers`."""

    steps: int = Field(default=84_000, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    schedule: Literal["halving", "cosine"] = "halving"
    halve_every: float = Field(default=0.2, gt=0, le=1)
    warmup_steps: int = Field(default=1000, ge=0)
    weight_decay: float = 1e-5
    clip_norm: float = 5.0
    bias_learning_rate_scale: float = 100.0
    adaptive_learning_rate_scale: float = 1.0
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    checkpoint_every: int = Field(default=500, ge=1)
    validate_every: int = Field(default=1000, ge=1)
    log_every: int = Field(default=10, ge=1)
    workers: int = Field(default=0, ge=0)
    threads: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    init_from: str | None = None
    distil_from: str | None = None
    distil_start: bool = True
    distil_clean: bool = False
    front_weights: bool = True
    front_anew: bool = False
    front_learning_rate_scale: float = Field(default=1.0, ge=0)
    front_frozen_layers: int = Field(default=0, ge=0)


class Recipe(Strict):
    """A whole experiment. `base.toml` names every key once.

    `reproduce` is the command that makes everything from corpora to bundle again, for the bundle's card."""

    name: str
    seed: int = 1
    reproduce: str = ""
    model: ModelConfig = ModelConfig()
    data: DataConfig
    batch: BatchConfig = BatchConfig()
    augment: AugmentConfig = AugmentConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _gives_what_losses_take(self) -> "Recipe":
        """Only a model that compares pairs has logits to verify, and only PhonMatchNet has some of phonemes."""
        kind, objective = self.model.kind, self.objective
        if objective.verification and kind == "adml":
            raise ValueError("objective.verification: needs model.kind = 'cmcd' or 'phonmatchnet', which compare pairs")
        if objective.verification_phoneme and not kind.startswith("phonmatchnet"):
            raise ValueError(f"objective.verification_phoneme: needs model.kind = 'phonmatchnet', not {kind!r}")
        if self.batch.has_negatives and kind != "adml":
            raise ValueError(f"batch.partial_share and the like: need model.kind = 'adml', not {kind!r}")
        if self.batch.has_negatives != (objective.negatives is not None):
            raise ValueError(
                "objective.negatives: goes with batch.partial_share, straddle_share, non_speech_share, near_texts or "
                "made_up_texts above 0, and they with it; set both or none"
            )
        return self


def load_recipe(path: Path, overrides: Sequence[str] = (), over: Sequence[Path] = ()) -> Recipe:
    """Reads a recipe file, what it extends, the scales laid `over` it, and `key.path=value` overrides.

    A scale is a partial recipe: data, batch, training, and values of losses that count where the recipe has that loss.

    Raises RecipeError for a missing file, bad TOML, an unknown key (with the nearest known one) or a bad value."""
    table = read_recipe(path, overrides, over)
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise RecipeError(f"{path}: {_explain(error)}") from None


def same_experiment(stated: str, other: str) -> bool:
    """Whether two recipes in JSON are one experiment: alike in all but how it is logged, saved, and spread over cores.

    Keys that one lacks count at their defaults, so that a run outlives a Watchword that knows more keys."""

    def essence(text: str) -> dict[str, Any]:
        table = Recipe.model_validate_json(text).model_dump(mode="json")
        for key in ("checkpoint_every", "validate_every", "log_every", "workers", "threads", "device"):
            table["train"].pop(key)
        table.pop("reproduce")
        return table

    try:
        return essence(stated) == essence(other)
    except ValidationError:
        return False


def resolve(path: str) -> Path:
    """Resolves a data path of a recipe: absolute, or below the folder that the setting WATCHWORD_WORK names, else the
    current one. `$WATCHWORD_DATA` and other variables are expanded."""
    expanded = Path(os.path.expandvars(path)).expanduser()
    return expanded if expanded.is_absolute() else Path(os.environ.get("WATCHWORD_WORK", ".")) / expanded


def build_term(term: Term, registry: dict[str, type], family: str, **extra: Any) -> Any:
    """Builds the loss that a term names, checking its arguments against the constructor: the constructor is the schema.

    `extra` holds what only the experiment knows (number of classes, widths); it is passed where the constructor
    asks."""
    if term.name not in registry:
        raise RecipeError(f"objective.{family}.name: {_unknown(term.name, list(registry))}")
    constructor = registry[term.name]
    known = inspect.signature(constructor).parameters
    for key in term.arguments():
        if key not in known:
            raise RecipeError(f"objective.{family}: unknown key {_unknown(key, list(known))}")
    try:
        return constructor(**{key: value for key, value in extra.items() if key in known}, **term.arguments())
    except (ValueError, TypeError) as error:
        raise RecipeError(f"objective.{family}: {error}") from None


def _unknown(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, 1, 0.5)
    return f"'{key}'; did you mean '{near[0]}'?" if near else f"'{key}'; known are {', '.join(sorted(known))}"


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if not place:  # what does not fit together says so itself
        return first["msg"].removeprefix("Value error, ")
    if first["type"] != "extra_forbidden":
        return f"{'.'.join(place)}: {first['msg']} (got {first.get('input')!r})"
    fields = Recipe.model_fields
    for part in place[:-1]:
        annotation = fields[part].annotation
        choices = (annotation, *getattr(annotation, "__args__", ()))
        fields = next((choice.model_fields for choice in choices if _is_model(choice)), {})
    where = ".".join(place[:-1]) or "recipe"
    return f"{where}: unknown key {_unknown(place[-1], list(fields))}"


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
