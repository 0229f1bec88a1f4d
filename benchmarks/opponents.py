"""Other ways to find typed keywords, behind the interface that `watchword.evaluate.stream` measures.

PocketsphinxSearch     keyphrase search of pocketsphinx 5 (HMM, GMM, a phone loop as background)
PhonemeCtcSearch       the phoneme CTC recogniser of the package hama, and a Viterbi search for the keyword's phonemes

    pip install pocketsphinx hama
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from watchword.audio import SAMPLE_RATE
from watchword.evaluate.stream import Search
from watchword.evaluate.stream_audio import Audio
from watchword.evaluate.stream_scoring import Found
from watchword.text.phonemes import PHONEMES, is_vowel
from watchword.text.pronounce import Pronouncer, default_pronouncer


@dataclass(frozen=True)
class PocketsphinxSearch:
    """Makes a keyphrase search; all keywords in one pass, with our pronunciations where its dictionary lacks a word.

    The threshold bounds what is reported, and a stricter one keeps a part of that (seen on 5 minutes: the misses at 1
    and 10 alarms an hour are the same from 1e-20 and from 1e-40), so one run with a low one serves the whole curve.
    The score is the logarithm of its likelihood ratio to the phone loop over the square root of the number of phonemes:
    of the powers 0, a half and 1 the best on speakers of the train split, with a common threshold."""

    threshold: float = 1e-40
    seconds_at_once: float = 0.1

    def __call__(self, keywords: Sequence[str]) -> Search:
        """The search for `keywords`."""
        decoder = pocketsphinx_decoder()
        pronouncer = default_pronouncer()
        sizes: dict[str, int] = {}
        for keyword in keywords:
            sizes[keyword] = len(pronouncer.variants(keyword)[0])
            for word in keyword.split():
                if decoder.lookup_word(word) is None:
                    phones = " ".join(phoneme.rstrip("012") for phoneme in pronouncer.variants(word)[0])
                    decoder.add_word(word, phones, True)
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder) / "keywords"
            listed.write_text("".join(f"{keyword} /{self.threshold:g}/\n" for keyword in keywords), encoding="utf-8")
            decoder.add_kws("keywords", str(listed))
        decoder.activate_search("keywords")
        piece = 2 * round(self.seconds_at_once * SAMPLE_RATE)

        def search(audio: Audio) -> list[Found]:
            samples = (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()
            decoder.start_utt()
            for first in range(0, len(samples), piece):
                decoder.process_raw(samples[first : first + piece], False, False)
            decoder.end_utt()
            found = []
            for hit in decoder.seg() or ():
                keyword = hit.word.strip()
                score = math.log(max(hit.prob, 1e-300)) / math.sqrt(sizes[keyword])
                found.append(Found(keyword, score, hit.start_frame / 100, (hit.end_frame + 1) / 100))
            return found

        return search


def pocketsphinx_decoder():
    """A decoder of pocketsphinx with the English model inside its package, and nothing to look for yet."""
    import pocketsphinx

    return pocketsphinx.Decoder(
        hmm=pocketsphinx.get_model_path("en-us/en-us"),
        dict=pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"),
        lm=None,
        loglevel="FATAL",
    )


# The recogniser's IPA for each phoneme; alternatives are what it writes for the same sound, or what English does.
_IPA = {
    "AA": "ɑ ɒ ɔ a", "AE": "æ a", "AH": "ə ʌ ɐ", "AO": "ɔ ɑ ɒ", "AW": "aʊ", "AY": "aɪ", "B": "b", "CH": "t͡ʃ t͡ɕ t͡ɕʰ",
    "D": "d ɾ", "DH": "ð", "EH": "ɛ e", "ER": "ɝ ɚ ɜ", "EY": "eɪ e", "F": "f", "G": "g ɡ", "HH": "h ɦ", "IH": "ɪ ɨ",
    "IY": "i", "JH": "d͡ʒ", "K": "k kʰ", "L": "l ɫ", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ o", "OY": "ɔɪ",
    "P": "p pʰ", "R": "ɹ r ɻ", "S": "s", "SH": "ʃ ɕ", "T": "t tʰ ɾ", "TH": "θ", "UH": "ʊ", "UW": "u ʉ", "V": "v",
    "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
_UNSTRESSED = {"AH0": "ɪ ɨ ɛ", "IH0": "ə i", "IY0": "ɪ", "ER0": "ə", "OW0": "ə", "EH0": "ɪ ə", "AE0": "ə", "UW0": "ə ʊ"}
# Sounds that are taken for one another; so are all vowels.
_NEAR = ("T D DH TH", "S Z SH ZH", "K G", "P B", "F V TH", "N NG M", "CH JH SH T", "L W R", "V W", "DH Z D")
_SILENT = ("<blank>", "<wb>", "<pad>", " ")
_FRAME_SECONDS = 0.02
# The recogniser takes 30 s at most; frames near a cut are taken from the neighbour.
_WINDOW_SECONDS, _MARGIN_SECONDS = 28.0, 1.0


@dataclass(frozen=True)
class PhonemeCtcSearch:
    """Makes a search of phoneme probabilities every 20 ms: the cheapest path through the keyword's phonemes.

    A frame costs by how many nats the phoneme, or the blank between two, is less likely than the likeliest token of
    that frame, `most_cost` at most, so that one sound heard wrong does not lose the word; a sound that is easily taken
    for the phoneme's counts `near_weight` as much as its own. The score is minus the cost a phoneme, `prior_cost`
    included, since chance says a short word more often. The values are the best of a few on speakers of the train split
    (9 minutes, clean and at 10 dB): at 10 alarms an hour and keyword 27 % and 47 % were missed without near sounds,
    20 % and 30 % with them, and 13 % and 27 % with the prior, too."""

    most_cost: float = 8.0
    near_weight: float = 0.1
    prior_cost: float = 8.0
    lowest: float = -4.5

    def __call__(self, keywords: Sequence[str]) -> Search:
        """The search for `keywords`."""
        import hama

        model = hama.ASRModel()
        classes, silent = token_classes(model.decoder_tokens, self.near_weight)
        paths = _Paths(keywords, default_pronouncer(), self.prior_cost, self.lowest)

        def search(audio: Audio) -> list[Found]:
            logs = log_probabilities(model.session, audio)
            probabilities = np.exp(logs)
            named = np.concatenate([probabilities @ classes.T, probabilities[:, silent].sum(1, keepdims=True)], axis=1)
            costs = np.log(probabilities.max(1, keepdims=True)) - np.log(np.maximum(named, 1e-9))
            return paths.search(np.clip(costs, 0.0, self.most_cost).astype(np.float32))

        return search


def token_classes(tokens: Sequence[str], near_weight: float) -> tuple[NDArray[np.float32], list[int]]:
    """How much each token counts for each of our phonemes, [phonemes, tokens], and the tokens that stand for none."""
    own = np.zeros((len(PHONEMES), len(tokens)), np.float32)
    near = np.zeros((len(PHONEMES), len(PHONEMES)), np.float32)
    bare = [phoneme.rstrip("012") for phoneme in PHONEMES]
    for row, phoneme in enumerate(PHONEMES):
        for symbol in f"{_IPA.get(bare[row], '')} {_UNSTRESSED.get(phoneme, '')}".split():
            own[row, tokens.index(symbol)] = 1
        for column, other in enumerate(bare):
            together = any({bare[row], other} <= set(group.split()) for group in _NEAR)
            near[row, column] = together or (is_vowel(phoneme) and is_vowel(other))
    return np.maximum(own, near_weight * np.minimum(1, near @ own)), [tokens.index(symbol) for symbol in _SILENT]


def log_probabilities(session, audio: Audio) -> NDArray[np.float32]:
    """The recogniser's log-probabilities [frames, tokens] of audio of any length, window by window."""
    hop = round((_WINDOW_SECONDS - 2 * _MARGIN_SECONDS) * SAMPLE_RATE)
    margin = round(_MARGIN_SECONDS * SAMPLE_RATE)
    frame = round(_FRAME_SECONDS * SAMPLE_RATE)
    pieces = []
    for first in range(0, len(audio), hop):
        start, end = max(0, first - margin), min(len(audio), first + hop + margin)
        window = np.pad(audio[start:end], (0, max(0, 1600 - (end - start))))[None].astype(np.float32)
        feeds = {"waveform": window, "waveform_lengths": np.array([window.shape[1]])}
        logs, lengths = session.run(["log_probs", "out_lengths"], feeds)
        skipped = (first - start) // frame
        pieces.append(logs[0][: int(lengths[0])][skipped : skipped + hop // frame])
    return np.concatenate(pieces)


class _Paths:
    """The paths of all keywords' pronunciations, moved on together, frame by frame."""

    def __init__(self, keywords: Sequence[str], pronouncer: Pronouncer, prior_cost: float, lowest: float) -> None:
        said = [(number, v) for number, k in enumerate(keywords) for v in pronouncer.variants(k)]
        self.keywords, self.lowest, self.prior_cost = list(keywords), lowest, prior_cost
        self.owners = np.array([number for number, _ in said])
        silent, most = len(PHONEMES), 2 * max(len(v) for _, v in said) - 1
        # States of a path: phoneme, blank, phoneme, …; what lies behind its end costs too much to matter.
        self.states = np.full((len(said), most), silent)
        self.skips = np.full((len(said), most), np.float32(np.inf))
        for row, (_, variant) in enumerate(said):
            for place, phoneme in enumerate(variant):
                self.states[row, 2 * place] = PHONEMES.index(phoneme)
                if place and phoneme.rstrip("012") != variant[place - 1].rstrip("012"):
                    self.skips[row, 2 * place] = 0.0
        sizes = np.array([len(variant) for _, variant in said])
        self.lasts, self.scales = 2 * (sizes - 1), sizes

    def search(self, costs: NDArray[np.float32]) -> list[Found]:
        """Detections in costs [frames, phonemes and blank]: the best of those that overlap."""
        shape = self.states.shape
        path = np.full(shape, np.float32(np.inf))
        began = np.zeros(shape, np.int32)
        rows = np.arange(len(path))
        ends = np.empty((len(costs), len(path)), np.float32)
        starts = np.empty((len(costs), len(path)), np.int32)
        for now, cost in enumerate(costs):
            one, two = (np.full(shape, np.float32(np.inf)) for _ in range(2))
            one[:, 1:], two[:, 2:] = path[:, :-1], path[:, :-2]
            two += self.skips
            since_one, since_two = began.copy(), began.copy()
            since_one[:, 1:], since_two[:, 2:] = began[:, :-1], began[:, :-2]
            one[:, 0], since_one[:, 0] = 0.0, now
            began = np.where(one < path, since_one, began)
            path = np.minimum(path, one)
            began = np.where(two < path, since_two, began)
            path = np.minimum(path, two) + cost[self.states]
            ends[now], starts[now] = path[rows, self.lasts], began[rows, self.lasts]
        scores = -(ends + self.prior_cost) / self.scales
        found = []
        for number, keyword in enumerate(self.keywords):
            mine = np.flatnonzero(self.owners == number)
            best = mine[np.argmax(scores[:, mine], axis=1)]
            frames = np.arange(len(scores))
            found += _peaks(keyword, scores[frames, best], starts[frames, best], self.lowest)
        return found


def _peaks(keyword: str, scores: NDArray[np.floating], starts: NDArray[np.integer], lowest: float) -> list[Found]:
    """The best-scoring ends, none overlapping another that is better."""
    padded = np.concatenate([[-np.inf], scores, [-np.inf]])
    places = np.flatnonzero((scores > padded[:-2]) & (scores >= padded[2:]) & (scores >= lowest))
    taken = np.zeros(len(scores), bool)
    found = []
    for end in places[np.argsort(-scores[places], kind="stable")].tolist():
        span = slice(int(starts[end]), end + 1)
        if taken[span].any():
            continue
        taken[span] = True
        # A peaky recogniser writes a phoneme near its middle.
        begin, until = max(0.0, span.start * _FRAME_SECONDS - 0.04), (end + 1) * _FRAME_SECONDS + 0.04
        found.append(Found(keyword, float(scores[end]), begin, until))
    return found
