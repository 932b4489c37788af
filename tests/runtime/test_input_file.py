"""Files that a user names are opened without waiting for what may never come."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ferstream.runtime.input_file import open_input


def test_a_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with open_input(tmp_path / "a") as file:
        assert file.read() == b"x"


def test_a_named_pipe_without_a_writer_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="named pipe or socket"):
        open_input(tmp_path / "pipe")


def test_a_socket_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(OSError, match="named pipe or socket"):
            open_input(Path("s"))


def test_a_pipe_that_a_shell_has_opened_is_read() -> None:
    read, write = os.pipe()
    os.write(write, b"x")
    os.close(write)
    with open_input(Path(f"/dev/fd/{read}")) as file:
        assert file.read() == b"x"
    os.close(read)


@pytest.mark.parametrize("name", ["none", "."])
def test_missing_files_and_folders_raise_as_always(tmp_path: Path, name: str) -> None:
    with pytest.raises((FileNotFoundError, IsADirectoryError)):
        open_input(tmp_path / name)
