"""The command line: one program; each command's file is imported only when that command is called."""

import difflib
import errno
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from typer import Exit, Option, Typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

INTERRUPTED, BROKEN_PIPE = 130, 141


class Lazy(NamedTuple):
    """A command not imported yet: `module:function`, its line in the help, and the extra it needs."""

    target: str
    help: str
    extra: str = ""


class Group(NamedTuple):
    """A sub-program: its line in the help, and its commands."""

    help: str
    commands: Mapping[str, Lazy]


_PREPARE = {
    "synthesize": Lazy(
        "watchword.cli.prepare:synthesize", "Speak words and sentences with offline voices.", "synthesize"
    ),
    "align": Lazy(
        "watchword.cli.prepare:align", "Find the times of words and phones in transcribed speech.", "prepare"
    ),
    "teach": Lazy("watchword.cli.teach:teach", "Let a recogniser listen to a store, to teach frames by it.", "teach"),
    "manifest": Lazy(
        "watchword.cli.prepare:manifest", "Turn folders with a manifest.tsv into segments.jsonl.", "prepare"
    ),
    "lhotse": Lazy("watchword.cli.prepare:lhotse", "Read Lhotse CutSets.", "prepare"),
    "kaldi": Lazy("watchword.cli.prepare:kaldi", "Read Kaldi data folders.", "prepare"),
    "librispeech": Lazy(
        "watchword.cli.prepare_corpora:librispeech", "Read LibriSpeech folders, or fetch them.", "prepare"
    ),
    "king_asr_066": Lazy("watchword.cli.prepare_corpora:king_asr_066", "Read King-ASR-066.", "prepare"),
    "wsj": Lazy("watchword.cli.prepare_corpora:wsj", "Read the Wall Street Journal corpus.", "prepare"),
    "speech_commands": Lazy(
        "watchword.cli.prepare_corpora:speech_commands", "Read Speech Commands v1 or v2.", "prepare"
    ),
    "qualcomm": Lazy("watchword.cli.prepare_corpora:qualcomm", "Read Qualcomm's four phrases.", "prepare"),
    "libriphrase": Lazy(
        "watchword.cli.prepare_corpora:libriphrase", "Check LibriPhrase's lists and find their clips.", "prepare"
    ),
    "musan": Lazy("watchword.cli.prepare_corpora:musan", "Pack MUSAN for the augmentation.", "lhotse"),
    "rirs_noises": Lazy(
        "watchword.cli.prepare_corpora:rirs_noises", "Pack simulated rooms for the augmentation.", "lhotse"
    ),
}
COMMANDS: dict[str, Lazy | Group] = {
    "spot": Lazy("watchword.cli.spot:spot", "Find words or phrases in files, folders or a stream."),
    "score": Lazy("watchword.cli.score:score", "Score a list of (audio path, keyword text) pairs."),
    "phonemes": Lazy("watchword.cli.phonemes:phonemes", "Show how a text will be pronounced, to correct it."),
    "listen": Lazy("watchword.cli.listen:listen", "Hear words or phrases live, by microphone or pipe.", "listen"),
    "serve": Lazy("watchword.cli.serve:serve", "Open a page to try keywords on, by microphone or file.", "serve"),
    "evaluate": Lazy("watchword.cli.evaluate:evaluate", "Measure a bundle on benchmarks.", "evaluate"),
    "calibrate": Lazy(
        "watchword.cli.calibrate:calibrate", "Set the threshold of a bundle by false alarms an hour.", "evaluate"
    ),
    "prepare": Group("Make manifests of speech to train on.", _PREPARE),
    "pack": Lazy("watchword.cli.pack:pack", "Pack manifests into the store that training reads.", "prepare"),
    "train": Lazy("watchword.cli.train:train", "Train what a recipe describes.", "train"),
    "probe": Lazy(
        "watchword.cli.probe:probe", "Try to tell a run's audio embeddings from its text embeddings.", "train"
    ),
    "table": Lazy("watchword.cli.table:table", "Print a table of the paper, ours beside published; or run it."),
    "export": Lazy("watchword.cli.export:export", "Turn a training run into a bundle.", "train"),
    "card": Lazy("watchword.cli.card:card", "Print a bundle's passport: limits, sources, origin, figures."),
    "version": Lazy("watchword.cli.version:version", "Print the version, and those of what it runs on."),
}


