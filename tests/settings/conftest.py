"""Settings read from a file that a test writes, and the lines of the error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from ferstream.settings import Settings, load_settings
from ferstream.settings.problems import SettingsError

DOOR = '[[cameras]]\nname = "door"\nsource = "rtsp://cam/stream"\n'


class Reader(Protocol):
    """Writes a file and reads it."""

    def __call__(self, text: str, environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None) -> Settings: ...


class ErrorLines(Protocol):
    """Writes a file, reads it and returns the lines of the error, without the path of the file."""

    def __call__(self, text: str, environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None) -> list[str]: ...


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Return a function that reads settings from text; the environment is empty unless given."""

    def do(text: str, environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
        file = tmp_path / "f.toml"
        file.write_text(text, encoding="utf-8")
        return load_settings(file, environ=environ or {}, flags=flags)

    return do


@pytest.fixture
def error_lines(tmp_path: Path, read: Reader) -> ErrorLines:
    """Return a function that reads settings with mistakes and returns one line per mistake."""

    def do(text: str, environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            read(text, environ, flags)
        lines = str(caught.value).replace(f"{tmp_path}/", "").split("\n")
        assert len(lines) == 1 or lines[0] == f"{len(lines) - 1} problems in the settings"
        return lines if len(lines) == 1 else lines[1:]

    return do
