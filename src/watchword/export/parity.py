"""The proof that ends an export: onnxruntime gives what torch gives, for one frame as for half a minute."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE
from watchword.bundle import ACOUSTIC_FILE, ACOUSTIC_INT8_FILE, FEATURES_FILE, PHONEMES_FILE, POOLING_FILE, TEXTUAL_FILE
from watchword.model.keyword_model import KeywordModel
from watchword.runtime.encoder import empty_state
from watchword.text.phonemes import PHONEMES

FRAMES = (1, 2, 3, 7, 98, 301, 2998)
PHONEME_COUNTS = (1, 2, 3, 11, 60)
# The largest differences allowed, as a share of the largest value where that is above 1. Log-mel is the loosest: the
# graph's convolution and torch's transform round differently, which a logarithm near the floor makes visible.
TOLERANCES: dict[str, float] = dict.fromkeys(
    ("log_mel", "frames", "embedding", "phonemes", "tokens", "text", "cosine"), 1e-4
)

Array = NDArray[np.float32]


class ExportError(ValueError):
    """A model cannot be exported, or what was written does not compute what the model computes."""


class Sessions:
    """The graphs of a folder, as numpy functions; one thread."""

    def __init__(self, folder: Path, acoustic: str = "") -> None:
        # In 8 bits only where there is no other.
        acoustic = acoustic or (ACOUSTIC_FILE if (folder / ACOUSTIC_FILE).exists() else ACOUSTIC_INT8_FILE)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._sessions = {
            role: onnxruntime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
            for role, name in (
                ("log_mel", FEATURES_FILE),
                ("frames", acoustic),
                ("embedding", POOLING_FILE),
                ("text", TEXTUAL_FILE),
                ("phonemes", PHONEMES_FILE),
            )
            if name != PHONEMES_FILE or (folder / name).exists()
        }

    @property
    def multiple(self) -> int:
        """How many log-mel frames at a time, or a multiple of them, `frames` is given."""
        written = self._sessions["frames"].get_modelmeta().custom_metadata_map
        return int(written.get("frame_multiple", 1))

    def log_mel(self, audio: Array) -> Array:
        """Audio [b, samples] to log-mel [b, frames, 40]."""
        return self._run("log_mel", audio=audio)[0]

    def frames(self, log_mel: Array, pieces: Sequence[int] = ()) -> Array:
        """Log-mel [b, frames, 40] to frames [b, frames, dim]; where the context is local, to those that do not lean on
        what would follow, [b, frames - lookahead, dim], in `pieces` of so many frames and a last one."""
        past = self._sessions["frames"].get_inputs()[1:]
        if not past:
            return self._run("frames", log_mel=log_mel)[0]
        rows = []
        for row in log_mel:
            states, found = [empty_state(state.shape) for state in past], []
            for piece in np.split(row[None], np.cumsum(pieces, dtype=int), axis=1):
                named = dict(zip((state.name for state in past), states, strict=True))
                frames, *states = self._run("frames", log_mel=piece, **named)
                found.append(frames)
            rows.append(np.concatenate(found, axis=1))
        return np.concatenate(rows)

    def pool(self, frames: Array, lengths: Sequence[int]) -> Array:
        """Frames [n, t, dim], of which the first `lengths` count, to embeddings [n, dim]."""
        return self._run("embedding", frames=frames, lengths=np.asarray(lengths, np.int64))[0]

    def phonemes(self, frames: Array) -> Array:
        """Frames [b, frames, dim] to log-posteriors [b, frames, 72] of their phonemes."""
        return self._run("phonemes", frames=frames)[0]

    def text(self, phonemes: Sequence[int]) -> tuple[Array, Array]:
        """Phoneme ids to tokens [1, p, dim] and one embedding [1, dim]."""
        tokens, embedding = self._run("text", phonemes=np.asarray([phonemes], np.int64))
        return tokens, embedding

    def _run(self, role: str, **inputs: NDArray[np.generic]) -> list[Array]:
        return [np.asarray(output, np.float32) for output in self._sessions[role].run(None, inputs)]


def prove(model: KeywordModel, folder: Path) -> dict[str, float]:
    """Compares the graphs of a folder with the `exportable` model that they were written from.

    Returns the largest difference of each graph and of cosines through the whole path. Raises ExportError where one is
    larger than `TOLERANCES` allow."""
    sessions = Sessions(folder)
    worst = {name: 0.0 for name in TOLERANCES if name != "phonemes" or model.frame_head is not None}

    def compare(name: str, ours: Array, expected: torch.Tensor, what: str) -> None:
        reference = expected.numpy()
        if ours.shape != reference.shape:
            raise ExportError(f"{folder}: {name} of {what} has the shape {ours.shape}, torch gives {reference.shape}")
        difference = float(np.abs(ours - reference).max()) / max(1.0, float(np.abs(reference).max()))
        # not (a <= b): NaN must fail too
        if not difference <= TOLERANCES[name]:
            raise ExportError(
                f"{folder}: onnxruntime and torch differ by {difference:.2g} in {name} of {what}, more than the "
                f"{TOLERANCES[name]:.0e} allowed; nothing was exported"
            )
        worst[name] = max(worst[name], difference)

    rng = np.random.default_rng(0)
    texts, torch_texts = [], []
    with torch.inference_mode():
        for count in PHONEME_COUNTS:
            ids = rng.integers(2, len(PHONEMES), count).tolist()
            tokens, embedding = sessions.text(ids)
            torch_tokens, torch_embedding = model.textual(torch.tensor([ids]), torch.tensor([count]))
            compare("tokens", tokens, torch_tokens, f"{count} phonemes")
            compare("text", embedding, torch_embedding, f"{count} phonemes")
            texts.append(embedding[0])
            torch_texts.append(torch_embedding[0])
        multiple = model.acoustic.frame_multiple
        ahead = model.acoustic.lookahead_frames if model.config.acoustic.context == "local" else 0
        for count in FRAMES:
            what = f"{count} frames"
            more = ahead + -(count + ahead) % multiple
            audio = np.stack(list(_scenes(rng, FRAME_SAMPLES + (count + more - 1) * HOP_SAMPLES)))
            log_mel = model.features(torch.from_numpy(audio))
            compare("log_mel", sessions.log_mel(audio), log_mel, what)
            frames = model.acoustic(log_mel)[:, :count]
            compare("frames", sessions.frames(log_mel.numpy())[:, :count], frames, what)
            if ahead and count > 60:
                pieces = [ahead + multiple, multiple, *(multiple * rng.integers(1, count // 8 // multiple, 6)).tolist()]
                compare("frames", sessions.frames(log_mel.numpy(), pieces)[:, :count], frames, f"{what} in pieces")
            if model.frame_head is not None:
                expected = torch.log_softmax(model.frame_head(frames), dim=-1)
                compare("phonemes", sessions.phonemes(frames.numpy()), expected, what)
            # Spans of several lengths in one call: what stands past a span's end must not count.
            lengths = [max(1, count // share) for share in range(1, len(frames) + 1)]
            pooled = model.acoustic.pool(frames, torch.tensor(lengths))
            compare("embedding", sessions.pool(frames.numpy(), lengths), pooled, what)
            through = sessions.pool(sessions.frames(sessions.log_mel(audio))[:, :count], lengths)
            expected = torch.nn.functional.cosine_similarity(pooled[:, None], torch.stack(torch_texts)[None], dim=2)
            compare("cosine", cosines(through, np.stack(texts)), expected, what)
    return worst


def cosines(audio: Array, text: Array) -> Array:
    """Cosine of each row of audio [n, dim] with each row of text [m, dim]."""
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-8) for rows in (audio, text)]
    return unit[0] @ unit[1].T


def _scenes(rng: np.random.Generator, samples: int) -> Iterable[Array]:
    """Audio to compare on: loud noise, faint noise, harmonics that swell and fade under noise, digital silence."""
    time = np.arange(samples) / SAMPLE_RATE
    noise = rng.standard_normal(samples)
    voice = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 20)) * (1 + np.sin(2 * np.pi * 3 * time))
    for scene in (0.3 * noise, 0.001 * noise, 0.1 * voice + 0.002 * noise, 0 * noise):
        yield scene.astype(np.float32)
