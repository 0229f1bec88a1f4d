"""A bundle's networks: audio to frames, frames to embeddings of spans, phonemes to embeddings of keywords."""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE, num_frames
from watchword.bundle import FEATURES_FILE, PHONEMES_FILE, POOLING_FILE, TEXTUAL_FILE, Bundle, BundleError
from watchword.runtime.alignment import phoneme_costs
from watchword.text.phonemes import PHONEMES, encode
from watchword.text.pronounce import Pronouncer

# Frames pooled in one call: measured, 0.5 MB is 1.45 times as fast as 8 MB (it stays in the cache), with 100 MB less.
_POOLED_BYTES = 1 << 19
_KNOWN_TEXTS = 100_000


class Encoder:
    """The networks of a bundle, each opened when first needed; many threads may share one.

    `threads` is what onnxruntime may use within one call."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        self.bundle, self.threads = bundle, threads
        self.pronouncer = Pronouncer(bundle.text_folder)
        if tuple(bundle.card.get("phonemes", PHONEMES)) != PHONEMES:
            raise BundleError(f"{bundle.path}: made for other phonemes than this Watchword's; export the bundle again")
        self.text_variants = lru_cache(_KNOWN_TEXTS)(self._text_variants)

    @property
    def is_local(self) -> bool:
        """Whether frames can be computed once over a recording, however spans are then laid over it."""
        return self.bundle.context == "local"

    @property
    def width(self) -> int:
        """How wide a row is."""
        return self.bundle.dim if self.is_local else int(self.bundle.card["model"]["bins"])

    def rows(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """What spans are cut from, [frames, width], of audio [samples]: frame embeddings where the context is local,
        else log-mel, whose spans go through the whole network by themselves. Silence follows."""
        if self.streams:
            frames = num_frames(len(audio))
            more = self.bundle.lookahead_frames
            more += -(frames + more) % self.bundle.frame_multiple
            return self.stream_rows(np.pad(audio, (0, more * HOP_SAMPLES)))[0][:frames]
        log_mel = self.log_mel(audio)
        return _run(self._acoustic, "frames", log_mel=log_mel[None])[0] if self.is_local else log_mel

    def log_mel(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """The log-mel energies [frames, bins] of audio [samples]."""
        return _run(self._features, "log_mel", audio=audio[None])[0]

    @property
    def streams(self) -> bool:
        """Whether frames of a stream can be computed once each, by `stream_rows`; graphs of old bundles cannot."""
        return self.is_local and len(self._acoustic.get_inputs()) > 1

    def stream_rows(
        self, audio: NDArray[np.float32], state: Sequence[NDArray[np.float32]] = ()
    ) -> tuple[NDArray[np.float32], Sequence[NDArray[np.float32]]]:
        """The rows of the next piece of a recording: [new, width], and the state that the piece after it needs.

        All but the first piece, whose state is (), give as many rows as `log_mel`; that one gives the bundle's
        `lookahead_frames` fewer, and must be longer than those. Each has a multiple of its `frame_multiple` frames."""
        session = self._acoustic
        taken = session.get_inputs()
        state = state or [empty_state(past.shape) for past in taken[1:]]
        named = dict(zip((past.name for past in taken), [self.log_mel(audio)[None], *state], strict=True))
        frames, *after = session.run(None, named)
        return np.asarray(frames)[0], [np.asarray(kept) for kept in after]

    def embed_spans(self, rows: NDArray[np.float32], starts: NDArray[np.integer], length: int) -> NDArray[np.float32]:
        """Embeds the spans rows[start : start + length]: unit vectors [starts, dim]."""
        windows = np.lib.stride_tricks.sliding_window_view(rows, length, axis=0).transpose(0, 2, 1)
        at_once = max(1, _POOLED_BYTES // (4 * length * self.bundle.dim))
        pieces = [self._embed(windows[starts[i : i + at_once]]) for i in range(0, len(starts), at_once)]
        return np.concatenate(pieces) if pieces else np.empty((0, self.bundle.dim), np.float32)

    @property
    def hears_phonemes(self) -> bool:
        """Whether rows have phoneme costs: the context is local, and the bundle has a phoneme classifier."""
        return self.is_local and self.bundle.hears_phonemes

    def phoneme_costs(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """What each phoneme class costs in rows [frames, width]: [frames, classes], see `alignment`."""
        if not len(rows):
            return phoneme_costs(np.empty((0, len(PHONEMES)), np.float32))
        return phoneme_costs(_run(self._phonemes, "log_posteriors", frames=rows[None])[0])

    def embed_whole(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeds rows [frames, width], such as those of a clip, as one span: a unit vector [dim]."""
        return self.embed_spans(rows, np.array([0]), len(rows))[0]

    def clip_rows(self, clip: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows [frames, width] of a clip [samples] that is set in the silence that the card states."""
        before, after = self.silence_samples
        rows = self.rows(np.pad(clip, (before, max(0, FRAME_SAMPLES - len(clip)) + after)))
        return rows[self.silence_frames :][: num_frames(max(len(clip), FRAME_SAMPLES))]

    @cached_property
    def silence_samples(self) -> tuple[int, int]:
        """The silence in which clips and recordings are set, before and after, in whole hops; none where the context is
        the utterance."""
        if not self.is_local:
            return 0, 0
        before, after = (
            round(seconds * SAMPLE_RATE / HOP_SAMPLES) * HOP_SAMPLES for seconds in self.bundle.clip_silence_seconds
        )
        return before, after

    @property
    def silence_frames(self) -> int:
        """How many frames begin in the silence before a recording."""
        return self.silence_samples[0] // HOP_SAMPLES

    def _text_variants(self, text: str) -> tuple[tuple[int, ...], NDArray[np.float32]]:
        """The pronunciations of a text: their numbers of phonemes, and unit vectors [pronunciations, dim].

        Raises TextError or PhonemeError for a text that cannot be spoken."""
        variants = self.pronouncer.variants(text)
        rows = np.concatenate([self._embed_phonemes(variant) for variant in variants])
        rows.setflags(write=False)
        return tuple(map(len, variants)), rows

    def _embed_phonemes(self, phonemes: Sequence[str]) -> NDArray[np.float32]:
        return _unit(_run(self._textual, "embedding", phonemes=np.array([encode(phonemes)], np.int64)))

    def _embed(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        windows = np.ascontiguousarray(windows)
        frames = windows if self.is_local else _run(self._acoustic, "frames", log_mel=windows)
        lengths = np.full(len(frames), frames.shape[1], np.int64)
        return _unit(_run(self._pooling, "embedding", frames=frames, lengths=lengths))

    @cached_property
    def _features(self) -> onnxruntime.InferenceSession:
        return self._open(FEATURES_FILE)

    @cached_property
    def _acoustic(self) -> onnxruntime.InferenceSession:
        return self._open(self.bundle.acoustic_file)

    @cached_property
    def _pooling(self) -> onnxruntime.InferenceSession:
        return self._open(POOLING_FILE)

    @cached_property
    def _phonemes(self) -> onnxruntime.InferenceSession:
        return self._open(PHONEMES_FILE)

    @cached_property
    def _textual(self) -> onnxruntime.InferenceSession:
        return self._open(TEXTUAL_FILE)

    def _open(self, name: str) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.log_severity_level = 3
        path = self.bundle.path / name
        try:
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no class but this
            why = str(error).splitlines()[0][:120]
            raise BundleError(f"{path}: onnxruntime cannot open it ({why}); export the bundle again") from None


def empty_state(shape: Sequence[int | str | None]) -> NDArray[np.float32]:
    """What a graph remembers before anything was heard: nothing, along the one axis of its shape that may vary."""
    return np.zeros([size if isinstance(size, int) else 0 for size in shape], np.float32)


def _run(session: onnxruntime.InferenceSession, output: str, **inputs: NDArray) -> NDArray[np.float32]:
    return np.asarray(session.run([output], inputs)[0])


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
