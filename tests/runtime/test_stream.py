"""Laws of streams: chunking, rates, scans, resets, threads and late keywords change nothing; silence finds nothing."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soxr

from watchword import Keyword, Spotter
from watchword.audio import AudioError
from watchword.runtime.encoder import Encoder
from watchword.runtime.frames import FrameStream, StateStream
from watchword.runtime.spans import ScanSettings
from watchword.text.words import TextError

# The classifier of a small bundle is untrained: let it propose whatever it likes best.
LOOSE = ScanSettings(
    loosest_cost=100.0,
    outside_cost=0.1,
    longest_factor=2.0,
    phoneme_weight=0.02,
    length_weight=0.05,
    refractory_seconds=0.1,
    overlap=1.0,
)
TEXTS = ["nova", "hey robot", "umbrella"]


@pytest.fixture(params=["phoneme", "local", "utterance"])
def spotter(request):
    bundle = request.getfixturevalue(f"{request.param}_bundle")
    return Spotter(TEXTS[: 3 if request.param == "phoneme" else 1], bundle, -1.0, settings=LOOSE)


@pytest.fixture
def by_phonemes(phoneme_bundle):
    return Spotter(TEXTS, phoneme_bundle, -1.0, settings=LOOSE)


def run(stream, sound, cuts):
    hits = [hit for piece in np.split(sound, list(cuts)) for hit in stream.feed(piece)]
    return hits + stream.flush()


def alike(one, two, seconds=1e-3, decided=True):
    assert [h.keyword for h in one] == [h.keyword for h in two]
    for name in ("start_seconds", "end_seconds", *(["decided_seconds"] if decided else [])):
        np.testing.assert_allclose([getattr(h, name) for h in one], [getattr(h, name) for h in two], atol=seconds)
    np.testing.assert_allclose([h.score for h in one], [h.score for h in two], atol=1e-4)


def test_chunks_do_not_matter(spotter, sound):
    sound = sound[:64000]
    expected = run(spotter.stream(), sound, [])
    assert len(expected) >= 3
    for cuts in ([1, 2, 3, 4000], range(0, 64000, 1600), range(0, 64000, 4801), [63999]):
        alike(run(spotter.stream(), sound, cuts), expected)


def test_single_samples_are_chunks(by_phonemes, sound):
    sound = sound[:24000]
    stream = by_phonemes.stream()
    expected = run(by_phonemes.stream(), sound, [])
    assert expected
    alike(run(stream, sound, range(1, 24000)), expected)


def test_a_scan_is_a_stream(by_phonemes, sound):
    hits = by_phonemes.scan(sound)
    assert len(hits) > 10
    alike(run(by_phonemes.stream(), sound, range(0, len(sound), 1600)), hits)


def test_int16_is_float(by_phonemes, sound):
    whole = (sound * 32767).round().astype(np.int16)
    alike(run(by_phonemes.stream(), whole, [777]), run(by_phonemes.stream(), whole / np.float32(32768), []))


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_resampling_in_chunks_is_resampling_whole(by_phonemes, sound, rate):
    slow = soxr.resample(sound, 16000, rate)
    expected = by_phonemes.scan(slow, rate)
    assert len(expected) > 5
    alike(run(by_phonemes.stream(rate), slow, range(0, len(slow), 997)), expected)


def test_the_rate_hardly_matters(by_phonemes, sound):
    """A signal without anything above 4 kHz is the same at every rate, but for what resampling rounds."""
    narrow = soxr.resample(soxr.resample(sound, 16000, 8000), 8000, 16000)
    expected = {(h.keyword, round(h.end_seconds, 2)): h.score for h in by_phonemes.scan(narrow)}
    for rate in (44100, 48000):
        hits = by_phonemes.scan(soxr.resample(narrow, 16000, rate), rate)
        shared = [h for h in hits if (h.keyword, round(h.end_seconds, 2)) in expected]
        assert len(shared) >= 0.8 * len(expected)
        for hit in shared:
            assert hit.score == pytest.approx(expected[hit.keyword, round(hit.end_seconds, 2)], abs=0.02)


def test_reset_is_fresh(spotter, sound):
    sound = sound[:48000]
    stream = spotter.stream()
    stream.feed(sound[::-1].copy())
    stream.mute(100.0)
    stream.flush()
    stream.reset()
    assert stream.seconds == 0.0
    assert stream.near_misses == ()
    alike(run(stream, sound, [5000]), run(spotter.stream(), sound, []))


@pytest.mark.parametrize("kind", ["zero", "constant", "noise", "hum"])
def test_nothing_is_found_where_nothing_is_said(kind):
    """The bundle inside the package, at its own threshold."""
    rng = np.random.default_rng(0)
    time = np.arange(16000 * 12) / 16000
    sound = {
        "zero": 0 * time,
        "constant": 0 * time + 0.5,
        "noise": 0.1 * rng.standard_normal(len(time)),
        "hum": np.sign(np.sin(2 * np.pi * 100 * time)),  # clipped
    }[kind].astype(np.float32)
    stream = Spotter(["kitchen lights", "hey nova", "good morning", "ace"]).stream(near_margin=2.0)
    assert run(stream, sound, range(0, len(sound), 8000)) == []
    assert all(np.isfinite(hit.score) for hit in stream.near_misses)
    assert all(np.isfinite(level) for level in stream.levels().values())


def test_what_is_far_too_loud_leaves_no_trace(by_phonemes, sound):
    stream = by_phonemes.stream()
    stream.feed(np.full(16000, 1e30, np.float32))
    assert all(np.isfinite(hit.score) for hit in stream.feed(sound))
    late = [hit for hit in run(stream, sound, []) if hit.start_seconds > 12]
    assert late
    assert all(np.isfinite(hit.score) for hit in late)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((100, 2), np.float32), "one channel"),
        (np.array([0.1, np.nan], np.float32), "not numbers"),
        (np.zeros(100, np.int32), "int16 or float"),
    ],
)
def test_refused_samples_change_nothing(by_phonemes, sound, samples, message):
    sound = sound[:32000]
    stream = by_phonemes.stream()
    hits = stream.feed(sound[:9000])
    with pytest.raises(AudioError, match=message):
        stream.feed(samples)
    alike(hits + run(stream, sound[9000:], []), run(by_phonemes.stream(), sound, []))
    with pytest.raises(AudioError, match="has ended"):
        stream.feed(sound)
    assert stream.flush() == []


def test_a_rate_that_is_none_is_refused(by_phonemes):
    with pytest.raises(AudioError, match="0 Hz"):
        by_phonemes.stream(0)


def test_decisions_come_after_the_end_in_order_and_soon(by_phonemes, sound):
    stream = by_phonemes.stream()
    last = 0.0
    for start in range(0, len(sound), 1600):
        for hit in stream.feed(sound[start : start + 1600]):
            assert last <= hit.decided_seconds <= stream.seconds
            assert stream.seconds - hit.decided_seconds < 0.1 + 1e-6
            assert hit.end_seconds <= hit.decided_seconds < hit.end_seconds + 0.7
            last = hit.decided_seconds
    assert last > 5


def test_a_keyword_added_late_is_there_from_then_on(spotter, sound):
    name = TEXTS[0]
    whole = run(spotter.stream(), sound, [])
    stream = spotter.stream()
    stream.remove(name)
    before = stream.feed(sound[:48000])
    assert name not in {hit.keyword for hit in before}
    stream.add(Keyword(name, -1.0))
    late = [hit for hit in run(stream, sound[48000:], [777]) if hit.keyword == name and hit.start_seconds > 4.5]
    expected = [hit for hit in whole if hit.keyword == name and hit.start_seconds > 4.5]
    assert expected
    # What came before may weigh on the first of them.
    alike([hit for hit in late if hit.start_seconds > 5.5], [hit for hit in expected if hit.start_seconds > 5.5])


def test_keywords_come_and_go_without_disturbing_others(by_phonemes, sound):
    expected = [hit for hit in run(by_phonemes.stream(), sound, []) if hit.keyword == "umbrella"]
    stream = by_phonemes.stream()
    hits = stream.feed(sound[:30000])
    stream.remove("nova")
    stream.add("tomato", Keyword("lights off | {L AY1 T S AO1 F}", 0.9, "dark"))
    hits += stream.feed(sound[30000:70000])
    stream.remove("dark")
    hits += run(stream, sound[70000:], [])
    assert expected
    alike([hit for hit in hits if hit.keyword == "umbrella"], expected)
    assert [keyword.name for keyword in stream.keywords] == ["hey robot", "umbrella", "tomato"]
    assert max(hit.end_seconds for hit in hits if hit.keyword == "nova") < 30000 / 16000
    with pytest.raises(ValueError, match="'tomato' is listened for already"):
        stream.add("tomato")
    with pytest.raises(KeyError, match="'dark' is not listened for"):
        stream.remove("dark")
    with pytest.raises(TextError):
        stream.add("")
    assert len(stream.keywords) == 3


def test_mute_drops_what_ends_before(by_phonemes, sound):
    expected = run(by_phonemes.stream(), sound, [])
    stream = by_phonemes.stream()
    stream.mute(4.0)
    hits = run(stream, sound, range(0, len(sound), 3000))
    assert [h for h in expected if h.end_seconds < 4.0]
    assert [h for h in hits if h.end_seconds < 4.0] == []
    alike([h for h in hits if h.end_seconds > 5], [h for h in expected if h.end_seconds > 5])


def test_thresholds_and_refractory_times_belong_to_keywords(by_phonemes, sound):
    hits = by_phonemes.scan(sound)
    middle = float(np.median([hit.score for hit in hits if hit.keyword == "nova"]))
    keywords = [Keyword("nova", middle), Keyword("umbrella", -1.0, refractory_seconds=2.0), "hey robot"]
    own = Spotter(keywords, by_phonemes.bundle, -1.0, settings=LOOSE)
    stream = own.stream(near_margin=0.05)
    found = run(stream, sound, [])
    assert {hit.threshold for hit in found if hit.keyword == "nova"} == {middle}
    assert all(hit.score >= hit.threshold for hit in found)
    assert all(middle - 0.05 <= hit.score < middle for hit in stream.near_misses)
    assert {hit.keyword for hit in stream.near_misses} == {"nova"}
    ends = [hit.end_seconds for hit in found if hit.keyword == "umbrella"]
    assert len(ends) >= 2
    assert np.diff(ends).min() >= 2.0


def test_phonemes_of_a_detection_fill_it(by_phonemes, sound):
    for hit in by_phonemes.scan(sound):
        assert hit.phonemes[0].start_seconds == hit.start_seconds
        assert hit.phonemes[-1].end_seconds == hit.end_seconds
        said = by_phonemes.encoder.pronouncer.variants(hit.keyword)
        assert [place.phoneme for place in hit.phonemes] in [list(variant) for variant in said]
        for one, other in zip(hit.phonemes, hit.phonemes[1:], strict=False):
            assert one.end_seconds == other.start_seconds
        logs = np.log([place.score for place in hit.phonemes])
        assert hit.phoneme_score == pytest.approx(np.exp(logs.mean()), abs=1e-4)
        assert hit.cosine is not None
        assert -1 <= hit.cosine <= 1


def test_clips_are_the_audio_of_detections(by_phonemes, sound):
    stream = by_phonemes.stream(keep_seconds=3.0)
    checked = 0
    for start in range(0, len(sound), 4000):
        for hit in stream.feed(sound[start : start + 4000]):
            first, last = (round(t * 16000) for t in (hit.start_seconds - 0.1, hit.end_seconds + 0.1))
            np.testing.assert_array_equal(stream.clip(hit, 0.1, 0.1), sound[max(first, 0) : last])
            checked += 1
    assert checked > 5
    assert len(stream.clip(by_phonemes.scan(sound)[0])) == 0  # long gone


def test_eight_threads_are_eight_streams(by_phonemes, sound):
    sounds = [np.roll(sound, 9000 * number)[:48000] for number in range(8)]
    expected = [run(by_phonemes.stream(), one, []) for one in sounds]

    def listen(one):
        return run(by_phonemes.stream(), one, range(0, len(one), 1600))

    with ThreadPoolExecutor(8) as pool:
        for found, alone in zip(pool.map(listen, sounds), expected, strict=True):
            alike(found, alone)


def test_what_is_kept_does_not_grow(by_phonemes, sound):
    stream = by_phonemes.stream()

    def kept(thing, depth=4):
        if isinstance(thing, np.ndarray):
            return thing.nbytes
        if isinstance(thing, list | tuple):
            return sum(kept(item, depth) for item in thing)
        if hasattr(thing, "__dict__") and depth and type(thing).__module__.startswith("watchword.runtime"):
            return sum(kept(v, depth - 1) for v in vars(thing).values() if not isinstance(v, Encoder))
        return 0

    sizes = []
    for _ in range(6):
        stream.feed(sound)
        sizes.append(kept(stream))
    assert sizes[-1] <= sizes[1]
    assert sizes[-1] < 3_000_000


def test_levels_are_scores(by_phonemes, sound):
    stream = by_phonemes.stream()
    assert stream.levels() == dict.fromkeys(TEXTS, -1.0)
    best = dict.fromkeys(TEXTS, -1.0)
    hits = []
    for start in range(0, len(sound), 3200):
        hits += stream.feed(sound[start : start + 3200])
        best = {name: max(best[name], level) for name, level in stream.levels().items()}
    for name in TEXTS:
        assert best[name] >= max(hit.score for hit in hits if hit.keyword == name) - 0.1


@pytest.mark.parametrize("cuts", [[], [5, 9, 400, 561], range(0, 128000, 3200)])
def test_frames_computed_once_are_those_computed_again(local_bundle, sound, cuts):
    encoder = Encoder(local_bundle)
    once, again = StateStream(encoder), FrameStream(encoder)
    rows = [once.feed(piece) for piece in np.split(sound, list(cuts))]
    ours = np.concatenate([*rows, once.feed(sound[:0], last=True)])
    theirs = np.concatenate([again.feed(sound), again.feed(sound[:0], last=True)])
    assert ours.shape == theirs.shape
    ahead = local_bundle.lookahead_frames  # the last frames lean on the end: silence here, nothing there
    np.testing.assert_allclose(ours[:-ahead], theirs[:-ahead], atol=1e-4)
