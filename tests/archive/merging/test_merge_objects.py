"""A merge of an archive in an object store writes the objects that a folder would have as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.archive.storage.stores import open_store
from tests.archive.conftest import Replayed
from tests.support.merges import archive, joined, merge, tree

pytest.importorskip("fsspec")
pytest.importorskip("pyarrow")


def test_objects_are_those_of_a_folder(tmp_path: Path, replayed: Replayed) -> None:
    url = f"memory://{tmp_path.name}"
    archive(tmp_path / "a", replayed)
    objects = open_store(url)
    for name, data in tree(tmp_path / "a").items():
        objects.write(name, data)

    local, _ = merge(tmp_path / "a", tables=True, events=tmp_path / "local")
    remote, _ = merge(url, tables=True, events=tmp_path / "remote")

    assert remote == local
    files = {name: data for name, data in tree(tmp_path / "a").items() if name.endswith((".parquet", ".md"))}
    assert {name: objects.read(name) for name in files} == files
    assert joined(tmp_path / "remote", replayed) == replayed.events.read_bytes()
    assert merge(url, tables=True, events=tmp_path / "remote")[0].reused == len(replayed.analysed)
