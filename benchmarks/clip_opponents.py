"""Other ways to score clips against typed texts, behind the interface that `watchword.evaluate` measures.

PhonemeCtcClips        the phoneme recogniser of the package hama: how probable the text's phonemes are, over the clip
PocketsphinxClips      keyphrase search of pocketsphinx 5: its likelihood ratio to a loop of phones

    pip install pocketsphinx hama
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from opponents import log_probabilities, pocketsphinx_decoder, token_classes

from watchword.audio import SAMPLE_RATE
from watchword.evaluate.clips import Audio
from watchword.text.phonemes import PHONEMES
from watchword.text.pronounce import default_pronouncer

FLOOR = -1e3
"""The score of a text that a system does not find in a clip at all."""


@dataclass(frozen=True)
class PhonemeCtcClips:
    """Scores by CTC: the logarithm of the probability of the text's phonemes less that of the likeliest tokens.

    `paths` all: of every alignment (the forward algorithm); best: of the best. `span` whole: the phonemes fill the
    clip; within: they may begin and end anywhere, what is outside costs nothing. A frame costs `most_cost` nats at
    most, and a sound that is easily taken for the phoneme's counts `near_weight`. The sum is shared out `per` phoneme,
    root of the number of phonemes, frame, or clip. Clips are set in `pad_seconds` of digital silence. The defaults are
    the best on held-out speakers of the train split: `python benchmarks/clips.py --choose`."""

    paths: Literal["all", "best"] = "all"
    span: Literal["whole", "within"] = "whole"
    per: Literal["phoneme", "root", "frame", "clip"] = "phoneme"
    near_weight: float = 0.1
    most_cost: float = 8.0
    pad_seconds: float = 0.3
    sparse: bool = True

    def __call__(self, clips: list[Audio], texts: list[str]) -> NDArray[np.floating]:
        """Scores clips (16 kHz mono) against texts: [clips, texts]."""
        rows = [variant for text in texts for variant in default_pronouncer().variants(text)]
        owners = np.repeat(np.arange(len(texts)), [len(default_pronouncer().variants(text)) for text in texts])
        scores = np.full((len(clips), len(texts)), FLOOR)
        for number, clip in enumerate(clips):
            costs = self.costs(self.recognise(clip))
            totals = -ctc_costs(costs, rows, free_ends=self.span == "within", all_paths=self.paths == "all")
            sizes = np.array([len(row) for row in rows], np.float64)
            shares = {"phoneme": sizes, "root": np.sqrt(sizes), "frame": len(costs), "clip": 1.0}[self.per]
            np.maximum.at(scores[number], owners, totals / shares)
        return scores

    def recognise(self, clip: Audio) -> NDArray[np.float32]:
        """Log-probabilities [frames, tokens] of a clip and the silence around it."""
        pad = round(self.pad_seconds * SAMPLE_RATE)
        return log_probabilities(self._model.session, np.pad(clip, (pad, pad)))

    def costs(self, logs: NDArray[np.float32]) -> NDArray[np.float64]:
        """By how many nats each phoneme, then the blank, is less likely than the likeliest token: [frames, sounds]."""
        classes, silent = token_classes(self._model.decoder_tokens, self.near_weight)
        probabilities = np.exp(logs)
        named = np.concatenate([probabilities @ classes.T, probabilities[:, silent].sum(1, keepdims=True)], axis=1)
        costs = np.log(probabilities.max(1, keepdims=True)) - np.log(np.maximum(named, 1e-9))
        return np.clip(costs, 0.0, self.most_cost).astype(np.float64)

    @cached_property
    def _model(self):
        import hama

        return hama.ASRModel()


def ctc_costs(
    costs: NDArray[np.float64], phonemes: Sequence[Sequence[str]], *, free_ends: bool, all_paths: bool
) -> NDArray[np.float64]:
    """What it costs to read texts out of costs [frames, phonemes and blank], for each text's phonemes: in nats.

    With `free_ends` phonemes may begin and end anywhere for nothing; with `all_paths` alignments add up, else the
    cheapest counts. Infinite where a text has more phonemes than there are frames."""
    join = np.logaddexp if all_paths else np.maximum
    most, silent = 2 * max(map(len, phonemes)) + 1, len(PHONEMES)
    # States of a path: blank, phoneme, blank, phoneme, …, blank.
    states = np.full((len(phonemes), most), silent)
    skips = np.full((len(phonemes), most), -np.inf)
    for row, variant in enumerate(phonemes):
        for place, phoneme in enumerate(variant):
            states[row, 2 * place + 1] = PHONEMES.index(phoneme)
            if place and phoneme.rstrip("012") != variant[place - 1].rstrip("012"):
                skips[row, 2 * place + 1] = 0.0
    rows, lasts = np.arange(len(phonemes)), 2 * np.array(list(map(len, phonemes))) - 1
    path = np.full(states.shape, -np.inf)
    ended = np.full(len(phonemes), -np.inf)
    for now, cost in enumerate(costs):
        one, two = np.full_like(path, -np.inf), np.full_like(path, -np.inf)
        one[:, 1:], two[:, 2:] = path[:, :-1], path[:, :-2]
        path = join(join(path, one), two + skips)
        if free_ends or not now:
            path[:, 1] = join(path[:, 1], 0.0) if now else 0.0
            path[:, 0] = -np.inf if free_ends else 0.0
        path = path - cost[states]
        ended = np.maximum(ended, path[rows, lasts])
    return -(ended if free_ends else join(path[rows, lasts], path[rows, lasts + 1]))


@dataclass(frozen=True)
class PocketsphinxClips:
    """Scores by keyphrase search, all texts in one pass: the logarithm of the likelihood ratio to the phone loop over a
    power of the number of phonemes; of several detections the best. A text that is not detected even at `threshold`
    gets a floor."""

    threshold: float = 1e-100
    power: float = 0.5
    pad_seconds: float = 0.3
    sparse: bool = True

    def __call__(self, clips: list[Audio], texts: list[str]) -> NDArray[np.floating]:
        """Scores clips (16 kHz mono) against texts: [clips, texts]."""
        self._listen_for(tuple(texts))
        scores = np.full((len(clips), len(texts)), FLOOR)
        pad = round(self.pad_seconds * SAMPLE_RATE)
        for number, clip in enumerate(clips):
            samples = (np.clip(np.pad(clip, (pad, pad)), -1, 1) * 32767).astype("<i2").tobytes()
            self._decoder.start_utt()
            self._decoder.process_raw(samples, False, True)
            self._decoder.end_utt()
            for hit in self._decoder.seg() or ():
                place = texts.index(hit.word.strip())
                size = len(default_pronouncer().variants(texts[place])[0])
                score = math.log(max(hit.prob, 1e-300)) / size**self.power
                scores[number, place] = max(scores[number, place], score)
        return scores

    def _listen_for(self, texts: tuple[str, ...]) -> None:
        if self._listens == [texts]:
            return
        for word in {word for text in texts for word in text.split()}:
            if self._decoder.lookup_word(word) is None:
                phones = " ".join(phoneme.rstrip("012") for phoneme in default_pronouncer().variants(word)[0])
                self._decoder.add_word(word, phones, True)
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder) / "keywords"
            listed.write_text("".join(f"{text} /{self.threshold:g}/\n" for text in texts), encoding="utf-8")
            self._decoder.add_kws("keywords", str(listed))
        self._decoder.activate_search("keywords")
        self._listens[:] = [texts]

    @cached_property
    def _listens(self) -> list[tuple[str, ...]]:
        return []

    @cached_property
    def _decoder(self):
        return pocketsphinx_decoder()
