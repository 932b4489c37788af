"""``ferstream check`` finds what is wrong with a camera."""

from __future__ import annotations

import http.server
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ferstream.app.checks.cameras import described
from ferstream.capture.source import SourceInfo
from ferstream.errors import ExitCode
from tests.support.check_command import SECRET, RunCheck, door, findings, only_failure
from tests.support.clips import write_clip, write_sound
from tests.support.http_stub import Answer, Site, challenge, http_body, http_status, says, serving
from tests.support.ports import free_port
from tests.support.rtsp_camera import RtspCamera, access_units
from tests.support.tls import Authority


def test_a_missing_recording(check: RunCheck, tmp_path: Path) -> None:
    assert "no such file" in only_failure(check(camera=door(tmp_path / "none.mp4")), ExitCode.SOURCE)["detail"]


def test_a_folder(check: RunCheck, tmp_path: Path) -> None:
    assert "directory" in only_failure(check(camera=door(tmp_path)), ExitCode.SOURCE)["detail"]


@pytest.mark.parametrize(("name", "content"), [("text.mp4", b"hello, I am no video\n" * 50), ("empty.mp4", b"")])
def test_a_file_that_is_not_a_video(name: str, content: bytes, check: RunCheck, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert name in only_failure(check(camera=door(tmp_path / name)), ExitCode.SOURCE)["detail"]


def test_a_truncated_video(check: RunCheck, clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:600])
    assert "cut.mp4" in only_failure(check(camera=door(cut)), ExitCode.SOURCE)["detail"]


def test_sound_without_picture(check: RunCheck, tmp_path: Path) -> None:
    assert "no video" in only_failure(check(camera=door(write_sound(tmp_path / "sound.mp4"))), ExitCode.SOURCE)["detail"]


def test_a_camera_that_refuses_the_connection(check: RunCheck) -> None:
    found = only_failure(check(camera=door(f"rtsp://u:{SECRET}@127.0.0.1:{free_port()}/s")), ExitCode.SOURCE)
    assert "refused" in found["detail"]


def test_an_unknown_host(check: RunCheck) -> None:
    only_failure(check(camera=door("rtsp://camera.invalid/s")), ExitCode.SOURCE)


def test_a_wrong_password_of_a_camera(check: RunCheck) -> None:
    with RefusingServer() as port:
        found = only_failure(check(camera=door(f"http://user:{SECRET}@127.0.0.1:{port}/video")), ExitCode.SOURCE)
    assert "authenti" in found["detail"].lower()
    assert found["advice"].startswith("check username and password_file of camera door (or FERSTREAM_CAMERAS__DOOR__PASSWORD")


def test_a_certificate_that_is_not_verified_is_a_warning(check: RunCheck, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "127.0.0.1")
    video = write_clip(tmp_path / "a.ts", codec="mpeg4", frames=30).read_bytes()
    with serving(Site({"/a.ts": ("video/mp2t", video)}), tls=authority.context) as port:
        url = f"https://127.0.0.1:{port}/a.ts"
        (warning, ok) = [found for found in findings(check(camera=door(url, "tls_verify = false"))) if found["part"] == "camera door"]
        (verified,) = [
            found for found in findings(check(camera=door(url, f"ca_file = '{authority.ca_file}'"))) if found["part"] == "camera door"
        ]
        refused = only_failure(check(camera=door(url)), ExitCode.SOURCE)
    assert (warning["verdict"], ok["verdict"], verified["verdict"]) == ("warn", "ok", "ok")
    assert "tls_verify is false" in warning["detail"]
    assert "set ca_file" in warning["advice"]
    assert "the certificate is not trusted" in refused["detail"]


