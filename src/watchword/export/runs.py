"""A run becomes a bundle: its checkpoint exported, measured, quantised where that loses little, and described."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from watchword.bundle import ACOUSTIC_FILE, ACOUSTIC_INT8_FILE, Bundle
from watchword.data.store import Store
from watchword.export import int8
from watchword.export.bundling import clip_silence, export_model
from watchword.export.card import run_card
from watchword.export.measuring import choose_threshold, embed_clips, embed_texts, store_trials, validation_trials
from watchword.export.packing import store_as_float16
from watchword.export.parity import ExportError, Sessions
from watchword.model.keyword_model import KeywordModel
from watchword.runtime.spans import ScanSettings
from watchword.train.checkpoint import load_checkpoint
from watchword.train.experiment import held_out
from watchword.train.recipe import Recipe, resolve
from watchword.train.runs import load_run

# 8 bits replace floats where clips hardly move and no figure loses a point: a figure's own error is as large.
LOWEST_MEDIAN_COSINE, MOST_POINTS_KEPT = 0.99, 1.0


def export(
    run: Path,
    out: Path,
    *,
    checkpoint: Path | None = None,
    average_with: Sequence[Path] = (),
    quantised: bool = True,
    compact: bool = False,
    pronounces: bool = True,
    scan: Mapping[str, Any] | None = None,
    force: bool = False,
    tell: Callable[[str], None] = lambda step: None,
) -> Bundle:
    """Exports a run's checkpoint (the newest, or the one named) into a new bundle at `out`, whole or not at all.

    With `average_with`, each weight is the mean of the checkpoint's and theirs, which are of a model alike: of a run
    and what it went on from, the mean is often better than either (Wortsman et al. 2022, arXiv:2109.01903). A `compact`
    bundle has all weights, though no arithmetic, in 8 bits, and one that `pronounces` has its own lexicon; see
    `export_model`; `scan` is what the card sets of `ScanSettings`. Figures and threshold come from the recipe's
    held-out speakers, through onnxruntime; `tell` hears what is done.

    Raises ExportError as `export_model` does, and for checkpoints of another model; RunError for what is no run;
    BundleError for a setting that is none; CheckpointError, StoreError or RecipeError for what is lacking."""
    ScanSettings.of({"scan": scan or {}})
    recipe, model, state = load_run(run, checkpoint)
    if not isinstance(model, KeywordModel):
        raise ExportError(f"{run}: holds a {recipe.model.kind} model; only models of kind 'adml' become bundles")
    store = Store(resolve(recipe.data.store))
    card = run_card(recipe, state, run, store)
    del state
    card |= {"scan": dict(scan)} if scan else {}
    if average_with:
        average(model, average_with)
        card["training"]["averaged_with"] = [_named(path) for path in average_with]
        card["metrics"] = {}  # what the run logged is of its own weights

    def finish(exported: KeywordModel, folder: Path) -> Mapping[str, Any]:
        tell("the graphs are proved; measuring them")
        return measured(exported, folder, recipe, store, quantised and not compact, card["metrics"], tell)

    tell(f"writing the graphs of step {card['training']['steps']} and proving them equal to torch")
    return export_model(model, out, card, force=force, compact=compact, pronounces=pronounces, finish=finish)


def average(model: KeywordModel, others: Sequence[Path]) -> None:
    """Gives a model the mean of its weights and those of checkpoints; raises ExportError for those of another model."""
    own = model.state_dict()
    states = [load_checkpoint(path)["model"] for path in others]
    for path, state in zip(others, states, strict=True):
        if {name: value.shape for name, value in state.items()} != {name: value.shape for name, value in own.items()}:
            raise ExportError(f"{path}: holds another model, whose weights have no mean with these")
    with torch.no_grad():
        for name, value in own.items():
            if value.is_floating_point():
                value.copy_(torch.stack([value, *(state[name].to(value) for state in states)]).mean(dim=0))


def _named(path: Path) -> str:
    """A checkpoint as recipes name it: by its run's folder and its step."""
    return "/".join(path.absolute().parts[-4:])


def measured(
    model: KeywordModel,
    folder: Path,
    recipe: Recipe,
    store: Store,
    quantised: bool,
    metrics: Mapping[str, Any],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Measures the graphs in a folder, and puts the acoustic one in 8 bits if it is `quantised` well; returns that part
    of the card."""
    validation = held_out(recipe)
    trials = store_trials(store, recipe.seed) if validation is None else validation_trials(validation)
    sessions, silence = Sessions(folder), clip_silence(model)
    texts = embed_texts(sessions, trials.phonemes)
    clips = embed_clips(sessions, trials.clips, *silence)
    figures = trials.figures(clips, texts)
    card: dict[str, Any] = {
        "threshold": choose_threshold(
            trials.word_negatives(clips, texts), trials.word_positives and trials.word_positives(clips, texts)
        ),
        "metrics": {**metrics, "training_words" if validation is None else "validation": _rounded(figures)},
        "acoustic": {"file": ACOUSTIC_FILE},
    }
    if not quantised:
        store_as_float16(folder / ACOUSTIC_FILE)  # but for what is in 8 bits
        return card
    tell("quantising to 8 bits and measuring again")
    int8.quantise(folder / ACOUSTIC_FILE, folder / ACOUSTIC_INT8_FILE, int8.calibration(store, sessions, recipe.seed))
    moved = embed_clips(Sessions(folder, ACOUSTIC_INT8_FILE), trials.clips, *silence)
    loss = int8.loss_points(figures, trials.figures(moved, texts))
    median, lowest = int8.agreement(clips, moved)
    most = max(loss.values(), default=0.0)
    kept = median >= LOWEST_MEDIAN_COSINE and most <= MOST_POINTS_KEPT
    card["acoustic"]["int8"] = {
        "kept": kept,
        "cosine_median": round(median, 5),
        "cosine_lowest": round(lowest, 5),
        "loss_points": _rounded(loss),
        "times_faster": round(int8.times_faster(folder, ACOUSTIC_INT8_FILE), 2),
    }
    if kept:
        # The other would be dead weight: half of a bundle's size, and nothing opens it.
        card["acoustic"]["file"] = ACOUSTIC_INT8_FILE
        (folder / ACOUSTIC_FILE).unlink()
    else:
        (folder / ACOUSTIC_INT8_FILE).unlink()
        store_as_float16(folder / ACOUSTIC_FILE)
    return card


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in figures.items()}
