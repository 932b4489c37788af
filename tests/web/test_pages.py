"""The files of the page over HTTP."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream.web.pages import STATIC, load_files
from tests.support.page_server import ScriptedDaemon


@pytest.fixture(scope="module")
def daemon() -> Iterator[ScriptedDaemon]:
    """A server with the page."""
    with ScriptedDaemon() as started:
        yield started


def _get(daemon: ScriptedDaemon, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(daemon.url.removeprefix("http://").rstrip("/"), timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return connection.getresponse()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/static/page.css", "text/css; charset=utf-8"),
        ("/static/js/main.js", "text/javascript; charset=utf-8"),
        ("/static/icon.svg", "image/svg+xml"),
        ("/static/vendor/uplot/LICENSE", "text/plain; charset=utf-8"),
    ],
)
def test_each_file_has_its_type(daemon: ScriptedDaemon, path: str, kind: str) -> None:
    answer = _get(daemon, path)

    assert answer.status == 200
    assert answer.getheader("content-type") == kind
    assert len(answer.read()) > 100


def test_a_file_that_did_not_change_is_not_sent_again(daemon: ScriptedDaemon) -> None:
    first = _get(daemon, "/")

    again = _get(daemon, "/", if_none_match=f'"other", W/{first.getheader("etag")}')

    assert (again.status, again.read()) == (304, b"")
    # Browsers take over the headers of this answer, so the page's policy must be among them.
    assert again.getheader("content-security-policy") == first.getheader("content-security-policy")
    assert _get(daemon, "/", if_none_match='"other"').status == 200


def test_browsers_ask_each_time_whether_a_file_changed(daemon: ScriptedDaemon) -> None:
    assert _get(daemon, "/static/js/main.js").getheader("cache-control") == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../pages.py",
        "/static/..%2fpages.py",
        "/static/%2e%2e/pages.py",
        "/static//etc/passwd",
        "/static/js",
        "/static/",
        "/static/js/none.js",
        "/static/page.css%00",
        "/static/..\\pages.py",
    ],
)
def test_no_path_leads_out_of_the_folder(daemon: ScriptedDaemon, path: str) -> None:
    answer = _get(daemon, path)

    assert answer.status == 404
    assert b"import" not in answer.read()


def test_an_unknown_kind_of_file_in_the_folder_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("page")
    (tmp_path / "secret.toml").write_text("no")

    assert list(load_files(tmp_path)) == ["index.html"]


def test_the_page_may_run_no_inline_script_or_style_and_load_from_its_own_address_only(daemon: ScriptedDaemon) -> None:
    policy = dict(part.split(" ", 1) for part in str(_get(daemon, "/").getheader("content-security-policy")).split("; "))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in str(policy)


def test_head_has_the_headers_alone(daemon: ScriptedDaemon) -> None:
    answer = _get(daemon, "/", "HEAD")

    assert (answer.status, answer.read()) == (200, b"")
    assert answer.getheader("etag")


def test_every_file_of_the_folder_is_served() -> None:
    assert set(load_files()) == {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()}
