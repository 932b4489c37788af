"""Opens the store of an archive by its name: a folder of this machine, or objects of a store such as S3."""

from __future__ import annotations

from pathlib import Path

from ferstream.archive.storage.store import LocalStore, Store

SCHEME_END = "://"


def is_remote(where: str) -> bool:
    """Return whether a name is the URL of an object store; ``file://`` is a folder."""
    return SCHEME_END in where and not where.startswith("file://")


def open_store(where: str) -> Store:
    """Return the store of an archive; nothing is read or made yet.

    Args:
        where: A folder, or a URL such as ``s3://bucket/folder``.

    Raises:
        ConfigError: The package for this kind of URL is not installed, or no package knows it.
    """
    if not is_remote(where):
        return LocalStore(Path(where.removeprefix("file://")).expanduser())
    from ferstream.archive.storage.object_store import ObjectStore

    return ObjectStore(where)
