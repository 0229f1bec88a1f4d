"""An exported model on disk: its files, their hashes, and its card; loaded and verified."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

FORMAT = 1
CARD_FILE = "card.json"
FEATURES_FILE, ACOUSTIC_FILE, ACOUSTIC_INT8_FILE = "features.onnx", "acoustic.onnx", "acoustic.int8.onnx"
POOLING_FILE, TEXTUAL_FILE, PHONEMES_FILE = "pooling.onnx", "textual.onnx", "phonemes.onnx"
LEXICON_FILE, G2P_FILE, NOTICE_FILE = "lexicon.txt.xz", "g2p.npz", "NOTICE.md"
CALIBRATION_FILE = "calibration.npz"
_REQUIRED = (FEATURES_FILE, POOLING_FILE, TEXTUAL_FILE)
INSIDE = Path(__file__).parent / "bundles"
DEFAULT = INSIDE / "default"
# A bundle's files that decide its scores: the card itself changes when figures are written on it.
_SCORING_SUFFIXES = (".onnx", ".xz", ".npz")
_AGAIN = "export or fetch the bundle again"


class BundleError(ValueError):
    """A bundle that is missing, incomplete, damaged or of a newer format; the message names the file and what to do."""


@dataclass(frozen=True)
class Bundle:
    """A bundle's folder and its card. Loading opens no model: that is the runtime's."""

    path: Path
    card: Mapping[str, Any]

    @classmethod
    def load(cls, path: "str | Path | None" = None, verify: bool = True) -> "Bundle":
        """Reads a bundle's folder, or one of those inside the package by its name (None: default).

        Sizes are always compared with the card, SHA-256 hashes where `verify`. Raises BundleError."""
        folder = DEFAULT if path is None else Path(path)
        if not folder.exists() and folder.parent == Path() and (INSIDE / folder).is_dir():
            folder = INSIDE / folder
        if not folder.is_dir():
            if path is None:
                raise BundleError("bundle: this installation of Watchword has none inside; name a bundle's folder")
            what = "is a file; name the folder that holds it" if folder.exists() else "no such folder"
            raise BundleError(f"{folder}: {what}")
        card = _read_card(folder)
        bundle = cls(folder, card)
        texts = () if bundle.text_folder is None else (LEXICON_FILE, G2P_FILE)
        for name in {*_REQUIRED, *texts, bundle.acoustic_file} - set(card["files"]):
            raise BundleError(f"{folder / CARD_FILE}: lists no file {name!r}; {_AGAIN}")
        for name, listed in card["files"].items():
            _check(folder / name, listed["bytes"], listed["sha256"] if verify else None)
        return bundle

    @property
    def name(self) -> str:
        """What the model is called."""
        return str(self.card.get("name", self.path.name))

    @property
    def context(self) -> Literal["utterance", "local"]:
        """Whether frames see the whole utterance, or so little that they can be computed once over a stream."""
        return self.card["model"]["context"]

    @property
    def dim(self) -> int:
        """The length of embeddings."""
        return int(self.card["model"]["dim"])

    @property
    def left_context_frames(self) -> int:
        """How many frames before it a frame's embedding depends on."""
        return int(self.card["model"]["left_context_frames"])

    @property
    def lookahead_frames(self) -> int:
        """How many frames after it a frame's embedding depends on."""
        return int(self.card["model"]["lookahead_frames"])

    @property
    def frame_multiple(self) -> int:
        """A stream's graph is given so many frames at a time, or a multiple of them."""
        return int(self.card["model"].get("frame_multiple", 1))

    @property
    def clip_silence_seconds(self) -> tuple[float, float]:
        """The silence before and after in which a cut-out clip is set."""
        return float(self.card["clip"]["before_seconds"]), float(self.card["clip"]["after_seconds"])

    @property
    def seconds_per_phoneme(self) -> float:
        """How long a phoneme lasts, on average over the training data."""
        return float(self.card["seconds_per_phoneme"])

    @property
    def threshold(self) -> float:
        """The score from which on a keyword counts as found, unless its owner says otherwise."""
        return float(self.card["threshold"])

    @property
    def calibration(self) -> Mapping[str, Any]:
        """What `watchword calibrate` has measured: thresholds by false alarms and the scale of scores, or nothing."""
        return self.card.get("calibration") or {}

    @property
    def text_folder(self) -> Path | None:
        """Where its pronunciations are; None for a small bundle, which takes those that are in the package."""
        return self.path if {LEXICON_FILE, G2P_FILE} & set(self.card["files"]) else None

    @property
    def hears_phonemes(self) -> bool:
        """Whether it also tells the phonemes of single frames, so that detections can be aligned."""
        return PHONEMES_FILE in self.card["files"]

    @property
    def acoustic_file(self) -> str:
        """The name of the acoustic model that is run by default."""
        return str(self.card["acoustic"]["file"])

    @cached_property
    def sha256(self) -> str:
        """A hash of the card, and so of every file it lists."""
        return _sha256(self.path / CARD_FILE)


