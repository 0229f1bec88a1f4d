#!/usr/bin/env python3
"""Writes the manifest of `alphanumeric` anew, with its names as they are spoken: letter by letter.

    python scripts/spelled_manifest.py corpora/alphanumeric/manifest.tsv spelled/manifest.tsv

Its transcripts write "S a f f r o n", where "a" is the letter and no article. Addresses are left out, since "407" may
be "four oh seven" or "four hundred seven", and numbers, since digits are words of Speech Commands, which are kept for
tests of words never met. What was read otherwise than written does not align, and is dropped then.
"""

import csv
import sys
from pathlib import Path


def main(manifest: str, out: str) -> None:
    source = Path(manifest)
    with source.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    kept = []
    for row in rows:
        letters = row["text"].lower().split()
        if all(len(letter) == 1 and letter.isalpha() for letter in letters):
            path = (source.parent.parent / row["path"]).resolve()
            kept.append({**row, "path": str(path), "text": " ".join(f"{letter}." for letter in letters)})
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with open(out, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(kept[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(kept)
    print(f"{len(kept)} of {len(rows)} recordings")


if __name__ == "__main__":
    main(*sys.argv[1:])
