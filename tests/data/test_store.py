"""Laws of the packed store: what is cut out, what shares a label, what is never labelled, what is skipped."""

import numpy as np
import pytest

from watchword.audio import SAMPLE_RATE, read, write
from watchword.data.segment import Segment, Timed
from watchword.data.store import PackConfig, Store, StoreError, pack, trim_silence


def texts_of(store):
    """The text of each item."""
    return [store.texts[label] for label in store.items["label"]]


def test_words_and_phrases_of_up_to_four(tmp_path, make_segment):
    store = pack([make_segment("please turn all lights off")], tmp_path / "store", workers=1)
    words = ["please", "turn", "all", "lights", "off"]
    expected = {" ".join(words[i:j]) for i in range(5) for j in range(i + 1, min(i + 4, 5) + 1)}
    assert sorted(texts_of(store)) == sorted(expected)
    assert set(store.items["num_words"]) == {1, 2, 3, 4}


def test_items_lie_on_their_words(tmp_path, make_segment):
    segment = make_segment("lights off now")
    store = pack([segment], tmp_path / "store", workers=1)
    item = store.items[texts_of(store).index("off now")]
    assert item["start"] / SAMPLE_RATE == pytest.approx(segment.words[1].start_seconds, abs=1e-3)
    assert item["end"] / SAMPLE_RATE == pytest.approx(segment.words[2].end_seconds, abs=1e-3)
    whole = read(segment.audio)[: round(segment.end_seconds * SAMPLE_RATE)]
    assert np.abs(store.audio(0) / 32768 - whole).max() < 1e-4


def test_times_of_a_segment_inside_a_file_start_at_the_segment(tmp_path, make_segment):
    first = make_segment("one two three")
    inside = Segment(first.audio, "two", 0.85, 1.35, words=(first.words[1],), phones=(Timed("T", 0.9, 1.0),))
    store = pack([inside], tmp_path / "store", workers=1)
    assert store.items["start"][0] == round(0.05 * SAMPLE_RATE)
    assert tuple(store.phones(0)[0])[1:] == (round(0.05 * SAMPLE_RATE), round(0.15 * SAMPLE_RATE))
    assert len(store.audio(0)) == round(0.5 * SAMPLE_RATE)


def test_homophones_share_one_label(tmp_path, make_segment):
    store = pack([make_segment("knight sees night seas")], tmp_path / "store", PackConfig(1), workers=1)
    labels = store.items["label"]
    assert labels[0] == labels[2]
    assert labels[1] == labels[3]
    assert len(store.texts) == 2


def test_the_most_frequent_class_is_first(tmp_path, make_segment):
    store = pack([make_segment("zoo apple zoo pear zoo apple")], tmp_path / "store", PackConfig(1), workers=1)
    assert store.texts[:2] == ["zoo", "apple"]
    assert (np.diff(np.bincount(store.items["label"])) <= 0).all()


def test_held_out_words_are_never_labelled(tmp_path, make_segment):
    config = PackConfig(holdout_words=frozenset({"lights"}))
    segments = [make_segment("turn lights off now"), make_segment("Lights", "alone", timed=False)]
    store = pack(segments, tmp_path / "store", config, workers=1)
    assert sorted(texts_of(store)) == ["now", "off", "off now", "turn"]
    assert len(store.utterances) == 2  # their audio stays, as surroundings


def test_phrases_do_not_bridge_pauses(tmp_path, make_segment):
    store = pack([make_segment("stop go", gap=0.31), make_segment("halt run", "b", gap=0.2)], tmp_path / "s", workers=1)
    assert sorted(texts_of(store)) == ["go", "halt", "halt run", "run", "stop"]


def test_phrases_are_no_longer_than_two_and_a_half_seconds(tmp_path, make_segment):
    store = pack([make_segment("alpha bravo charlie", took=1.2)], tmp_path / "store", workers=1)
    assert max(store.items["num_words"]) == 2
    assert ((store.items["end"] - store.items["start"]) <= 2.5 * SAMPLE_RATE).all()