def bundle_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of the files of a bundle that decide its scores (not its card)."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in _SCORING_SUFFIXES):
        digest.update(f"{path.name} {_sha256(path)}\n".encode())
    return digest.hexdigest()


def write_card(folder: Path, card: Mapping[str, Any]) -> Bundle:
    """Fills "files" with the size and hash of every file in `folder`, writes the card last and atomically: until then
    the folder is no bundle. Returns it loaded and verified."""
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name != CARD_FILE and p.suffix != ".part")
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": _sha256(folder / name)} for name in names}
    unfinished = folder / f"{CARD_FILE}.part"
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump({"format": FORMAT, **card, "files": files}, file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / CARD_FILE)
    finally:
        unfinished.unlink(missing_ok=True)
    return Bundle.load(folder)


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / CARD_FILE
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{folder}: has no {CARD_FILE}, so it is no bundle; make one with watchword export") from None
    except (ValueError, OSError) as error:
        raise BundleError(f"{path}: cannot be read as JSON ({error}); {_AGAIN}") from None
    version = card.get("format") if isinstance(card, dict) else None
    if not isinstance(version, int):
        raise BundleError(f"{path}: states no format, so it is no bundle's card; {_AGAIN}")
    if version > FORMAT:
        from watchword import __version__

        raise BundleError(
            f"{folder}: format {version} is newer than this Watchword ({__version__}) reads; upgrade watchword"
        )
    _check_card(path, card)
    return card


def _check_card(path: Path, card: dict[str, Any]) -> None:
    """Looks up, once, everything that the properties will look up."""
    bundle = Bundle(path.parent, card)
    try:
        if bundle.context not in ("utterance", "local"):
            raise BundleError(f"{path}: model.context is {bundle.context!r}, neither 'utterance' nor 'local'; {_AGAIN}")
        _ = (bundle.dim, bundle.left_context_frames, bundle.lookahead_frames, bundle.clip_silence_seconds)
        if bundle.frame_multiple < 1:
            raise BundleError(f"{path}: model.frame_multiple is {bundle.frame_multiple}, less than 1; {_AGAIN}")
        _ = (bundle.seconds_per_phoneme, bundle.threshold, bundle.acoustic_file)
        if not isinstance(bundle.calibration, Mapping):
            raise ValueError("calibration is no table")
        for name, listed in card["files"].items():
            _ = (int(listed["bytes"]), str(listed["sha256"]))
            if Path(name).name != name:
                raise BundleError(f"{path}: lists {name!r}, which is outside its folder; {_AGAIN}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BundleError):
            raise
        why = f"lacks {error.args[0]!r}" if isinstance(error, KeyError) else f"holds an unusable value ({error})"
        raise BundleError(f"{path}: {why}; {_AGAIN}") from None


def _check(path: Path, size: int, sha256: str | None) -> None:
    if not path.is_file():
        raise BundleError(f"{path}: missing, though the card lists it; {_AGAIN}")
    found = path.stat().st_size
    if found != size:
        raise BundleError(f"{path}: damaged, {found} bytes instead of {size}; {_AGAIN}")
    if sha256 is not None and _sha256(path) != sha256:
        raise BundleError(f"{path}: damaged, its hash is not the one on the card; {_AGAIN}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["DEFAULT", "FORMAT", "Bundle", "BundleError", "bundle_hash", "write_card"]
