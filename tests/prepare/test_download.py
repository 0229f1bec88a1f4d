"""Downloads from a server on this machine: resumed after an interruption, refused when damaged, unpacked once."""

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from watchword.cli import main
from watchword.prepare import librispeech
from watchword.prepare.download import Archive, DownloadError, fetch, unpack


@dataclass
class Server:
    """What it serves, how it answers, and what it was asked: (path, range)."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    cut_after: int | None = None  # closes the connection after so many bytes
    ranges: bool = True


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            told.asked.append((self.path, wanted))
            content = told.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and told.ranges else 0
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = len(content) if told.cut_after is None else min(len(content), start + told.cut_after)
            self.wfile.write(content[start:end])

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.url = f"http://127.0.0.1:{http.server_address[1]}"
    yield told
    http.shutdown()
    http.server_close()
    thread.join()


CONTENT = bytes(range(256)) * 9000  # more than one piece


def archive(server: Server, content: bytes = CONTENT, name: str = "a.bin") -> Archive:
    server.files[f"/{name}"] = content
    return Archive(f"{server.url}/{name}", hashlib.md5(content).hexdigest())


def test_a_file_comes_whole_and_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    place = fetch(archive(server), tmp_path, lambda done, total: told.append((done, total)))
    assert place.read_bytes() == CONTENT
    assert told[-1] == (2, 2)
    assert fetch(archive(server), tmp_path) == place
    assert len(server.asked) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_an_interrupted_download_goes_on(server: Server, tmp_path: Path) -> None:
    wanted = archive(server)
    server.cut_after = 1_000_000
    for number in (1, 2):
        with pytest.raises(DownloadError, match=f"cut off after {number}000000 bytes .* to go on"):
            fetch(wanted, tmp_path)
    server.cut_after = None
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ["", "bytes=1000000-", "bytes=2000000-"]


def test_a_server_without_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    wanted = archive(server)
    (tmp_path / "a.bin.part").write_bytes(b"of another file altogether")
    server.ranges = False
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


def test_a_finished_part_is_only_checked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert fetch(archive(server), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("where", ["server", "part"])
def test_what_is_damaged_is_deleted_and_told(server: Server, tmp_path: Path, where: str) -> None:
    wanted = archive(server)
    if where == "server":
        server.files["/a.bin"] = CONTENT[:-1] + b"x"
    else:
        (tmp_path / "a.bin.part").write_bytes(b"not its beginning")
    with pytest.raises(DownloadError, match=f"has the MD5 [0-9a-f]+, not {wanted.md5}; it is deleted"):
        fetch(wanted, tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.files["/a.bin"] = CONTENT
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


def test_no_such_file_and_no_network(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="the server says 404"):
        fetch(Archive(f"{server.url}/absent", ""), tmp_path)
    with pytest.raises(DownloadError, match=r"cut off after 0 bytes .*, or put the file there yourself: .*a\.tar\.gz"):
        fetch(Archive("http://127.0.0.1:9/a.tar.gz", ""), tmp_path)


def tar_gz(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_archives_are_unpacked_once(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(tar_gz({"b/c.txt": b"c"}))
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("e.txt", "e")
    for name in ("a.tar.gz", "d.zip"):
        unpack(tmp_path / name, tmp_path / "out")
        (tmp_path / name).unlink()
        unpack(tmp_path / name, tmp_path / "out")  # may be deleted afterwards
    assert (tmp_path / "out" / "b" / "c.txt").read_bytes() == b"c"
    assert (tmp_path / "out" / "e.txt").read_bytes() == b"e"


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_damaged_and_hostile_archives_are_refused(tmp_path: Path, name: str) -> None:
    place = tmp_path / "archives" / name
    place.parent.mkdir()
    for content in (b"", b"no archive at all", tar_gz({"b": CONTENT})[:5000]):
        place.write_bytes(content)
        with pytest.raises(DownloadError, match="cannot be unpacked"):
            unpack(place, tmp_path / "out")
    if name == "a.tar.gz":
        place.write_bytes(tar_gz({"../escaped": b""}))
        with pytest.raises(DownloadError, match="cannot be unpacked"):
            unpack(place, tmp_path / "out")
    assert not (tmp_path / "escaped").exists()


def test_librispeech_is_fetched_unpacked_and_read(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n1\n<exists>\n1\n'
    grid = head + '"IntervalTier"\n"words"\n0\n1\n1\n0\n1\n"hey"\n'
    content = tar_gz(
        {
            "LibriSpeech/SPEAKERS.TXT": b"7 | F | dev-clean | 1 | A\n",
            "LibriSpeech/dev-clean/7/1/7-1.trans.txt": b"7-1-0000 HEY\n",
            "LibriSpeech/dev-clean/7/1/7-1-0000.flac": b"",
        }
    )
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as packed:
        packed.writestr("LibriSpeech/dev-clean/7/1/7-1-0000.TextGrid", grid)
    subset, grids = (
        archive(server, content, "dev-clean.tar.gz"),
        archive(server, zipped.getvalue(), "librispeech_alignments.zip"),
    )
    monkeypatch.setitem(librispeech.CHECKSUMS, "dev-clean", subset.md5)
    monkeypatch.setattr(librispeech.download_alignments, "__defaults__", (grids, None))
    command = ["prepare", "librispeech", str(tmp_path), "--out", str(tmp_path / "m.jsonl"), "--download"]
    assert main([*command, "--mirror", server.url]) == 2
    assert "--download needs --subset" in capsys.readouterr().err
    assert main([*command, "--mirror", server.url, "--subset", "dev-clear"]) == 2
    assert "no subset 'dev-clear' to download; there are dev-clean" in capsys.readouterr().err
    server.cut_after = 10
    assert main([*command, "--mirror", server.url, "--subset", "dev-clean"]) == 2
    assert "run the same command again to go on" in capsys.readouterr().err
    server.cut_after = None
    for _ in range(2):
        assert main([*command, "--mirror", server.url, "--subset", "dev-clean"]) == 0
        assert "1 segments, 1 with word times" in capsys.readouterr().out
    assert [path for path, _ in server.asked] == ["/dev-clean.tar.gz"] * 2 + ["/librispeech_alignments.zip"]