def test_a_clip_without_times_is_one_item_without_its_silence(tmp_path):
    audio = np.zeros(2 * SAMPLE_RATE, np.float32)
    audio[8000:16000] = 0.3 * np.random.default_rng(0).standard_normal(8000)
    write(tmp_path / "clip.wav", audio)
    store = pack([Segment(str(tmp_path / "clip.wav"), "lights off", 0.0, 2.0)], tmp_path / "store", workers=1)
    assert texts_of(store) == ["lights off"]
    assert (store.items["start"][0], store.items["end"][0]) == (8000, 16000)
    assert store.items["num_words"][0] == 2


def test_trim_silence():
    audio = np.zeros(1600, np.float32)
    assert trim_silence(audio) == (0, 1600)
    assert trim_silence(audio[:50]) == (0, 50)
    audio[480:800] = 1.0
    audio[960:1120] = 0.001  # 60 dB below
    assert trim_silence(audio) == (480, 800)
    assert trim_silence(audio, -70.0) == (480, 1120)


def test_what_cannot_be_used_is_told_and_the_rest_is_packed(tmp_path, make_segment):
    empty = tmp_path / "empty.wav"
    empty.touch()
    segments = [
        make_segment("good morning"),
        make_segment("☃", "symbol", timed=False),
        Segment(str(tmp_path / "none.wav"), "absent", 0.0, 1.0),
        Segment(str(empty), "empty", 0.0, -1.0),
        make_segment("beyond", "short", timed=False, start_seconds=100.0, end_seconds=101.0),
    ]
    store = pack(segments, tmp_path / "store", workers=1)
    skipped = [line.split("\t") for line in (tmp_path / "store" / "skipped.tsv").read_text().splitlines()]
    assert [path for path, _ in skipped] == [segment.audio for segment in segments[1:]]
    assert "no such file" in skipped[1][1]
    assert len(store.utterances) == 1


def test_speakers_corpora_and_licences_are_kept(tmp_path, make_segment):
    segments = [
        make_segment("one", "a", speaker="s1", corpus="x", licence="CC0"),
        make_segment("two", "b", speaker="s2", corpus="x", licence="CC0"),
        make_segment("three", "c", speaker="s1", corpus="y", licence="MIT"),
    ]
    store = pack(segments, tmp_path / "store", workers=1)
    assert [store.speakers[i] for i in store.utterances["speaker"]] == ["s1", "s2", "s1"]
    assert [(s["corpus"], s["licence"], s["clips"]) for s in store.sources] == [("x", "CC0", 2), ("y", "MIT", 1)]


def test_more_workers_make_the_same_store(tmp_path, make_segment, monkeypatch):
    monkeypatch.setattr("watchword.data.store.PART_SEGMENTS", 2)
    segments = [make_segment("hello big world", f"{i}", took=0.3 + 0.05 * i) for i in range(5)]
    one, two = (pack(segments, tmp_path / f"s{n}", workers=n) for n in (1, 2))
    for name in ("items.npy", "utterances.npy", "phones.npy", "audio.bin", "index.json"):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()


def test_refusals(tmp_path, make_segment):
    segment = make_segment("hello")
    with pytest.raises(StoreError, match="nothing to pack"):
        pack([], tmp_path / "store")
    with pytest.raises(StoreError, match="no segment could be packed"):
        pack([Segment(str(tmp_path / "none.wav"), "absent", 0.0, 1.0)], tmp_path / "store", workers=1)
    assert not (tmp_path / "store").exists()
    pack([segment], tmp_path / "store", workers=1)
    with pytest.raises(StoreError, match="a store is here already"):
        pack([segment], tmp_path / "store")
    with pytest.raises(StoreError, match="holds something else"):
        pack([segment], tmp_path)
    audio = tmp_path / "store" / "audio.bin"
    audio.write_bytes(audio.read_bytes()[:-2])
    with pytest.raises(StoreError, match="samples, the index says"):
        Store(tmp_path / "store")
    with pytest.raises(StoreError, match="no whole store here"):
        Store(tmp_path)
