"""What is done when a keyword is heard: a command is run, its sound is saved."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import localtime, strftime

import numpy as np
from numpy.typing import NDArray

from watchword import audio
from watchword.runtime import Detection

MOST_AT_ONCE = 4
_PLACEHOLDER = re.compile(r"\{(keyword|score|start|end|clip)\}")


class ReactionError(ValueError):
    """A command or a folder that cannot be used; the message says what to do instead."""


class Command:
    """A command line run at each detection, what was heard in its environment (WATCHWORD_KEYWORD, _SCORE, _START, _END,
    _CLIP) and in place of {keyword}, {score}, {start}, {end} and {clip}; through a shell only if `shell`, and then
    without replacing, since a shell would read what was replaced.

    At most `most` run at the same time: what is heard meanwhile runs none, and `say` is told so. What it prints goes to
    standard error. Raises ReactionError for what cannot be run."""

    def __init__(self, line: str, shell: bool, say: Callable[[str], None], most: int = MOST_AT_ONCE) -> None:
        self._line, self._shell, self._say, self._most = line, shell, say, most
        self._running: list[subprocess.Popen[bytes]] = []
        try:
            self._words = shlex.split(line)
        except ValueError as error:
            raise ReactionError(f"--exec: {line!r} is no command line ({error})") from None
        if not self._words:
            raise ReactionError("--exec: is empty; give a command")
        if shell and _PLACEHOLDER.search(line):
            raise ReactionError("--exec: with --shell, use $WATCHWORD_KEYWORD and the like instead of {keyword}")
        if not shell and shutil.which(self._words[0]) is None:
            raise ReactionError(f"--exec: no program {self._words[0]!r} was found; give its path, or --shell")

    def __call__(self, hit: Detection, clip: Path | None) -> None:
        """Starts the command, and does not wait for it."""
        self._reap()
        if len(self._running) >= self._most:
            self._say(f"listen: {self._most} commands are still running; none was run for {hit.keyword!r}")
            return
        values = {
            "keyword": hit.keyword,
            "score": f"{hit.score:.3f}",
            "start": f"{hit.start_seconds:.3f}",
            "end": f"{hit.end_seconds:.3f}",
            "clip": str(clip or ""),
        }
        environment = os.environ | {f"WATCHWORD_{name.upper()}": value for name, value in values.items()}
        words = [_PLACEHOLDER.sub(lambda match: values[match[1]], word) for word in self._words]
        try:
            self._running.append(
                subprocess.Popen(
                    self._line if self._shell else words,
                    shell=self._shell,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=sys.stderr.fileno() if _has_number(sys.stderr) else subprocess.DEVNULL,
                )
            )
        except OSError as error:
            self._say(f"listen: {words[0]} could not be run ({error.strerror})")

    def finish(self) -> None:
        """Waits for those that still run."""
        for process in self._running:
            process.wait()
        self._reap()

    def _reap(self) -> None:
        for process in [process for process in self._running if process.poll() is not None]:
            self._running.remove(process)
            if process.returncode:
                self._say(f"listen: {self._words[0]} ended with status {process.returncode}")


class Clips:
    """A folder into which the sound of each detection is written as WAV. Raises ReactionError for what is no folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise ReactionError(f"--save-clips: {folder} cannot be used ({why}); name a folder") from None

    def save(self, hit: Detection, samples: NDArray[np.float32]) -> Path:
        """Writes 16 kHz samples under the time of day, the keyword and the score; returns the path."""
        said = re.sub(r"\W+", "-", hit.keyword).strip("-")[:40] or "keyword"
        stem = f"{strftime('%Y%m%d-%H%M%S', localtime())}_{said}_{hit.score:.2f}"
        path, number = self._folder / f"{stem}.wav", 1
        while path.exists():
            number += 1
            path = self._folder / f"{stem}_{number}.wav"
        audio.write(path, samples)
        return path


def _has_number(stream: object) -> bool:
    """Whether a stream is a real file, as in a process of its own."""
    try:
        stream.fileno()  # type: ignore[attr-defined]
    except (OSError, AttributeError, ValueError):
        return False
    return True
