"""Forced alignment of words and phones, with pocketsphinx or a bundle, for speech that comes without times."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from watchword.audio import AudioError, read
from watchword.bundle import Bundle
from watchword.data.segment import Segment, Timed, write_segments
from watchword.data.workers import WorkerKilledError, run_workers
from watchword.prepare.alignment import AlignError, Alignment, too_long_or_short
from watchword.prepare.model_aligner import ModelAligner
from watchword.prepare.records import RecordWriter, read_records
from watchword.text.pronounce import default_pronouncer

FRAMES_PER_SECOND = 100
# Kept with each rejection: those of an older aligner are tried again.
ALIGNER = 2


class Aligner:
    """One pocketsphinx decoder with its dictionary grown by our pronunciations."""

    name = ""

    def __init__(self) -> None:
        try:
            from pocketsphinx import Decoder
        except ImportError:
            raise AlignError('align: needs pocketsphinx; pip install "watchword[prepare]"') from None
        # The best-path pass loses the end of the alignment for one utterance in four (LibriSpeech, speechocean762).
        self._decoder: Any = Decoder(lm=None, loglevel="FATAL", bestpath=False)
        self._stressed: dict[tuple[str, str], tuple[str, ...]] = {}

    def align(self, samples: np.ndarray, text: str) -> Alignment | str:
        """Aligns 16 kHz samples with their text; returns the alignment, or why it was rejected."""
        words = [word for word, _ in default_pronouncer().words(text)]
        if not words:
            return "no words"
        for word in words:
            self._learn(word)
        pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes()
        decoder = self._decoder
        try:
            decoder.set_align_text(" ".join(words))
            self._decode(pcm)
            if decoder.hyp() is None:
                return "does not align"
            decoder.set_alignment()
            self._decode(pcm)
            return self._read(words)
        except RuntimeError:
            return "does not align"

    def _decode(self, pcm: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, False, True)
        self._decoder.end_utt()

    def _learn(self, word: str) -> None:
        """Adds a word's pronunciations, and remembers their stress: the decoder's phones have none."""
        if (word, "") in self._stressed:
            return
        self._stressed[word, ""] = ()
        variants = default_pronouncer().variants(word)
        number = 1
        for variant in variants:
            bare = " ".join(p.rstrip("012") for p in variant)
            self._stressed.setdefault((word, bare), variant)
        for bare in {bare for w, bare in self._stressed if w == word and bare}:
            while self._decoder.lookup_word(name := word if number == 1 else f"{word}({number})") is not None:
                if self._decoder.lookup_word(name) == bare:
                    break
                number += 1
            else:
                self._decoder.add_word(name, bare, True)

    def _read(self, words: Sequence[str]) -> Alignment | str:
        found, phones = [], []
        place = 0
        # The entries live only while they are iterated over: read them here and now.
        for entry in self._decoder.get_alignment():
            start = entry.start
            pieces = [(p.name, p.start, p.duration) for p in entry]
            name = entry.name.split("(")[0]
            end = start + entry.duration
            if name.startswith(("<", "[", "++")) or place >= len(words) or name != words[place]:
                phones.append(Timed("SIL", start / FRAMES_PER_SECOND, end / FRAMES_PER_SECOND))
                continue
            place += 1
            bare = " ".join(p for p, _, _ in pieces)
            stressed = self._stressed.get((name, bare)) or _guess_stress([p for p, _, _ in pieces])
            found.append(Timed(name, start / FRAMES_PER_SECOND, end / FRAMES_PER_SECOND))
            for phone, (_, first, length) in zip(stressed, pieces, strict=True):
                phones.append(Timed(phone, first / FRAMES_PER_SECOND, (first + length) / FRAMES_PER_SECOND))
        if place != len(words):
            return f"{place} of {len(words)} words found"
        alignment = Alignment(tuple(found), tuple(phones))
        return too_long_or_short(alignment) or alignment


def _guess_stress(phones: Sequence[str]) -> tuple[str, ...]:
    """Stresses the first vowel of a pronunciation that only the decoder's dictionary has."""
    stressed, seen = [], False
    for phone in phones:
        vowel = phone[0] in "AEIOU"
        stressed.append(phone + ("0" if seen else "1") if vowel else phone)
        seen = seen or vowel
    return tuple(stressed)


