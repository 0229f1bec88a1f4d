"""The protocol: what a client is told is what a scan of the same audio finds, whatever others do."""

import base64
import io

import numpy as np
import pytest
import soundfile
import soxr
from websockets.exceptions import ConnectionClosed

from tests.serve.conftest import KITCHEN
from watchword import Keyword, Spotter

KEYWORDS = ("front door", "call your sister", "kitchen lights")
EVERYTHING = -1.0  # the threshold that every peak reaches


@pytest.fixture(scope="module")
def kitchen():
    """int16 samples at 16 kHz."""
    samples, rate = soundfile.read(KITCHEN, dtype="int16")
    assert rate == 16000
    return samples


@pytest.fixture(scope="module")
def scan(local_bundle):
    """What a scan of the same file finds of some keywords: something of each."""

    def found(*texts):
        hits = Spotter([Keyword(text, EVERYTHING) for text in texts], local_bundle).scan(KITCHEN)
        assert {hit.keyword for hit in hits} == set(texts)
        return hits

    return found


def assert_same(messages, hits, seconds=0.001, score=1e-4):
    assert [message["id"] for message in messages] == [hit.keyword for hit in hits]
    for message, hit in zip(messages, hits, strict=True):
        assert message["start"] == pytest.approx(hit.start_seconds, abs=seconds)
        assert message["end"] == pytest.approx(hit.end_seconds, abs=seconds)
        assert message["score"] == pytest.approx(hit.score, abs=score)
        assert message["threshold"] == hit.threshold


def cut(samples, sizes):
    places = np.cumsum(np.resize(sizes, len(samples)))
    return [piece for piece in np.split(samples, places[places < len(samples)]) if len(piece)]


def test_hello_tells_the_limits(server, local_bundle):
    with server.client() as client:
        hello = client.seen[0]
    assert (hello["bundle"], hello["threshold"]) == (local_bundle.name, local_bundle.threshold)
    assert hello["most_keywords"] > 10


def test_file_gives_what_a_scan_gives(client, scan):
    client.listen_for(*KEYWORDS, threshold=EVERYTHING)
    assert_same(client.search(KITCHEN, piece=10_000), scan(*KEYWORDS))


def test_the_model_in_the_package_tells_phonemes(real_server, kitchen):
    hits = Spotter(["front door", "call your sister"]).scan(KITCHEN)
    with real_server.client() as client:
        client.listen_for("front door", "call your sister")
        found = client.hear(cut(kitchen, [1600]))
        assert_same(found, hits)
        assert_same(client.search(KITCHEN), hits)
    for message, hit in zip(found, hits, strict=True):
        assert [phoneme for phoneme, *_ in message["phonemes"]] == [place.phoneme for place in hit.phonemes]
        assert message["end"] <= message["decided"] <= message["end"] + 1.0


@pytest.mark.parametrize("sizes", [[1600], [7, 15999, 3, 40_000], [176_000]], ids=["even", "uneven", "whole"])
def test_stream_gives_what_a_scan_gives(client, kitchen, scan, sizes):
    client.listen_for(*KEYWORDS, threshold=EVERYTHING)
    assert_same(client.hear(cut(kitchen, sizes)), scan(*KEYWORDS))


def test_other_rates_give_nearly_the_same(client, kitchen, scan):
    client.listen_for("front door", threshold=EVERYTHING)
    wide = soxr.resample(kitchen.astype(np.float32), 16000, 48000).clip(-32768, 32767).round()
    found = max(client.hear(cut(wide, [4800]), 48000), key=lambda hit: hit["score"])
    expected = max(scan("front door"), key=lambda hit: hit.score)
    assert found["start"] == pytest.approx(expected.start_seconds, abs=0.05)
    assert found["score"] == pytest.approx(expected.score, abs=0.03)


