"""A bundle is loaded whole and sound, or refused in one sentence that names what is wrong."""

import json
import shutil

import pytest

from watchword.bundle import Bundle, BundleError, write_card


@pytest.fixture
def folder(local_bundle, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(local_bundle.path, tmp_path / "bundle")


def edit_card(folder, **changes):
    path = folder / "card.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in {**card, **changes}.items() if value is not None}))


def refused(folder, *parts, verify=True):
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder, verify=verify)
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(folder), *parts):
        assert part in message


def test_a_bundle_says_what_it_is(folder):
    bundle = Bundle.load(str(folder))
    assert (bundle.context, bundle.dim, bundle.acoustic_file) == ("local", 32, "acoustic.onnx")
    assert bundle.clip_silence_seconds == (0.5, 0.3)
    assert bundle.lookahead_frames <= 25 < bundle.left_context_frames
    assert bundle.sha256 == Bundle.load(folder).sha256


def test_a_missing_folder_is_named(tmp_path):
    refused(tmp_path / "none", "no such folder")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "is a file; name the folder")


def test_a_folder_without_card_is_no_bundle(tmp_path):
    refused(tmp_path, "has no card.json")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\x00", '{"format": "1"}'])
def test_a_card_that_is_none_is_refused(folder, content):
    (folder / "card.json").write_text(content)
    refused(folder, "card.json", "again")


def test_a_newer_format_asks_for_an_upgrade(folder):
    edit_card(folder, format=2)
    refused(folder, "format 2 is newer than this Watchword (0.", "upgrade watchword")


@pytest.mark.parametrize("key", ["model", "clip", "acoustic", "seconds_per_phoneme", "threshold", "files"])
def test_a_card_that_lacks_something_is_refused(folder, key):
    edit_card(folder, **{key: None})
    refused(folder, f"lacks {key!r}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": "high"}, "unusable value"),
        ({"model": {"context": "global"}}, "context is 'global'"),
        ({"files": {}}, "lists no file"),
        ({"files": {"../card.json": {"bytes": 1, "sha256": ""}}}, "outside its folder"),
        ({"files": {"pooling.onnx": 3}}, "unusable value"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(folder, changes, message):
    edit_card(folder, **changes)
    refused(folder, message)


def test_a_missing_file_is_named(folder):
    (folder / "pooling.onnx").unlink()
    refused(folder, "pooling.onnx: missing", verify=False)


def test_a_shortened_file_is_noticed_without_hashing(folder):
    (folder / "acoustic.onnx").write_bytes((folder / "acoustic.onnx").read_bytes()[:-1])
    refused(folder, "acoustic.onnx: damaged", "bytes instead of", verify=False)


def test_one_changed_bit_is_noticed(folder):
    content = bytearray((folder / "textual.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "textual.onnx").write_bytes(content)
    assert Bundle.load(folder, verify=False).context == "local"
    refused(folder, "textual.onnx: damaged, its hash")


def test_the_card_is_written_last_and_lists_every_file(folder):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").unlink()
    (folder / "more.txt").write_text("more")
    bundle = write_card(folder, card)
    assert set(bundle.card["files"]) == {path.name for path in folder.iterdir()} - {"card.json"}
    assert bundle.card["files"]["more.txt"]["bytes"] == 4
    assert {k: v for k, v in bundle.card.items() if k != "files"} == {k: v for k, v in card.items() if k != "files"}


def test_a_card_that_cannot_be_written_leaves_no_bundle(folder):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").unlink()
    with pytest.raises(ValueError, match="JSON"):
        write_card(folder, {**card, "threshold": float("nan")})
    assert not list(folder.glob("card.json*"))
    refused(folder, "has no card.json")
