"""The spotter: clips score as in training, recordings are searched independently of blocks, words found in place."""

from dataclasses import replace

import numpy as np
import pytest

from watchword import Bundle, BundleError, Detection, Keyword, Spotter, audio
from watchword.audio import AudioError
from watchword.runtime.alignment import classes_of
from watchword.runtime.clip_fit import fill
from watchword.runtime.spans import ScanSettings
from watchword.text.phonemes import PhonemeError
from watchword.text.words import TextError


def scanned(bundle, sound, *, block=20.0, keywords=("hey nova", "lights off"), threshold=-1.0):
    settings = ScanSettings(block_seconds=block, loosest_cost=100.0)  # an untrained classifier finds nothing good
    spotter = Spotter(keywords, bundle, threshold, settings=settings)
    return spotter.scan(sound)


def alike(one, two):
    assert [(h.keyword, h.start_seconds, h.end_seconds) for h in one] == [
        (h.keyword, h.start_seconds, h.end_seconds) for h in two
    ]
    np.testing.assert_allclose([h.score for h in one], [h.score for h in two], atol=1e-4)


@pytest.mark.parametrize("context", ["local", "phoneme", "utterance"])
def test_blocks_do_not_matter(request, sound, context):
    bundle = request.getfixturevalue(f"{context}_bundle")
    hits = scanned(bundle, sound)
    assert len(hits) > (4 if context == "phoneme" else 12)
    for block in (1.0, 5.017):
        alike(scanned(bundle, sound, block=block), hits)


def test_clips_score_as_the_model_in_torch_does(local_bundle, sound):
    """Beside the graphs' own proof: that the runtime sets clips in the same silence and takes the same frames."""
    import torch

    from watchword.export.graphs import exportable
    from watchword.model.acoustic import AcousticConfig
    from watchword.model.keyword_model import KeywordModel, ModelConfig
    from watchword.train.scoring import embed_clips

    acoustic = AcousticConfig(context="local", channels=32, squeeze=16, dim=32, attention=16)
    torch.manual_seed(1)
    model = exportable(KeywordModel(ModelConfig(acoustic=acoustic)))
    spotter = Spotter([], local_bundle)
    encoder = spotter.encoder
    clips = [sound[:9000], sound[3000:20000], sound[:100]]

    class Torch:
        """Stands for the graphs, with the weights of `model`."""

        def rows(self, samples):
            with torch.inference_mode():
                return model.acoustic(model.features(torch.from_numpy(samples)[None]))[0].numpy()

        def embed(self, windows):
            with torch.inference_mode():
                frames = torch.from_numpy(windows.copy())
                rows = model.acoustic.pool(frames, torch.full((len(frames),), frames.shape[1])).numpy()
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    encoder.rows, encoder._embed = Torch().rows, Torch().embed
    expected = embed_clips(model, clips)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(
        np.stack([encoder.embed_whole(encoder.clip_rows(clip)) for clip in clips]), expected, atol=1e-5
    )


def test_scores_are_the_best_pronunciations(local_bundle, sound):
    spotter = Spotter([], local_bundle)
    clips = [sound[:8000], sound[8000:30000]]
    texts = ["nova", "lights off", "nova | lights off"]
    scores = spotter.score_clips(clips, texts)
    assert scores.shape == (2, 3)
    np.testing.assert_allclose(scores[:, 2], scores[:, :2].max(axis=1), atol=1e-6)
    assert spotter.score(clips[1], "lights off") == pytest.approx(scores[1, 1], abs=1e-6)
    assert np.abs(scores).max() <= 1 + 1e-5
    assert spotter.score_clips([], texts).shape == (0, 3)


