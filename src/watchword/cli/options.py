"""Options that commands share: the bundle to search with, and what may be asked for in place of a threshold."""

from pathlib import Path
from typing import Annotated

import typer

BundleFolder = Annotated[
    Path | None,
    typer.Option(help="A bundle's folder, or small, or large.", show_default="the default one inside the package"),
]
FalseAlarms = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        help="Instead of --threshold: false alarms that each keyword may raise in an hour of speech, on average.",
    ),
]
