"""Scores of trials: cut-outs, one embedding a clip and text, and the figures they give."""

import numpy as np
import pytest

from watchword.audio import AudioError, read, write
from watchword.evaluate.clips import Clip, Pairs, embedding_scorer, read_clips, score_trials
from watchword.evaluate.figures import evaluate_trials, trial_figures
from watchword.evaluate.trials import Trial
from watchword.evaluate.validation import build_validation
from watchword.evaluate.wsj_protocol import build_wsj_protocol


def test_clips_are_cut_with_their_surroundings(tmp_path):
    path = str(tmp_path / "a.wav")
    write(path, np.linspace(-0.5, 0.5, 16000, dtype=np.float32))
    samples = read(path)
    middle, early = Clip(path, 0.25, 0.5), Clip(path, 0.0, 0.01)
    bare = list(read_clips([middle, early]))
    assert np.array_equal(bare[0], samples[4000:8000])
    assert np.array_equal(bare[1], samples[:400])
    wide = list(read_clips([middle, early], context_seconds=0.1))
    assert np.array_equal(wide[0], samples[2400:9600])
    assert np.array_equal(wide[1], samples[:1760])


def test_clip_beyond_the_end_is_padded_to_one_frame(tmp_path):
    path = str(tmp_path / "a.wav")
    write(path, np.full(1600, 0.5, np.float32))
    (clip,) = read_clips([Clip(path, 0.09, 0.2)])
    assert len(clip) == 400
    assert clip[-1] == 0.0


def test_missing_file_is_named(tmp_path):
    with pytest.raises(AudioError, match=r"none\.wav"):
        list(read_clips([Clip(str(tmp_path / "none.wav"), 0.0, 1.0)]))


def test_every_trial_gets_its_own_score(spoken_segments, monkeypatch):
    trials = build_wsj_protocol(spoken_segments, num_segments=20, negatives=20)
    order = np.random.default_rng(0).permutation(len(trials))
    shuffled = [trials[index] for index in order]
    pairs = Pairs.of(shuffled)
    sums = {clip: float(audio.sum()) for clip, audio in zip(pairs.clips, read_clips(pairs.clips), strict=True)}
    monkeypatch.setattr("watchword.evaluate.clips.CLIPS_AT_ONCE", 7)
    seen = []

    def scorer(clips, texts):
        seen.append(len(clips))
        return np.array([[clip.sum() + len(text) for text in texts] for clip in clips])

    scores = score_trials(shuffled, scorer)
    expected = [sums[t.audio, t.start_seconds, t.end_seconds] + len(t.text) for t in shuffled]
    assert scores == pytest.approx(expected, abs=1e-3)
    assert sum(seen) == len(pairs.clips) == 20
    assert score_trials(shuffled, scorer, sparse=True) == pytest.approx(expected, abs=1e-3)
    assert seen[-20:] == [1] * 20


def test_embedding_scorer_is_the_cosine_and_embeds_texts_once():
    calls = []

    def embed_text(texts):
        calls.append(len(texts))
        return np.array([[len(text), 1.0] for text in texts])

    scorer = embedding_scorer(lambda clips: np.array([[clip.mean(), 0.0] for clip in clips]), embed_text)
    clips = [np.ones(400, np.float32), -np.ones(400, np.float32), np.zeros(400, np.float32)]
    scores = scorer(clips, ["ab", "abcd"])
    assert scores == pytest.approx(np.outer([1, -1, 0], [2 / 5**0.5, 4 / 17**0.5]))
    scorer(clips[:1], ["ab", "abcd"])
    assert calls == [2]


def test_figures_by_kind_and_number_of_words():
    trials = [
        Trial(f"{number}.wav", 0.0, 1.0, "x", kind == "own", kind, words, f"s{number % 3}")
        for number in range(6)
        for words in (1, 2)
        for kind in ("own", "easy", "hard")
    ]
    scores = np.array([{"own": 1.0, "easy": 0.0, "hard": 2.0}[trial.kind] for trial in trials])
    figures = trial_figures(trials, scores, resamples=10)
    assert set(figures) == {
        f"{kind}_{name}{words}"
        for kind in ("easy", "hard")
        for name in ("eer", "auc")
        for words in ("", "_1_word", "_2_words")
    }
    assert figures["easy_eer"].value == 0.0
    assert figures["hard_auc"].value == 0.0


def oracle_embeddings(validation, noise):
    """Embeddings by which each clip is near the text that it is a positive of."""
    rng = np.random.default_rng(1)
    text = rng.normal(size=(len(validation.pairs.texts), 32))
    audio = noise * rng.normal(size=(len(validation.pairs.clips), 32))
    own = [number for number, trial in enumerate(validation.trials) if trial.is_match]
    audio[validation.pairs.clip_of[own]] += text[validation.pairs.text_of[own]]
    return audio, text


def test_validation_tells_an_oracle_from_chance(spoken_segments):
    held_out = [segment for segment in spoken_segments if segment.split == "test"]
    validation = build_validation(held_out, seed=0, num_segments=120, negatives=20)
    names = {"ap", "easy_eer", "easy_auc", "hard_eer", "hard_auc"}
    good = validation.figures(*oracle_embeddings(validation, 0.05))
    chance = validation.figures(*oracle_embeddings(validation, 100.0))
    assert set(good) == set(chance) == names
    assert good["ap"] > 0.95
    assert good["hard_eer"] < 0.05
    assert chance["ap"] < 0.3
    assert 0.3 < chance["easy_eer"] < 0.7


def test_validation_equals_evaluation_of_the_same_trials(spoken_segments):
    validation = build_validation(spoken_segments, seed=0, num_segments=20, negatives=20)

    def embed_audio(clips):
        return np.array([np.abs(np.fft.rfft(clip[:2400], 64))[:16] for clip in clips])

    def embed_text(texts):
        return np.array([np.random.default_rng(list(text.encode())).normal(size=16) for text in texts])

    words = validation.trials[: 20 * 21]
    figures = evaluate_trials(words, embed_audio, embed_text, resamples=0)
    assert validation.evaluate(embed_audio, embed_text)["ap"] == pytest.approx(figures["ap"].value, abs=1e-6)
