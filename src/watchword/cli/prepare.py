"""The commands `watchword prepare …`: manifests of speech to train on, from corpora or from voices."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.importing import import_segments

if TYPE_CHECKING:
    from watchword.data.segment import Segment

_Out = Annotated[Path, typer.Option("--out", "-o", help="The segments.jsonl to write.", show_default=False)]
_Licence = Annotated[str, typer.Option(help="The corpus's licence, which goes into the cards of models.")]
_Corpus = Annotated[str, typer.Option(help="The corpus's name.", show_default="the file's or folder's")]
_Split = Annotated[str, typer.Option(help="The split to state, as train, dev or test.")]
_Jobs = Annotated[int, typer.Option(min=0, help="Processes; 0 is one a core.")]


def manifest(
    folders: Annotated[list[Path], typer.Argument(help="Folders that hold a manifest.tsv.", show_default=False)],
    out: _Out,
    licence: _Licence = "",
) -> None:
    """Turn folders with a manifest.tsv (path, text, speaker, seconds, corpus, split) into one segments.jsonl."""
    from watchword.prepare.manifest import read_manifest

    import_segments(out, (segment for folder in folders for segment in read_manifest(folder, licence)))


def lhotse(
    cuts: Annotated[list[Path], typer.Argument(help="cuts.jsonl or cuts.jsonl.gz files.", show_default=False)],
    out: _Out,
    corpus: _Corpus = "",
    split: _Split = "train",
    licence: _Licence = "",
) -> None:
    """Read Lhotse CutSets (needs the lhotse package); their word and phone alignments are kept."""
    from watchword.prepare.lhotse import read_lhotse

    found = (read_lhotse(path, corpus=corpus, split=split, licence=licence) for path in cuts)
    import_segments(out, (segment for segments in found for segment in segments))


def kaldi(
    folders: Annotated[list[Path], typer.Argument(help="Folders with wav.scp and text.", show_default=False)],
    out: _Out,
    corpus: _Corpus = "",
    split: _Split = "train",
    licence: _Licence = "",
) -> None:
    """Read Kaldi data folders: wav.scp, text and, where they are there, segments, utt2spk and ctm."""
    from watchword.prepare.kaldi import read_kaldi

    found = (read_kaldi(folder, corpus=corpus, split=split, licence=licence) for folder in folders)
    import_segments(out, (segment for segments in found for segment in segments))


def align(
    manifests: Annotated[
        list[Path], typer.Argument(help="segments.jsonl files, or folders with a manifest.tsv.", show_default=False)
    ],
    out: _Out,
    licence: Annotated[str, typer.Option(help="The licence of folders with a manifest.tsv.")] = "",
    bundle: Annotated[
        Path | None,
        typer.Option(
            help="Align with this bundle (default, small or a folder), which is better on accents and children.",
            show_default="pocketsphinx",
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also align segments that have times.")] = False,
    jobs: _Jobs = 0,
) -> None:
    """Find the times of words and phones; segments that have them pass through, what does not align is left out.

    An interrupted call goes on where it stopped.
    """
    from watchword.bundle import Bundle
    from watchword.cli.progress import progress_bar
    from watchword.data.segment import SegmentError, read_segments
    from watchword.prepare.align import align_segments
    from watchword.prepare.manifest import read_manifest

    segments: list[Segment] = []
    for path in manifests:
        if path.absolute() == out.absolute():
            raise SegmentError(f"{path}: is both read and written; choose another --out")
        segments += read_manifest(path, licence) if path.is_dir() else read_segments(path)
    with resumable(), progress_bar("aligning") as progress:
        using = Bundle.load(bundle) if bundle else None
        outcomes = align_segments(segments, out, bundle=using, again=again, jobs=jobs, progress=progress)
    for outcome, count in sorted(outcomes.items()):
        typer.echo(f"{outcome.removeprefix(': ')}: {count}")
    if any(outcome.endswith("rejected") for outcome in outcomes):
        typer.echo(f"why some were rejected: {out.with_name(out.name + '.rejected.tsv')}", err=True)


def synthesize(
    texts: Annotated[
        list[Path], typer.Argument(help="Lists of words, phrases or sentences, one a line.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the corpus.", show_default=False)],
    clips: Annotated[
        int | None, typer.Option(min=1, help="How many clips to speak.", show_default="one a text")
    ] = None,
    engine: Annotated[
        list[str],
        typer.Option(
            help="kokoro, kokoro_accented, piper, flite, festival or espeak, with a share of the clips after a colon."
        ),
    ] = ["kokoro"],  # noqa: B006
    seed: Annotated[int, typer.Option(min=0, help="Decides the texts' order, the voices and their settings.")] = 1,
    voices: Annotated[
        Path | None, typer.Option(help="The folder of Kokoro's voices (package/voices of npm's kokoro-js).")
    ] = None,
    reject_above: Annotated[
        float, typer.Option(min=0.0, help="The phoneme error above which a recogniser's verdict drops a clip.")
    ] = 0.5,
    reject: Annotated[bool, typer.Option(help="Ask the recogniser at all.")] = True,
    check_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The share of the clips that the recogniser is asked about.")
    ] = 1.0,
    carriers: Annotated[
        Path | None,
        typer.Option(
            help="Say several texts a clip: in lists, in sequences, and in this file's sentences, one a line with one "
            "or two {} where texts go.",
            show_default="one text a clip",
        ),
    ] = None,
    utterances: Annotated[
        int, typer.Option(min=1, help="With --carriers: how many lists, sequences and sentences a clip says in a row.")
    ] = 1,
    gather: Annotated[
        bool,
        typer.Option("--gather", help="Speak nothing; write the manifest of what is there, while another call speaks."),
    ] = False,
    corpus: Annotated[str, typer.Option(help="The corpus's name.")] = "synthesis",
    jobs: _Jobs = 0,
) -> None:
    """Speak a corpus with offline voices. An interrupted call goes on where it stopped; more --clips add to it."""
    from watchword.cli.progress import progress_bar
    from watchword.data.segment import SegmentError, numbered_lines, read_segments
    from watchword.prepare.composing import clips_for_all
    from watchword.prepare.synthesize import SynthesisPlan
    from watchword.prepare.synthesize import gather as write_manifest
    from watchword.prepare.synthesize import synthesize as speak

    said = tuple(text for path in texts for text in _read_texts(path))
    around = tuple(line.strip() for _, line in numbered_lines(carriers) if line.strip()) if carriers else ()
    if carriers and not around:
        raise SegmentError(f"{carriers}: is empty; give sentences with {{}} where texts go, one a line")
    plan = SynthesisPlan(
        said,
        clips or (-(-clips_for_all(len(said)) // utterances) if around else len(said)),
        tuple(_share(given) for given in engine),
        seed,
        str(voices.absolute()) if voices else "",
        reject_above if reject else None,
        corpus,
        check_share,
        around,
        utterances,
    )
    if gather:
        path = write_manifest(plan, out)
    else:
        with resumable(), progress_bar("speaking") as progress:
            path = speak(plan, out, jobs=jobs, progress=progress)
    kept = list(read_segments(path))
    engines = Counter(segment.corpus.rpartition(":")[2] for segment in kept)
    hours = sum(segment.end_seconds for segment in kept) / 3600
    listed = ", ".join(f"{name} {count}" for name, count in engines.most_common())
    typer.echo(f"{path}: {len(kept)} clips, {hours:.2f} hours ({listed})")
    if len(kept) < plan.clips and not gather:
        typer.echo(f"{plan.clips - len(kept)} clips were rejected; see {out / 'rejected.jsonl'}", err=True)


def _read_texts(path: Path) -> "Iterator[str]":
    from watchword.data.segment import SegmentError, numbered_lines
    from watchword.text.pronounce import default_pronouncer

    for number, line in numbered_lines(path):
        if text := line.strip():
            try:
                default_pronouncer().words(text)
            except ValueError as error:
                raise SegmentError(f"{path}, line {number}: {error}") from None
            yield text


def _share(given: str) -> tuple[str, float]:
    """Reads `kokoro` or `kokoro:0.34`."""
    name, colon, share = given.partition(":")
    try:
        value = float(share) if colon else 1.0
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"{given!r} is not NAME or NAME:SHARE, as kokoro:0.34", param_hint="--engine")
    return name, value


@contextmanager
def resumable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("interrupted; run the same command again to go on", err=True)
        raise
