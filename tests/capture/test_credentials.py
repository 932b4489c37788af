"""Passwords from files go into URLs, whatever they contain."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.capture.credentials import with_password
from ferstream.errors import SourceAuthError
from ferstream.runtime.redaction import forget_secrets, redact


@pytest.fixture(autouse=True)
def no_secrets_left() -> None:
    forget_secrets()


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.strip("\r\n") == text and text.isprintable()))
def test_any_password_fits_into_the_url(tmp_path_factory: pytest.TempPathFactory, password: str) -> None:
    path = tmp_path_factory.mktemp("secret") / "password"
    path.write_text(password + "\n", encoding="utf-8")
    url = with_password("rtsp://joe@cam:8554/door?channel=1", path)
    parts = urlsplit(url)
    assert unquote(parts.password or "") == password
    assert (parts.username, parts.hostname, parts.port, parts.path, parts.query) == ("joe", "cam", 8554, "/door", "channel=1")


def test_a_password_file_replaces_a_password_in_the_url(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("new")
    assert with_password("rtsp://joe:old@cam/door", path) == "rtsp://joe:new@cam/door"


def test_without_a_file_the_url_stays() -> None:
    assert with_password("rtsp://cam/door", None) == "rtsp://cam/door"


@pytest.mark.parametrize(
    ("content", "url", "words"),
    [
        (None, "rtsp://joe@cam/1", "cannot be read"),
        ("", "rtsp://joe@cam/1", "is empty"),
        ("\n", "rtsp://joe@cam/1", "is empty"),
        ("secret", "rtsp://cam/1", "names no user"),
    ],
)
def test_a_password_file_that_does_not_help(content: str | None, url: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SourceAuthError, match=words):
        with_password(url, path)


def test_what_was_read_is_redacted_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("s3cr/t w0rd")
    url = with_password("rtsp://joe@cam/door", path)
    assert "s3cr" not in redact(f"libav said: {url}; {path.read_text()}")
