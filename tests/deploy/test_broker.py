"""The broker's configuration and secrets on a real Mosquitto: who gets in, by which door, and who may do what."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.prometheus import DEPLOY, until

EVENT = "ferstream/edge-1/door/face"


@dataclass(frozen=True)
class Broker:
    plain: int
    tls: int
    secrets: Path

    def client(
        self, program: str, user: str, *arguments: str, password: str | None = None, tls: bool = False
    ) -> subprocess.CompletedProcess[str]:
        word = password if password is not None else (self.secrets / f"{user}_password").read_text().strip()
        name = "ferstream" if user == "mqtt" else user
        port = self.tls if tls else self.plain
        door = ["--cafile", str(self.secrets / "ca.crt")] if tls else []
        command = [program, "-h", "localhost", "-p", str(port), "-V", "5", "-u", name, "-P", word, *door, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    mosquitto = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
    if mosquitto is None or shutil.which("mosquitto_pub") is None or shutil.which("openssl") is None:
        pytest.skip("mosquitto, mosquitto-clients or openssl is not installed")
    folder = tmp_path_factory.mktemp("broker")
    secrets = folder / "secrets"
    script = DEPLOY / "make-secrets.sh"
    subprocess.run(
        ["bash", script, "localhost", "127.0.0.1"], check=True, capture_output=True, env={**os.environ, "FERSTREAM_SECRETS": str(secrets)}
    )
    plain, tls = free_port(), free_port()
    text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text()
    for there, here in (
        ("/run/secrets/broker_certificate", secrets / "broker.crt"),
        ("/run/secrets/broker_key", secrets / "broker.key"),
        ("/run/secrets/mosquitto_passwords", secrets / "mosquitto_passwords"),
        ("/mosquitto/config/acl", DEPLOY / "mosquitto" / "acl"),
        ("/mosquitto/data/", f"{folder}/"),
        ("listener 1883", f"listener {plain} 127.0.0.1"),
        ("listener 8883", f"listener {tls} 127.0.0.1"),
    ):
        assert there in text
        text = text.replace(there, str(here))
    # Run by root it would drop to a user that cannot read the scratch folder.
    (folder / "mosquitto.conf").write_text(f"{text}\nuser root\n")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([mosquitto, "-c", folder / "mosquitto.conf"], stdout=log, stderr=log)
    try:
        assert until(lambda: _open(tls), 20), (folder / "log").read_text()
        yield Broker(plain, tls, secrets)
    finally:
        process.terminate()
        process.wait(20)


def _open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_an_event_goes_from_the_daemons_user_to_a_reader_over_tls(broker: Broker) -> None:
    sent = broker.client("mosquitto_pub", "mqtt", "-t", EVENT, "-m", "hello", "-q", "1", "-r")
    assert (sent.returncode, sent.stderr) == (0, "")
    got = broker.client("mosquitto_sub", "reader", "-t", "ferstream/#", "-C", "1", "-W", "20", tls=True)
    assert got.stdout == "hello\n"


@pytest.mark.parametrize("tls", [False, True])
def test_a_wrong_password_is_refused(broker: Broker, tls: bool) -> None:
    found = broker.client("mosquitto_pub", "mqtt", "-t", EVENT, "-m", "x", "-q", "1", password="wrong", tls=tls)
    assert found.returncode != 0
    assert "authori" in found.stderr.lower()


def test_an_anonymous_client_is_refused(broker: Broker) -> None:
    command = ["mosquitto_pub", "-h", "localhost", "-p", str(broker.plain), "-V", "5", "-t", EVENT, "-m", "x", "-q", "1"]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode != 0


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("homeassistant/device/ferstream_edge-1_00000000/config", True),
        ("homeassistant/sensor/ferstream_edge-1_00000000/fps/config", True),
        ("homeassistant/status", False),
    ],
)
def test_the_daemons_user_may_announce_itself_to_home_assistant_and_not_speak_for_it(broker: Broker, topic: str, allowed: bool) -> None:
    found = broker.client("mosquitto_pub", "mqtt", "-t", topic, "-m", "{}", "-q", "1")
    assert ("not authorized" not in found.stderr.lower()) is allowed


def test_a_reader_cannot_write(broker: Broker) -> None:
    found = broker.client("mosquitto_pub", "reader", "-t", "ferstream/edge-1/door/set", "-m", "OFF", "-q", "1")
    assert "not authorized" in found.stderr.lower()


def test_the_certificate_holds_for_the_names_it_was_made_for_and_needs_its_own_authority(broker: Broker) -> None:
    trusting = ssl.create_default_context(cafile=str(broker.secrets / "ca.crt"))
    for name, good in (("localhost", True), ("127.0.0.1", True), ("elsewhere.example", False)):
        with socket.create_connection(("127.0.0.1", broker.tls), 10) as raw:
            if good:
                trusting.wrap_socket(raw, server_hostname=name).close()
            else:
                with pytest.raises(ssl.SSLCertVerificationError):
                    trusting.wrap_socket(raw, server_hostname=name)
    with socket.create_connection(("127.0.0.1", broker.tls), 10) as raw, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(raw, server_hostname="localhost")


def test_secrets_are_random_kept_on_a_second_run_and_closed_to_others(tmp_path: Path) -> None:
    environ = {**os.environ, "FERSTREAM_SECRETS": str(tmp_path / "a")}
    command = ["bash", str(DEPLOY / "make-secrets.sh"), "localhost"]
    first_run = subprocess.run(command, check=True, capture_output=True, text=True, env=environ)
    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    subprocess.run(command, check=True, capture_output=True, env=environ)
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == first
    subprocess.run(command, check=True, capture_output=True, env={**environ, "FERSTREAM_SECRETS": str(tmp_path / "b")})
    assert (tmp_path / "b" / "http_token").read_bytes() != first["http_token"]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert first["http_token"].decode().strip() not in first_run.stdout
    assert first[".gitignore"] == b"*\n"
