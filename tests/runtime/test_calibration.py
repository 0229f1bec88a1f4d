"""Laws of calibrated scores and thresholds: rates order thresholds, keywords keep apart, old bundles stay."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from watchword import Bundle, BundleError, Keyword, Spotter
from watchword.bundle import CALIBRATION_FILE, write_card
from watchword.cli import main
from watchword.runtime.calibration import (
    ALIKE,
    EVIDENCE,
    NEAREST,
    Calibration,
    Cohort,
    Moments,
    RateError,
    Thresholds,
    write_calibration,
)
from watchword.runtime.spans import ScanSettings

# The classifier of a small bundle is untrained: let it propose whatever it likes best.
LOOSE = ScanSettings(loosest_cost=100.0, outside_cost=0.1, longest_factor=2.0, refractory_seconds=0.1, overlap=1.0)
TEXTS = ["nova", "hey robot", "umbrella"]
ROWS = [{"alarms_per_hour": rate, "threshold": threshold} for rate, threshold in ((0.1, 0.5), (1.0, 0.3), (10.0, -0.2))]


def crowd(seed, dim=32, size=400):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(rng.normal(size=dim), np.linspace(0.1, 2.0, dim), (size, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def with_calibration(bundle, folder, **told):
    """A copy of a bundle whose card has this calibration."""
    copy = shutil.copytree(bundle.path, folder)
    card = {key: value for key, value in bundle.card.items() if key not in ("format", "files")}
    return write_card(copy, card | {"calibration": told})


@pytest.fixture(scope="module")
def scale():
    weights = dict.fromkeys(EVIDENCE, 0.1) | {"cosine": 1.0, "cost": -0.02, "length": -0.05, "size": 0.02}
    return Calibration(Moments.of(crowd(1)), Moments.of(crowd(2)), np.array(list(weights.values())), -0.2, 3, 9)


@pytest.fixture(scope="module")
def calibrated(phoneme_bundle, scale, tmp_path_factory):
    """The small bundle with a scale of its own."""
    copy = with_calibration(phoneme_bundle, tmp_path_factory.mktemp("calibrated") / "bundle", rows=ROWS)
    score = write_calibration(copy, scale)
    card = {key: value for key, value in copy.card.items() if key not in ("format", "files")}
    return write_card(copy.path, card | {"calibration": {"rows": ROWS, "score": score}})


def places(hits, keyword):
    return [(h.start_seconds, h.end_seconds, h.score) for h in hits if h.keyword == keyword]


def test_likeness_is_the_mean_of_the_nearest_but_for_the_text_itself():
    bank, clips, texts = crowd(5, size=40), crowd(6, size=7), crowd(5, size=12)[:6]
    texts = np.concatenate([texts, -bank[:1]])
    found = Cohort(bank, 0.25).likeness(clips, texts)
    left_out = 0
    for row, clip in enumerate(clips):
        for column, text in enumerate(texts):
            others = [float(clip @ other) for other in bank if float(other @ text) < ALIKE]
            left_out += len(bank) - len(others)
            assert found[row, column] == pytest.approx(np.mean(sorted(others)[-NEAREST:]) - 0.25, abs=1e-5)
    assert left_out > 0


def test_a_clip_loses_what_makes_it_like_other_texts(phoneme_bundle, scale, tmp_path):
    clips = [np.random.default_rng(seed).normal(0, 0.1, 16000).astype(np.float32) for seed in range(3)]
    texts = ["{N OW1 V AH0}", "{R OW1 B AA2 T}"]
    settings = ScanSettings(clip_weight=0.0)  # an untrained classifier finds nothing that fits
    plain = Spotter([], phoneme_bundle, settings=settings, calibration=scale)
    cohort = Cohort(crowd(7, dim=phoneme_bundle.dim, size=30).astype(np.float16).astype(np.float32), 0.125)
    copy = with_calibration(phoneme_bundle, tmp_path / "bundle", rows=ROWS)
    score = write_calibration(copy, replace(scale, cohort=cohort))
    card = {key: value for key, value in copy.card.items() if key not in ("format", "files")}
    loaded = Spotter(
        [], write_card(copy.path, card | {"calibration": {"rows": ROWS, "score": score}}), settings=settings
    )
    embedded = np.stack([loaded.encoder.embed_whole(loaded.encoder.clip_rows(clip)) for clip in clips])
    np.testing.assert_array_equal(loaded.score_clips(clips, texts), plain.score_clips(clips, texts))
    for number, text in enumerate(texts):
        (vector,) = loaded.encoder.text_variants(text)[1]
        before = plain.score_clips(clips, [text], aligned=True)[:, 0]
        off = loaded.settings.cohort_weight * cohort.likeness(embedded, vector[None])[:, 0]
        assert np.abs(off).max() > 0.01
        after = loaded.score_clips(clips, texts, aligned=True)[:, number]
        np.testing.assert_allclose(after, np.maximum(-1.0, before - off), atol=1e-5)


def test_moments_are_mean_and_deviation_of_cosines():
    vectors = crowd(3, size=3000)
    for rank in (31, 8):
        moments = Moments.of(vectors, rank)
        for vector in crowd(4, size=5):
            mean, spread = moments.beside(vector)
            cosines = vectors @ vector
            assert mean == pytest.approx(cosines.mean(), abs=2e-3)
            assert spread == pytest.approx(cosines.std(), rel=0.02 if rank == 31 else 0.3)


def test_the_bundle_keeps_the_scale(calibrated, scale):
    read = Calibration.of(calibrated)
    assert read is not None
    for name in ("speech", "texts"):
        for one, other in zip(getattr(read, name), getattr(scale, name), strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(read.weights, scale.weights)
    assert (read.constant, read.fewest, read.most) == (scale.constant, scale.fewest, scale.most)
    assert (calibrated.path / CALIBRATION_FILE).stat().st_size < 10_000


def test_a_score_is_the_sum_of_its_evidence(calibrated, scale, sound):
    hits = Spotter(TEXTS, calibrated, -5.0, settings=LOOSE).scan(sound)
    assert len(hits) > 10
    for hit in hits:
        assert hit.score == pytest.approx(float(np.dot(scale.weights, hit.evidence)) + scale.constant)
        told = dict(zip(EVIDENCE, hit.evidence, strict=True))
        assert told["cosine"] == hit.cosine
        assert hit.phoneme_score == pytest.approx(np.exp(-told["cost"]), abs=1e-5)
        size = min(len(hit.phonemes), 9)
        assert (told["size"], told["size_to_6"], told["size_to_10"]) == (size, min(size, 6), size)


def test_a_scan_is_a_stream(calibrated, sound):
    spotter = Spotter(TEXTS, calibrated, settings=LOOSE, false_alarms_per_hour=30)
    hits, stream = spotter.scan(sound), spotter.stream()
    heard = [hit for at in range(0, len(sound), 1603) for hit in stream.feed(sound[at : at + 1603])] + stream.flush()
    assert len(hits) > 5
    assert [h.keyword for h in heard] == [h.keyword for h in hits]
    np.testing.assert_allclose([h.start_seconds for h in heard], [h.start_seconds for h in hits], atol=1e-3)
    np.testing.assert_allclose([h.score for h in heard], [h.score for h in hits], atol=1e-4)


def test_other_keywords_change_nothing(calibrated, sound):
    sound = sound[:64000]
    alone = Spotter(["nova"], calibrated, settings=LOOSE, false_alarms_per_hour=30).scan(sound)
    assert alone
    for texts in (TEXTS, TEXTS[::-1]):
        among = Spotter(texts, calibrated, settings=LOOSE, false_alarms_per_hour=30).scan(sound)
        assert places(among, "nova") == places(alone, "nova")


def test_a_bundle_without_a_scale_scores_as_before(phoneme_bundle, sound, tmp_path):
    """And thresholds that were measured without one are of use all the same."""
    old = with_calibration(phoneme_bundle, tmp_path / "old", rows=ROWS)
    expected = Spotter(TEXTS, phoneme_bundle, -5.0, settings=LOOSE).scan(sound)
    spotter = Spotter(TEXTS, old, -5.0, settings=LOOSE)
    assert spotter.calibration is None
    assert spotter.scan(sound) == expected
    assert {hit.evidence for hit in expected} == {()}
    hit = expected[0]
    assert hit.cosine is not None
    assert hit.phoneme_score is not None
    usual = len(hit.phonemes) * phoneme_bundle.seconds_per_phoneme
    score = hit.cosine + LOOSE.phoneme_weight * np.log(hit.phoneme_score)
    score -= LOOSE.length_weight * np.log((hit.end_seconds - hit.start_seconds) / usual) ** 2
    assert hit.score == pytest.approx(score + LOOSE.size_weight * (len(hit.phonemes) - LOOSE.size_usual), abs=1e-5)
    assert Spotter(TEXTS, old, false_alarms_per_hour=1).threshold == 0.3


def test_thresholds_fall_as_rates_rise(calibrated):
    thresholds = Thresholds.of(calibrated)
    for row in ROWS:
        assert thresholds.at(row["alarms_per_hour"]) == pytest.approx(row["threshold"])
    values = [thresholds.at(rate) for rate in np.logspace(-4, 3, 200)]
    assert (np.diff(values) < 0).all()
    # A factor of ten in between is linear in its logarithm; below the lowest rate it goes on.
    assert thresholds.at(10**0.5) == pytest.approx(0.05)
    assert thresholds.at(0.01) == pytest.approx(0.7)


def test_thresholds_never_rise_whatever_chance_measured(phoneme_bundle, tmp_path):
    rows = [
        {"alarms_per_hour": rate, "threshold": value} for rate, value in ((5, 0.1), (0.1, 0.4), (0.5, 0.45), (1, 0.1))
    ]
    thresholds = Thresholds.of(with_calibration(phoneme_bundle, tmp_path / "bundle", rows=rows, tail=0.05))
    values = [thresholds.at(rate) for rate in np.logspace(-3, 2, 100)]
    assert (np.diff(values) <= 0).all()
    assert thresholds.at(0.1 / np.e) == pytest.approx(thresholds.at(0.1) + 0.05)


def test_every_keyword_gets_the_threshold_but_those_that_have_their_own(calibrated):
    spotter = Spotter(["nova", Keyword("umbrella", 0.9)], calibrated, false_alarms_per_hour=10**0.5)
    assert [keyword.threshold for keyword in spotter.keywords] == [pytest.approx(0.05), 0.9]
    stream = spotter.stream()
    stream.add("hey robot")
    assert stream.keywords[-1].threshold == pytest.approx(0.05)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_what_is_no_rate_is_refused(calibrated, rate):
    with pytest.raises(RateError, match="is no rate; give a number above 0"):
        Spotter(["nova"], calibrated, false_alarms_per_hour=rate)


def test_rates_that_cannot_be_had_are_refused(calibrated, phoneme_bundle):
    with pytest.raises(RateError, match="give one of the two"):
        Spotter(["nova"], calibrated, 0.5, false_alarms_per_hour=1)
    with pytest.raises(RateError, match="by phonemes; give a threshold"):
        Spotter(["nova"], calibrated, settings=replace(LOOSE, by_phonemes=False), false_alarms_per_hour=1)
    with pytest.raises(BundleError, match="run `watchword calibrate` on it, or give a threshold"):
        Spotter(["nova"], phoneme_bundle, false_alarms_per_hour=1)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"score": {"weights": {}, "constant": 0, "phonemes": [3, 9]}}, "cannot be used"),
        ({"score": 7}, "cannot be used"),
        ({"rows": [{"alarms_per_hour": 1}, {"alarms_per_hour": 2}]}, "lacks 'threshold'"),
        ({"rows": [{"alarms_per_hour": 0, "threshold": 1}, {"alarms_per_hour": 2, "threshold": 0}]}, "rates above 0"),
    ],
)
def test_a_calibration_that_makes_no_sense_is_one_sentence(phoneme_bundle, tmp_path, told, message):
    bundle = with_calibration(phoneme_bundle, tmp_path / "bundle", **told)
    with pytest.raises(BundleError, match=message):
        Spotter(["nova"], bundle, false_alarms_per_hour=1)


def test_a_scale_of_another_model_is_refused(calibrated, tmp_path, scale):
    copy = Bundle.load(shutil.copytree(calibrated.path, tmp_path / "bundle"))
    narrow = replace(scale, texts=Moments.of(crowd(5, dim=16)))
    write_calibration(copy, narrow)
    write_card(copy.path, {key: value for key, value in copy.card.items() if key not in ("format", "files")})
    with pytest.raises(BundleError, match="of another model"):
        Spotter(["nova"], copy.path)


def test_the_command_takes_a_rate(calibrated, sound, tmp_path, capsys):
    from watchword import audio

    audio.write(tmp_path / "sound.wav", sound)
    arguments = ["spot", "nova", str(tmp_path / "sound.wav"), "--bundle", str(calibrated.path), "--json"]
    assert main([*arguments, "--false-alarms-per-hour", "1"]) in (0, 1)
    assert main([*arguments, "--false-alarms-per-hour", "1", "--threshold", "0"]) == 2
    assert "give one of the two" in capsys.readouterr().err
