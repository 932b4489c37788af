"""The parts of ``check`` that need no real camera: limits, order, bugs, and who holds a port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream.app.checks import Finding, Verdict, findings, plan, read_settings
from ferstream.app.checks.finding import failed, passed
from ferstream.app.checks.places import check_http
from ferstream.errors import ExitCode
from ferstream.runtime.redaction import forget_secrets
from ferstream.settings import CameraSettings, HttpSettings, Settings


def camera(name: str) -> CameraSettings:
    return CameraSettings(name=name, source="demo:")


def quiet(part: str) -> object:
    return lambda settings: iter([passed(part, "fine")])


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every check but that of cameras is fine at once."""
    monkeypatch.setattr(plan, "check_broker", quiet("broker"))
    monkeypatch.setattr(plan, "check_detector", quiet("detector"))
    monkeypatch.setattr(plan, "check_classifier", quiet("model"))
    monkeypatch.setattr(plan, "check_http", quiet("http"))
    monkeypatch.setattr(plan, "check_outbox", quiet("outbox"))


@pytest.mark.usefixtures("scripted")
def test_a_check_that_hangs_is_given_up_and_the_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def check_camera(one: CameraSettings, *, width: int) -> Iterator[Finding]:
        if one.name == "hung":
            release.wait(60)
        yield passed(f"camera {one.name}", "fine")

    monkeypatch.setattr(plan, "check_camera", check_camera)
    monkeypatch.setattr(plan, "timeout_s", lambda one: 0.1)
    found = list(findings(Settings(cameras=(camera("hung"), camera("good")))))
    release.set()
    assert [one.part for one in found] == ["camera hung", "camera good", "broker", "detector", "model", "http", "outbox"]
    assert [one.verdict for one in found] == ["FAIL", *["ok"] * 6]
    assert found[0].exit_code == ExitCode.SOURCE
    assert "no answer within 0.1 s" in found[0].detail


@pytest.mark.usefixtures("scripted")
def test_all_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    meet = threading.Barrier(4)

    def check_camera(one: CameraSettings, *, width: int) -> Iterator[Finding]:
        meet.wait(20)
        yield passed(f"camera {one.name}", "fine")

    monkeypatch.setattr(plan, "check_camera", check_camera)
    found = list(findings(Settings(cameras=tuple(camera(name) for name in "abcd"))))
    assert [one.part for one in found[:4]] == ["camera a", "camera b", "camera c", "camera d"]


@pytest.mark.usefixtures("scripted")
def test_a_bug_is_told_as_one_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_camera(one: CameraSettings, *, width: int) -> Iterator[Finding]:
        raise ZeroDivisionError("rtsp://u:zirkelkasten@h")

    monkeypatch.setattr(plan, "check_camera", check_camera)
    first = next(iter(findings(Settings(cameras=(camera("a"),)))))
    assert (first.verdict, first.exit_code) == (Verdict.FAIL, ExitCode.INTERNAL)
    assert first.detail == "unforeseen ZeroDivisionError: rtsp://***@h"


def test_findings_hold_no_secrets_and_no_line_ends() -> None:
    found = failed("x", "a rtsp://u:p@h\nb", "run --password abc", ExitCode.SOURCE)
    assert (found.detail, found.advice) == ("a rtsp://***@h\\nb", "run --password ***")


def test_settings_are_used_as_far_as_their_secrets_can_be_read(tmp_path: Path) -> None:
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


def test_a_port_held_by_a_running_ferstream_is_as_it_should_be(tmp_path: Path) -> None:
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


def test_a_port_below_1024_is_for_root() -> None:
    if os.geteuid() == 0:
        pytest.skip("root may take any port")
    (found,) = check_http(Settings(http=HttpSettings(listen="127.0.0.1:1")))
    assert "not allowed" in found.detail


def test_a_port_on_ipv6_is_tried_there() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        taken = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with taken:
        (found,) = check_http(Settings(http=HttpSettings(listen=f"[::1]:{taken.getsockname()[1]}")))
    assert f"(pid {os.getpid()})" in found.detail
