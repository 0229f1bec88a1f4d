"""The live view in a terminal: level, and each keyword's scores over the last seconds beside its threshold."""

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from watchword.runtime import Detection, Keyword

_BARS = " ▁▂▃▄▅▆▇█"
_POINTS = 48
_QUIETEST_DB = -60.0


class LiveView:
    """Draws on `console` while it is entered; detections stand above, one a line, as they came."""

    def __init__(self, keywords: Sequence[Keyword], console: Console) -> None:
        self._keywords, self.source = keywords, "opening"
        self._scores = {str(keyword.name): deque([0.0] * _POINTS, _POINTS) for keyword in keywords}
        self._level, self._seconds = _QUIETEST_DB, 0.0
        self._live = Live(self._drawn(), console=console, refresh_per_second=10, transient=True)

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def hear(self, samples: NDArray[np.int16], seconds: float, levels: Mapping[str, float]) -> None:
        """Shows the latest samples' level, and a point for each keyword."""
        energy = float(np.mean(np.square(samples / 32768.0))) if len(samples) else 0.0
        self._level, self._seconds = max(_QUIETEST_DB, 10 * np.log10(max(energy, 1e-9))), seconds
        for name, score in levels.items():
            self._scores[name].append(max(0.0, score))
        self._live.update(self._drawn())

    def found(self, hit: Detection) -> None:
        """Shows a detection."""
        line = Text(f"{hit.start_seconds:9.2f}  {hit.end_seconds:9.2f}  {hit.score:5.2f}  ")
        self._live.console.print(line.append(hit.keyword, "bold"), highlight=False)

    def say(self, sentence: str) -> None:
        """Shows something that people should know."""
        self._live.console.print(Text(sentence, "yellow"))

    def _drawn(self) -> Group:
        full = round((self._level - _QUIETEST_DB) / -_QUIETEST_DB * _POINTS)
        level = Text("█" * full, "red" if self._level > -3 else "cyan").append("·" * (_POINTS - full), "dim")
        table = Table.grid(padding=(0, 1))
        table.add_row(Text(self.source, "dim"), level, Text(f"{self._level:4.0f} dB", "dim"))
        for keyword in self._keywords:
            scores, threshold = self._scores[str(keyword.name)], float(keyword.threshold or 0.0)
            line = Text()
            for score in scores:
                line.append(_bar(score), "bold green" if score >= threshold else "dim")
            table.add_row(Text(str(keyword.name)), line, Text(f"{scores[-1]:4.2f} of {threshold:.2f}", "dim"))
        return Group(table, Text(f"{self._seconds:.0f} s; Ctrl-C ends", "dim"))


def _bar(score: float) -> str:
    """
    >>> _bar(0.0) + _bar(0.5) + _bar(1.0)
    ' ▄█'
    """
    return _BARS[min(len(_BARS) - 1, max(0, round(score * (len(_BARS) - 1))))]
