"""The g2p_en network (GRU encoder and decoder) in numpy: the sound of a word that no lexicon holds."""

from pathlib import Path

import numpy as np

from watchword.text.phonemes import PHONEMES

_LETTERS = {letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz", start=3)}
_UNKNOWN_LETTER, _LETTERS_END = 1, 2
# The decoder's output has <pad> <unk> <s> </s> before the 70 phonemes.
_START, _END, _CONTROL = 2, 3, 4


class GraphemeToPhoneme:
    """The trained network of Park & Kim, "g2pE" (2019): 256 units, one word in, ARPABET with stress out."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            self._weights = {name: arrays[name].astype(np.float32) for name in arrays.files}

    def __call__(self, word: str) -> tuple[str, ...]:
        """The most likely phonemes of a lower-case word, greedily decoded; characters other than a–z are skipped."""
        letters = [_LETTERS[letter] for letter in word if letter in _LETTERS]
        if not letters:
            return ()
        hidden = np.zeros(self._weights["enc_w_hh"].shape[1], np.float32)
        for letter in (*letters, _LETTERS_END):
            hidden = self._step("enc", letter, hidden)
        symbol, phonemes = _START, []
        for _ in range(max(20, 2 * len(letters))):
            hidden = self._step("dec", symbol, hidden)
            logits = self._weights["fc_w"] @ hidden + self._weights["fc_b"]
            logits[:_END] = -np.inf
            symbol = int(logits.argmax())
            if symbol == _END:
                break
            phonemes.append(PHONEMES[symbol - _CONTROL + 2])
        return tuple(phonemes)

    def _step(self, side: str, symbol: int, hidden: np.ndarray) -> np.ndarray:
        """One GRU cell, gates in PyTorch's order (reset, update, new)."""
        weights = self._weights
        inputs = weights[f"{side}_w_ih"] @ weights[f"{side}_emb"][symbol] + weights[f"{side}_b_ih"]
        states = weights[f"{side}_w_hh"] @ hidden + weights[f"{side}_b_hh"]
        size = len(hidden)
        reset, update = np.split(1 / (1 + np.exp(-(inputs[: 2 * size] + states[: 2 * size]))), 2)
        new = np.tanh(inputs[2 * size :] + reset * states[2 * size :])
        return (1 - update) * new + update * hidden
