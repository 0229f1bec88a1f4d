"""The objective of ADML: the weighted sum of its losses (Eq. 3) and the adversary (Eq. 5), each term by name."""

import torch
from torch import Tensor, nn

from watchword.loss import FAMILIES
from watchword.loss.adams import ClassScales
from watchword.loss.keyword import SphereFace2
from watchword.model.matcher import Match
from watchword.text.phonemes import PHONEMES, ids_without_stress
from watchword.train.recipe import ObjectiveConfig, Term, build_term


class Objective(nn.Module):
    """Owns every loss and its parameters (SphereFace2's class matrix, AdaMS, the modality classifier).

    `forward(match)` returns the total to minimise and each term's logged value (unweighted; pairwise terms without
    their constant, so that the number means something)."""

    phoneme_class: Tensor
    """The class of each phoneme id in the phoneme loss."""

    def __init__(self, config: ObjectiveConfig, num_labels: int, dim: int = 256) -> None:
        super().__init__()
        self.weights: dict[str, float] = {}
        self.losses = nn.ModuleDict()
        self.levels = config.adversary_levels
        classes = range(len(PHONEMES)) if config.phoneme_stress else ids_without_stress()
        self.register_buffer("phoneme_class", torch.tensor(list(classes)), persistent=False)

        def add(place: str, term: Term | None, family: str, num_classes: int) -> None:
            if term is None or term.weight == 0:
                return
            self.weights[place] = term.weight
            self.losses[place] = build_term(term, FAMILIES[family], place, num_classes=num_classes, dim=dim)

        add("relational", config.relational, "relational", num_labels)
        add("point_to_point", config.point_to_point, "pairwise", num_labels)
        add("phoneme", config.phoneme, "pairwise", len(PHONEMES))
        add("monotonic", config.monotonic, "monotonic", 0)
        self.keyword_classes = min(num_labels, config.keyword_classes or num_labels)
        add("keyword", config.keyword, "keyword", self.keyword_classes)
        add("adversary", config.adversary, "adversarial", 0)
        add("frame", config.frame, "frame", len(PHONEMES))
        add("negatives", config.negatives, "negatives", 0)
        add("teacher", config.teacher, "teacher", 0)
        add("verification", config.verification, "verification", 0)
        add("verification_phoneme", config.verification_phoneme, "verification", 0)

    def forward(self, match: Match) -> tuple[Tensor, dict[str, float]]:
        values: dict[str, Tensor] = {}
        logged: dict[str, float] = {}
        for place, loss in self.losses.items():
            for name, value in self._evaluate(place, loss, match).items():
                values[name] = self.weights[place] * value
                logged[name] = float(value.detach()) - float(getattr(loss, "last_offset", 0.0))
        total = torch.stack(list(values.values())).sum()
        return total, logged

    def _evaluate(self, place: str, loss: nn.Module, match: Match) -> dict[str, Tensor]:
        if place in ("relational", "point_to_point"):
            return {place: loss(match.audio, match.text, match.labels)}
        if place == "phoneme":
            classes = self.phoneme_class[match.phoneme_labels]
            return {place: loss(match.phoneme_audio, match.phoneme_text, classes)}
        if place == "monotonic":
            return {place: loss(match.affinity, match.phoneme_mask, match.frame_mask)}
        if place == "keyword":
            known = match.labels < self.keyword_classes
            return {place: loss(match.audio[known], match.labels[known])} if known.any() else {}
        if place == "verification":
            return {place: loss(match.pair_logits, match.pair_is_match)}
        if place == "verification_phoneme":
            return {place: loss(match.asked_logits, match.asked_is_spoken)}
        if place == "teacher":
            if match.taught is None or match.teaching is None:
                raise ValueError(
                    "objective.teacher needs model.teacher = true, or model.taught_values and data.teaching, or "
                    "train.distil_from"
                )
            terms = {place: loss(match.taught, match.teaching)}
            if match.taught_embeddings is not None:
                terms[f"{place}_embeddings"] = loss(match.taught_embeddings, match.teaching_embeddings)
            return terms
        if place == "frame":
            if match.frame_logits is None or match.frame_phonemes is None:
                raise ValueError("objective.frame needs model.frame_head = true and a store with phone times")
            return {place: loss(match.frame_logits, match.frame_phonemes)}
        if place == "negatives":
            if match.negative_audio is None:
                raise ValueError("objective.negatives needs negatives in [batch], as batch.partial_share = 0.3")
            return {place: loss(match.audio, match.text, match.negative_audio, match.extra_text, match.negative_pairs)}
        pairs = {"phoneme": (match.phoneme_audio, match.phoneme_text), "utterance": (match.audio, match.text)}
        return {f"{place}_{level}": loss(*pairs[level]) for level in self.levels}

    def set_progress(self, fraction: float) -> None:
        """Tells losses with a schedule (margin, adversary ramp) which share of training is done, 0–1."""
        for loss in self.losses.values():
            if hasattr(loss, "set_progress"):
                loss.set_progress(fraction)  # type: ignore[operator]

    def after_step(self) -> None:
        """Lets losses put their parameters back in bounds (the AdaMS box)."""
        for loss in self.losses.values():
            if hasattr(loss, "after_step"):
                loss.after_step()  # type: ignore[operator]

    def scales(self) -> dict[str, dict[str, float]]:
        """Tells, for each place that has AdaMS, the lowest, mean and highest of each value over classes, and the share
        of values that the box held back at the last step."""
        found = {place: getattr(loss, "scales", None) for place, loss in self.losses.items()}
        return {
            place: {name: round(value, 5) for name, value in scales.report().items()}
            for place, scales in found.items()
            if isinstance(scales, ClassScales) and scales.adaptive != "none"
        }


def parameter_groups(
    model: nn.Module,
    objective: Objective,
    learning_rate: float,
    weight_decay: float,
    bias_scale: float,
    adaptive_scale: float = 1.0,
    front_scale: float = 1.0,
) -> list[dict[str, object]]:
    """Sorts parameters into optimiser groups: no decay on norms, biases and AdaMS.

    The scalar SphereFace2 bias learns `bias_scale` times faster, AdaMS `adaptive_scale` times, a front that is trained
    already `front_scale` times; `clip` says whether the group counts in gradient clipping."""
    decayed, plain, adaptive, bias, front = [], [], [], [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("acoustic.embedding."):
            front.append(parameter)
            continue
        (plain if parameter.ndim < 2 else decayed).append(parameter)
        assert name
    for loss in objective.losses.values():
        scales = {id(p) for module in loss.modules() if isinstance(module, ClassScales) for p in module.parameters()}
        for name, parameter in loss.named_parameters():
            if id(parameter) in scales:
                adaptive.append(parameter)
            elif isinstance(loss, SphereFace2) and name == "bias":
                bias.append(parameter)
            else:
                (plain if parameter.ndim < 2 else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay, "lr": learning_rate, "clip": True},
        {"params": plain, "weight_decay": 0.0, "lr": learning_rate, "clip": True},
        {"params": adaptive, "weight_decay": 0.0, "lr": learning_rate * adaptive_scale, "clip": False},
        {"params": bias, "weight_decay": 0.0, "lr": learning_rate * bias_scale, "clip": False},
        {"params": front, "weight_decay": 0.0, "lr": learning_rate * front_scale, "clip": True},
    ]
    return [group for group in groups if group["params"]]
