"""Bundles out of models: graphs, proof, lexicon, notice and card, written aside and renamed whole."""

import errno
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watchword import __version__
from watchword.bundle import ACOUSTIC_FILE, NOTICE_FILE, Bundle, BundleError, write_card
from watchword.export.graphs import exportable, write_graphs
from watchword.export.parity import ExportError, prove
from watchword.model.features import NUM_BINS
from watchword.model.keyword_model import KeywordModel
from watchword.text import pronounce
from watchword.text.phonemes import PHONEMES
from watchword.train.scoring import CLIP_AFTER_SECONDS, CLIP_BEFORE_SECONDS

_TEXT_DATA = Path(pronounce.__file__).parent / "data"
# A usual rate of speech, for models whose training data is unknown.
SECONDS_PER_PHONEME = 0.08

Finish = Callable[[KeywordModel, Path], Mapping[str, Any]]
"""Given the exported model and the unfinished bundle's folder: writes more files, returns more of the card."""


def export_model(
    model: KeywordModel,
    out: Path,
    card: Mapping[str, Any] | None = None,
    *,
    force: bool = False,
    compact: bool = False,
    pronounces: bool = True,
    finish: Finish | None = None,
) -> Bundle:
    """Exports a model into a new bundle at `out`, whole or not at all; `card` overrides what the card says by default.

    The text encoder's weights are rounded to 8 bits, the others to float16, or, in a `compact` bundle, to 8 bits too.
    One that does not pronounce takes the pronunciations of the package instead of its own. Raises ExportError where
    onnxruntime does not equal torch, where `out` exists (with `force`: where it is no bundle), or the disk is full."""
    model = exportable(model, compact)
    with _written_aside(out, force) as folder:
        write_graphs(model, folder, compact)
        contents = {**default_card(model, out.name), **(card or {})}
        contents["parity"] = prove(model, folder)
        for name in (pronounce.LEXICON_FILE, pronounce.G2P_FILE) if pronounces else ():
            shutil.copyfile(_TEXT_DATA / name, folder / name)
        said = notice(contents["data"], contents.get("teachers") or (), pronounces=pronounces)
        (folder / NOTICE_FILE).write_text(said, encoding="utf-8")
        if finish:
            contents |= finish(model, folder)
        write_card(folder, contents)
    return Bundle.load(out)


def default_card(model: KeywordModel, name: str) -> dict[str, Any]:
    """What a card says of any model: its sizes, how clips are presented to it, and typical values for the rest."""
    acoustic = model.acoustic
    before, after = clip_silence(model)
    return {
        "name": name,
        "watchword": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": {
            "context": acoustic.config.context,
            "dim": acoustic.config.dim,
            "bins": NUM_BINS,
            "left_context_frames": acoustic.left_context_frames,
            "lookahead_frames": acoustic.lookahead_frames,
            "frame_multiple": acoustic.frame_multiple,
            "parameters": {
                "acoustic": sum(weight.numel() for weight in acoustic.parameters()),
                "textual": sum(weight.numel() for weight in model.textual.parameters()),
            },
        },
        "clip": {"before_seconds": before, "after_seconds": after},
        "phonemes": list(PHONEMES),
        "acoustic": {"file": ACOUSTIC_FILE},
        "seconds_per_phoneme": SECONDS_PER_PHONEME,
        "threshold": 0.5,
        "recipe": {},
        "training": {},
        "data": [],
        "metrics": {},
        "limits": [],
    }


def clip_silence(model: KeywordModel) -> tuple[float, float]:
    """The seconds of silence before and after a clip that a model is given: as validation in training does."""
    local = model.config.acoustic.context == "local"
    return (CLIP_BEFORE_SECONDS, CLIP_AFTER_SECONDS) if local else (0.0, 0.0)


def notice(
    data: Sequence[Mapping[str, Any]], teachers: Sequence[Mapping[str, str]] = (), *, pronounces: bool = True
) -> str:
    """The notice of a bundle: the licences of the speech and of the `teachers` that its weights learned from, then
    those of the text side, where the bundle has one of its own: where it `pronounces`."""
    weights = "No data is recorded: the weights of this bundle were not trained, or elsewhere."
    if data:
        rows = [f"| {d['corpus']} | {d['licence'] or 'not stated'} | {d['clips']} | {d['hours']:.1f} |" for d in data]
        weights = "\n".join(["| corpus | licence | clips | hours |", "|---|---|---|---|", *rows])
    parts = [f"# What this bundle was made from\n\n## Speech that reached the weights\n\n{weights}"]
    if teachers:
        rows = [f"| {t['what']} | {t['role']} | {t['licence']} | {t['learned_from']} |" for t in teachers]
        header = ["| model | what it did | licence | learned from |", "|---|---|---|---|"]
        parts.append("## Models of others that reached the weights\n\n" + "\n".join([*header, *rows]))
    if pronounces:
        parts.append((_TEXT_DATA / "NOTICE.md").read_text(encoding="utf-8").replace("# Where", "## Where", 1))
    else:
        parts.append(
            "## Pronunciations\n\nThis bundle holds none. Those of the package watchword are used, under the licences "
            "in its `text/data/NOTICE.md`.\n"
        )
    return "\n\n".join(parts)


@contextmanager
def _written_aside(out: Path, force: bool) -> Iterator[Path]:
    """Gives a folder beside `out` to write into; it takes the place of `out` at the end, or is removed on any error."""
    if out.exists():
        try:
            Bundle.load(out, verify=False)
        except BundleError:
            if not out.is_dir() or any(out.iterdir()):
                raise ExportError(f"{out}: exists and is no bundle; choose another folder") from None
        else:
            if not force:
                raise ExportError(f"{out}: a bundle is here already; choose another folder, or replace it with --force")
    place = out.resolve()
    aside, old = (place.with_name(f".{place.name}.{state}") for state in ("partial", "old"))
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
            place.rename(old)
        aside.rename(place)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        why = "the disk is full; free some space" if full else f"cannot be written ({error.strerror or error})"
        raise ExportError(f"{out}: {why}; nothing was exported") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
