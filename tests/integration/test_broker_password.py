"""Only who has the password gets into the embedded broker, by whichever port."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from typer.testing import CliRunner

from ferstream.broker.embedded import HOST, EmbeddedBroker
from ferstream.broker.password_file import PasswordFile
from ferstream.cli import app
from ferstream.errors import BrokerAuthError, BrokerError
from ferstream.runtime.redaction import redact
from ferstream.sinks.mqtt.connection import BrokerAddress, MqttConnection
from tests.support.brokers import Subscriber, back_ports, client_url, kill_child, until
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput

LOGINS: dict[str, dict[str, Any]] = {
    "none": {},
    "wrong password": {"username": "ferstream", "password": "0" * 32},
    "empty password": {"username": "ferstream", "password": ""},
    "no password": {"username": "ferstream"},
    "wrong user": {"username": "root", "password": "0" * 32},
}


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("login", LOGINS)
def test_nobody_connects_without_the_password(embedded: EmbeddedBroker, login: str, protocol: Literal[4, 5]) -> None:
    connection = MqttConnection(BrokerAddress(url=embedded.url, client_id="intruder", protocol=protocol, **LOGINS[login]))
    with pytest.raises(BrokerAuthError, match=r"wrong user name or password|not authorised"):
        connection.connect()
    connection.close()


@pytest.mark.parametrize("login", [*LOGINS, "that of the front"])
def test_nobody_connects_to_the_port_behind_it(embedded: EmbeddedBroker, login: str) -> None:
    (port,) = back_ports(embedded)
    given = LOGINS.get(login, {"username": embedded.login.username, "password": embedded.login.password})
    connection = MqttConnection(BrokerAddress(url=f"mqtt://{HOST}:{port}", client_id="intruder", **given))
    with pytest.raises(BrokerError):
        connection.connect()
    connection.close()


def test_a_client_id_cannot_be_taken_over_without_the_password(embedded: EmbeddedBroker, make_sink: Callable[..., MqttOutput]) -> None:
    sink = make_sink(client_url(embedded))
    sink.open()
    until(lambda: sink.connected)
    connects = sink.publisher.connects
    for port in (embedded.port, *back_ports(embedded)):
        connection = MqttConnection(BrokerAddress(url=f"mqtt://{HOST}:{port}", client_id="ferstream-edge-1"))
        with pytest.raises(BrokerError):
            connection.connect()
        connection.close()
    sink.write(face_event())
    assert sink.outbox.wait_empty(30)
    assert sink.publisher.connects == connects


def test_a_last_will_and_a_session_pass_the_front(embedded: EmbeddedBroker) -> None:
    from ferstream.sinks.mqtt.packets import Will

    login = {"username": embedded.login.username, "password": embedded.login.password}
    with Subscriber(client_url(embedded), "wills/#") as subscriber:
        for protocol in (4, 5):
            address = BrokerAddress(url=embedded.url, client_id=f"will-{protocol}", **login)  # type: ignore[arg-type]
            connection = MqttConnection(
                replace(address, protocol=protocol),
                will=Will(topic=f"wills/{protocol}", payload=b"gone", delay_s=0),
            )
            connection.connect()
            connection.close()
            subscriber.wait(lambda messages, p=protocol: any(m.topic == f"wills/{p}" for m in messages))  # type: ignore[misc]


def test_a_client_that_sends_nothing_or_too_much_does_not_harm_the_broker(embedded: EmbeddedBroker) -> None:
    with socket.create_connection((HOST, embedded.port)) as silent, socket.create_connection((HOST, embedded.port)) as large:
        large.sendall(b"\x10\x80\x80\x40")  # a CONNECT of a megabyte
        assert large.recv(10) == b""
        with Subscriber(client_url(embedded), "x/#"):
            silent.sendall(b"\x10")


def test_the_password_is_new_at_each_start_and_masked_in_texts() -> None:
    broker = EmbeddedBroker(port=0)
    passwords = set()
    for _ in range(2):
        broker.start()
        passwords.add(broker.login.password)
        assert broker.login.password not in redact(f"the password is {broker.login.password}.")
        assert broker.login.password not in repr(broker.login)
        for file in ("cmdline", "environ"):
            assert broker.login.password.encode() not in Path(f"/proc/{broker.pid}/{file}").read_bytes()
        broker.stop()
    assert len(passwords) == 2
    assert all(len(password) == 32 for password in passwords)


def test_the_password_stays_the_same_when_the_child_is_started_again(embedded: EmbeddedBroker) -> None:
    from ferstream.runtime.backoff import Backoff

    broker = EmbeddedBroker(port=0, backoff=Backoff(floor_s=0.01, cap_s=0.05))
    broker.start()
    with Subscriber(client_url(broker), "x/#") as subscriber:
        (behind,) = back_ports(broker)
        kill_child(broker)
        subscriber.wait_subscribed(2)
        with pytest.raises(OSError, match="in use"):
            socket.create_server((HOST, broker.port), reuse_port=False)
        assert behind not in back_ports(broker)
    broker.stop()


class TestPasswordFile:
    def test_is_private_and_lives_as_long_as_the_broker(self, tmp_path: Path) -> None:
        folder = tmp_path / "outbox"
        broker = EmbeddedBroker(port=0, password_file=PasswordFile(folder))
        broker.start()
        path = broker.password_path
        assert path == folder / f"broker-{broker.port}.password"
        assert path.read_text() == f"{broker.login.password}\n"
        assert path.stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
        broker.stop()
        assert list(folder.iterdir()) == []

    def test_replaces_a_link_instead_of_writing_through_it(self, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_text("mine")
        (tmp_path / "broker-1.password").symlink_to(victim)
        file = PasswordFile(tmp_path)
        file.write(1, "secret")
        assert victim.read_text() == "mine"
        assert (tmp_path / "broker-1.password").read_text() == "secret\n"

    @pytest.mark.parametrize("directory", [None, Path("/proc/nowhere")])
    def test_is_in_a_private_folder_without_an_outbox_or_when_that_cannot_be_written(self, directory: Path | None) -> None:
        file = PasswordFile(directory)
        file.write(1, "secret")
        path = file.path
        assert path is not None
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600
        file.remove()
        file.remove()
        assert not path.parent.exists()

    def test_gaps_finds_the_password_of_its_own_users_broker(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
        broker = EmbeddedBroker(port=0, password_file=PasswordFile(tmp_path / "outbox"))
        broker.start()
        words = ["gaps", "--json", "--seconds", "0.5", "--url", broker.url]
        assert CliRunner().invoke(app, words).exit_code == 0
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "other"))
        refused = CliRunner().invoke(app, words)
        assert isinstance(refused.exception, BrokerAuthError)
        broker.stop()


def test_the_printed_line_of_mosquitto_sub_works(embedded: EmbeddedBroker, make_sink: Callable[..., MqttOutput]) -> None:
    import shlex
    import shutil

    from ferstream.app.broker import subscribe_command
    from ferstream.settings import Settings

    if shutil.which("mosquitto_sub") is None:
        pytest.skip("mosquitto_sub is not installed")
    command = [*shlex.split(subscribe_command(Settings(node="edge-1"), embedded)), "-C", "1", "-W", "30"]
    sink = make_sink(client_url(embedded))
    sink.open()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("ferstream/edge-1/availability online")
