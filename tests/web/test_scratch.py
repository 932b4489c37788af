"""Files without a name in a private folder, and the check of the free space."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ferstream.errors import OutputError
from ferstream.web.scratch import Scratch, free_bytes


def test_a_file_has_no_name_and_only_the_owner_can_enter_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "uploads"
    with Scratch(folder).new_file() as file:
        file.write(b"secret")
        assert list(folder.iterdir()) == []
        assert os.fstat(file.fileno()).st_nlink == 0
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_others_can_enter_is_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir(mode=0o755)
    Scratch(folder).new_file().close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "uploads").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="not a folder of this user"):
        Scratch(tmp_path / "uploads").new_file()


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "uploads").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        Scratch(tmp_path / "uploads").new_file()


@pytest.mark.parametrize(("wanted", "fits"), [(0, True), (500, True), (501, False), (1 << 62, False)])
def test_the_reserve_stays_free(tmp_path: Path, wanted: int, fits: bool) -> None:
    scratch = Scratch(tmp_path / "uploads", reserve_bytes=500, free=lambda _: 1000)
    if fits:
        scratch.check_space(wanted)
    else:
        with pytest.raises(OutputError, match=r"the disk of .*uploads is too full: .* free at least"):
            scratch.check_space(wanted)


def test_the_free_space_is_that_of_the_disk(tmp_path: Path) -> None:
    assert 0 < free_bytes(tmp_path) <= os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


def test_files_that_a_killed_process_left_are_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    scratch = Scratch(folder)
    scratch.remove_leftovers()  # no folder yet
    scratch.new_file().close()
    (folder / "tmpabc").write_bytes(b"half a video")
    scratch.remove_leftovers()
    assert list(folder.iterdir()) == []
