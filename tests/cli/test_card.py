"""The command `watchword card`: what a card says is printed with its figures, and what it lacks is said as missing."""

import json
import shutil

from watchword.bundle import Bundle
from watchword.evaluate.benchmarks import Result, Settings
from watchword.evaluate.metrics import Figure
from watchword.evaluate.report import build_report, bundle_hash, merge_into_card

FULL = {
    "purpose": {"for": "finding words", "not_for": "all else"},
    "languages": ["en"],
    "data": [{"corpus": "tones", "licence": "CC0", "clips": 3, "hours": 0.25}],
    "noise": [{"corpus": "rain", "licence": "public domain", "clips": 2, "hours": 0.5}],
    "teachers": [
        {"name": "old master", "role": "scolded", "what": "phonemes", "licence": "MIT", "learned_from": "books"}
    ],
    "recipe": {"name": "made", "seed": 7},
    "reproduce": {"command": "scripts/make_it", "seed": 7, "commit": "ab" * 20, "changed": False},
    "calibration": {"keywords": 5, "hours": 1, "rows": [{"alarms_per_hour": 0.5, "threshold": 0.25, "missed": 0.1}]},
    "limits": ["It is small."],
}


def written(bundle, folder, **changes):
    """A copy of a bundle with another card."""
    shutil.copytree(bundle.path, folder)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **changes}))
    return folder


def test_everything_on_the_card_is_printed_and_nothing_but_figures_is_missing(local_bundle, tmp_path, run):
    folder = written(local_bundle, tmp_path / "full", **FULL)
    status, out, _ = run("card", folder)
    assert status == 0
    for said in (
        "finding words", "all else", "en", "tones", "CC0", "0.25", "rain", "public domain", "old master", "books",
        "scolded",
        "made, seed 7", "abababababab", "scripts/make_it", "0.2500", "10.0", "It is small.", bundle_hash(folder)[:12],
    ):  # fmt: skip
        assert said in out, said
    missing = json.loads(run("card", folder, "--json")[1])["missing"]
    assert len(missing) == 3
    assert all("not measured" in sentence for sentence in missing)


def test_a_card_of_before_is_read_and_what_it_lacks_is_said(local_bundle, tmp_path, run):
    old = {"purpose": None, "languages": None, "noise": None, "teachers": None, "reproduce": None, "calibration": None}
    unknown = [{"corpus": "found", "licence": "", "clips": 1, "hours": 1.0}]
    folder = written(local_bundle, tmp_path / "old", **old, data=unknown)
    status, out, _ = run("card", folder)
    assert status == 0
    assert "licences: not stated for found" in out
    made = json.loads(run("card", folder, "--json")[1])
    for thing in ("purpose", "noise", "teachers", "commit", "command", "thresholds", "licences"):
        assert any(sentence.startswith(thing) for sentence in made["missing"]), thing
    assert made["teachers"] is made["reproduce"] is made["calibration"] is None


def test_figures_that_evaluate_wrote_are_limits_and_benchmarks(local_bundle, tmp_path, run):
    folder = written(local_bundle, tmp_path / "measured")
    figures = {"hard_eer": Figure(0.12345, 0.1, 0.15), "hard_eer_1_word": Figure(0.2)}
    counts = {"trials": 9, "clips": 3, "speakers": 1}
    for benchmark, corpus in (("libriphrase-style", "librispeech"), ("libriphrase-style, aligned", "librispeech")):
        result = Result(benchmark, corpus, figures, counts, 0.5, "ab" * 32, "l.tsv", Settings(), 1.0)
        merge_into_card(folder / "card.json", build_report(folder, [result], "watchword evaluate --seed 0"))
        figures = {"hard_eer": Figure(0.054321, 0.01, 0.09)}
    status, out, _ = run("card", folder)
    assert status == 0
    assert "12.3" in out
    assert "10.0–15.0" in out
    made = json.loads(run("card", folder, "--json")[1])
    limits = {limit["name"]: (limit["value"], limit["scored"]) for limit in made["measured_limits"]}
    assert limits["short words"] == (0.2, "by the cosine alone")
    assert limits["all lengths"] == (0.054321, "as detections are")
    assert {row["command"] for row in made["benchmarks"]} == {"watchword evaluate --seed 0"}
    assert made["sha256"]["scores"] == bundle_hash(Bundle.load(folder).path)


def test_what_is_no_bundle_is_refused(tmp_path, refused):
    refused("card", tmp_path, parts=(str(tmp_path), "watchword export"))
