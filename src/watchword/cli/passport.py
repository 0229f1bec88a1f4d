"""A bundle's passport out of its card: purpose, limits with figures, sources, origin, benchmarks; what is missing."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from watchword.bundle import DEFAULT, Bundle, bundle_hash

# What is shown of a benchmark's figures, and how it is called; rates come as "miss at 1 FA/h".
FIGURES = {
    "top1": "top-1",
    "ap": "average precision",
    "eer": "EER",
    "easy_eer": "EER, easy",
    "hard_eer": "EER, hard",
    "miss at 1 FA/h": "missed at 1 false alarm/h and keyword",
    "miss at 1 FA/h together": "missed at 1 false alarm/h together",
}


class Limit(NamedTuple):
    """A limit of every model of this kind, and the figure that says how much of one: benchmark, corpus, figure."""

    name: str
    benchmark: str
    corpus: str
    figure: str
    what: str


_NEAREST = "one of the three texts nearest by phonemes taken for the right one"
LIMITS = (
    Limit("short words", "libriphrase-style", "librispeech", "hard_eer_1_word", f"EER of single words: {_NEAREST}"),
    Limit("all lengths", "libriphrase-style", "librispeech", "hard_eer", "the same over texts of one to four words"),
    Limit("accents", "libriphrase-style", "speechocean762", "easy_eer", "EER, Mandarin accent, half of them children"),
    Limit("accents", "libriphrase-style", "speechocean762", "hard_eer", f"the same; {_NEAREST}"),
    Limit("noise", "stream", "speech, clean", "miss at 1 FA/h", "running speech without noise"),
    Limit("noise", "stream", "speech, 10 dB", "miss at 1 FA/h", "running speech 10 dB above noise"),
    Limit("noise", "stream", "speech, 0 dB", "miss at 1 FA/h", "running speech as loud as the noise"),
    Limit("rooms", "stream", "speech, room", "miss at 1 FA/h", "running speech in rooms that reverberate"),
)
_CHILDREN = "children alone: not measured; half of speechocean762's speakers are children, and it does not say which"


def passport(bundle: Bundle) -> dict[str, Any]:
    """What is known of a bundle, as JSON; what its card does not say is None or empty, and listed under `missing`."""
    card = bundle.card
    recipe, reproduce = _table(card, "recipe"), _table(card, "reproduce")
    made: dict[str, Any] = {
        "name": bundle.name,
        "watchword": card.get("watchword"),
        "created": card.get("created"),
        "size_bytes": sum(listed["bytes"] for listed in card["files"].values()),
        "parameters": _table(_table(card, "model"), "parameters"),
        "acoustic_file": bundle.acoustic_file,
        "purpose": _table(card, "purpose") or None,
        "languages": list(card.get("languages") or ()),
        "limits": list(card.get("limits") or ()),
        "measured_limits": list(measured_limits(card)),
        "sources": list(card.get("data") or ()),
        "noise": list(card.get("noise") or ()),
        "teachers": card.get("teachers"),
        "recipe": recipe.get("name"),
        "training": _table(card, "training"),
        "seed": recipe.get("seed", reproduce.get("seed")),
        "commit": reproduce.get("commit"),
        "commit_changed": reproduce.get("changed"),
        "reproduce": reproduce.get("command") or None,
        "sha256": {
            "scores": bundle_hash(bundle.path),
            "card": bundle.sha256,
            **{name: listed["sha256"] for name, listed in card["files"].items()},
        },
        "benchmarks": list(benchmarks(card)),
        "threshold": bundle.threshold,
        "calibration": _table(card, "calibration") or None,
    }
    made["missing"] = list(_missing(made, bundle))
    return made


def benchmarks(card: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every figure that `watchword evaluate --card` wrote: its interval, how much was measured, and the command."""
    for name, measured in _table(card, "metrics").items():
        if not isinstance(measured, dict) or "figures" not in measured:
            continue  # validation in training: figures without intervals, by which settings were chosen
        benchmark, _, corpus = name.partition("/")
        told = {key: measured.get(key) for key in ("counts", "hours", "date", "command", "trials_sha256")}
        for figure, ends in measured["figures"].items():
            yield {"benchmark": benchmark, "corpus": corpus, "figure": figure, **ends, **told}


def measured_limits(card: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The figures behind the limits, scored as detections are where that was measured, else by the cosine alone."""
    metrics = _table(card, "metrics")
    for limit in LIMITS:
        for mark in (", aligned", ""):
            figures = _table(_table(metrics, f"{limit.benchmark}{mark}/{limit.corpus}"), "figures")
            if limit.figure in figures:
                scored = "by the cosine alone" if limit.benchmark != "stream" and not mark else "as detections are"
                yield {**limit._asdict(), **figures[limit.figure], "scored": scored}
                break


def _missing(made: Mapping[str, Any], bundle: Bundle) -> Iterator[str]:
    """One sentence for each thing that a passport should say and this one does not, with what would fill it."""
    again = "export the run again with this Watchword"
    if not made["purpose"] or not made["languages"]:
        yield f"purpose and languages: not on the card; {again}"
    if not made["sources"]:
        yield "training sources: not on the card; the weights were not trained, or elsewhere"
    if unknown := [s["corpus"] for s in (*made["sources"], *made["noise"]) if not s.get("licence")]:
        yield f"licences: not stated for {', '.join(unknown)}"
    if not made["noise"]:
        yield f"noise laid under the training speech: not on the card; {again}"
    if made["teachers"] is None:
        yield f"teachers: not on the card; {again}"
    if made["commit"] is None:
        yield "commit: not on the card; export the run again within a clone of the project"
    elif made["commit_changed"]:
        yield "commit: files had been changed since; commit them and export the run again"
    if not made["reproduce"]:
        yield "command that makes it again from scratch: not on the card; state it as `reproduce` in the recipe"
    if made["calibration"] is None:
        yield "thresholds by false alarms: not calibrated; see `watchword calibrate --help`"
    measured = {(limit["benchmark"], limit["corpus"]) for limit in made["measured_limits"]}
    lacking = [x for x in dict.fromkeys((x.benchmark, x.corpus) for x in LIMITS) if x not in measured]
    where = "" if bundle.path == DEFAULT else f"{bundle.path} "
    for benchmark in dict.fromkeys(benchmark for benchmark, _ in lacking):
        corpora = "; ".join(corpus for name, corpus in lacking if name == benchmark)
        yield f"{benchmark} ({corpora}): not measured; `watchword evaluate {where}--benchmark {benchmark} --card`"
    yield _CHILDREN


def _table(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A table within a card, empty where an older card has none."""
    found = table.get(key)
    return found if isinstance(found, dict) else {}
