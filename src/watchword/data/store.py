"""The packed store: 16 kHz audio in one memory-mapped file, and the words and phrases that can be cut out of it."""

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from watchword.audio import SAMPLE_RATE, AudioError, read
from watchword.data.segment import Segment
from watchword.data.workers import WorkerKilledError, run_workers
from watchword.text.phonemes import encode
from watchword.text.pronounce import default_pronouncer

ITEM = np.dtype([("utterance", "u4"), ("start", "u4"), ("end", "u4"), ("label", "u4"), ("num_words", "u1")])
UTTERANCE = np.dtype(
    [("offset", "u8"), ("samples", "u4"), ("speaker", "u4"), ("corpus", "u2"), ("phone_offset", "u8"), ("phones", "u4")]
)
PHONE = np.dtype([("id", "u1"), ("start", "u4"), ("end", "u4")])
PART_SEGMENTS = 500
SHORTEST_SECONDS, LONGEST_SECONDS, LONGEST_GAP_SECONDS = 0.12, 2.5, 0.3


class StoreError(ValueError):
    """A store cannot be made or opened; the message says which and why."""


@dataclass(frozen=True)
class PackConfig:
    """What is cut out: words and phrases of up to `phrase_words`; text with a word of `holdout_words` is no label."""

    phrase_words: int = 4
    holdout_words: frozenset[str] = frozenset()


@dataclass
class _Part:
    """What one part of the manifest gives: audio, and rows that point into it."""

    audio: list[np.ndarray] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


class Store:
    """A packed store, opened read-only. Times are samples at 16 kHz within an utterance."""

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        try:
            index = json.loads((folder / "index.json").read_text())
            self.items = np.load(folder / "items.npy")
            self.utterances = np.load(folder / "utterances.npy")
            self._phones = np.load(folder / "phones.npy")
            self._audio = np.memmap(folder / "audio.bin", np.int16, "r")
        except (OSError, ValueError) as error:
            raise StoreError(f"{folder}: no whole store here ({error}); make one with `watchword pack`") from None
        if len(self._audio) != index["samples"]:
            raise StoreError(
                f"{folder}: audio.bin has {len(self._audio)} samples, the index says {index['samples']}; pack again"
            )
        self.folder = folder
        self.texts: list[str] = index["texts"]
        self.phonemes = [np.array(ids, np.int64) for ids in index["phonemes"]]
        self.speakers: list[str] = index["speakers"]
        self.corpora: list[str] = index["corpora"]
        self.sources: list[dict[str, Any]] = index["sources"]

    def audio(self, utterance: int) -> np.ndarray:
        """Returns an utterance's int16 samples, a view of the file."""
        row = self.utterances[utterance]
        return self._audio[int(row["offset"]) : int(row["offset"]) + int(row["samples"])]

    def phones(self, utterance: int) -> np.ndarray:
        """Returns an utterance's phones (id, start, end); id 0 is silence. Empty where it was not aligned."""
        row = self.utterances[utterance]
        return self._phones[int(row["phone_offset"]) : int(row["phone_offset"]) + int(row["phones"])]