def test_what_is_drawn_covers_the_audio(client, kitchen):
    client.listen_for("front door")
    client.hear(cut(kitchen, [8000]))
    (started,) = [message for message in client.seen if message["type"] == "started"]
    heard = [message for message in client.seen if message["type"] == "heard"]
    assert heard[-1]["seconds"] == pytest.approx(len(kitchen) / 16000, abs=0.01)
    assert max(message["level_db"] for message in heard) > -30 > heard[-2]["level_db"]
    columns = [base64.b64decode(message["log_mel"]["columns"]) for message in heard]
    firsts = np.cumsum([0, *(len(rows) // 40 for rows in columns)])
    assert [message["log_mel"]["first"] for message in heard] == list(firsts[:-1])
    assert firsts[-1] * started["column_seconds"] == pytest.approx(len(kitchen) / 16000, abs=0.05)
    times = [time for message in heard for time in message["scores"]["times"]]
    assert times == sorted(times)
    values = [value for message in heard for value in message["scores"]["values"]["front door"]]
    assert len(values) == len(times) > 40
    assert times[-1] == pytest.approx(len(kitchen) / 16000, abs=0.5)
    assert all(-1 <= value <= 1 for value in values if value is not None)


def test_keywords_are_shown_as_they_will_be_heard(client):
    row, given, none = client.listen_for("front door", "hey {N OW1 V AH0}", "?!")
    assert row["pronunciations"][0] == {"arpabet": "F R AH1 N T D AO1 R", "ipa": "ˈfɹʌntˈdɔɹ"}
    assert [word["source"] for word in row["words"]] == ["lexicon", "lexicon"]
    assert given["words"][1]["source"] == "given"
    assert "pronunciations" not in none
    assert "error" in none


def test_pronouncing_changes_nothing(client):
    client.send("pronounce", id="x", text="zorvex")
    said = client.until("pronounced")
    assert (said["id"], said["words"][0]["source"]) == ("x", "g2p")
    assert "zorvex" in said["advice"]
    client.send("pronounce", id="y", text="hey {N OW")
    assert "closing brace" in client.until("pronounced")["error"]


def test_keywords_may_change_while_listening(client, kitchen):
    client.listen_for("kitchen lights", threshold=EVERYTHING)
    client.send("start", sample_rate=16000)
    client.socket.send(kitchen[: 7 * 16000].astype("<i2").tobytes())
    client.listen_for("front door", threshold=EVERYTHING)
    before = [message["id"] for message in client.seen if message["type"] == "detection"]
    client.socket.send(kitchen[7 * 16000 :].astype("<i2").tobytes())
    client.send("stop")
    after = client.detections()
    assert set(before) == {"kitchen lights"}
    assert {hit["id"] for hit in after} == {"front door"}
    assert min(hit["end"] for hit in after) > 6.5


def test_a_keyword_that_stays_is_not_disturbed_by_others(client, kitchen, scan):
    client.listen_for("front door", threshold=EVERYTHING)
    client.send("start", sample_rate=16000)
    for number, piece in enumerate(cut(kitchen, [16000])):
        client.socket.send(piece.astype("<i2").tobytes())
        client.listen_for("front door", f"lamp {number}", threshold=EVERYTHING)
    client.send("stop")
    client.detections()
    told = [message for message in client.seen if message["type"] == "detection" and message["id"] == "front door"]
    assert_same(told, scan("front door"))


def test_file_is_searched_again_for_other_words(client, scan):
    client.listen_for("front door", threshold=EVERYTHING)
    assert_same(client.search(KITCHEN), scan("front door"))
    client.listen_for("call your sister", threshold=EVERYTHING)
    client.send("again")
    assert_same(client.detections(), scan("call your sister"))


@pytest.mark.parametrize("source", ["stream", "file"])
def test_clip_is_the_audio_of_the_detection(client, kitchen, source):
    client.listen_for("front door", threshold=EVERYTHING)
    hit, *_ = client.hear(cut(kitchen, [5000])) if source == "stream" else client.search(KITCHEN)
    client.send("clip", id="mine", start=hit["start"], end=hit["end"])
    header = client.until("clip")
    wave = client.until("bytes")["data"]
    assert (header["id"], header["bytes"]) == ("mine", len(wave))
    samples, rate = soundfile.read(io.BytesIO(wave), dtype="int16")
    first = round(hit["start"] * 16000)
    assert rate == 16000
    assert len(samples) == pytest.approx((hit["end"] - hit["start"]) * 16000, abs=1)
    assert np.abs(samples.astype(int) - kitchen[first : first + len(samples)]).max() <= 1


def test_only_recent_sound_is_kept(client):
    client.hear([np.zeros(16000, np.int16)] * 70)
    client.send("clip", id="old", start=1.0, end=2.0)
    assert "kept" in client.until("error")["message"]


def test_stop_ends_the_search_of_a_file(client, tmp_path):
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(3600 * 16000, np.int16), 16000)
    client.listen_for("front door")
    data = path.read_bytes()
    client.send("file", name="long.flac", bytes=len(data))
    for start in range(0, len(data), 1 << 19):
        client.socket.send(data[start : start + (1 << 19)])
    assert client.until("started")["seconds"] == 3600
    client.until("heard")
    client.send("stop")
    stopped = client.until("stopped")
    assert stopped["reason"] == "stopped"
    assert 0 < stopped["seconds"] < 3600


BAD = {
    "garbage": ("{", "JSON"),
    "deep": ("[" * 100_000, "JSON"),
    "no object": ("[1]", "object"),
    "no type": ("{}", "type"),
    "misspelt type": ('{"type": "keyword"}', "did you mean 'keywords'"),
    "misspelt field": ('{"type": "start", "samplerate": 16000}', "did you mean 'sample_rate'"),
    "no number": ('{"type": "start", "sample_rate": "fast"}', "whole number"),
    "wild rate": ('{"type": "start", "sample_rate": 1e400}', "whole number"),
    "no list": ('{"type": "keywords", "keywords": "door"}', "list"),
    "no text": ('{"type": "keywords", "keywords": [{"id": "a", "text": 3}]}', "give a text"),
    "long text": (f'{{"type": "pronounce", "id": "a", "text": "{"la" * 1000}"}}', "characters"),
    "many": ('{"type": "keywords", "keywords": [' + ",".join(["{}"] * 1000) + "]}", "too many"),
    "twice": (
        '{"type": "keywords", "keywords": [{"id": "a", "text": "door"}, {"id": "a", "text": "lamp"}]}',
        "same id",
    ),
    "huge threshold": (
        '{"type": "keywords", "keywords": [{"id": "a", "text": "door", "threshold": 1' + "0" * 400 + "}]}",
        "threshold",
    ),
    "NaN": ('{"type": "clip", "id": "a", "start": NaN, "end": 2}', "number"),
    "backwards": ('{"type": "clip", "id": "a", "start": 3, "end": 2}', "clip"),
    "no audio": ('{"type": "clip", "id": "a", "start": 1, "end": 2}', "no audio"),
    "no file": ('{"type": "again"}', "no file"),
    "huge file": ('{"type": "file", "name": "a.wav", "bytes": 100000000000}', "too many"),
    "empty file": ('{"type": "file", "name": "a.wav", "bytes": 0}', "empty"),
    "stray audio": (b"\0\0", "start"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_messages_are_answered_and_harm_nothing(client, name):
    sent, part = BAD[name]
    client.socket.send(sent)
    error = client.next()
    assert error["type"] == "error"
    assert part in error["message"], error
    assert "\n" not in error["message"]
    assert len(error["message"]) < 300
    client.send("pronounce", id="x", text="door")
    assert client.next()["type"] == "pronounced"


def test_half_a_sample_is_left_out(client, kitchen, scan):
    client.listen_for("front door", threshold=EVERYTHING)
    client.send("start", sample_rate=16000)
    client.socket.send(b"\0\0\0")
    assert "16-bit" in client.until("error")["message"]
    client.socket.send(kitchen.astype("<i2").tobytes())
    client.send("stop")
    assert_same(client.detections(), scan("front door"))


@pytest.mark.parametrize("data", [b"no audio at all" * 100, b"RIFF\xff\xff\0\0WAVEfmt "], ids=["text", "torn"])
def test_what_is_no_audio_is_told_by_its_name(client, data):
    client.send("file", name="notes.txt", bytes=len(data))
    client.socket.send(data)
    error = client.until("error", "started")
    assert error["type"] == "error"
    assert error["message"].startswith("notes.txt: ")
    assert client.until("stopped")["reason"] == "error"
    client.listen_for("front door", threshold=EVERYTHING)
    assert len(client.search(KITCHEN)) > 0


def test_more_bytes_than_announced_end_a_file(client):
    client.send("file", name="a.wav", bytes=3)
    client.socket.send(b"12345")
    assert "more bytes" in client.until("error")["message"]
    assert client.until("stopped")["reason"] == "error"


def test_a_message_too_large_closes_with_a_reason(server):
    def send_too_much(client):
        client.socket.send(b"\0" * (1 << 21))
        client.next()

    reasons = []
    for _ in range(5):
        with server.client() as client, pytest.raises(ConnectionClosed) as closed:
            send_too_much(client)
        # A client that is still sending when the server closes is reset by TCP now and then, and reads no reason.
        reasons += [closed.value.rcvd.code] if closed.value.rcvd else []
    assert set(reasons) == {1009}


def test_two_clients_at_once_do_not_mix(server, kitchen, scan):
    with server.client() as one, server.client() as other:
        one.listen_for("front door", threshold=EVERYTHING)
        other.listen_for("kitchen lights", threshold=EVERYTHING)
        for client in (one, other):
            client.send("start", sample_rate=16000)
        for piece in cut(kitchen, [8000]):
            one.socket.send(piece.astype("<i2").tobytes())
            other.socket.send(piece.astype("<i2").tobytes())
            other.socket.send("garbage")
        one.send("stop")
        other.send("stop")
        assert_same(one.detections(), scan("front door"))
        found = []
        while (message := other.until("detection", "stopped"))["type"] == "detection":
            found.append(message)
        assert_same(found, scan("kitchen lights"))


def test_no_more_listen_at_once_than_may(server):
    clients = [server.client() for _ in range(4)]
    opened = [client.__enter__() for client in clients]
    try:
        for client in opened[:3]:
            client.send("start", sample_rate=16000)
            assert client.until("started", "error")["type"] == "started"
        opened[3].send("start", sample_rate=16000)
        assert "busy" in opened[3].until("started", "error")["message"]
        opened[0].send("stop")
        opened[0].until("stopped")
        opened[3].send("start", sample_rate=16000)
        assert opened[3].until("started", "error")["type"] == "started"
    finally:
        for client in clients:
            client.__exit__(None, None, None)


def test_who_leaves_makes_room(server):
    for _ in range(5):  # more than three
        with server.client() as client:
            client.send("start", sample_rate=16000)
            while (message := client.until("started", "error"))["type"] == "error":
                client.send("start", sample_rate=16000)  # the one before is just being let go
            assert message["source"] == "audio"
