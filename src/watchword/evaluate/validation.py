"""Validation during training: the benchmarks' own trials and figures on held-out speakers, from embeddings."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watchword.data.segment import Segment
from watchword.evaluate.clips import Audio, Pairs, cosines, read_clips
from watchword.evaluate.figures import trial_figures
from watchword.evaluate.libriphrase_style import build_libriphrase_style
from watchword.evaluate.trials import Trial
from watchword.evaluate.wsj_protocol import build_wsj_protocol
from watchword.text.pronounce import Pronouncer


@dataclass(frozen=True)
class Validation:
    """Fixed trials, with the distinct clips and texts that a model has to embed."""

    trials: list[Trial]
    pairs: Pairs

    def audio(self) -> Iterator[Audio]:
        """The clips as samples, in the order of `pairs.clips`; read again at each call, so nothing is held."""
        return read_clips(self.pairs.clips)

    def figures(self, audio: NDArray[np.floating], text: NDArray[np.floating]) -> dict[str, float]:
        """`ap` (1:50), `easy_eer`, `easy_auc`, `hard_eer`, `hard_auc` of `audio[clips, dim]` and `text[texts, dim]`."""
        return self.figures_of(cosines(audio, text)[self.pairs.clip_of, self.pairs.text_of])

    def figures_of(self, scores: NDArray[np.floating]) -> dict[str, float]:
        """The same figures of one score for each trial, in their order."""
        kinds = np.array([trial.kind for trial in self.trials])
        # The two lists stand one behind the other, and each list's own positives belong to it alone.
        border = int(np.flatnonzero(kinds == "random")[-1]) + 1
        found = trial_figures(self.trials[:border], scores[:border], resamples=0, by_words=False)
        found |= trial_figures(self.trials[border:], scores[border:], resamples=0, by_words=False)
        return {name: figure.value for name, figure in found.items()}

    def evaluate(
        self,
        embed_audio: Callable[[list[Audio]], NDArray[np.floating]],
        embed_text: Callable[[list[str]], NDArray[np.floating]],
    ) -> dict[str, float]:
        """Embeds every clip and text in blocks of 64 and returns the figures."""
        clips = self.audio()
        total, block = len(self.pairs.clips), 64
        audio = [embed_audio([next(clips) for _ in range(min(block, total - at))]) for at in range(0, total, block)]
        texts = self.pairs.texts
        text = [embed_text(texts[at : at + block]) for at in range(0, len(texts), block)]
        return self.figures(np.concatenate(audio), np.concatenate(text))


def build_validation(
    segments: Iterable[Segment],
    seed: int,
    num_segments: int,
    *,
    pronouncer: Pronouncer | None = None,
    negatives: int = 50,
) -> Validation:
    """Validation of up to `num_segments` words (1:50) and as many phrases (easy and hard) out of `segments`.

    `segments` must be those of the held-out speakers only. Raises TrialError if they are too few.
    """
    held_out = list(segments)
    words = build_wsj_protocol(
        held_out, pronouncer, seed=seed, split=None, num_segments=num_segments, negatives=negatives
    )
    phrases = build_libriphrase_style(held_out, pronouncer, seed=seed, split=None, num_clips=num_segments)
    return Validation(words + phrases, Pairs.of(words + phrases))
