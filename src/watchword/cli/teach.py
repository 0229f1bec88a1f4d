"""The command `watchword prepare teach`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from watchword.prepare.teach import Encoder


def teach(
    store: Annotated[Path, typer.Argument(help="The folder from `watchword pack`.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder to write, for data.teaching.", show_default=False)
    ],
    whisper: Annotated[
        Path | None,
        typer.Option(
            help="A folder with a Whisper model converted by CTranslate2 (model.bin).", show_default="Whisper base"
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=0, help="Threads on the processor; 0 is four, or as many as there are cores.")
    ] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Where Whisper runs: auto is a GPU where PyTorch finds one, and else the processor."),
    ] = "auto",
) -> None:
    """Let Whisper's encoder listen to a store, and keep what it says every 20 ms, to teach frames by it.

    An interrupted call goes on where it stopped.
    """
    from watchword.audio import SAMPLE_RATE
    from watchword.cli.prepare import resumable
    from watchword.cli.progress import progress_bar
    from watchword.data.store import Store
    from watchword.prepare.teach import teach as listen

    opened = Store(store)
    encoder = _encoder(whisper, threads, device)
    with resumable(), progress_bar("listening") as progress:
        listen(opened, out, encoder, progress=progress)
    hours = float(opened.utterances["samples"].sum()) / SAMPLE_RATE / 3600
    typer.echo(f"{out}: {encoder.name} heard {len(opened.utterances)} utterances, {hours:.2f} hours")


def _encoder(whisper: Path | None, threads: int, device: str) -> "Encoder":
    """Whisper's encoder where it is to run. Raises StoreError where a GPU is asked for and something is missing."""
    from watchword.data.store import StoreError
    from watchword.prepare.teach import WhisperEncoder, teacher_name, whisper_model

    missing = None if device == "cpu" else _missing_for_a_gpu()
    if device == "cuda" and missing:
        raise StoreError(f"--device cuda: {missing}, or choose --device cpu")
    if device == "cpu" or missing:
        return WhisperEncoder(whisper, threads)
    from watchword.prepare.whisper_on_gpu import TorchWhisperEncoder, read_ctranslate2_encoder

    state = read_ctranslate2_encoder(whisper_model(whisper))
    return TorchWhisperEncoder(state, name=teacher_name(whisper), device="cuda")


def _missing_for_a_gpu() -> str | None:
    """What keeps Whisper from running on a GPU, and what to do; None where nothing does."""
    try:
        import torch
    except ModuleNotFoundError:
        return 'PyTorch is not installed; run pip install "watchword[train]"'
    if not torch.cuda.is_available():
        return "PyTorch finds no GPU; look whether nvidia-smi does and PyTorch is built for CUDA"
    return None
