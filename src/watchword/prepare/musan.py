"""MUSAN, found by Lhotse's recipe and packed as noise, music and voices for the augmentation."""

from pathlib import Path

from watchword.prepare.known_corpora import MUSAN
from watchword.prepare.recipes import Progress, audio_paths, pack_all, run_recipe

PARTS = ("noise", "music", "speech")


def pack_musan(folder: Path, out: Path, *, progress: Progress | None = None) -> dict[str, tuple[int, float]]:
    """Packs MUSAN as `out/noise`, `out/music` and `out/speech`; returns how many recordings, and hours, of each.

    A part that is packed already is kept. Raises SegmentError for another corpus, or an incomplete or damaged one."""
    folder = MUSAN.folder(folder)
    folder = folder / "musan" if (folder / "musan").is_dir() else folder
    for part in PARTS:
        if not any((folder / part).rglob("*.wav")):
            raise MUSAN.unlike(folder, f"has no {part}/**/*.wav")
    if not any((folder / "music").rglob("ANNOTATIONS")):
        raise MUSAN.unlike(folder, "has no music/**/ANNOTATIONS")
    manifests = run_recipe(MUSAN, lambda recipes: recipes.prepare_musan(folder))
    paths = {part: audio_paths(manifests[part]["recordings"]) for part in PARTS}
    return pack_all(MUSAN, paths, out, progress=progress)