@pytest.mark.parametrize("context", ["local", "utterance"])
@pytest.mark.parametrize(("start", "end"), [(0.0, 0.6), (5.3, 5.85), (7.45, 8.0)])
def test_a_word_is_found_where_it_is(request, taught_spotter, sound, context, start, end):
    spotter = taught_spotter(request.getfixturevalue(f"{context}_bundle"), sound, start, end)
    best = max(spotter.scan(sound), key=lambda hit: hit.score)
    assert best.score > 0.9
    assert abs(best.start_seconds - start) < 0.1
    assert abs(best.end_seconds - end) < 0.1


def test_files_and_samples_and_rates_agree(local_bundle, sound, tmp_path):
    spotter = Spotter(["hey nova"], local_bundle, -1.0)
    audio.write(tmp_path / "a.wav", sound)
    whole = (sound * 32768).round().astype(np.int16)
    alike(spotter.scan(tmp_path / "a.wav"), spotter.scan(audio.read(tmp_path / "a.wav")))
    alike(spotter.scan(str(tmp_path / "a.wav")), spotter.scan(whole))
    slow = spotter.scan(whole[::2], 8000)
    assert slow
    assert max(hit.end_seconds for hit in slow) <= 8.0


def test_detections_are_as_documented(local_bundle, sound):
    keywords = [Keyword("hey nova", -1.0, "nova"), Keyword("lights off"), "{N OW1 V AH0} | /ˈnoʊvə/"]
    done = []
    hits = Spotter(keywords, local_bundle, 0.999).scan(sound, progress=lambda *pair: done.append(pair))
    assert {hit.keyword for hit in hits} == {"nova"}
    assert all(isinstance(hit, Detection) and 0 <= hit.start_seconds < hit.end_seconds <= 8 for hit in hits)
    assert [hit.end_seconds for hit in hits] == sorted(hit.end_seconds for hit in hits)
    assert done[-1] == (8.0, 8.0)
    with pytest.raises(AttributeError):
        hits[0].score = 1.0  # type: ignore[misc]


def test_the_bundle_decides_thresholds_and_settings(local_bundle, sound):
    card = {**local_bundle.card, "threshold": -1.0, "scan": {"refractory_seconds": 4.0}}
    hits = Spotter(["nova"], Bundle(local_bundle.path, card)).scan(sound)
    assert 1 <= len(hits) <= 3
    assert {hit.threshold for hit in hits} == {-1.0}


def test_a_recording_shorter_than_a_span_is_no_error(local_bundle, utterance_bundle):
    for bundle in (local_bundle, utterance_bundle):
        assert scanned(bundle, np.full(100, 0.1, np.float32), threshold=0.9999) == []


def test_no_keywords_find_nothing(local_bundle, sound):
    assert Spotter([], local_bundle).scan(sound[:16000]) == []


def test_many_keywords_find_what_each_finds_alone(local_bundle, sound):
    texts, sound = ["nova", "hey robot", "umbrella"], sound[:64000]
    together = scanned(local_bundle, sound, keywords=texts)
    for text in texts:
        alike([hit for hit in together if hit.keyword == text], scanned(local_bundle, sound, keywords=[text]))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((100, 2), np.float32), "one channel"),
        (np.zeros(0, np.float32), "no samples"),
        (np.array([0.1, np.nan], np.float32), "not numbers"),
        (np.zeros(100, np.int32), "int16 or float"),
    ],
)
def test_wrong_samples_are_refused(local_bundle, samples, message):
    with pytest.raises(AudioError, match=message):
        Spotter(["nova"], local_bundle).scan(samples)


@pytest.mark.parametrize(("text", "error"), [("", TextError), ("🙂", TextError), ("{N QQ}", PhonemeError)])
def test_keywords_that_cannot_be_spoken_are_refused(local_bundle, text, error):
    with pytest.raises(error):
        Spotter([text], local_bundle)


