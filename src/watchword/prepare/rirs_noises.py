"""RIRS_NOISES: the responses of simulated rooms, found by Lhotse's recipe and packed for the augmentation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from watchword.data.segment import SegmentError
from watchword.prepare.known_corpora import RIRS_NOISES
from watchword.prepare.recipes import Progress, audio_paths, pack_all, run_recipe

SIZES = ("small", "medium", "large")
# What is left of a response after this is below -60 dB of it.
_REMAINDER = 1e-6


def pack_rirs_noises(
    folder: Path, out: Path, *, sizes: Sequence[str] = ("small", "medium"), progress: Progress | None = None
) -> dict[str, tuple[int, float]]:
    """Packs rooms of some sizes as `out/rooms`, each cut where it has died away; returns how many, and hours.

    Small and medium rooms, as many of the one as of the other, are what Kaldi's VoxCeleb recipe takes. Raises
    SegmentError for another corpus, an incomplete one, an unknown size, or a damaged file."""
    folder = RIRS_NOISES.folder(folder)
    folder = folder / "RIRS_NOISES" if (folder / "RIRS_NOISES").is_dir() else folder
    if unknown := [size for size in sizes if size not in SIZES]:
        raise SegmentError(f"rirs_noises: no rooms of size {unknown[0]!r}; there are {', '.join(SIZES)}")
    for size in sizes:
        if not any((folder / "simulated_rirs" / f"{size}room").rglob("*.wav")):
            raise RIRS_NOISES.unlike(folder, f"has no simulated_rirs/{size}room/**/*.wav")
    manifests = run_recipe(RIRS_NOISES, lambda recipes: recipes.prepare_rir_noise(folder, parts=["sim_rir"]))
    chosen = [one for one in manifests["sim_rir"]["recordings"] if one.id.partition("-")[0] in sizes]
    return pack_all(RIRS_NOISES, {"rooms": audio_paths(chosen)}, out, change=died_away, progress=progress)


def died_away(response: np.ndarray) -> np.ndarray:
    """Cuts a response where less than a millionth of its energy is still to come.

    >>> died_away(np.array([1.0, 0.1, 1e-4, 1e-5])).tolist()
    [1.0, 0.1]
    """
    left = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    return response[: max(1, int(np.count_nonzero(left > _REMAINDER * left[0])))]