class CommandError(ValueError):
    """A command line that cannot be carried out; the message says what to type instead."""


class _Program(TyperGroup):
    """A group that knows its commands' names and one-line helps without importing them."""

    table: Mapping[str, Lazy | Group] = COMMANDS
    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        cmd_name, entry = _entry(self.table, cmd_name)
        if entry is None:
            close = difflib.get_close_matches(cmd_name, self.table, n=1)
            instead = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(self.table)}"
            raise CommandError(f"{ctx.command_path}: no command {cmd_name!r}; {instead}")
        if self._listing:
            return TyperCommand(cmd_name, help=entry.help)
        return _group(cmd_name, entry) if isinstance(entry, Group) else _command(cmd_name, entry)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_commands(ctx, formatter)
        finally:
            self._listing = False


def _entry(table: Mapping[str, Any], name: str) -> tuple[str, Any]:
    """A command by its name, in which - and _ are alike."""
    known = name if name in table else name.replace("-", "_")
    return known, table.get(known)


def _typer() -> Typer:
    # Plain help: rich's takes 0.1 s to import, and boxes break errors into lines that nobody can grep.
    return Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _command(name: str, entry: Lazy) -> Any:
    module, function = entry.target.split(":")
    app = _typer()
    app.command(name)(getattr(importlib.import_module(module), function))
    return get_command(app)


def _group(name: str, group: Group) -> Any:
    class Program(_Program):
        table = group.commands

    app = _typer()
    app.callback(cls=Program, help=group.help)(lambda: None)
    program = get_group(app)
    program.name = name
    return program


def _program() -> Any:
    app = _typer()

    @app.callback(
        cls=_Program,
        epilog="watchword COMMAND --help tells more about a command.",
    )
    def watchword(  # pyright: ignore[reportUnusedFunction]
        version: bool = Option(False, "--version", is_eager=True, help="Print the version."),
    ) -> None:
        """Type any English word or phrase and find it in audio."""

    return get_group(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status: 2, after one sentence on standard error, for anything wrong.

    Faults of the program itself end so too, unless WATCHWORD_DEBUG=1 asks for their traceback.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if arguments == ["--version"]:
        from watchword import __version__

        print(f"watchword {__version__}")
        return 0
    try:
        status = _run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read us has gone: say nothing, not even when Python closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return _explain(error, arguments)


def _run(arguments: list[str]) -> int:
    # Not typer's own main, which ends the process by itself at Ctrl-C and broken pipes.
    program = _program()
    try:
        with program.make_context("watchword", arguments) as context:
            program.invoke(context)
    except Exit as ended:
        return ended.exit_code
    return 0


def _explain(error: Exception, arguments: Sequence[str]) -> int:
    """Prints an error as one sentence and returns the exit status."""
    if hasattr(error, "format_message"):  # typer's usage errors
        path = getattr(getattr(error, "ctx", None), "command_path", "watchword")
        sentence = f"{path}: {error.format_message().rstrip('.')}; see {path} --help"  # pyright: ignore[reportAttributeAccessIssue]
    elif os.environ.get("WATCHWORD_DEBUG") == "1":
        raise error
    elif isinstance(error, ModuleNotFoundError) and (extra := _extra(arguments)):
        sentence = f'{arguments[0]}: the package {error.name} is not installed; run pip install "watchword[{extra}]"'
    elif isinstance(error, OSError) and error.errno is not None:
        advice = "; free some space and run the same command again" if error.errno == errno.ENOSPC else ""
        where = error.filename if error.filename is not None else arguments[0]
        sentence = f"{where}: {(error.strerror or str(error)).lower()}{advice}"
    elif isinstance(error, OSError) or (isinstance(error, ValueError) and _is_ours(error)):
        sentence = str(error)
    else:
        sentence = (
            f"{arguments[0]}: {type(error).__name__}: {error} (a fault of Watchword; WATCHWORD_DEBUG=1 shows where)"
        )
    print(" ".join(sentence.split()), file=sys.stderr)
    return 2


def _is_ours(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] == "watchword"


def _extra(arguments: Sequence[str]) -> str:
    entry = COMMANDS.get(arguments[0])
    if isinstance(entry, Group):
        entry = _entry(entry.commands, arguments[1])[1] if len(arguments) > 1 else None
    return entry.extra if entry else ""
