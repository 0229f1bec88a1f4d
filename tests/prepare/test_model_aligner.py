"""A bundle's own aligner: the cheapest path of all, words where they were put, and what it does not believe."""

import itertools
import json

import numpy as np
import pytest
import torch

from watchword.audio import SAMPLE_RATE, write
from watchword.bundle import Bundle
from watchword.cli import main
from watchword.data.segment import Segment, Timed, read_segments, write_segments
from watchword.export import export_model
from watchword.model.acoustic import AcousticConfig
from watchword.model.keyword_model import KeywordModel, ModelConfig
from watchword.prepare.align import align_segments
from watchword.prepare.alignment import AlignError
from watchword.prepare.model_aligner import SILENCE, Lattice, ModelAligner
from watchword.runtime.alignment import classes_of

HEY_YOU = (((("HH", "EY1")), (("HH", "EY1", "AH0"))), (("Y", "UW1"), ("AH0",)))
NUM_CLASSES = 41


def ways(words, steps):
    """Every sequence of `steps` classes that says the words in order, with silence around and between them or not."""
    found = set()
    for variants in itertools.product(*words):
        pieces = []
        for phonemes in variants:
            classes = classes_of(phonemes).tolist()
            # A word of one phoneme lasts two steps.
            pieces.append([(c, 1 if len(classes) > 1 else 2) for c in classes])
        for quiet in itertools.product((False, True), repeat=len(words) + 1):
            units = []
            for number, piece in enumerate(pieces):
                units += [(SILENCE, 1)] * quiet[number] + piece
            units += [(SILENCE, 1)] * quiet[-1]
            spare = steps - sum(least for _, least in units)
            if spare < 0:
                continue
            for cuts in itertools.combinations_with_replacement(range(len(units)), spare):
                lengths = [least + cuts.count(n) for n, (_, least) in enumerate(units)]
                found.add(tuple(c for (c, _), length in zip(units, lengths, strict=True) for _ in range(length)))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_the_path_is_the_cheapest_of_all(seed):
    costs = np.random.default_rng(seed).uniform(0, 5, (8, NUM_CLASSES)).astype(np.float32)
    lattice = Lattice.of(HEY_YOU)
    found = lattice.path(costs)
    assert found is not None
    path, nats = found
    classes = lattice.classes[path]
    least = min(costs[np.arange(8), list(way)].sum() for way in ways(HEY_YOU, 8))
    assert costs[np.arange(8), classes].sum() == pytest.approx(least, rel=1e-5)
    assert nats == pytest.approx(least / 8, rel=1e-5)
    assert tuple(classes.tolist()) in ways(HEY_YOU, 8)


def test_too_few_steps_have_no_path():
    costs = np.zeros((3, NUM_CLASSES), np.float32)
    assert Lattice.of(HEY_YOU).path(costs) is None
    assert Lattice.of(HEY_YOU).path(np.zeros((4, NUM_CLASSES), np.float32)) is not None


def test_of_two_pronunciations_the_one_that_is_said_counts():
    said = classes_of(("HH", "EY1", "AH0", "Y", "UW1"))
    costs = np.full((10, NUM_CLASSES), 4.0, np.float32)
    costs[np.arange(10), np.repeat(said, 2)] = 0.0
    lattice = Lattice.of(HEY_YOU)
    found = lattice.path(costs)
    assert found is not None
    assert lattice.classes[found[0]].tolist() == np.repeat(said, 2).tolist()
    assert found[1] == pytest.approx(0.0)


@pytest.fixture(scope="module")
def aligner():
    return ModelAligner(Bundle.load())


def test_phones_fill_the_recording_without_gaps(aligner, words_apart):
    samples, _ = words_apart("a garden")
    found = aligner.align(samples, "a garden")
    assert not isinstance(found, str), found
    assert found.phones[0].start_seconds == 0.0
    assert found.phones[-1].end_seconds == pytest.approx(len(samples) / SAMPLE_RATE, abs=0.02)
    for one, other in itertools.pairwise(found.phones):
        assert one.end_seconds == pytest.approx(other.start_seconds)
    spoken = [phone.text for phone in found.phones if phone.text != "SIL"]
    assert spoken[-5:] == ["G", "AA1", "R", "D", "AH0", "N"][-5:]
    assert found.words[0].end_seconds - found.words[0].start_seconds >= 0.04 - 1e-6  # two steps at least


def test_another_text_is_rejected(aligner, words_apart):
    samples, _ = words_apart("mountain computer")
    assert isinstance(aligner.align(samples, "fifteen elephants were dancing on the bridge"), str)
    assert aligner.align(samples[:800], "mountain computer seven") == "does not align"


@pytest.fixture
def listed(tmp_path, words_apart):
    samples, truth = words_apart("mountain computer seven")
    write(tmp_path / "a.wav", samples)
    wrong = tuple(Timed(word.text, 0.25 * n, 0.25 * n + 0.25) for n, word in enumerate(truth))
    segment = Segment(str(tmp_path / "a.wav"), "mountain computer seven", 0.0, -1.0, "slt", "made", words=wrong)
    write_segments(tmp_path / "in.jsonl", [segment])
    return tmp_path / "in.jsonl", truth, wrong


def test_times_that_are_there_are_kept_unless_asked_again(tmp_path, listed, capsys):
    path, truth, wrong = listed
    base = ["prepare", "align", str(path), "--bundle", "default", "--jobs", "1"]
    assert main([*base, "--out", str(tmp_path / "kept.jsonl")]) == 0
    assert next(read_segments(tmp_path / "kept.jsonl")).words == wrong
    assert main([*base, "--again", "--out", str(tmp_path / "again.jsonl")]) == 0
    assert "aligned: 1" in capsys.readouterr().out
    found = next(read_segments(tmp_path / "again.jsonl")).words
    assert max(abs(w.start_seconds - t.start_seconds) for w, t in zip(found, truth, strict=True)) < 0.08


def test_what_another_aligner_did_is_not_taken_for_ones_own(tmp_path, listed):
    path, _, _ = listed
    segment = next(read_segments(path))
    out = tmp_path / "out.jsonl"
    parts = tmp_path / "out.jsonl.parts"
    parts.mkdir()
    record = {"key": f"{segment.audio}|0.000|{segment.text}", "words": [["mine", 0.0, 0.1]], "phones": []}
    (parts / "1.jsonl").write_text(json.dumps(record) + "\n")
    align_segments([segment], out, bundle=Bundle.load(), again=True, jobs=1)
    assert [word.text for word in next(read_segments(out)).words] == ["mountain", "computer", "seven"]
    # Its own is taken, and read no second time.
    (tmp_path / "a.wav").unlink()
    align_segments([segment], out, bundle=Bundle.load(), again=True, jobs=1)
    assert [word.text for word in next(read_segments(out)).words] == ["mountain", "computer", "seven"]


def test_a_bundle_that_hears_no_phonemes_is_said_to(tmp_path, listed, capsys):
    torch.manual_seed(0)
    made = export_model(KeywordModel(ModelConfig(acoustic=AcousticConfig(context="local"))), tmp_path / "deaf")
    with pytest.raises(AlignError, match="does not hear phonemes"):
        ModelAligner(made)
    arguments = [
        "prepare",
        "align",
        str(listed[0]),
        "--bundle",
        str(made.path),
        "--again",
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(arguments) == 2
    assert "name another bundle, or leave --bundle out" in capsys.readouterr().err
