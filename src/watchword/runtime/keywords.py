"""Keywords: what to listen for, and from which score on."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Keyword:
    """What to listen for.

    Args:
        text: A word or phrase; a pronunciation may be given in it, as "hey {N OW1 V AH0}" or "hey /ˈnoʊvə/", and
            several alternatives with |.
        threshold: The score from which on it counts as found; None for the spotter's.
        name: What detections call it; None for its text.
        refractory_seconds: Two detections of it end at least this far apart; None for the settings'.
    """

    text: str
    threshold: float | None = None
    name: str | None = None
    refractory_seconds: float | None = None

    def settled(self, threshold: float, refractory_seconds: float) -> "Keyword":
        """This keyword with the usual values where it has none of its own."""
        return replace(
            self,
            threshold=threshold if self.threshold is None else self.threshold,
            name=self.name or self.text,
            refractory_seconds=refractory_seconds if self.refractory_seconds is None else self.refractory_seconds,
        )


def as_keyword(keyword: str | Keyword) -> Keyword:
    """A keyword, of a text that may be only that."""
    return Keyword(keyword) if isinstance(keyword, str) else keyword
