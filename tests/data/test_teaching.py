"""What a teacher said of a store: planned, kept and resumed whole, and laid under the frames of batches."""

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from watchword.audio import FRAME_SAMPLES, HOP_SAMPLES, num_frames, read
from watchword.data.augment import AugmentConfig, Augmenter
from watchword.data.batches import BatchMaker
from watchword.data.class_sampler import BatchConfig
from watchword.data.crops import NO_UTTERANCE, Crop, Row
from watchword.data.store import StoreError
from watchword.data.teaching import STEP, Teaching, rows_of
from watchword.model.keyword_model import KeywordModel, ModelConfig
from watchword.prepare.teach import GAP, LONGEST, WINDOW, WhisperEncoder, teach, windows


class Levels:
    """Stands where Whisper does, and says of each 20 ms what can be checked: its mean, loudness and first sample."""

    name = "levels"

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, audio):
        self.calls += 1
        steps = np.pad(audio, (0, -len(audio) % STEP)).reshape(-1, STEP)
        return np.stack([steps.mean(1), np.abs(steps).mean(1), steps[:, 0]], axis=1).astype(np.float32)


class LevelsTogether(Levels):
    """Levels that listens to three windows at once."""

    batch = 3

    def encode(self, audios):
        assert 0 < len(audios) <= self.batch
        return [self(audio) for audio in audios]


@pytest.fixture(scope="module")
def heard(tone_store, tmp_path_factory):
    folder, store = tmp_path_factory.mktemp("heard") / "levels", tone_store
    teach(store, folder, Levels())
    return folder, store


