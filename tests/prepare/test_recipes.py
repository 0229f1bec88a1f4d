"""Packing by Lhotse's recipes goes on where it stopped, and an interruption loses no part that was done."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from watchword.audio import SAMPLE_RATE
from watchword.data.segment import SegmentError
from watchword.data.sounds import load_sounds
from watchword.prepare.known_corpora import MUSAN
from watchword.prepare.recipes import pack_all, run_recipe


def test_what_is_packed_is_kept_and_the_rest_goes_on(tmp_path: Path) -> None:
    paths = {}
    for kind in ("noise", "music"):
        paths[kind] = [tmp_path / f"{kind}{number}.wav" for number in range(3)]
        for seed, path in enumerate(paths[kind]):
            samples = 0.1 * np.random.default_rng(seed).standard_normal(4000)
            soundfile.write(path, samples, SAMPLE_RATE)
    out, told = tmp_path / "out", []

    def interrupt(done: int, total: int | None) -> None:
        told.append((done, total))
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_all(MUSAN, paths, out, progress=interrupt)
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == ["musan.json", "musan.npy"]
    first = (out / "noise" / "musan.npy").stat().st_mtime_ns
    told.clear()
    packed = pack_all(MUSAN, paths, out, progress=lambda done, total: told.append((done, total)))
    assert {kind: count for kind, (count, _) in packed.items()} == {"noise": 3, "music": 3}
    assert told == [(4, 6), (5, 6), (6, 6)]
    assert (out / "noise" / "musan.npy").stat().st_mtime_ns == first
    assert [len(kind) for kind in load_sounds(out)] == [3, 3, 0, 0]
    assert pack_all(MUSAN, {"noise": paths["noise"][:2]}, out)["noise"][0] == 2  # another corpus is packed anew


def test_a_recipes_complaint_is_one_sentence() -> None:
    def fails(recipes: object) -> None:
        raise KeyError("music-0001\n  was not found")

    with pytest.raises(SegmentError, match=r"^musan: Lhotse's recipe gave up \(KeyError: .*\)$"):
        run_recipe(MUSAN, fails)
