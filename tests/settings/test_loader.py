"""Loading settings: which file is read, which source wins, and where each value came from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ferstream.errors import ConfigError
from ferstream.settings import Settings, load, load_settings
from ferstream.settings.loader import find_file

from .conftest import DOOR, ErrorLines, Reader


def test_the_defaults_are_webcam_0_and_the_embedded_broker() -> None:
    settings = load_settings(os.devnull, environ={})
    assert [(c.name, c.source) for c in settings.cameras] == [("webcam", "webcam:0")]
    assert settings.mqtt.embedded
    assert settings == Settings()


def test_the_first_file_that_exists_is_read(tmp_path: Path) -> None:
    local, system = tmp_path / "local.toml", tmp_path / "system.toml"
    assert find_file((local, system)) is None
    system.touch()
    assert find_file((local, system)) == system
    local.touch()
    assert find_file((local, system)) == local


def test_the_file_of_the_working_directory_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ferstream.toml").write_text('node = "local"')
    monkeypatch.chdir(tmp_path)
    assert load(environ={}).file == Path("ferstream.toml")
    assert load_settings(environ={}).node == "local"


def test_a_file_without_permission_is_an_error_and_is_not_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(self: Path, *_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "is_file", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match="this user may not read it; run as its owner, or give another file with -c FILE"):
        load_settings(environ={})


def test_flags_win_over_the_environment_and_that_over_the_file(read: Reader) -> None:
    text = "[detection]\nwidth = 320\nscore = 0.5\nmin_face_px = 30\n"
    environ = {"FERSTREAM_DETECTION__SCORE": "0.6", "FERSTREAM_DETECTION__MIN_FACE_PX": "40"}
    detection = read(text, environ, {"detection.min_face_px": 50, "detection.device": None}).detection
    assert (detection.width, detection.score, detection.min_face_px, detection.device) == (320, 0.6, 50, "auto")


def test_origins_name_file_and_line_variable_or_flag(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text(f"{DOOR}\n[detection]\nwidth = 320\nscore = 0.5\n")
    origins = load(file, environ={"FERSTREAM_DETECTION__SCORE": "0.6"}, flags={"log.level": "debug"}).origins
    assert str(origins["detection", "width"]) == f"{file}:6"
    assert str(origins["cameras", 0, "source"]) == f"{file}:3"
    assert str(origins["detection", "score"]) == "environment FERSTREAM_DETECTION__SCORE"
    assert str(origins["log", "level"]) == "flag log.level"


@pytest.mark.parametrize("source", ["RTSP://viewer:hunter2@cam/s", "Http://viewer:hunter2@cam/s"])
def test_a_url_with_its_scheme_in_capitals_is_not_a_file(source: str, read: Reader) -> None:
    (found,) = read(f'[[cameras]]\nname = "a"\nsource = "{source}"\n').cameras
    assert found.source.lower() == source.lower().replace("viewer:hunter2@", "")
    assert found.password is not None
    assert "hunter2" not in repr(found)


def test_a_refused_source_is_shown_without_its_password(error_lines: ErrorLines) -> None:
    (line,) = error_lines('[[cameras]]\nname = "a"\nsource = "rtsp:/viewer:hunter2@cam/s"\n')
    assert "expected rtsp://, with two slashes" in line
    assert "hunter2" not in line


def test_a_token_that_could_be_guessed_is_refused(tmp_path: Path, error_lines: ErrorLines) -> None:
    (tmp_path / "t").write_text("short")
    (line,) = error_lines('[http]\ntoken_file = "t"\n')
    assert "at least 16" in line
    assert "short" not in line
