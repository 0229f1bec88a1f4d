"""The bundles inside the package: whole, as small as is said, and able to find what is said in the examples."""

from itertools import pairwise
from pathlib import Path

import pytest

from watchword import Bundle, Spotter

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(("name", "most_megabytes"), [("default", 12.0), ("small", 2.5), ("large", 12.0)])
def test_it_is_whole_and_no_larger_than_is_said(name: str, most_megabytes: float) -> None:
    bundle = Bundle.load(name)
    assert sum(path.stat().st_size for path in bundle.path.iterdir()) / 1e6 <= most_megabytes
    assert bundle.card["reproduce"]["command"] == "scripts/train_default"
    assert not bundle.card["reproduce"]["changed"]
    assert {"speech_embedding", "whisper_base"} <= {teacher["name"] for teacher in bundle.card["teachers"]}
    assert all(source["licence"] for source in bundle.card["data"])
    assert bundle.calibration["score"]


@pytest.mark.parametrize("name", ["default", "small", "large"])
def test_it_finds_what_is_said_in_the_examples(name: str) -> None:
    rows = [line.split("\t") for line in (EXAMPLES / "places.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    words = [(word, float(start)) for file, word, start, _ in rows if file == "kitchen.flac"]
    pairs = {f"{one} {two}": start for (one, start), (two, _) in pairwise(words)}
    wanted = ["front door", "kitchen lights", "this evening"]
    found = {hit.keyword: hit for hit in Spotter([*wanted, "purple umbrella"], name).scan(EXAMPLES / "kitchen.flac")}
    assert set(found) == set(wanted)
    for text in wanted:
        assert abs(found[text].start_seconds - pairs[text]) < 0.1
