"""Files that an installed package carries: models of others are read from packages, not downloaded."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path


def package_files(package: str) -> dict[str, Path] | None:
    """The files of an installed package, by their names without folders (of several that share one, the last);
    None where it is not installed."""
    try:
        listed = files(package) or []
    except PackageNotFoundError:
        return None
    return {path.name: Path(str(path.locate())) for path in listed}
