"""The commands `watchword prepare CORPUS`: corpora that others give out, each in the layout it is given out in."""

from pathlib import Path
from typing import Annotated

import typer

from watchword.cli.importing import import_segments, tell_lacking

_Out = Annotated[Path, typer.Option("--out", "-o", help="The segments.jsonl to write.", show_default=False)]
_Pack = Annotated[
    Path, typer.Option("--out", "-o", help="The folder to pack into, for data.noise.", show_default=False)
]
_Alignments = Annotated[
    Path | None, typer.Option(help="A folder of *.TextGrid, or a CTM file, with the words' times.", show_default="none")
]
_Partial = Annotated[bool, typer.Option("--partial", help="Leave out what has no audio, instead of an error.")]


def librispeech(
    folder: Annotated[Path, typer.Argument(help="The folder that holds SPEAKERS.TXT.", show_default=False)],
    out: _Out,
    alignments: Annotated[
        Path | None,
        typer.Option(help="The folder of the public alignments (*.TextGrid), or a CTM file.", show_default="none"),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option(help="A subset, as train-clean-100, or 100, 360, 500; may be repeated.", show_default="all"),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the subsets, and the alignments if none are named, first.")
    ] = False,
    mirror: Annotated[str, typer.Option(help="Where to fetch from.", show_default="OpenSLR")] = "",
) -> None:
    """Read LibriSpeech as OpenSLR lays it out, with its public alignments or without.

    An interrupted download goes on where it was cut off; what comes is checked by its MD5.
    """
    from watchword.cli.progress import progress_bar
    from watchword.data.segment import SegmentError
    from watchword.prepare.librispeech import MIRROR, download_alignments, download_librispeech, read_librispeech

    if download:
        if not subset:
            raise SegmentError("librispeech: --download needs --subset, as in --subset 100 --subset dev-clean")
        with progress_bar("downloading MiB") as progress:
            download_librispeech(folder, subset, mirror=mirror or MIRROR, progress=progress)
            alignments = alignments or download_alignments(folder, progress=progress)
    import_segments(out, read_librispeech(folder, alignments=alignments, subsets=subset or ()))


def king_asr_066(
    folder: Annotated[Path, typer.Argument(help="The folder that holds DATA/CHANNEL*.", show_default=False)],
    out: _Out,
    alignments: _Alignments = None,
    split: Annotated[str, typer.Option(help="The split to state.")] = "train",
    partial: _Partial = False,
) -> None:
    """Read King-ASR-066 (licensed by DataOceanAI), the paper's training set, with word segments or without."""
    from watchword.prepare.king_asr_066 import read_king_asr_066

    lacking: list[str] = []
    found = read_king_asr_066(folder, alignments=alignments, split=split, lacking=lacking if partial else None)
    import_segments(out, found, lacking)


def wsj(
    folders: Annotated[list[Path], typer.Argument(help="wsj0, wsj1, or folders that hold them.", show_default=False)],
    out: _Out,
    listed: Annotated[
        list[Path] | None,
        typer.Option("--list", help="An *.ndx list of utterances; may be repeated.", show_default="all utterances"),
    ] = None,
    alignments: _Alignments = None,
    microphone: Annotated[int, typer.Option(min=1, max=2, help="1 for *.wv1, 2 for *.wv2.")] = 1,
) -> None:
    """Read the Wall Street Journal corpus as the LDC gives it out: sphere files, dot transcripts, ndx lists."""
    from watchword.prepare.wsj import read_wsj

    import_segments(out, read_wsj(folders, lists=listed or (), microphone=microphone, alignments=alignments))


def libriphrase(
    lists: Annotated[Path, typer.Argument(help="The folder of the released *_1word.csv to *_4word.csv.")],
    audio: Annotated[Path, typer.Argument(help="The released clips, or LibriSpeech's train-other-500.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the lists to.", show_default=False)],
    alignments: Annotated[
        Path | None, typer.Option(help="LibriSpeech's public TextGrids, to cut phrases by.", show_default="none")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Let lists of other sizes pass, and leave out rows without audio.")
    ] = False,
) -> None:
    """Check the released LibriPhrase lists and find, or cut, their clips, for `watchword evaluate`.

    An interrupted call goes on where it stopped.
    """
    from watchword.cli.progress import progress_bar
    from watchword.prepare.libriphrase import prepare_libriphrase

    with progress_bar("rows") as progress:
        done = prepare_libriphrase(lists, audio, out, alignments=alignments, partial=partial, progress=progress)
    sizes = ", ".join(f"{count} of {words} {'word' if words == 1 else 'words'}" for words, count in done.rows.items())
    typer.echo(f"{out}: {sum(done.rows.values())} rows ({sizes}), {done.cut} clips cut")
    tell_lacking(done.lacking)


def speech_commands(
    folder: Annotated[Path, typer.Argument(help="The folder of a release, or of its test set.", show_default=False)],
    out: _Out,
    noise: Annotated[
        Path | None, typer.Option(help="A folder to pack the background noises into.", show_default="not packed")
    ] = None,
) -> None:
    """Read Speech Commands v1 or v2, its splits by testing_list.txt and validation_list.txt."""
    from watchword.prepare.speech_commands import pack_background, read_speech_commands

    import_segments(out, read_speech_commands(folder))
    if noise:
        _tell(noise, {"noise": pack_background(folder, noise)})


def qualcomm(
    folder: Annotated[Path, typer.Argument(help="The folder of the four phrases.", show_default=False)],
    out: _Out,
    split: Annotated[str, typer.Option(help="The split to state.")] = "test",
) -> None:
    """Read the Qualcomm keyword speech dataset: hey android, hey snapdragon, hi galaxy, hi lumina."""
    from watchword.prepare.qualcomm import read_qualcomm

    import_segments(out, read_qualcomm(folder, split))


def musan(
    folder: Annotated[Path, typer.Argument(help="The folder that holds music, noise and speech.", show_default=False)],
    out: _Pack,
) -> None:
    """Pack MUSAN's noise, music and voices for the augmentation (12.5 GB)."""
    from watchword.cli.progress import progress_bar
    from watchword.prepare.musan import pack_musan

    with progress_bar("packing") as progress:
        packed = pack_musan(folder, out, progress=progress)
    _tell(out, packed)


def rirs_noises(
    folder: Annotated[Path, typer.Argument(help="The folder that holds simulated_rirs.", show_default=False)],
    out: _Pack,
    rooms: Annotated[list[str] | None, typer.Option(help="small, medium or large; may be repeated.")] = None,
) -> None:
    """Pack the responses of RIRS_NOISES' simulated rooms, small and medium ones, for the augmentation."""
    from watchword.cli.progress import progress_bar
    from watchword.prepare.rirs_noises import pack_rirs_noises

    with progress_bar("packing") as progress:
        packed = pack_rirs_noises(folder, out, sizes=rooms or ("small", "medium"), progress=progress)
    _tell(out, packed)


def _tell(out: Path, packed: dict[str, tuple[int, float]]) -> None:
    for kind, (count, hours) in packed.items():
        typer.echo(f"{out / kind}: {count} recordings, {hours:.2f} hours")