def align_segments(
    segments: Iterable[Segment],
    out: Path,
    *,
    bundle: Bundle | None = None,
    again: bool = False,
    jobs: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Counter[str]:
    """Aligns segments that have no words yet (`again`: all) and writes those that align to `out`; the counts by outcome
    are returned. A `bundle` aligns with its own phoneme classifier, else pocketsphinx does.

    What does not align is listed in `OUT.rejected.tsv`. Finished segments are kept in `OUT.parts/`, so that an
    interrupted call goes on where it stopped. Raises AlignError where pocketsphinx is missing, the bundle cannot align,
    or a worker is killed."""
    listed = list(segments)
    parts = out.with_name(out.name + ".parts")
    parts.mkdir(parents=True, exist_ok=True)
    # Asked now, so that a bundle that cannot align is one sentence and no worker's traceback.
    name = ModelAligner(bundle).name if bundle else ""
    done = _read_done(parts, name)
    wanted = [segment for segment in listed if again or not segment.words]
    waiting = [segment for segment in wanted if _key(segment) not in done]
    if waiting:
        count = len(listed) - len(waiting)
        if progress:
            progress(count, len(listed))
        try:
            with RecordWriter(parts) as writer:
                for record in run_workers(partial(_open_work, bundle.path if bundle else None), waiting, jobs):
                    writer.write(record)
                    done[record["key"]] = record
                    count += 1
                    if progress:
                        progress(count, len(listed))
        except WorkerKilledError as error:
            raise AlignError(f"align: {error}") from None
    outcomes: Counter[str] = Counter()
    aligned, rejected = [], []
    for segment in listed:
        record = done.get(_key(segment), {})
        if segment.words and not again:
            aligned.append(segment)
            outcomes[f"{segment.corpus}: already aligned"] += 1
        elif "words" in record:
            words, phones = (
                tuple(Timed(t, s + segment.start_seconds, e + segment.start_seconds) for t, s, e in record[k])
                for k in ("words", "phones")
            )
            aligned.append(replace(segment, words=words, phones=phones))
            outcomes[f"{segment.corpus}: aligned"] += 1
        else:
            rejected.append("\t".join((segment.audio, " ".join(segment.text.split()), str(record["rejected"]))))
            outcomes[f"{segment.corpus}: rejected"] += 1
    out.with_name(out.name + ".rejected.tsv").write_text("".join(f"{line}\n" for line in rejected), encoding="utf-8")
    write_segments(out, aligned)
    return outcomes


def _key(segment: Segment) -> str:
    return f"{segment.audio}|{segment.start_seconds:.3f}|{segment.text}"


def _read_done(parts: Path, bundle: str) -> dict[str, dict[str, Any]]:
    """Reads what is finished: what this `bundle` did; or pocketsphinx's alignments, and the rejections of this
    version."""
    records = (r for r in read_records(parts) if r.get("bundle", "") == bundle)
    return {r["key"]: r for r in records if "words" in r or r.get("aligner") == ALIGNER}


def _open_work(bundle: Path | None) -> Callable[[Segment], dict[str, Any]]:
    aligner = ModelAligner(Bundle.load(bundle, verify=False)) if bundle else Aligner()

    def work(segment: Segment) -> dict[str, Any]:
        try:
            samples = read(segment.audio)
            first, last = segment.bounds(len(samples))
            result = aligner.align(samples[first:last], segment.text)
        except ValueError as error:
            result = str(error) if isinstance(error, AudioError) else f"{type(error).__name__}: {error}"
        record: dict[str, Any] = {"key": _key(segment), "bundle": aligner.name}
        if isinstance(result, str):
            return record | {"rejected": result, "aligner": ALIGNER}
        for key in ("words", "phones"):
            record[key] = [[t.text, t.start_seconds, t.end_seconds] for t in getattr(result, key)]
        return record

    return work