def test_windows_hold_every_step_of_every_utterance_once_and_apart():
    samples = np.array([5000, 100, 3 * WINDOW + 17, 48_000, 0, 47_999, *[160_000] * 7])
    seen = {}
    for window in windows(samples):
        for piece in window:
            assert piece.first == seen.get(piece.utterance, 0)  # in order, without a gap
            assert piece.first % STEP == piece.size % STEP == piece.at % STEP == 0
            assert 0 < piece.size <= LONGEST
            seen[piece.utterance] = piece.first + piece.size
        assert window[-1].at + window[-1].size + GAP <= WINDOW
        assert all(b.at - a.at - a.size == GAP for a, b in pairwise(window))
    assert [seen.get(number, 0) for number in range(len(samples))] == (samples // STEP * STEP).tolist()


def test_values_are_those_of_the_clean_audio(heard):
    folder, store = heard
    index, rows = json.loads((folder / "index.json").read_text()), rows_of(store)
    values = np.fromfile(folder / "values.bin", np.int8).reshape(-1, 3)
    for utterance in (0, len(store.utterances) // 2, len(store.utterances) - 1):
        audio = store.audio(utterance).astype(np.float32) / 32768
        wanted = (Levels()(audio[: len(audio) // STEP * STEP]) - index["mean"]) / np.array(index["deviation"]) * 32
        found = values[rows[utterance] : rows[utterance + 1]]
        np.testing.assert_allclose(found, np.clip(wanted, -127, 127), atol=0.51)


@pytest.mark.parametrize("encoder", [Levels, LevelsTogether])
def test_what_is_interrupted_goes_on_and_equals_the_uninterrupted(heard, tmp_path, monkeypatch, encoder):
    _, store = heard
    monkeypatch.setattr("watchword.prepare.teach.WINDOW", 5 * 16_000)  # a few windows, in a store so small
    monkeypatch.setattr("watchword.prepare.teach.LONGEST", 5 * 16_000 - 2 * GAP)
    out, folder, whole = tmp_path / "again", tmp_path / "whole", Levels()
    teach(store, folder, whole)

    class StoppedError(Exception):
        pass

    def stop(done, total):
        assert total > 2
        if done == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        teach(store, out, encoder(), progress=stop)
    with (out / "values.bin.part").open("ab") as file:
        file.write(b"half a window")  # as a killed process leaves it
    with pytest.raises(StoreError, match="no teaching here"):
        Teaching(out, store)
    rest = encoder()
    teach(store, out, rest)
    assert rest.calls < whole.calls
    assert (out / "values.bin").read_bytes() == (folder / "values.bin").read_bytes()
    assert sorted(path.name for path in out.iterdir()) == ["index.json", "values.bin"]
    with pytest.raises(StoreError, match="heard already"):
        teach(store, out, encoder())


def test_another_teacher_does_not_go_on(heard, tmp_path):
    _, store = heard
    (tmp_path / "index.json.part").write_text('{"teacher": "another", "dim": 1, "mean": [0], "deviation": [1]}')
    with pytest.raises(StoreError, match="was begun with another"):
        teach(store, tmp_path, Levels())


def test_teaching_of_another_store_is_refused(heard, tmp_path):
    folder, store = heard
    other = SimpleNamespace(utterances=store.utterances[1:], folder=tmp_path)
    with pytest.raises(StoreError, match="is of another store"):
        Teaching(folder, other)


def test_sources_of_frames_equal_a_loop():
    crops = [
        Crop(3, 1000, 9000, []),
        Crop(NO_UTTERANCE, 0, 5000, []),
        Crop(1, 200, 4000, [], alone=True, before=3000, after=2000),
    ]
    row = Row(crops, joined=True, rate=1.1)
    frames = num_frames(row.size)
    found = row.sources(frames)
    for frame in range(frames):
        sample, wanted = round((frame * HOP_SAMPLES + FRAME_SAMPLES // 2) * 1.1), (NO_UTTERANCE, NO_UTTERANCE)
        if sample < 8000:
            wanted = (3, 1000 + sample)
        elif 8000 + 5000 + 3000 <= sample < 8000 + 5000 + 3000 + 3800:
            wanted = (1, 200 + sample - 16000)
        assert tuple(found[frame]) == wanted
    assert {3, 1, NO_UTTERANCE} == set(found[:, 0].tolist())


def test_a_batch_brings_what_was_heard_where_its_frames_are(heard):
    folder, store = heard
    teaching = Teaching(folder, store)
    config = BatchConfig(classes=4, in_context=True, silence_share=0.5, non_speech_share=0.3, speed=(0.9, 1.1))
    plain = Augmenter(AugmentConfig(enabled=False), [], [])
    maker = BatchMaker(store, plain, config, seed=3, teaching=teaching)
    batch, rows = maker(5), maker.draw(5)
    assert batch.teaching is not None
    assert batch.teaching_places is not None
    known = {}
    for value, (row, frame) in zip(batch.teaching.numpy(), batch.teaching_places.tolist(), strict=True):
        known[row, frame] = value
    first = rows_of(store)
    for number, row in enumerate(rows):
        for frame, (utterance, sample) in enumerate(row.sources(num_frames(row.size)).tolist()):
            at = first[utterance] + (sample + STEP // 2) // STEP
            if frame % 2 or utterance < 0 or at >= first[utterance + 1]:
                assert (number, frame) not in known
            else:
                np.testing.assert_array_equal(known[number, frame], teaching._values[at])
    silent = BatchMaker(store, plain, config, seed=3)(5)
    assert silent.teaching is None
    assert torch.equal(silent.audio, batch.audio)


def test_frames_are_taught_what_was_heard(heard):
    folder, store = heard
    maker = BatchMaker(
        store,
        Augmenter(AugmentConfig(enabled=False), [], []),
        BatchConfig(classes=3),
        seed=1,
        teaching=Teaching(folder, store),
    )
    batch = maker(0)
    torch.manual_seed(0)
    model = KeywordModel(ModelConfig(taught_values=3))
    match = model.eval()(**batch.model_inputs())
    assert match.taught is not None
    assert batch.teaching_places is not None
    assert match.teaching is not None
    torch.testing.assert_close(match.teaching, batch.teaching.float())
    assert model.taught is not None
    frames, _ = model.frames(batch.audio, batch.audio_lengths)
    for place, (row, frame) in enumerate(batch.teaching_places.tolist()):
        torch.testing.assert_close(match.taught[place], model.taught(frames[row, frame]))


def test_whisper_says_the_same_of_speech_wherever_it_stands():
    pytest.importorskip("faster_whisper")
    encoder = WhisperEncoder(threads=1)
    speech = read(Path(__file__).parents[2] / "examples" / "kitchen.flac")[: 4 * 16_000]
    first = encoder(speech)[25:175]
    later = encoder(np.concatenate([np.zeros(2 * 16_000, np.float32), speech]))[125:275]
    assert first.shape == later.shape == (150, 512)
    both = [
        (part - part.mean(0)) / np.linalg.norm(part - part.mean(0), axis=1, keepdims=True) for part in (first, later)
    ]
    nearest = (both[0] @ both[1].T).argmax(1)
    assert (np.abs(nearest - np.arange(150)) <= 1).mean() > 0.8


def test_a_folder_without_a_whisper_model_is_refused(tmp_path):
    pytest.importorskip("faster_whisper")
    with pytest.raises(StoreError, match=r"has no model\.bin"):
        WhisperEncoder(tmp_path)
