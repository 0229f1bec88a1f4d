"""Recordings of noise, music, voices and rooms for the augmentation: loose files, or packs mapped into memory."""

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, overload

import numpy as np
import soundfile

from watchword.audio import SAMPLE_RATE, SUFFIXES, read

KINDS = ("noise", "music", "speech", "rooms")
# Loose files are held in memory, 230 MB an hour, once for each worker's view of it.
MOST_LOOSE_HOURS = 8.0


class SoundsError(ValueError):
    """Recordings cannot be read or packed; the message says which, and what to do."""


class Recordings(Sequence[np.ndarray]):
    """Recordings at 16 kHz: loose float32 arrays, then those of packs, int16 that stay on disk until they are used."""

    def __init__(self, loose: Sequence[np.ndarray] = (), packs: Sequence[Path] = ()) -> None:
        self._loose, self._packs = list(loose), list(packs)
        self._ends = [np.asarray(_index(pack)["ends"], np.int64) for pack in self._packs]
        self._firsts = np.cumsum([len(self._loose), *map(len, self._ends)]).tolist()
        self._mapped: list[np.ndarray] = []

    def __len__(self) -> int:
        return self._firsts[-1]

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Returns one recording, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        if place < len(self._loose):
            return self._loose[place]
        pack = bisect_right(self._firsts, place) - 1
        ends, row = self._ends[pack], place - self._firsts[pack]
        return self._map()[pack][int(ends[row - 1]) if row else 0 : int(ends[row])]

    def _map(self) -> list[np.ndarray]:
        if len(self._mapped) < len(self._packs):
            self._mapped = [np.asarray(np.load(pack, mmap_mode="r")) for pack in self._packs]
        return self._mapped

    def __getstate__(self) -> dict[str, Any]:
        # A worker that is not forked maps the packs itself: gigabytes are not to be pickled.
        return self.__dict__ | {"_mapped": []}


class Sounds(NamedTuple):
    """What a folder holds for the augmentation, by kind."""

    noise: Recordings = Recordings()
    music: Recordings = Recordings()
    speech: Recordings = Recordings()
    rooms: Recordings = Recordings()


def load_sounds(folder: str | Path) -> Sounds:
    """Reads a folder: what lies in its subfolders `music`, `speech` and `rooms` is of that kind, all else is noise.

    So MUSAN's own layout is understood, a flat folder of noises too, and what `write_pack` wrote among either. Loose
    files become 16 kHz float32. A folder that does not exist holds nothing. Raises SoundsError for more loose files
    than memory should hold, and for a pack that is not whole."""
    folder = Path(folder)
    loose: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    packs: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for path in sorted(folder.rglob("*")):
        top = path.relative_to(folder).parts[0]
        kind = top if top in KINDS else "noise"
        if path.suffix.lower() in SUFFIXES:
            loose[kind].append(path)
        elif path.suffix == ".npy" and path.with_suffix(".json").exists():
            packs[kind].append(path)
    _check_size(folder, [path for paths in loose.values() for path in paths])
    return Sounds(*(Recordings([read(path) for path in loose[kind]], packs[kind]) for kind in KINDS))


def write_pack(folder: Path, kind: str, name: str, sounds: Iterable[np.ndarray], licence: str) -> tuple[int, float]:
    """Packs float recordings at 16 kHz as `folder/KIND/NAME.npy` (int16) and `NAME.json`; returns how many, and hours.

    Rooms are scaled to a peak of 1. The pack appears whole or not at all. Raises SoundsError where there are none."""
    place = folder / kind / f"{name}.npy"
    place.parent.mkdir(parents=True, exist_ok=True)
    aside, ends, total = place.with_suffix(".tmp"), [], 0
    try:
        with aside.open("wb") as file:
            _write_header(file, 0)
            for sound in sounds:
                if kind == "rooms":
                    sound = sound / max(float(np.abs(sound).max()), 1e-9)
                file.write((np.clip(sound, -1, 1) * 32767).round().astype("<i2").tobytes())
                total += len(sound)
                ends.append(total)
            file.seek(0)
            _write_header(file, total)
        if not ends:
            raise SoundsError(f"{place}: not written, since there are no recordings to pack")
        place.with_suffix(".json").unlink(missing_ok=True)
        aside.replace(place)
    finally:
        aside.unlink(missing_ok=True)
    index = {"kind": kind, "licence": licence, "sample_rate": SAMPLE_RATE, "ends": ends}
    place.with_suffix(".json").write_text(json.dumps(index) + "\n", encoding="utf-8")
    return len(ends), total / SAMPLE_RATE / 3600


def packed_size(folder: Path, kind: str, name: str) -> tuple[int, float] | None:
    """How many recordings, and hours, a pack holds; none where it is not there whole."""
    try:
        ends = _index(folder / kind / f"{name}.npy")["ends"]
    except SoundsError:
        return None
    return len(ends), ends[-1] / SAMPLE_RATE / 3600


def _write_header(file: BinaryIO, total: int) -> None:
    # NumPy leaves room for the number to grow: the header of any total is of one length.
    np.lib.format.write_array_header_1_0(file, {"descr": "<i2", "fortran_order": False, "shape": (total,)})


def _index(pack: Path) -> dict[str, Any]:
    try:
        index = json.loads(pack.with_suffix(".json").read_text(encoding="utf-8"))
        samples = np.load(pack, mmap_mode="r")
        if index["sample_rate"] == SAMPLE_RATE and samples.dtype == np.int16 and index["ends"][-1] == len(samples):
            return index
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError):
        pass
    raise SoundsError(f"{pack}: is no whole pack of recordings; delete it and its .json, and prepare it again")


def _check_size(folder: Path, paths: list[Path]) -> None:
    try:
        hours = sum(soundfile.info(path).duration for path in paths) / 3600
    except soundfile.LibsndfileError:
        return  # reading it says which file it is, and what is wrong with it
    if hours > MOST_LOOSE_HOURS:
        raise SoundsError(
            f"{folder}: holds {hours:.0f} hours of loose recordings, too many to keep in memory; "
            "pack them with `watchword prepare musan` or `watchword prepare rirs_noises`, and name their --out"
        )
