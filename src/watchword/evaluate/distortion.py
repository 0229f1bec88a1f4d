"""Clips as they sound in rooms and among noise: a scorer that hears each clip distorted, the same way every time.

As the paper's test set is: half of the clips in a room, all of them in one of noise, music or babble, at the signal-to-
noise ratios of Kaldi's recipes (0-15, 5-15 and 13-20 dB). What a folder lacks is left out; without room recordings the
rooms are simulated. The draws follow from the seed and the clip's own samples, so they are the same for every scorer.
"""

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from watchword.evaluate.clips import Audio, Scorer
from watchword.evaluate.sources import BenchmarkError

ROOM_SHARE = 0.5
ROOM_SECONDS = (0.1, 0.6)
NOISE_DB, MUSIC_DB, BABBLE_DB = (0.0, 15.0), (5.0, 15.0), (13.0, 20.0)
VOICES = (3, 7)


class Distorted:
    """A scorer that hears every clip in rooms and noise; `sparse` is that of the scorer that it stands before."""

    def __init__(self, scorer: Scorer, noise: Path, seed: int = 0) -> None:
        """Reads the recordings of the folder `noise`; raises BenchmarkError where it holds none."""
        # pydantic, which the augmentation is described with, is needed here alone.
        from watchword.data.augment import AugmentConfig, Augmenter
        from watchword.data.sounds import load_sounds

        self._scorer, self._seed = scorer, seed
        self.sparse = bool(getattr(scorer, "sparse", False))
        sounds = load_sounds(noise)
        if not len(sounds.noise):
            raise BenchmarkError(f"{noise}: no recordings of noise; give a folder of them, such as MUSAN's")

        def only(**wanted: object) -> Augmenter:
            off = dict.fromkeys(("noise", "music", "babble", "low_pass", "telephone", "clip", "quantise"), 0.0)
            fixed = {"room": ROOM_SHARE, "room_seconds": ROOM_SECONDS, "coloured_noise": 0.0, "gain_db": (-6.0, -6.0)}
            config = AugmentConfig.model_validate({**off, **fixed, **wanted})
            return Augmenter(config, sounds.noise, sounds.speech, sounds.music, sounds.rooms)

        self._kinds = [only(noise=1.0, noise_snr_db=NOISE_DB)]
        if len(sounds.music):
            self._kinds.append(only(music=1.0, music_snr_db=MUSIC_DB))
        if len(sounds.speech):
            self._kinds.append(only(babble=1.0, babble_snr_db=BABBLE_DB, babble_speakers=VOICES))

    def __call__(self, clips: list[Audio], texts: list[str]) -> NDArray[np.floating]:
        """Scores distorted clips (16 kHz mono) against texts: [clips, texts]."""
        return self._scorer([self.hear(clip) for clip in clips], texts)

    def hear(self, clip: Audio) -> Audio:
        """A clip as it sounds, of the same length."""
        rng = np.random.default_rng([self._seed, zlib.crc32(np.ascontiguousarray(clip).tobytes())])
        kind = self._kinds[int(rng.integers(len(self._kinds)))]
        return kind(clip, rng)
