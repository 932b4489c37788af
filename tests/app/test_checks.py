"""The parts of ``ferstream check`` that need no real camera: order, time limits, bugs, ports."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from ferstream.app.checks import Finding, Verdict, read_settings
from ferstream.app.checks.broker import check_discovery, check_encryption
from ferstream.app.checks.cameras import check_camera, described
from ferstream.app.checks.finding import failed, passed
from ferstream.app.checks.models import check_classifier
from ferstream.app.checks.places import check_http
from ferstream.app.checks.plan import Check, checks_of, run_checks
from ferstream.capture.source import SourceInfo
from ferstream.errors import ExitCode
from ferstream.runtime.counters import Counters
from ferstream.runtime.redaction import forget_secrets
from ferstream.settings import CameraSettings, HttpSettings, InferenceSettings, MqttSettings, Settings
from tests.support.http_stub import Answer, http_body, http_status, says, serving
from tests.support.telemetry import TOKEN, server_of


def camera(name: str) -> CameraSettings:
    return CameraSettings(name=name, source="demo:")


def check(part: str, run: Callable[[], Iterable[Finding]], timeout_s: float = 60.0) -> Check:
    return Check(run=run, timeout_s=timeout_s, late=failed(part, "no answer", "wait", ExitCode.SOURCE))


def test_the_report_has_a_fixed_order() -> None:
    parts = [one.late.part for one in checks_of(Settings(cameras=(camera("b"), camera("a"))))]
    assert parts == ["camera b", "camera a", "broker", "detector", "model", "http", "outbox"]


def test_the_model_check_names_the_model_and_its_cost(make_settings: Callable[..., Settings]) -> None:
    (found,) = check_classifier(make_settings())
    assert found.verdict == Verdict.OK
    assert re.match(r"tiny 1\.0\.0 on openvino:CPU, \d+\.\d\d ms a face, /", found.detail)


def test_the_model_check_says_why_auto_chose_its_model() -> None:
    (found,) = check_classifier(Settings(inference=InferenceSettings(backend="openvino")))
    assert re.match(r"emotion-(edge|small) \S+ \(auto: .+\) on openvino:CPU, \d+\.\d\d ms a face", found.detail)


def test_the_limit_of_a_camera_is_that_of_its_settings() -> None:
    slow = CameraSettings(name="slow", source="demo:", connect_timeout_s=20, read_timeout_s=30)
    seldom = CameraSettings(name="seldom", source="demo:", open_timeout_s=70)
    one, other = checks_of(Settings(cameras=(slow, seldom)))[:2]
    assert (one.timeout_s, other.timeout_s) == (55.0, 75.0)
    assert one.late.detail == "demo:: no answer within 55 s"
    assert one.late.exit_code == ExitCode.SOURCE


def test_a_check_that_hangs_is_reported_as_late_and_the_others_are_reported() -> None:
    release = threading.Event()

    def hang() -> list[Finding]:
        release.wait(60)
        return [passed("hung", "fine")]

    found = list(run_checks([check("hung", hang, timeout_s=0.1), check("good", lambda: [passed("good", "fine")])]))
    release.set()
    assert [(one.part, one.verdict, one.detail) for one in found] == [("hung", "FAIL", "no answer"), ("good", "ok", "fine")]
    assert found[0].exit_code == ExitCode.SOURCE


def test_all_checks_run_at_the_same_time() -> None:
    meet = threading.Barrier(4)

    def wait_for_the_others(part: str) -> list[Finding]:
        meet.wait(20)
        return [passed(part, "fine")]

    found = list(run_checks(check(part, partial(wait_for_the_others, part)) for part in "abcd"))
    assert [(one.part, one.verdict) for one in found] == [(part, "ok") for part in "abcd"]


def test_a_bug_in_a_check_is_reported_without_its_secrets() -> None:
    def fail() -> list[Finding]:
        raise ZeroDivisionError("rtsp://u:zirkelkasten@h")

    (found,) = run_checks([check("a", fail)])
    assert (found.part, found.verdict, found.exit_code) == ("a", Verdict.FAIL, ExitCode.INTERNAL)
    assert found.detail == "unexpected ZeroDivisionError: rtsp://***@h"


def test_an_open_port_without_a_token_is_reported_in_full() -> None:
    (found,) = check_http(Settings(http=HttpSettings(listen="0.0.0.0:1")))
    assert found.verdict == Verdict.FAIL
    assert "***" not in found.detail
    assert "http.token_file" in found.detail


def test_pictures_on_the_network_are_a_warning() -> None:
    *_, found = check_http(Settings(http=HttpSettings.model_validate({"listen": "0.0.0.0:0", "token": TOKEN, "pixels": True})))
    assert found.verdict == Verdict.WARN
    assert "http.pixels" in found.detail
    (found,) = check_http(Settings(http=HttpSettings(listen="127.0.0.1:0", pixels=True)))
    assert found.verdict == Verdict.OK


@pytest.mark.parametrize(("fps", "text"), [(25.0, "25 fps"), (29.97003, "29.97 fps"), (48000.0, "48000 fps"), (0.0, "unknown rate")])
def test_a_frame_rate_is_written_without_an_exponent(fps: float, text: str) -> None:
    info = SourceInfo(width=96, height=64, fps=fps, frames=None, duration_s=None, codec="h264")
    assert described(info) == f"96 x 64, {text}, h264"


def test_the_choice_among_several_video_streams_is_shown() -> None:
    info = SourceInfo(width=96, height=64, fps=25, frames=None, duration_s=None, codec="h264", choice="reads stream 1")
    assert described(info) == "96 x 64, 25 fps, h264, reads stream 1"


def test_pixels_that_are_not_square_are_named() -> None:
    info = SourceInfo(width=720, height=576, fps=25.0, frames=None, duration_s=None, codec="h264", pixel_aspect=64 / 45)
    assert described(info) == "720 x 576 (pixel aspect 1.42), 25 fps, h264"


def test_a_pipe_is_left_to_the_daemon(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (finding,) = check_camera(CameraSettings(name="door", source=str(fifo)), width=640)
    assert finding.verdict is Verdict.SKIP
    assert "is a pipe" in finding.detail


def test_a_connection_to_the_broker_without_encryption_is_a_warning() -> None:
    def warnings(**fields: object) -> list[str]:
        return [finding.detail for finding in check_encryption(Settings(mqtt=MqttSettings.model_validate(fields)))]

    assert warnings() == warnings(url="mqtt://127.0.0.1") == warnings(url="mqtts://broker.lan") == []
    assert warnings(url="mqtt://broker.lan") == ["mqtt:// is not encrypted: the network can read all events"]
    assert warnings(url="ws://u:p@broker.lan") == ["ws:// is not encrypted: the network can read the password and all events"]
    assert warnings(url="mqtts://broker.lan", insecure=True) == ["mqtt.insecure is true: the broker's certificate is not verified"]


def test_discovery_on_the_embedded_broker_is_a_warning() -> None:
    def warnings(**tables: object) -> list[str]:
        return [finding.detail for finding in check_discovery(Settings.model_validate({"homeassistant": {"discovery": True}} | tables))]

    assert "embedded broker" in warnings()[0]
    assert warnings(mqtt={"url": "mqtt://broker.lan"}) == []
    assert warnings(homeassistant={}) == []


def test_findings_hold_no_secrets_and_no_line_breaks() -> None:
    found = failed("x", "a rtsp://u:p@h\nb", "run --password abc", ExitCode.SOURCE)
    assert (found.detail, found.advice) == ("a rtsp://***@h\\nb", "run --password ***")


def test_settings_are_used_without_the_secrets_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text('[mqtt]\npassword_file = "none"\n')
    settings, found = read_settings(file, {"FERSTREAM_HTTP__TOKEN": "zirkelkasten"})
    forget_secrets()
    assert settings is not None
    assert [(one.part, one.verdict) for one in found] == [("settings", "ok"), ("secret", "FAIL")]


def test_a_key_at_its_old_place_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text("[mqtt]\nmax_hz_per_face = 3\n")
    settings, found = read_settings(file, {})
    assert settings is not None
    assert settings.publishing.max_hz_per_face == 3
    assert [(one.verdict, one.detail) for one in found[1:]] == [
        (Verdict.WARN, f"mqtt.max_hz_per_face is now publishing.max_hz_per_face ({file}:2)")
    ]


def test_a_port_held_by_a_running_ferstream_is_not_a_failure(tmp_path: Path) -> None:
    script = tmp_path / "ferstream"
    script.write_text(
        "import socket, sys\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\nsys.stdin.read()\n"
    )
    daemon = subprocess.Popen([sys.executable, str(script), "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert daemon.stdout is not None
        port = int(daemon.stdout.readline())
        (found,) = check_http(Settings(http=HttpSettings(listen=f"127.0.0.1:{port}")))
    finally:
        daemon.communicate("")
    assert (found.verdict, found.detail) == ("ok", f"http.listen = 127.0.0.1:{port} is held by the running ferstream (pid {daemon.pid})")


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_port_that_answers_as_ferstream_is_not_a_failure(token: str | None) -> None:
    server = server_of(Counters(), token=token)
    server.start()
    try:
        (found,) = check_http(Settings(http=HttpSettings(listen=f"127.0.0.1:{server.address.port}")))
    finally:
        server.stop()
    assert (found.verdict, found.detail.partition(" is ")[2]) == ("ok", "held by a running ferstream")


@pytest.mark.parametrize(
    "answer",
    [http_body("text/html", b"<title>other</title>"), http_status("401 Unauthorized"), says("not HTTP\r\n")],
    ids=["another page", "another refusal", "not HTTP"],
)
def test_a_port_held_by_another_server_is_a_failure(answer: Answer) -> None:
    with serving(answer) as port:
        (found,) = check_http(Settings(http=HttpSettings(listen=f"127.0.0.1:{port}")))
    assert found.verdict == "FAIL"
    assert f"port {port} is in use" in found.detail


def test_a_port_below_1024_needs_root() -> None:
    if os.geteuid() == 0:
        pytest.skip("root may take any port")
    (found,) = check_http(Settings(http=HttpSettings(listen="127.0.0.1:1")))
    assert "not allowed" in found.detail


def test_a_port_on_ipv6_is_checked_on_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        taken = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with taken:
        (found,) = check_http(Settings(http=HttpSettings(listen=f"[::1]:{taken.getsockname()[1]}")))
    assert f"(pid {os.getpid()})" in found.detail
