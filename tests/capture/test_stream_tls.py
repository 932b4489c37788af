"""TLS to cameras: certificates are verified by default, with the file of the settings or that of the system."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ferstream.capture.options import Connecting
from ferstream.capture.stream import StreamSource
from ferstream.capture.tls import ca_bundle, client_context, libav_options
from ferstream.errors import SourceAuthError, SourceError
from ferstream.runtime.counters import Counters
from tests.support import http_stub
from tests.support.clips import write_clip
from tests.support.rtsp import SERVER, RtspServer, rtsp_server
from tests.support.tls import Authority, tls_front

Make = Callable[..., StreamSource]
needs_rtsp_server = pytest.mark.skipif(not SERVER.exists(), reason="rtsp-server (aio-rtsp-toolkit) is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder, "127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def other(folder: Path) -> Authority:
    return Authority(folder, "127.0.0.1")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RtspServer]:
    write_clip(folder / "door.mp4", size=(320, 240), frames=50, options={"g": "10", "bf": "0"})
    with rtsp_server(folder) as running:
        yield running


@pytest.fixture
def make(counters: Counters) -> Make:
    """Makes a stream of camera ``door``; takes the fields of ``Connecting``."""

    def make(url: str, **options: Any) -> StreamSource:
        return StreamSource(url=url, camera="door", observer=counters, connecting=Connecting(connect_timeout_s=5, **options))

    return make


def opened(source: StreamSource) -> int:
    """Open a source and close it; return the width of its pictures."""
    try:
        return source.open().width
    finally:
        source.close()


@pytest.mark.parametrize("scheme", ["https", "rtsps"])
def test_a_certificate_that_is_not_trusted_is_an_error_and_the_password_stays_here(
    make: Make, scheme: str, authority: Authority, other: Authority
) -> None:
    asked = http_stub.challenge(protocol="RTSP/1.0" if scheme == "rtsps" else "HTTP/1.1")
    with http_stub.serving(asked, tls=authority.context) as port:
        for ca_file in (None, other.ca_file):
            with pytest.raises(SourceError, match=r"the certificate is not trusted.*ca_file"):
                make(f"{scheme}://joe:hunter2@127.0.0.1:{port}/a", ca_file=ca_file).open()
    assert asked.text == ""


@pytest.mark.parametrize("scheme", ["https", "rtsps"])
def test_a_certificate_of_another_name_is_an_error(make: Make, scheme: str, folder: Path) -> None:
    elsewhere = Authority(folder, "camera.example")
    with http_stub.serving(http_stub.challenge(), tls=elsewhere.context) as port, pytest.raises(SourceError, match="is not trusted"):
        make(f"{scheme}://127.0.0.1:{port}/a", ca_file=elsewhere.ca_file).open()


@pytest.mark.parametrize("scheme", ["https", "rtsps"])
@pytest.mark.parametrize("options", ["ca_file", "tls_verify"])
def test_the_file_of_the_settings_or_no_verification_reach_the_camera(
    make: Make, scheme: str, options: str, authority: Authority, other: Authority
) -> None:
    asked = http_stub.challenge(protocol="RTSP/1.0" if scheme == "rtsps" else "HTTP/1.1")
    chosen: dict[str, Any] = {"ca_file": authority.ca_file} if options == "ca_file" else {"tls_verify": False}
    with http_stub.serving(asked, tls=authority.context) as port, pytest.raises(SourceAuthError):
        make(f"{scheme}://joe:hunter2@127.0.0.1:{port}/a", **chosen).open()
    assert "Authorization: Basic" in asked.text


def test_a_port_without_tls_is_an_error(make: Make) -> None:
    with http_stub.serving(http_stub.http_status("200 OK")) as port, pytest.raises(SourceError, match="does this port speak TLS"):
        make(f"https://127.0.0.1:{port}/a").open()


def test_video_over_https_is_read(make: Make, folder: Path, authority: Authority) -> None:
    site = http_stub.Site({"/a.ts": ("video/mp2t", write_clip(folder / "a.ts", codec="mpeg4").read_bytes())})
    with http_stub.serving(site, tls=authority.context) as port:
        assert opened(make(f"https://localhost:{port}/a.ts", ca_file=authority.ca_file)) == 96


def test_segments_without_tls_of_a_playlist_with_tls_are_refused(make: Make, folder: Path, authority: Authority) -> None:
    plain = http_stub.Site({"/a.ts": ("video/mp2t", write_clip(folder / "a.ts", codec="mpeg4").read_bytes())})
    with http_stub.serving(plain) as port:
        lines = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\nhttp://localhost:{port}/a.ts\n#EXT-X-ENDLIST\n"
        site = http_stub.Site({"/a.m3u8": ("application/vnd.apple.mpegurl", lines.encode())})
        with http_stub.serving(site, tls=authority.context) as encrypted, pytest.raises(SourceError, match="not encrypted; refused"):
            make(f"https://localhost:{encrypted}/a.m3u8", ca_file=authority.ca_file).open()
    assert plain.requests == []


@needs_rtsp_server
@pytest.mark.parametrize("options", ["ca_file", "tls_verify"])
def test_video_over_rtsps_is_read(make: Make, server: RtspServer, authority: Authority, options: str) -> None:
    chosen: dict[str, Any] = {"ca_file": authority.ca_file} if options == "ca_file" else {"tls_verify": False}
    with tls_front(server.port, authority.context) as port:
        assert opened(make(server.url("door.mp4", port=port).replace("rtsp:", "rtsps:"), **chosen)) == 320


@needs_rtsp_server
def test_libav_verifies_the_certificate_too(make: Make, authority: Authority, other: Authority, server: RtspServer) -> None:
    """A camera that shows a good certificate to the first connection and another one to libav's."""
    contexts = [authority.context, other.context]
    swapping = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def swap(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = contexts.pop(0)

    swapping.sni_callback = swap
    with tls_front(server.port, swapping) as port, pytest.raises(SourceError):
        make(f"rtsps://localhost:{port}/door.mp4?play_count=0", ca_file=authority.ca_file).open()
    assert contexts == []


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("no certificate", "holds no certificate")])
def test_a_ca_file_that_cannot_be_used_is_an_error(make: Make, tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with http_stub.serving(http_stub.says_nothing) as port, pytest.raises(SourceError, match=f"ca_file .*{words}"):
        make(f"https://127.0.0.1:{port}/a", ca_file=path).open()


def test_libav_and_python_trust_the_same_file(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    assert ca_bundle() == authority.ca_file
    assert libav_options(None, verify=True) == {"tls_verify": "1", "ca_file": str(authority.ca_file)}
    assert len(client_context(None, verify=True).get_ca_certs()) == 1


def test_the_system_has_a_file_of_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert len(client_context(None, verify=True).get_ca_certs()) > 10
