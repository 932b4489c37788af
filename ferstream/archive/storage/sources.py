"""Recordings that are objects of a store: found by their URLs, and fetched one at a time into a scratch folder to be read."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ferstream.app.recordings import ENDINGS
from ferstream.archive.storage.object_files import open_url, shown_url, translated
from ferstream.archive.storage.stores import is_remote
from ferstream.errors import OutputError, SourceError

_WILD = "*?["
_SPARE_BYTES = 256 << 20
"""Space that stays free on the disk of the scratch folder."""


def find_objects(url: str, *, leave_out: Sequence[str] = ()) -> list[str]:
    """Return the URLs of the recordings that a URL stands for.

    Args:
        url: An object, a folder with everything below it (it ends in ``/`` or is no object), or a pattern such as ``s3://bucket/2026-*/*.mp4``.
        leave_out: URLs of folders whose objects are not taken: those of results.

    Returns:
        URLs in the order of their names. Of a folder, those with an ending of recordings, no name that begins with a dot.

    Raises:
        SourceError: No recording was found.
        OutputError: The store cannot be read.
        ConfigError: See ``open_url``.
    """
    files, path = open_url(url)
    scheme = urlsplit(url).scheme
    with translated(url, "read"):
        try:
            found = _matching(files, path)
        except FileNotFoundError:
            found = []
    urls = [f"{scheme}://{name.removeprefix(f'{scheme}://').lstrip('/')}" for name in found]
    kept = [item for item in urls if not any(item.startswith(f"{folder.rstrip('/')}/") for folder in leave_out)]
    if not kept:
        raise SourceError(f"{shown_url(url)}: holds no recording; names of recordings end in .mp4, .mov, .mkv, .avi, .webm, .ts, ...")
    return kept


class SourceCache:
    """The recording that a worker reads at present, as a local file. One thread.

    Local recordings stay where they are. An object is fetched into a folder of its own, and removed when another one is
    asked for, or at the end. A process that is killed leaves the folder, below the system's folder for temporary files.
    """

    def __init__(self, scratch: Path | None = None) -> None:
        """Nothing is fetched yet.

        Args:
            scratch: Where objects are fetched to; None for the system's folder for temporary files (``TMPDIR``).
        """
        self._scratch = scratch
        self._folder: Path | None = None
        self._url, self._file = "", Path()

    def __enter__(self) -> SourceCache:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def fetch(self, path: str) -> Path:
        """Return a local file with the content of a recording.

        Args:
            path: A local path, or a URL.

        Raises:
            SourceError: There is no such object.
            OutputError: The store cannot be read, or the disk has not enough space.
        """
        if not is_remote(path):
            return Path(path)
        if path != self._url:
            self.close()
            self._folder = Path(tempfile.mkdtemp(prefix="ferstream-archive-", dir=self._scratch))
            self._file = self._folder / PurePosixPath(path).name
            _download(path, self._file)
            self._url = path
        return self._file

    def close(self) -> None:
        """Remove what was fetched."""
        folder, self._folder, self._url = self._folder, None, ""
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def local_copy(path: str, scratch: Path | None = None) -> Iterator[Path]:
    """Give a local file with the content of a recording, within the context; see ``SourceCache``.

    Args:
        path: A local path, or a URL.
        scratch: Where objects are fetched to.
    """
    with SourceCache(scratch) as cache:
        yield cache.fetch(path)


def _matching(files: Any, path: str) -> list[str]:
    """Return the paths of the objects that a path stands for."""
    if any(sign in path for sign in _WILD):
        matches = sorted(files.glob(path))
        return [name for match in matches for name in ([match] if files.isfile(match) else _below(files, match))]
    if files.isfile(path):
        return [path]
    return _below(files, path)


def _below(files: Any, path: str) -> list[str]:
    """Return the recordings of a folder and of those in it, in the order in which ``replay`` takes those of a local folder."""
    names: list[str] = files.find(path)
    parts = [(PurePosixPath(name).relative_to(PurePosixPath(path)).parts, name) for name in names]
    return [
        name
        for below, name in sorted(parts)
        if not any(part.startswith(".") for part in below) and below[-1].rpartition(".")[2].lower() in ENDINGS and "." in below[-1]
    ]


def _download(url: str, file: Path) -> None:
    files, path = open_url(url)
    try:
        with translated(url, "read"):
            size = int(files.size(path))
            _check_space(url, size, file.parent)
            files.get_file(path, str(file))
    except FileNotFoundError as exc:
        raise SourceError(f"{shown_url(url)}: no such object; was it removed?") from exc
    if file.stat().st_size != size:
        with contextlib.suppress(OSError):
            file.unlink()
        raise OutputError(f"{shown_url(url)}: {size} bytes were expected, and other came; is it being written?")


def _check_space(url: str, size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE_BYTES:
        raise OutputError(
            f"{shown_url(url)} has {size / 1e9:.1f} GB, and {folder.parent} has {free / 1e9:.1f} GB left; set TMPDIR to a larger disk"
        )
