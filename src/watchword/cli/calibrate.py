"""The command `watchword calibrate`: sets a bundle's threshold by false alarms an hour on running speech."""

import math
from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.", show_default=False)],
    manifests: Annotated[
        list[Path], typer.Argument(help="Aligned segments.jsonl of speech not used in training.", show_default=False)
    ],
    speaker: Annotated[
        list[str] | None, typer.Option(help="Only recordings of this speaker; may be repeated.", show_default="all")
    ] = None,
    split: Annotated[str, typer.Option(help="The split to take; `all` takes every one.")] = "train",
    alarms: Annotated[float, typer.Option(min=0.01, help="False alarms an hour and keyword to allow.")] = 0.5,
    keywords: Annotated[int, typer.Option(min=10, help="Phrases to listen for, drawn from the manifests.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Decides which phrases.")] = 0,
    write: Annotated[bool, typer.Option(help="Write the threshold into the bundle's card.")] = True,
) -> None:
    """Choose a bundle's threshold: at most so many false alarms an hour and keyword, on average, in running speech."""
    from watchword.bundle import Bundle, write_card
    from watchword.cli.progress import progress_bar
    from watchword.data.segment import read_segments
    from watchword.evaluate import calibration
    from watchword.runtime import Spotter

    loaded = Bundle.load(bundle)
    everything = [segment for manifest in manifests for segment in read_segments(manifest)]
    chosen = calibration.choose_keywords(everything, keywords, seed)
    wanted = [s for s in everything if (not speaker or s.speaker in speaker) and split in ("all", s.split)]
    spotter = Spotter(chosen, bundle=loaded, threshold=calibration.LOWEST_SCORE)

    def scan(path: str, _: object) -> list[calibration.Found]:
        return [(d.keyword, d.score, d.start_seconds, d.end_seconds) for d in spotter.scan(path)]

    rates = sorted({0.1, 0.5, 1.0, 10.0, alarms})
    with progress_bar("calibrating") as progress:
        found = calibration.calibrate(wanted, chosen, scan, rates, progress=progress)
    typer.echo(f"{found.hours:.2f} hours of speech, {found.keywords} keywords, {found.occurrences} occurrences")
    typer.echo("alarms/h/keyword (95 %)       threshold   missed")
    for row in found.rows:
        low, high = row.interval
        typer.echo(
            f"{row.alarms_per_hour:7.2f} ({low:.2f}-{high:.2f})".ljust(30) + f"{row.threshold:.4f}   {row.miss:6.1%}"
        )
    row = found.at(alarms)
    if not write:
        return
    if math.isnan(row.miss):
        typer.echo("calibrate: none of the keywords is said in this speech; nothing was written", err=True)
        raise typer.Exit(2)
    card = {key: value for key, value in loaded.card.items() if key not in ("format", "files")}
    card["threshold"] = round(row.threshold, 4)
    # What was said of an older threshold is no longer true.
    kept = [sentence for sentence in card.get("limits", ()) if "threshold" not in sentence]
    card["limits"] = [
        *kept,
        f"At its threshold a keyword of {calibration.FEWEST_PHONEMES} to {calibration.MOST_PHONEMES} phonemes raises "
        f"{alarms} false alarms an hour of running speech on average, some of them many more, and {row.miss:.0%} of "
        f"{found.occurrences} occurrences were missed ({found.keywords} keywords, {found.hours:.2f} hours).",
    ]
    card["calibration"] = {
        "alarms_per_hour": alarms,
        "keywords": found.keywords,
        "hours": round(found.hours, 3),
        "seed": seed,
        "speakers": sorted({segment.speaker for segment in wanted}),
        "rows": [
            {"alarms_per_hour": r.alarms_per_hour, "threshold": round(r.threshold, 4), "missed": round(r.miss, 4)}
            for r in found.rows
        ],
    }
    write_card(bundle, card)
    typer.echo(f"{bundle}: threshold {card['threshold']}")
