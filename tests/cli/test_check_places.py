"""``ferstream check`` finds what is wrong with ports, secrets and folders of this machine."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest

from ferstream.app.checks.places import check_outbox
from ferstream.errors import ExitCode
from ferstream.settings import Settings
from tests.support.check_command import SECRET, RunCheck, only_failure


def test_a_port_in_use(check: RunCheck) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = only_failure(check(http=f'listen = "127.0.0.1:{port}"'), ExitCode.ADDRESS_IN_USE)
    assert found["detail"].startswith(f"http.listen = 127.0.0.1:{port}: port {port} is in use by ")
    assert f"(pid {os.getpid()})" in found["detail"]


def test_an_address_of_another_machine(check: RunCheck, tmp_path: Path) -> None:
    (tmp_path / "t").touch(mode=0o600)
    (tmp_path / "t").write_text(SECRET)
    found = only_failure(check(http='listen = "192.0.2.1:1"\ntoken_file = "t"'), ExitCode.USAGE)
    assert "http.listen = 192.0.2.1:1" in found["detail"]


def test_a_port_open_to_the_network_without_a_token(check: RunCheck) -> None:
    assert "needs a token" in only_failure(check(http='listen = "0.0.0.0:0"'), ExitCode.USAGE)["detail"]


def test_a_token_that_is_too_short(check: RunCheck, tmp_path: Path) -> None:
    (tmp_path / "t").touch(mode=0o600)
    (tmp_path / "t").write_text("short")
    found = only_failure(check(http='token_file = "t"'), ExitCode.USAGE)
    assert "at least 16" in found["detail"]


def test_disabled_pages_are_not_a_failure(check: RunCheck) -> None:
    assert check(http="enabled = false").exit_code == 0


def test_an_outbox_that_cannot_be_written(check: RunCheck, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = only_failure(check(rest=f'[outbox]\npath = "{tmp_path}/file/box"'), ExitCode.USAGE)
    assert (found["part"], str(tmp_path / "file") in found["detail"]) == ("outbox", True)


def test_an_outbox_without_enough_disk_space(check: RunCheck) -> None:
    found = only_failure(check(rest=f"[outbox]\nmax_bytes = {10**18}"), ExitCode.USAGE)
    assert "free in" in found["detail"]


def test_the_outbox_of_another_user_than_the_service_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    settings = Settings.model_validate({"outbox": {"path": str(tmp_path / "box")}})
    unit = tmp_path / "ferstream.service"
    user = pwd.getpwuid(os.geteuid()).pw_name

    (alone,) = check_outbox(settings, service=unit)
    unit.touch()
    (beside,) = check_outbox(settings, service=unit)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    (inside,) = check_outbox(settings, service=unit)

    assert alone.detail == inside.detail
    assert alone.detail.endswith(f"MB free, outbox of user {user}")
    assert beside.detail.endswith(f"outbox of user {user}; the service has its own: sudo /opt/ferstream/ferstream-check")


def test_an_outbox_in_memory_is_reported(check: RunCheck) -> None:
    assert "do not survive a restart" in check(rest='[outbox]\npath = "memory"').stdout
