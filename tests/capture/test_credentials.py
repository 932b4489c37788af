"""User names and passwords in URLs: any characters, one place, never shown."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.capture.credentials import Credentials, read_credentials, with_userinfo
from ferstream.errors import SourceAuthError
from ferstream.runtime.redaction import redact

PASSWORDS = st.text(min_size=1, max_size=30).filter(lambda text: text.strip("\r\n") == text and text.isprintable())


def url_with_credentials(url: str, credentials: Credentials | None = None, password_file: Path | None = None) -> str:
    return with_userinfo(url, read_credentials(url, credentials, password_file))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("from the file\n")
    return path


@given(username=PASSWORDS, password=PASSWORDS)
def test_any_user_name_and_password_fit_into_the_url(username: str, password: str) -> None:
    url = url_with_credentials("rtsp://cam:8554/door?channel=1", Credentials(username, password))
    parts = urlsplit(url)
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (username, password)
    assert (parts.hostname, parts.port, parts.path, parts.query) == ("cam", 8554, "/door", "channel=1")


@given(password=PASSWORDS)
def test_any_password_of_a_file_fits_into_the_url(tmp_path_factory: pytest.TempPathFactory, password: str) -> None:
    path = tmp_path_factory.mktemp("secret") / "password"
    path.write_text(password + "\n", encoding="utf-8")
    parts = urlsplit(url_with_credentials("rtsp://joe@cam/door", password_file=path))
    assert (parts.username, unquote(parts.password or "")) == ("joe", password)


@pytest.mark.parametrize(
    ("url", "credentials", "with_file", "expected"),
    [
        ("rtsp://cam/door", None, False, "rtsp://cam/door"),
        ("rtsp://joe:o%6cd@cam/door", None, False, "rtsp://joe:old@cam/door"),
        ("rtsp://cam/door", Credentials("ann"), False, "rtsp://ann@cam/door"),
        ("rtsp://joe:old@cam/door", Credentials("ann", "new"), False, "rtsp://ann:new@cam/door"),
        ("rtsp://joe:old@cam/door", None, True, "rtsp://joe:from%20the%20file@cam/door"),
        ("rtsp://cam/door", Credentials("ann", "new"), True, "rtsp://ann:from%20the%20file@cam/door"),
        ("http://[::1]:80/door", Credentials("ann", "new"), False, "http://ann:new@[::1]:80/door"),
    ],
)
def test_the_file_wins_over_credentials_and_credentials_over_the_url(
    url: str, credentials: Credentials | None, with_file: bool, expected: str, file: Path
) -> None:
    assert url_with_credentials(url, credentials, file if with_file else None) == expected


@pytest.mark.parametrize(
    ("content", "url", "words"),
    [
        (None, "rtsp://joe@cam/1", "cannot be read"),
        ("", "rtsp://joe@cam/1", "is empty"),
        ("\n", "rtsp://joe@cam/1", "is empty"),
        ("secret", "rtsp://cam/1", "names no user"),
        ("secret", "rtsp://:old@cam/1", "names no user"),
    ],
)
def test_a_password_file_that_cannot_be_used_is_an_error(content: str | None, url: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SourceAuthError, match=words) as caught:
        url_with_credentials(url, password_file=path)
    assert "old" not in str(caught.value)


def test_every_password_is_redacted_after_its_use(file: Path) -> None:
    urls = [
        url_with_credentials("rtsp://joe@cam/door", password_file=file),
        url_with_credentials("rtsp://cam/door", Credentials("joe", "s3cr/t w0rd")),
        url_with_credentials("rtsp://joe:hunter2%21@cam/door"),
    ]
    shown = redact(f"libav: {' '.join(urls)}; from the file; s3cr/t w0rd; hunter2!")
    assert not any(secret in shown for secret in ("from the file", "from%20", "s3cr", "hunter2"))


def test_repr_shows_neither_user_name_nor_password() -> None:
    assert repr(Credentials("joe", "hunter2")) == str(Credentials("joe", "hunter2")) == "Credentials(***)"


def test_a_url_without_credentials_has_none() -> None:
    assert with_userinfo("rtsp://joe:hunter2@cam:8554/door?channel=1", None) == "rtsp://cam:8554/door?channel=1"
