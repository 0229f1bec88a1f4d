"""The command `watchword calibrate`: a bundle's scale of scores and thresholds by false alarms, on held-out speech."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from watchword.data.segment import Segment
    from watchword.evaluate.calibration import Candidates, Row
    from watchword.evaluate.heard import Heard
    from watchword.evaluate.score_fit import Kept
    from watchword.runtime import Bundle
    from watchword.runtime.calibration import Calibration


def calibrate(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.", show_default=False)],
    manifests: Annotated[
        list[Path], typer.Argument(help="Aligned segments.jsonl of speech not used in training.", show_default=False)
    ],
    speaker: Annotated[
        list[str] | None,
        typer.Option(
            help="Only recordings of this speaker; may be repeated.",
            show_default="those that the bundle's recipe holds out, else all",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="The split to take; `all` takes every one.")] = "train",
    alarms: Annotated[
        float, typer.Option(min=0.01, help="False alarms an hour and keyword that the bundle's own threshold allows.")
    ] = 0.5,
    keywords: Annotated[int, typer.Option(min=10, help="Phrases to listen for, drawn from what is said there.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Decides which phrases.")] = 0,
    noise: Annotated[
        Path | None,
        typer.Option(
            help="A folder of background recordings: the speech is heard as it is, in noise at 10 dB, and in rooms.",
            show_default="the speech as it is",
        ),
    ] = None,
    even: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="How far short and long keywords are brought to raise equally many false alarms at one threshold; "
            "1, all of the way, misses more.",
        ),
    ] = 0.5,
    write: Annotated[bool, typer.Option(help="Write what is found into the bundle.")] = True,
) -> None:
    """Make one threshold mean much the same for every keyword, and choose it: so many false alarms an hour on average.

    Weights of what a score counts are fitted, and thresholds measured, on running speech of held-out speakers. In noise
    other keywords raise alarms than in quiet: with `--noise`, one threshold is for both."""
    from watchword.bundle import Bundle
    from watchword.data.segment import read_segments
    from watchword.evaluate import calibration, heard, score_fit
    from watchword.runtime.spans import ScanSettings

    loaded = Bundle.load(bundle)
    everything = [s for path in manifests for s in read_segments(path) if split in ("all", s.split)]
    held_out = set(speaker or _held_out(loaded, everything))
    wanted = [s for s in everything if not held_out or s.speaker in held_out]
    others = [s for s in everything if s.speaker not in {s.speaker for s in wanted}]
    calibration.aligned_files(wanted)  # or a sentence that says what is missing
    chosen = calibration.choose_keywords(wanted, keywords, seed)
    conditions = heard.conditions(noise, seed)
    scale, parts = _search(loaded, wanted, others or wanted, chosen, seed, conditions)
    candidates = calibration.together(list(parts.values()))
    rates = sorted({*calibration.RATES, alarms})
    settings = ScanSettings.of(loaded.card)
    scores = score_fit.uncalibrated(candidates, settings)
    kept = score_fit.across_speakers(candidates, rates, lambda _: scores)
    typer.echo(
        f"{candidates.hours.sum():.2f} hours of speech, {len(candidates.speakers)} speakers, {len(chosen)} keywords, "
        f"{candidates.said} occurrences ({', '.join(conditions)})"
    )
    fitted = None
    if scale is not None and score_fit.enough(candidates):
        _print("without a scale of its own", calibration.rows(candidates, scores, rates), kept, alarms)
        fitted = score_fit.fit(candidates, even=even)
        scores = fitted.scores(candidates)
        kept = score_fit.across_speakers(
            candidates, rates, lambda used: score_fit.fit(candidates, used, even).scores(candidates)
        )
    elif scale is not None:
        typer.echo("calibrate: too few occurrences to fit a scale of scores; only the threshold is chosen", err=True)
    rows = calibration.rows(candidates, scores, rates)
    _print("calibrated" if fitted else "one threshold", rows, kept, alarms)
    threshold = next(row.threshold for row in rows if row.alarms_per_hour == alarms)
    by_condition: dict[str, dict[str, float]] = {}
    for name, part in parts.items() if len(parts) > 1 else ():
        of_part = fitted.scores(part) if fitted else score_fit.uncalibrated(part, settings)
        rate, miss = calibration.at_threshold(part, of_part, threshold)
        typer.echo(f"{name} at {threshold:.4f}: {rate:.2f} alarms/h, {miss:.1%} missed")
        by_condition[name] = {"alarms_per_hour": round(rate, 3), "missed": round(miss, 4)}
    if not write:
        return
    if any(math.isnan(row.miss) for row in rows):
        typer.echo("calibrate: none of the keywords is said in this speech; nothing was written", err=True)
        raise typer.Exit(2)
    told: dict[str, Any] = {
        "alarms_per_hour": alarms,
        "keywords": len(chosen),
        "hours": round(float(candidates.hours.sum()), 3),
        "occurrences": candidates.said,
        "seed": seed,
        "even": even,
        "speakers": sorted({segment.speaker for segment in wanted}),
        "rows": _rows(rows, kept),
    }
    if by_condition:
        told["conditions"] = by_condition
    ranked = candidates.best(scores)[1]
    told["tail"] = round(score_fit.tail(ranked, min(rows, key=lambda row: abs(row.alarms_per_hour - 1)).threshold), 5)
    if scale is not None and fitted is not None:
        scale = score_fit.scaled(scale, fitted, candidates)
    _write(loaded, scale if fitted else None, told, alarms)


def _held_out(bundle: "Bundle", segments: Sequence["Segment"]) -> Sequence[str]:
    """The speakers that the bundle's recipe holds out of training, as far as they are there."""
    there = {segment.speaker for segment in segments}
    data = bundle.card.get("recipe", {}).get("data", {})
    return [name for name in data.get("validation_speakers") or () if name in there]


