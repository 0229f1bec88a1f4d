"""Recordings for the augmentation: what kind a file is of, packs that stay on disk, and what is refused."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from watchword.audio import SAMPLE_RATE
from watchword.data import sounds as module
from watchword.data.sounds import SoundsError, load_sounds, packed_size, write_pack


def white(seed: int, seconds: float = 0.5) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def test_a_flat_folder_and_those_below_it_are_noise(tmp_path: Path) -> None:
    (tmp_path / "street").mkdir()
    soundfile.write(tmp_path / "street" / "a.wav", white(0, 2.0)[::2], 8000)
    soundfile.write(tmp_path / "b.flac", white(1, 1.0), SAMPLE_RATE)
    (tmp_path / "readme.txt").write_text("no sound")
    found = load_sounds(tmp_path)
    assert sorted(len(noise) for noise in found.noise) == pytest.approx([16000, 32000], abs=50)
    assert (len(found.music), len(found.speech), len(found.rooms)) == (0, 0, 0)
    assert len(load_sounds(tmp_path / "absent").noise) == 0


def test_the_layout_of_musan_tells_the_kind(tmp_path: Path) -> None:
    for seed, kind in enumerate(("music", "noise", "speech", "rooms")):
        (tmp_path / kind / "some-source").mkdir(parents=True)
        soundfile.write(tmp_path / kind / "some-source" / "a.wav", white(seed, 0.1 * (seed + 1)), SAMPLE_RATE)
    found = load_sounds(tmp_path)
    assert [[len(sound) for sound in kind] for kind in (found.music, found.noise, found.speech, found.rooms)] == [
        [1600], [3200], [4800], [6400],
    ]  # fmt: skip


def test_packs_come_back_sample_by_sample(tmp_path: Path) -> None:
    given = [white(1), white(2, 0.25), white(3, 0.75)]
    assert write_pack(tmp_path, "music", "a", given[:2], "CC0") == (2, pytest.approx(0.75 / 3600))
    write_pack(tmp_path, "music", "b", given[2:], "CC0")
    soundfile.write(tmp_path / "music" / "loose.wav", white(4), SAMPLE_RATE)
    music = load_sounds(tmp_path).music
    again = pickle.loads(pickle.dumps(music))
    assert len(pickle.dumps(music)) < 2 * white(4).nbytes  # the loose one travels, the packs do not
    for found in (music, again):
        assert [sound.dtype for sound in found] == [np.float32, np.int16, np.int16, np.int16]
        for sound, true in zip(found[1:], given, strict=True):
            assert np.allclose(sound / 32767, true, atol=1e-4)
    assert np.array_equal(music[-1], music[3])
    with pytest.raises(IndexError):
        music[4]


def test_rooms_are_packed_at_their_peak(tmp_path: Path) -> None:
    """Measured responses are faint: as they are, sixteen bits would lose their tails."""
    write_pack(tmp_path, "rooms", "r", [1e-4 * white(1)], "Apache-2.0")
    assert np.abs(np.asarray(load_sounds(tmp_path).rooms[0])).max() == 32767
    assert json.loads((tmp_path / "rooms" / "r.json").read_text())["licence"] == "Apache-2.0"


def test_the_size_of_a_pack_is_told_where_it_is_whole(tmp_path: Path) -> None:
    assert packed_size(tmp_path, "noise", "n") is None
    written = write_pack(tmp_path, "noise", "n", [white(1), white(2)], "CC0")
    assert packed_size(tmp_path, "noise", "n") == written
    (tmp_path / "noise" / "n.npy").write_bytes(b"")
    assert packed_size(tmp_path, "noise", "n") is None


def test_a_pack_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken():
        yield white(1)
        raise ValueError("disk on fire")

    with pytest.raises(ValueError, match="disk on fire"):
        write_pack(tmp_path, "noise", "n", broken(), "CC0")
    with pytest.raises(SoundsError, match="no recordings to pack"):
        write_pack(tmp_path, "noise", "n", [], "CC0")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_damaged_packs_are_named(tmp_path: Path) -> None:
    write_pack(tmp_path, "noise", "n", [white(1)], "CC0")
    pack = tmp_path / "noise" / "n.npy"
    whole = pack.read_bytes()
    for damage in (whole[:-100], b"", whole[:50]):
        pack.write_bytes(damage)
        with pytest.raises(SoundsError, match=r"n\.npy: is no whole pack"):
            load_sounds(tmp_path)
    pack.write_bytes(whole)
    pack.with_suffix(".json").write_text("{}")
    with pytest.raises(SoundsError, match="prepare it again"):
        load_sounds(tmp_path)


def test_more_loose_files_than_memory_should_hold_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", white(1, 2.0), SAMPLE_RATE)
    monkeypatch.setattr(module, "MOST_LOOSE_HOURS", 1 / 3600)
    with pytest.raises(SoundsError, match="watchword prepare musan"):
        load_sounds(tmp_path)
