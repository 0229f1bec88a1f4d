"""A scorer out of a bundle, through the runtime that ships: what is measured is what people get."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from watchword.evaluate.clips import Audio, Scorer


def load_scorer(path: Path | None, aligned: bool = False) -> tuple[Path, Scorer]:
    """The folder of a bundle (None: the one inside the package) and its scorer: cosines, or, `aligned`, cosines
    lowered by what phonemes cost. Raises what the runtime raises."""
    from watchword.runtime import Bundle, Spotter

    bundle = Bundle.load(path)
    spotter = Spotter([], bundle=bundle)

    def scorer(clips: list[Audio], texts: list[str]) -> NDArray[np.floating]:
        return spotter.score_clips(clips, texts, aligned=aligned)

    return bundle.path, scorer