def _search(
    bundle: "Bundle",
    wanted: Sequence["Segment"],
    others: Sequence["Segment"],
    chosen: Sequence[str],
    seed: int,
    conditions: "Mapping[str, Heard]",
) -> "tuple[Calibration | None, dict[str, Candidates]]":
    """The candidates of keywords in the speech that is `wanted`, by condition, and the scale by which they were looked
    for, where the bundle finds by phonemes; what is usual is taken from `others`, as they are."""
    from dataclasses import replace

    from watchword.cli.progress import progress_bar
    from watchword.evaluate import calibration, score_fit
    from watchword.runtime import Spotter
    from watchword.runtime.spans import ScanSettings

    settings = ScanSettings.of(bundle.card)
    scale = None
    if settings.by_phonemes and bundle.hears_phonemes:
        # Every candidate counts, those that conflict as well: which of them is reported depends on the threshold.
        settings = replace(settings, overlap=1.0, refractory_seconds=0.0)
        scale = score_fit.provisional(*score_fit.usual(Spotter([], bundle).encoder, others, seed)) if others else None
    spotter = Spotter(chosen, bundle, calibration.LOWEST_SCORE, settings=settings, calibration=scale)

    def searched(name: str) -> "Candidates":
        def scan(path: str, _: object) -> list[calibration.Found]:
            return [
                calibration.Found(d.keyword, d.score, d.start_seconds, d.end_seconds, d.evidence)
                for d in spotter.scan(conditions[name](path))
            ]

        with progress_bar(f"calibrating, {name}") as progress:
            return calibration.search(wanted, chosen, scan, progress=progress)

    return scale, {name: searched(name) for name in conditions}


def _rows(rows: "Sequence[Row]", kept: "Sequence[Kept]") -> list[dict[str, float]]:
    """The rows of the card: `missed`, and what a wanted rate gave, are of speakers on whom the threshold was not set,
    where there were several."""
    told = [{"alarms_per_hour": r.alarms_per_hour, "threshold": round(r.threshold, 4), "missed": r.miss} for r in rows]
    for row, on_others in zip(told, kept, strict=False):
        row |= {"missed": on_others.miss, "measured_alarms_per_hour": round(on_others.alarms_per_hour, 3)}
    return [row | {"missed": round(row["missed"], 4)} for row in told]


def _print(title: str, rows: "Sequence[Row]", kept: "Sequence[Kept]", alarms: float) -> None:
    """A table for people: thresholds by rates; what they do to other speakers; and at the wanted rate, by size."""
    from watchword.evaluate.calibration import SIZES

    typer.echo(f"{title}\nalarms/h/keyword (95 %)       threshold   missed" + ("   on other speakers" if kept else ""))
    for number, row in enumerate(rows):
        low, high = row.interval
        line = f"{row.alarms_per_hour:7.2f} ({low:.2f}-{high:.2f})".ljust(30) + f"{row.threshold:.4f}   {row.miss:6.1%}"
        if kept:
            line += f"   {kept[number].miss:6.1%} at {kept[number].alarms_per_hour:.2f}/h"
        typer.echo(line)
    at = next((one for row, one in zip(rows, kept, strict=False) if row.alarms_per_hour == alarms), None)
    if at is not None:
        shares = (f"{low}-{high}: {rate:.2f}" for (low, high), rate in zip(SIZES, at.of_classes, strict=True))
        typer.echo(f"alarms/h at {alarms:g}, by phonemes of the keyword   " + "   ".join(shares))


def _write(bundle: "Bundle", scale: "Calibration | None", told: dict[str, Any], alarms: float) -> None:
    from watchword.bundle import CALIBRATION_FILE, write_card
    from watchword.evaluate.calibration import FEWEST_PHONEMES, MOST_PHONEMES
    from watchword.runtime.calibration import write_calibration

    card = {key: value for key, value in bundle.card.items() if key not in ("format", "files")}
    row = next(row for row in told["rows"] if row["alarms_per_hour"] == alarms)
    card["threshold"] = row["threshold"]
    heard = ", in quiet, in noise and in rooms" if "conditions" in told else ""
    # What was said of an older threshold is no longer true.
    kept = [sentence for sentence in card.get("limits", ()) if "threshold" not in sentence]
    card["limits"] = [
        *kept,
        f"At its threshold a keyword of {FEWEST_PHONEMES} to {MOST_PHONEMES} phonemes raises {alarms:g} false alarms "
        f"an hour of running speech on average, some of them many more, and {row['missed']:.0%} of "
        f"{told['occurrences']} occurrences were missed ({told['keywords']} keywords, {told['hours']:.2f} hours"
        f"{heard}).",
    ]
    if scale is not None:
        told["score"] = write_calibration(bundle, scale)
    else:
        (bundle.path / CALIBRATION_FILE).unlink(missing_ok=True)
    card["calibration"] = told
    write_card(bundle.path, card)
    typer.echo(f"{bundle.path}: threshold {card['threshold']}")
