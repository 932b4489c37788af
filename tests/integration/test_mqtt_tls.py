"""The MQTT sink and the probe over TLS."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ferstream.errors import BrokerError, ConfigError
from ferstream.sinks.mqtt.connection import BrokerAddress
from ferstream.sinks.mqtt.probe import probe
from ferstream.sinks.mqtt.topics import Topics
from tests.support.brokers import Mosquitto
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput
from tests.support.ports import HOST

pytestmark = pytest.mark.usefixtures("no_new_threads")

MakeSink = Callable[..., MqttOutput]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a test authority and the certificates of a server and a client."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")
    (folder / "san").write_text(f"subjectAltName=IP:{HOST},DNS:localhost\n")
    for name, extra in (("server", ("-extfile", "san")), ("client", ())):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        sign = ("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        openssl(*sign, "-out", f"{name}.pem", *extra)
    return folder


@pytest.fixture
def secure(certificates: Path, tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that speaks TLS only and requires a client certificate."""
    lines = [f"cafile {certificates}/ca.pem", f"certfile {certificates}/server.pem", f"keyfile {certificates}/server.key"]
    broker = Mosquitto(tmp_path / "secure", *lines, "require_certificate true").start()
    yield broker
    broker.end()


def test_events_arrive_with_authority_and_client_certificate(
    secure: Mosquitto, certificates: Path, topics: Topics, make_sink: MakeSink
) -> None:
    files: dict[str, Any] = {
        "ca_file": certificates / "ca.pem",
        "cert_file": certificates / "client.pem",
        "key_file": certificates / "client.key",
    }
    url = f"mqtts://{HOST}:{secure.port}"
    assert probe(BrokerAddress(url=url, client_id="c", **files), topics).round_trip_s is not None
    sink = make_sink(url, address=files)
    sink.open()
    for index in range(500):
        sink.write(face_event(index))
    assert sink.flush(20) == 0
    assert sink.counts().acknowledged == 500


def test_an_unknown_authority_is_refused_by_default(secure: Mosquitto, topics: Topics) -> None:
    with pytest.raises(BrokerError, match=r"certificate is not trusted.*mqtt\.ca_file"):
        probe(BrokerAddress(url=f"mqtts://{HOST}:{secure.port}", client_id="c"), topics)


def test_a_missing_client_certificate_is_refused(secure: Mosquitto, certificates: Path, topics: Topics) -> None:
    address = BrokerAddress(url=f"mqtts://{HOST}:{secure.port}", client_id="c", ca_file=certificates / "ca.pem")
    with pytest.raises(BrokerError):
        probe(address, topics, timeout_s=3)


def test_insecure_skips_the_verification(secure: Mosquitto, certificates: Path, topics: Topics) -> None:
    address = BrokerAddress(
        url=f"mqtts://{HOST}:{secure.port}",
        client_id="c",
        insecure=True,
        cert_file=certificates / "client.pem",
        key_file=certificates / "client.key",
    )
    assert probe(address, topics).round_trip_s is not None


def test_tls_to_a_port_without_tls_is_an_error(mosquitto: Mosquitto, topics: Topics) -> None:
    with pytest.raises(BrokerError, match="the port speaks MQTT without TLS"):
        probe(BrokerAddress(url=f"mqtts://{HOST}:{mosquitto.port}", client_id="c"), topics)


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
def test_missing_and_invalid_certificate_files_are_errors(tmp_path: Path, key: str, topics: Topics) -> None:
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate")
    for path, problem in ((rubbish, "no usable PEM"), (tmp_path / "absent.pem", "no such file")):
        with pytest.raises(ConfigError, match=f"mqtt.{key}.*{problem}"):
            probe(BrokerAddress(url="mqtts://localhost", client_id="c", **dict[str, Any]({key: path})), topics)
