"""An archive in an object store. Each write is one object, which is there as a whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ferstream.archive.storage.object_files import open_url, shown_url, translated


class ObjectStore:
    """An archive below a URL; see ``Store``. There is no lock: two runs at a time do work twice, and harm nothing."""

    def __init__(self, url: str) -> None:
        """Nothing is read or made yet.

        Args:
            url: Where the archive is, such as ``s3://bucket/folder``.

        Raises:
            ConfigError: See ``open_url``.
        """
        self._url = url.rstrip("/")
        self._files, self._root = open_url(url)

    @property
    def where(self) -> str:
        """The URL."""
        return self._url

    def read(self, name: str) -> bytes:
        """Return the content of an object; see ``Store``."""
        with translated(self._shown(name), "read"):
            return bytes(self._files.cat_file(self._path(name)))

    def write(self, name: str, data: bytes) -> None:
        """Write an object; see ``Store``."""
        with translated(self._shown(name), "write"):
            self._files.pipe_file(self._path(name), data)

    def put(self, name: str, file: Path) -> None:
        """Copy a local file into the store and remove it; see ``Store``."""
        with translated(self._shown(name), "write"):
            self._files.put_file(str(file), self._path(name))
        file.unlink(missing_ok=True)

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the objects in a folder; see ``Store``."""
        path = self._path(folder)
        found: list[dict[str, str]] = []
        with translated(self._shown(folder), "read"), contextlib.suppress(FileNotFoundError):
            self._files.invalidate_cache(path)
            found = self._files.ls(path, detail=True)
        for entry in found:
            if entry["type"] == "file":
                yield f"{folder}/{entry['name'].rpartition('/')[2]}"

    def remove(self, name: str) -> None:
        """Remove an object; see ``Store``."""
        with translated(self._shown(name), "read"), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _shown(self, name: str) -> str:
        return f"{shown_url(self._url)}/{name}"
