"""The command `watchword calibrate`: the card gets a threshold that was measured, and nothing else changes."""

import shutil

import numpy as np
import pytest

from watchword.audio import SAMPLE_RATE, write
from watchword.bundle import Bundle
from watchword.cli import main
from watchword.data.segment import write_segments


@pytest.fixture
def bundle(phoneme_bundle, tmp_path):
    return shutil.copytree(phoneme_bundle.path, tmp_path / "bundle")


@pytest.fixture
def manifest(spoken_segments, tmp_path):
    path = tmp_path / "made.segments.jsonl"
    write_segments(path, spoken_segments[:16])
    return path


def calibrate(bundle, manifest, *options):
    return main(["calibrate", str(bundle), str(manifest), "--keywords", "12", "--split", "all", *options])


def test_the_card_gets_a_threshold_and_what_it_costs(bundle, manifest, capsys):
    before = Bundle.load(bundle).card
    assert calibrate(bundle, manifest, "--alarms", "20") == 0
    after = Bundle.load(bundle).card
    measured = after["calibration"]
    assert after["threshold"] == next(r["threshold"] for r in measured["rows"] if r["alarms_per_hour"] == 20)
    assert (measured["keywords"], len(measured["speakers"])) == (12, 8)
    assert sum("threshold" in sentence for sentence in after["limits"]) == 1
    assert {k: v for k, v in after.items() if k not in ("threshold", "calibration", "limits")} == {
        k: v for k, v in before.items() if k not in ("threshold", "limits")
    }
    assert "12 keywords" in capsys.readouterr().out


def test_it_can_only_look(bundle, manifest):
    card = (bundle / "card.json").read_bytes()
    assert calibrate(bundle, manifest, "--no-write") == 0
    assert (bundle / "card.json").read_bytes() == card


def test_no_speech_is_one_sentence(bundle, manifest, capsys):
    assert calibrate(bundle, manifest, "--speaker", "nobody") == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("calibrate: no segment has word times")


def test_one_threshold_for_quiet_noise_and_rooms(bundle, manifest, tmp_path, capsys):
    hiss = tmp_path / "noise" / "hiss.wav"
    hiss.parent.mkdir()
    write(hiss, np.random.default_rng(0).normal(0, 0.05, 5 * SAMPLE_RATE).astype(np.float32))
    assert calibrate(bundle, manifest, "--alarms", "20", "--noise", str(hiss.parent)) == 0
    told = capsys.readouterr().out
    measured = Bundle.load(bundle).card["calibration"]
    assert list(measured["conditions"]) == ["clean", "10 dB", "room"]
    assert all(f"{name} at " in told for name in measured["conditions"])
    rates = [one["alarms_per_hour"] for one in measured["conditions"].values()]
    assert np.mean(rates) == pytest.approx(20, rel=0.25)
    assert any("noise" in sentence for sentence in Bundle.load(bundle).card["limits"])


def test_a_folder_without_noise_is_one_sentence(bundle, manifest, tmp_path, capsys):
    before = (bundle / "card.json").read_bytes()
    assert calibrate(bundle, manifest, "--noise", str(tmp_path / "nothing")) == 2
    assert "--noise" in capsys.readouterr().err.strip().splitlines()[-1]
    assert (bundle / "card.json").read_bytes() == before
