"""``ferstream check`` on brokers that cannot be used, and on real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.errors import ExitCode
from tests.support.brokers import Mosquitto
from tests.support.check_command import SECRET, RunCheck, failures, only_failure
from tests.support.ports import free_port


def test_a_broker_that_refuses_the_connection(check: RunCheck) -> None:
    found = only_failure(check(mqtt=f'url = "mqtt://u:{SECRET}@127.0.0.1:{free_port()}"'), ExitCode.BROKER)
    assert "connection refused" in found["detail"]


def test_an_unknown_host(check: RunCheck) -> None:
    found = failures(check(mqtt='url = "mqtts://broker.invalid"'))
    assert "broker.invalid" in found[0]["detail"]


def test_a_wrong_password(check: RunCheck, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "mosquitto", anonymous=False).start()
    try:
        found = only_failure(check(mqtt=f'url = "mqtt://u:{SECRET}@127.0.0.1:{broker.port}"'), ExitCode.BROKER)
    finally:
        broker.end()
    assert "not authori" in found["detail"].lower()
    assert found["advice"].startswith("check mqtt.username and mqtt.password_file")


@pytest.mark.parametrize("protocol", ["5", '"3.1.1"'])
def test_a_working_broker(protocol: str, check: RunCheck, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "mosquitto").start()
    try:
        result = check(mqtt=f'url = "{broker.url}"\nprotocol = {protocol}')
    finally:
        broker.end()
    assert result.exit_code == 0, result.output
    assert f"127.0.0.1:{broker.port}: published and read back" in result.stdout


def test_a_file_that_is_not_a_certificate(check: RunCheck, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    found = only_failure(check(mqtt='url = "mqtts://127.0.0.1:1"\nca_file = "ca.pem"'), ExitCode.USAGE)
    assert "mqtt.ca_file" in found["detail"]
