from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferstream.errors import DataError
from ferstream.training.fitting.checkpoint import Checkpoint, load, save

FIRST = Checkpoint({"model": [np.arange(3.0), np.ones((2, 2))], "optimizer": [np.array(7)]}, {"epoch": 1, "arch": "edge"})
SECOND = Checkpoint({"model": [np.zeros(3), np.zeros((2, 2))], "optimizer": [np.array(8)]}, {"epoch": 2, "arch": "edge"})


def test_a_checkpoint_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    save(tmp_path / "last.npz", FIRST)

    loaded = load(tmp_path / "last.npz")

    assert loaded.meta == FIRST.meta
    for group, arrays in FIRST.arrays.items():
        for ours, theirs in zip(arrays, loaded.arrays[group], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert [file.name for file in tmp_path.iterdir()] == ["last.npz"]


@pytest.mark.parametrize("fails", ["savez", "fsync", "replace"])
def test_a_write_error_leaves_the_old_checkpoint_intact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    path = tmp_path / "last.npz"
    save(path, FIRST)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    owner = {"savez": np, "fsync": os, "replace": Path}[fails]
    monkeypatch.setattr(owner, fails, full)

    with pytest.raises(DataError, match=r"No space left on device; the checkpoint before, .*, is intact"):
        save(path, SECOND)

    monkeypatch.undo()
    assert load(path).meta["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.npz"]


def test_a_full_disk_is_an_error_with_the_path(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "last.npz"
    save(path, FIRST)
    (tmp_path / "last.npz.part").symlink_to("/dev/full")

    with pytest.raises(DataError, match=r"last\.npz: the checkpoint could not be written"):
        save(path, SECOND)

    assert load(path).meta["epoch"] == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"not a zip file at all"])
def test_a_truncated_or_other_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.npz"
    path.write_bytes(content)

    with pytest.raises(DataError, match="not a checkpoint of ferstream"):
        load(path)


def test_a_missing_file_and_another_npz_are_errors(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))

    for name in ("other.npz", "missing.npz"):
        with pytest.raises(DataError, match="not a checkpoint of ferstream"):
            load(tmp_path / name)