def test_a_graph_that_onnxruntime_refuses_is_one_sentence(local_bundle, tmp_path):
    import shutil

    from watchword.bundle import write_card

    folder = shutil.copytree(local_bundle.path, tmp_path / "bundle")
    (folder / "textual.onnx").write_bytes(b"not a graph")
    write_card(folder, {k: v for k, v in local_bundle.card.items() if k != "files"})
    with pytest.raises(BundleError, match=r"textual\.onnx: onnxruntime cannot open it"):
        Spotter(["nova"], folder)


def test_alignment_only_lowers_scores_and_keeps_order_and_nesting(phoneme_bundle, sound):
    texts = ["nova", "hey robot", "umbrella"]
    settings = replace(ScanSettings(), outside_cost=0.05, by_phonemes=False)
    hits = Spotter(texts, phoneme_bundle, -1.0, settings=settings).scan(sound)
    bare = replace(settings, phoneme_weight=0.0)
    plain = Spotter(texts, phoneme_bundle, -1.0, settings=bare).scan(sound)
    assert len(hits) > 12
    for text in texts:
        assert max(h.score for h in hits if h.keyword == text) < max(h.score for h in plain if h.keyword == text)
    assert [hit.end_seconds for hit in hits] == sorted(hit.end_seconds for hit in hits)
    assert all(0 <= hit.start_seconds < hit.end_seconds <= 8 for hit in hits)
    middle = float(np.median([hit.score for hit in hits]))
    fewer = Spotter(texts, phoneme_bundle, middle, settings=settings).scan(sound)
    kept = [(h.keyword, round(h.start_seconds, 3), round(h.score, 4)) for h in hits if h.score >= middle]
    assert [(h.keyword, round(h.start_seconds, 3), round(h.score, 4)) for h in fewer] == kept
    # A phoneme lasts two frames or more.
    assert min(h.end_seconds - h.start_seconds for h in hits if h.keyword == "umbrella") >= 0.02 * 7 - 1e-6


def test_every_peak_is_reported_at_the_lowest_threshold(phoneme_bundle, sound):
    costly = ScanSettings(phoneme_weight=100.0, refractory_seconds=0.01, overlap=1.0, by_phonemes=False)
    hits = Spotter(["nova"], phoneme_bundle, -1.0, settings=costly).scan(sound)
    assert len(hits) > 5
    assert {hit.score for hit in hits} == {-1.0}


def test_aligned_scores_are_lower_by_the_weight_of_what_phonemes_cost(phoneme_bundle, local_bundle, sound):
    spotter, texts = Spotter([], phoneme_bundle), ["nova", "tomato", "umbrella stand"]
    clips = [sound[:9600], sound[20000:36000]]
    plain, aligned = spotter.score_clips(clips, texts), spotter.score_clips(clips, texts, aligned=True)
    weight = spotter.settings.clip_weight
    for row, clip in enumerate(clips):
        costs = spotter.encoder.phoneme_costs(spotter.encoder.clip_rows(clip))
        for column, text in enumerate(texts):
            said = spotter.encoder.pronouncer.variants(text)
            embedded = spotter.encoder.embed_whole(spotter.encoder.clip_rows(clip))
            cosines = spotter.encoder.text_variants(text)[1] @ embedded
            found = fill(costs, [classes_of(v) for v in said])
            best = max(c - weight * lost.sum() for c, lost in zip(cosines, found, strict=True))
            assert aligned[row, column] == pytest.approx(best, abs=1e-5)
            assert aligned[row, column] < plain[row, column]
    assert spotter.score(clips[0], "nova", aligned=True) == pytest.approx(aligned[0, 0], abs=1e-6)
    bare = Spotter([], local_bundle)
    assert np.array_equal(bare.score_clips(clips, texts, aligned=True), bare.score_clips(clips, texts))


def test_a_clip_too_short_for_a_text_does_not_match_it(phoneme_bundle, sound):
    spotter = Spotter([], phoneme_bundle, settings=replace(ScanSettings(), clip_weight=1.0))
    assert spotter.score(sound[:800], "umbrella", aligned=True) == -1.0
