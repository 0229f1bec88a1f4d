"""The command `watchword version`: the version, and those of what it runs on, for bug reports."""

import platform
from importlib import metadata

import typer


def version() -> None:
    """Print the version, and those of what it runs on."""
    from watchword import __version__

    typer.echo(f"watchword {__version__}")
    typer.echo(f"python {platform.python_version()} on {platform.platform()}")
    for package in ("numpy", "onnxruntime", "soundfile", "soxr", "torch"):
        try:
            typer.echo(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            typer.echo(f"{package} not installed")
