"""Archives from the network: resumed where they were cut off, checked by MD5, and unpacked once."""

import hashlib
import http.client
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PIECE = 1 << 20
_TIMEOUT_SECONDS = 60.0


class DownloadError(ValueError):
    """An archive cannot be had whole; the message says why, and how to go on."""


@dataclass(frozen=True)
class Archive:
    """A file on the network with the MD5 that its owner states."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.partition("?")[0].rpartition("/")[2]


def fetch(archive: Archive, folder: Path, progress: Callable[[int, int | None], None] | None = None) -> Path:
    """Downloads an archive into a folder and returns its path; `progress` is told MiB done and in all.

    What is there of an earlier call (NAME.part) is gone on from. Raises DownloadError where the network fails, keeping
    what has come so far, and where the checksum is another, deleting it."""
    folder.mkdir(parents=True, exist_ok=True)
    place, part = folder / archive.name, folder / f"{archive.name}.part"
    if place.exists():
        return place
    try:
        _receive(archive.url, part, progress)
    except urllib.error.HTTPError as error:
        raise DownloadError(f"{archive.url}: the server says {error.code} {error.reason}; try a mirror") from None
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error or type(error).__name__
        done = part.stat().st_size if part.exists() else 0
        raise DownloadError(
            f"{archive.url}: cut off after {done} bytes ({why}); run the same command again to go on, or put the file "
            f"there yourself: {place}"
        ) from None
    found = _md5(part)
    if found != archive.md5:
        part.unlink()
        raise DownloadError(
            f"{archive.url}: what came has the MD5 {found}, not {archive.md5}; it is deleted: run the command again"
        )
    part.replace(place)
    return place


def unpack(path: Path, folder: Path) -> None:
    """Unpacks a .tar.gz or .zip into a folder, unless a call before this one ended well.

    Raises DownloadError for an archive that is damaged or leads out of the folder."""
    done = folder / f".{path.name}.unpacked"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        else:
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DownloadError(f"{path}: cannot be unpacked ({error}); delete it and run the command again") from None
    done.touch()


def _receive(url: str, part: Path, progress: Callable[[int, int | None], None] | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # there is nothing after what we have
            error.close()
            return
        raise
    with answer, part.open("ab" if answer.status == 206 else "wb") as file:
        # A server that does not know ranges sends it all again.
        have = file.tell()
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        while piece := answer.read(_PIECE):
            file.write(piece)
            have += len(piece)
            if progress:
                progress(have >> 20, total >> 20 if total else None)
    if total is not None and have < total:
        raise OSError(f"{have} of {total} bytes came")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
