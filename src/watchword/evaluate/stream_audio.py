"""The audio of long recordings, one at a time, under each condition: as it is, in noise, in rooms.

Conventions
    level         every utterance is brought to one level: -26 dB of full scale over the louder half of its 20 ms pieces
    noise         background recordings one after another at one power throughout, pauses included; 10 dB means 10 dB
                  below the utterances' level. The same noise at every ratio.
    room          each utterance in a room of its own: recorded responses where the folder has them, else simulated ones
                  that take 0.3 to 0.8 s to fall by 60 dB; brought to the same level again, with its tail
    randomness    follows from the plan's seed and the recording's name alone
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from watchword.audio import SAMPLE_RATE, read, to_float
from watchword.evaluate.sources import BenchmarkError
from watchword.evaluate.stream_plan import Recording

Audio: TypeAlias = NDArray[np.float32]

CONDITIONS: dict[str, float | None] = {"clean": None, "10 dB": 10.0, "5 dB": 5.0, "0 dB": 0.0, "room": None}
"""The conditions by name, with the signal-to-noise ratio of those that have one."""
LEVEL_DB = -26.0
MOST_GAIN = 30.0
ROOM_SECONDS, TAIL_SECONDS = (0.3, 0.8), 0.6
STRETCH_SECONDS = (20.0, 60.0)


@dataclass(frozen=True)
class Renderer:
    """Makes the audio of recordings; `noise` is a folder of background recordings, perhaps with rooms."""

    seed: int
    noise: Path | None = None

    def __call__(self, recording: Recording, condition: str) -> Audio:
        """The recording under a condition: mono at 16 kHz. Raises BenchmarkError where there is no noise for it."""
        audio = np.zeros(round(recording.seconds * SAMPLE_RATE), np.float32)
        for number, piece in enumerate(recording.pieces):
            first, last = (round(s * SAMPLE_RATE) for s in (piece.start_seconds, piece.end_seconds))
            spoken = read(piece.audio)[first:last]
            if condition == "room":
                spoken = self._room(np.pad(spoken, (0, round(TAIL_SECONDS * SAMPLE_RATE))), recording.name, number)
            start = round(piece.at_seconds * SAMPLE_RATE)
            spoken = _levelled(spoken)[: len(audio) - start]
            audio[start : start + len(spoken)] += spoken
        ratio = CONDITIONS[condition]
        if ratio is not None:
            audio += self._noise(len(audio), recording.name) * np.float32(10 ** ((LEVEL_DB - ratio) / 20))
        return np.clip(audio, -1.0, 1.0)

    def check(self, conditions: Sequence[str]) -> None:
        """Raises BenchmarkError for a condition that does not exist, or that needs noise that is not there."""
        for condition in conditions:
            if condition not in CONDITIONS:
                raise BenchmarkError(f"stream: no condition {condition!r}; there are {', '.join(CONDITIONS)}")
            if CONDITIONS[condition] is not None and not len(self._sounds.noise):
                where = "--noise is not given" if self.noise is None else f"{self.noise} holds no recordings"
                raise BenchmarkError(
                    f"stream: {where}, and {condition} needs background noise; name a folder of it by --noise"
                )

    @cached_property
    def _sounds(self):
        from watchword.data.sounds import Sounds, load_sounds

        return load_sounds(self.noise) if self.noise else Sounds()

    def _noise(self, size: int, name: str) -> Audio:
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode()), 1])
        noise, place = np.zeros(size, np.float32), 0
        while place < size:
            source = self._sounds.noise[int(rng.integers(len(self._sounds.noise)))]
            length = min(round(rng.uniform(*STRETCH_SECONDS) * SAMPLE_RATE), size - place)
            if len(source) > length:
                start = int(rng.integers(len(source) - length))
                piece = to_float(np.asarray(source[start : start + length]))
            else:  # around and around, from somewhere
                whole = to_float(np.asarray(source))
                piece = np.resize(np.roll(whole, -int(rng.integers(len(whole)))), length)
            power = float((piece.astype(np.float64) ** 2).mean())
            noise[place : place + length] = piece / np.sqrt(power + 1e-10)
            place += length
        return noise

    def _room(self, spoken: Audio, name: str, number: int) -> Audio:
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode()), 2, number])
        return self._in_room(spoken, rng)

    @cached_property
    def _in_room(self):
        from watchword.data.augment import AugmentConfig, Augmenter

        off = dict.fromkeys(("noise", "music", "babble", "low_pass", "telephone", "clip", "quantise"), 0.0)
        config = {**off, "room": 1.0, "room_seconds": ROOM_SECONDS, "gain_db": (-6.0, -6.0)}
        return Augmenter(AugmentConfig.model_validate(config), rooms=self._sounds.rooms)


def _levelled(spoken: Audio) -> Audio:
    """Speech at the level of all; what is hardly there is not made louder than `MOST_GAIN` times."""
    from watchword.data.augment import speech_power

    gain = np.sqrt(10 ** (LEVEL_DB / 10) / speech_power(spoken))
    return spoken * np.float32(min(gain, MOST_GAIN))
