"""What a bundle's card says of the run it came from: recipe, time, data with licences, figures, limits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from watchword.audio import SAMPLE_RATE
from watchword.data.store import Store
from watchword.train.checkpoint import load_checkpoint
from watchword.train.recipe import Recipe, resolve

UNCALIBRATED = "The threshold was chosen on clips cut out of speech, not on running speech: see `watchword calibrate`."
LIMITS = (
    "English alone; names and loan words are as good as their pronunciation, which `watchword phonemes` shows.",
    "Texts that sound alike score alike: words of one or two short syllables are mistaken for their neighbours most.",
    "Nothing but speech at 16 kHz was trained on; what a microphone far away or a loud room adds was simulated.",
    "A score is no probability.",
    UNCALIBRATED,
)


def run_card(recipe: Recipe, state: Mapping[str, Any], run: Path, store: Store) -> dict[str, Any]:
    """The part of a card that a run decides; `state` is its checkpoint, `store` what it was trained on."""
    step = int(state["step"])
    return {
        "name": recipe.name,
        "seconds_per_phoneme": seconds_per_phoneme(store),
        "recipe": recipe.model_dump(mode="json"),
        "training": {
            "steps": step,
            "steps_planned": recipe.train.steps,
            **_spent(state),
            **_began_from(recipe.train.init_from),
        },
        "data": store.sources,
        "metrics": last_validation(run / "log.jsonl", step),
        "limits": list(LIMITS),
    }


def _spent(state: Mapping[str, Any]) -> dict[str, float]:
    return {key: round(value, 1) for key, value in state["spent"].items()}


def _began_from(checkpoint: str | None) -> dict[str, Any]:
    """What the run that this one went on from had spent; nothing where there was none, or it is gone."""
    path = resolve(checkpoint) if checkpoint else None
    if path is None or not path.exists():
        return {}
    state = load_checkpoint(path)
    return {"began_from": {"checkpoint": str(checkpoint), "steps": int(state["step"]), **_spent(state)}}


def seconds_per_phoneme(store: Store) -> float:
    """How long a phoneme lasts: the median over a store's words and phrases of duration by number of phonemes."""
    counts = np.array([len(ids) for ids in store.phonemes])[store.items["label"]]
    durations = (store.items["end"].astype(np.int64) - store.items["start"]) / SAMPLE_RATE
    return round(float(np.median(durations / np.maximum(counts, 1))), 4)


def last_validation(log: Path, step: int) -> dict[str, Any]:
    """The last validation figures that a run logged up to a step, with the step; empty where there are none."""
    found: dict[str, Any] = {}
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # the line under way when a run was killed
            continue
        if "validation" in record and record["step"] <= step:
            found = {"validation_in_training": {"step": record["step"], **record["validation"]}}
    return found