def pack(
    segments: Iterable[Segment],
    out: Path,
    config: PackConfig | None = None,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Store:
    """Packs segments into a new store at `out`, whole or not at all.

    Parts that were finished before an interruption are kept beside it in `OUT.partial` and used again. Segments that
    cannot be read are listed in `skipped.tsv`. Raises StoreError for a full disk, or where `out` exists."""
    config = config or PackConfig()
    if (out / "index.json").exists():
        raise StoreError(f"{out}: a store is here already; choose another folder or remove it")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{out}: holds something else; choose a new folder for the store")
    listed = list(segments)
    if not listed:
        raise StoreError(f"{out}: nothing to pack; the manifests hold no segment of the chosen split")
    parts = [listed[i : i + PART_SEGMENTS] for i in range(0, len(listed), PART_SEGMENTS)]
    aside = out.with_name(out.name + ".partial")
    try:
        aside.mkdir(parents=True, exist_ok=True)
        jobs = [(part, str(aside / f"{_digest(part, config)}"), config) for part in parts]
        waiting = [job for job in jobs if not Path(job[1] + ".json").exists()]
        done = len(jobs) - len(waiting)
        for failure in run_workers(_open_packing, waiting, workers):
            if failure:
                raise StoreError(failure)
            done += 1
            if progress:
                progress(min(done * PART_SEGMENTS, len(listed)), len(listed))
        whole = aside / "whole"
        whole.mkdir(exist_ok=True)
        _join([job[1] for job in jobs], whole)
        if out.exists():
            out.rmdir()
        whole.rename(out)
        shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise StoreError(_disk_error(error, out)) from None
    except WorkerKilledError as error:
        raise StoreError(f"{out}: {error}") from None
    return Store(out)


def _disk_error(error: OSError, out: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"{out}: the disk is full; nothing was taken for whole; free some space, then run the same command to go on"
        )
    return f"{out}: cannot be written ({error.strerror or error})"


def _write(path: Path, content: bytes | memoryview) -> None:
    """Writes a file down to the disk; raises OSError with its errno, which numpy's own writing lacks."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _write_array(path: Path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array)
    _write(path, buffer.getbuffer())


def _open_packing() -> Callable[[tuple[list[Segment], str, PackConfig]], str]:
    return _pack_part


def _digest(part: Sequence[Segment], config: PackConfig) -> str:
    stated = "\n".join(segment.to_json() for segment in part)
    stated += f"|{config.phrase_words}|{sorted(config.holdout_words)}"
    return hashlib.sha256(stated.encode()).hexdigest()[:24]


def _pack_part(job: tuple[list[Segment], str, PackConfig]) -> str:
    segments, stem, config = job
    part = _Part()
    files: dict[str, np.ndarray | str] = {}
    for segment in segments:
        if segment.audio not in files:
            files.clear()  # segments of one file stand together
            try:
                files[segment.audio] = read(segment.audio)
            except AudioError as error:
                files[segment.audio] = str(error)
        samples = files[segment.audio]
        if isinstance(samples, str):
            part.skipped.append((segment.audio, samples))
            continue
        first, last = segment.bounds(len(samples))
        if last - first < SHORTEST_SECONDS * SAMPLE_RATE:
            why = (
                f"{segment.start_seconds} s to {segment.end_seconds} s is no stretch of {len(samples) / SAMPLE_RATE} s"
            )
            part.skipped.append((segment.audio, why))
            continue
        try:
            row = _cut(segment, samples[first:last], first, config)
        except ValueError as error:  # text that cannot be spoken
            part.skipped.append((segment.audio, str(error)))
            continue
        part.audio.append(np.clip(samples[first:last] * 32768.0, -32768, 32767).astype(np.int16))
        part.rows.append(row)
    contents = {
        ".bin": b"".join(audio.tobytes() for audio in part.audio),
        ".json": json.dumps({"rows": part.rows, "skipped": part.skipped}).encode(),  # last: it makes the part whole
    }
    aside = Path(f"{stem}.{os.getpid()}.tmp")  # a worker that outlived a killed call may still write the same part
    try:
        for suffix, content in contents.items():
            _write(aside, content)
            aside.replace(stem + suffix)
    except OSError as error:
        aside.unlink(missing_ok=True)
        # Named by the store that the person asked for, not by the folder of its parts.
        return _disk_error(error, Path(str(Path(stem).parent).removesuffix(".partial")))
    return ""


def _cut(segment: Segment, samples: np.ndarray, first: int, config: PackConfig) -> dict[str, Any]:
    """Lists the items of one segment: (start, end, text, phonemes, number of words)."""
    pronouncer = default_pronouncer()

    def place(seconds: float) -> int:
        return min(max(0, round(seconds * SAMPLE_RATE) - first), len(samples))

    items: list[tuple[int, int, str, list[int], int]] = []
    if segment.words:
        spoken = [(w, pronouncer.words(w.text)) for w in segment.words]
        for i in range(len(spoken)):
            text: list[str] = []
            phonemes: list[str] = []
            for j in range(i, min(i + config.phrase_words, len(spoken))):
                word, pieces = spoken[j]
                if j > i and word.start_seconds - spoken[j - 1][0].end_seconds > LONGEST_GAP_SECONDS:
                    break
                text += [piece for piece, _ in pieces]
                phonemes += [p for _, said in pieces for p in said]
                seconds = word.end_seconds - spoken[i][0].start_seconds
                if seconds > LONGEST_SECONDS or config.holdout_words.intersection(text):
                    break
                start, end = place(spoken[i][0].start_seconds), place(word.end_seconds)
                if end - start >= SHORTEST_SECONDS * SAMPLE_RATE and len(phonemes) >= 2:
                    items.append((start, end, " ".join(text), encode(phonemes), len(text)))
    else:
        pieces = pronouncer.words(segment.text)
        text = [piece for piece, _ in pieces]
        start, end = trim_silence(samples)
        if not config.holdout_words.intersection(text) and end - start <= LONGEST_SECONDS * SAMPLE_RATE:
            items.append(
                (start, end, " ".join(text), encode([p for _, said in pieces for p in said]), min(len(text), 255))
            )
    phones = [
        (0 if p.text == "SIL" else encode([p.text])[0], place(p.start_seconds), place(p.end_seconds))
        for p in segment.phones
    ]
    return {"samples": len(samples), "speaker": segment.speaker, "corpus": segment.corpus, "licence": segment.licence,
            "items": items, "phones": phones}  # fmt: skip


def trim_silence(samples: np.ndarray, floor_db: float = -40.0) -> tuple[int, int]:
    """Returns the (start, end) of what is louder than `floor_db` below the loudest 10 ms; all where nothing is."""
    hop = SAMPLE_RATE // 100
    whole = len(samples) // hop * hop
    if not whole:
        return 0, len(samples)
    power = (samples[:whole].reshape(-1, hop).astype(np.float64) ** 2).mean(1)
    loud = np.flatnonzero(power > power.max() * 10 ** (floor_db / 10))
    return (int(loud[0]) * hop, int(loud[-1] + 1) * hop) if len(loud) else (0, len(samples))


def _join(stems: Sequence[str], folder: Path) -> None:
    """Joins the parts into the files of a store. Texts said alike (homophones) share one label."""
    labels: dict[tuple[int, ...], int] = {}
    texts: list[str] = []
    speakers: dict[str, int] = {}
    corpora: dict[str, int] = {}
    sources: dict[tuple[str, str], list[float]] = {}
    # An array a part: lists of tuples would need ten times the memory of what they hold.
    items, utterances, phones, skipped = [], [], [], []
    count = 0
    offset, phone_offset = 0, 0
    with (folder / "audio.bin").open("wb") as audio:
        for stem in stems:
            part = json.loads(Path(stem + ".json").read_text(encoding="utf-8"))
            skipped += part["skipped"]
            with open(stem + ".bin", "rb") as file:
                shutil.copyfileobj(file, audio)
            part_items, part_utterances, part_phones = [], [], []
            for row in part["rows"]:
                for start, end, text, ids, num_words in row["items"]:
                    key = tuple(ids)
                    if key not in labels:
                        labels[key] = len(texts)
                        texts.append(text)
                    part_items.append((count, start, end, labels[key], num_words))
                part_phones += [tuple(phone) for phone in row["phones"]]
                speaker = speakers.setdefault(row["speaker"], len(speakers))
                corpus = corpora.setdefault(row["corpus"], len(corpora))
                part_utterances.append((offset, row["samples"], speaker, corpus, phone_offset, len(row["phones"])))
                source = sources.setdefault((row["corpus"], row["licence"]), [0, 0.0])
                source[0] += 1
                source[1] += row["samples"] / SAMPLE_RATE / 3600
                count += 1
                offset += row["samples"]
                phone_offset += len(row["phones"])
            items.append(np.array(part_items, ITEM))
            utterances.append(np.array(part_utterances, UTTERANCE))
            phones.append(np.array(part_phones, PHONE))
        audio.flush()
        os.fsync(audio.fileno())
    if not count:
        raise StoreError(f"{folder.parent}: no segment could be packed; the first: {': '.join(skipped[0])}")
    all_items, texts, keys = _by_frequency(np.concatenate(items), texts, list(labels))
    _write_array(folder / "items.npy", all_items)
    _write_array(folder / "utterances.npy", np.concatenate(utterances))
    _write_array(folder / "phones.npy", np.concatenate(phones))
    lines = ["\t".join(" ".join(column.split()) for column in row) + "\n" for row in skipped]
    _write(folder / "skipped.tsv", "".join(lines).encode())
    index = {
        "samples": offset, "texts": texts, "phonemes": keys, "speakers": list(speakers),
        "corpora": list(corpora),
        "sources": [
            {"corpus": corpus, "licence": licence, "clips": int(clips), "hours": round(hours, 3)}
            for (corpus, licence), (clips, hours) in sources.items()
        ],
    }  # fmt: skip
    _write(folder / "index.json", json.dumps(index).encode())


def _by_frequency(
    items: np.ndarray, texts: list[str], keys: list[tuple[int, ...]]
) -> tuple[np.ndarray, list[str], list[list[int]]]:
    """Renumbers labels, the most frequent class first, so that a classifier over the first n has those that matter."""
    order = np.argsort(-np.bincount(items["label"], minlength=len(texts)), kind="stable")
    place = np.empty(len(order), np.uint32)
    place[order] = np.arange(len(order), dtype=np.uint32)
    items["label"] = place[items["label"]]
    return items, [texts[i] for i in order], [list(keys[i]) for i in order]