def test_a_camera_that_never_answers_does_not_hold_up_the_others(check: RunCheck, clip: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hall = door(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/s").replace("door", "hall").replace("= 5", "= 1")
        result = check(camera=f'{hall}[[cameras]]\nname = "door"\nsource = "{clip}"\n')
    found = only_failure(result, ExitCode.SOURCE)
    assert found["part"] == "camera hall"
    assert "connect_timeout_s" in found["advice"]


FAULTS: dict[str, tuple[str, Answer, str, str]] = {
    "login page": ("http", http_body("text/html", b"<html>log in</html>"), "sends a web page", "use the address of the stream itself"),
    "busy": ("http", http_status("503 Service Unavailable"), "busy or starting", "wait a minute, or close other viewers"),
    "locked": ("http", http_status("403 Forbidden"), "does not allow this (403)", "whether the camera has locked the account"),
    "no password": ("http", challenge(), "none is set", "set username and password_file of camera door"),
    "ntlm": (
        "http",
        says("HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\n\r\n"),
        "asks for ntlm",
        "set it to digest or basic",
    ),
    "playlist of files": (
        "http",
        http_body("application/x-mpegurl", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n"),
        "the playlist leads to file:, another protocol; refused",
        "use a playlist for the network",
    ),
    "HTTP on the port": ("rtsp", http_status("400 Bad Request"), "speaks HTTP here, not RTSP", "check the port"),
    "no TLS": ("https", http_status("400 Bad Request"), "no TLS connection", "does this port speak TLS?"),
    "SHA-256 over RTSP": (
        "rtsp",
        says('RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="x", nonce="1", algorithm=SHA-256\r\n\r\n'),
        "the camera asks for SHA-256 digest over RTSP, which ferstream does not support here",
        "set it to MD5 digest, or to basic over rtsps (TLS)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_camera_with_a_fault_says_what_is_wrong_and_what_to_do(check: RunCheck, fault: str) -> None:
    scheme, answer, wrong, to_do = FAULTS[fault]
    with serving(answer) as port:
        found = only_failure(check(camera=door(f"{scheme}://127.0.0.1:{port}/a")), ExitCode.SOURCE)
    assert wrong in found["detail"]
    assert to_do in found["advice"]
    assert to_do not in found["detail"]


def test_a_camera_without_key_frames_names_the_key_to_set(check: RunCheck, tmp_path: Path) -> None:
    pictures = access_units(write_clip(tmp_path / "a.mp4", frames=20, options={"g": "10", "bf": "0"}))
    with serving(RtspCamera(pictures, late=1, keys_after=threading.Event())) as port:
        settings = door(f"rtsp://127.0.0.1:{port}/a", "open_timeout_s = 1").replace("_timeout_s = 5", "_timeout_s = 1")
        found = only_failure(check(camera=settings.replace("_timeout_s = 2", "_timeout_s = 1")), ExitCode.SOURCE)
    assert "data arrives, but no picture within 2 s" in found["detail"]
    assert "open_timeout_s" in found["advice"]


def test_the_variant_of_a_playlist_is_named(check: RunCheck, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.ts", codec="mpeg4", frames=30).read_bytes()
    kind = "application/vnd.apple.mpegurl"
    lines = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=90000,RESOLUTION=96x64\nb\n#EXT-X-STREAM-INF:BANDWIDTH=1000,RESOLUTION=48x32\nc\n"
    pages = {"/a": (kind, lines), "/b": (kind, b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\nd\n#EXT-X-ENDLIST\n"), "/d": ("", b"")}
    with serving(Site(pages | {"/d": ("video/mp2t", video)})) as port:
        (found,) = [found for found in findings(check(camera=door(f"http://127.0.0.1:{port}/a"))) if found["part"] == "camera door"]
    assert "HLS variant 1 of 2 (96 x 64, 0.09 Mbit/s)" in found["detail"]


def test_a_missing_webcam(check: RunCheck) -> None:
    assert only_failure(check(camera=door("webcam:63")), ExitCode.SOURCE)["part"] == "camera door"


def test_a_disabled_camera_is_skipped(check: RunCheck) -> None:
    result = check(camera=door("none.mp4", "enabled = false"))
    assert result.exit_code == 0
    assert "skip" in {finding["verdict"] for finding in findings(result)}


class RefusingServer:
    """An HTTP server that answers every request with 401."""

    def __enter__(self) -> int:
        class Refuse(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return int(self._server.server_address[1])

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.mark.parametrize("source", ["0", "/dev/video77", "webcam"])
def test_a_number_or_a_device_is_answered_with_the_webcam(source: str, check: RunCheck) -> None:
    found = only_failure(check(camera=door(source)), ExitCode.SOURCE)
    assert "write webcam:" in found["detail"]


def test_a_high_frame_rate_is_written_in_digits() -> None:
    info = SourceInfo(width=8, height=4, fps=48_000.0, frames=None, duration_s=None, codec="gif")
    assert described(info) == "8 x 4, 48000 fps, gif"
    assert described(replace(info, fps=1 / 300)) == "8 x 4, 0.0033333 fps, gif"
    assert described(replace(info, fps=30000 / 1001)) == "8 x 4, 29.97 fps, gif"
