"""Real brokers and web servers that refuse: ``ferstream check`` and the log name the fault in one line, and what to do."""

from __future__ import annotations

import datetime as dt
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from ferstream.app.broker import broker_address
from ferstream.app.checks.broker import check_broker
from ferstream.app.checks.finding import Finding, Verdict
from ferstream.settings import MqttSettings, Settings
from tests.support.brokers import Gate, Mosquitto, await_port, until
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput
from tests.support.ports import HOST, free_port

pytestmark = pytest.mark.usefixtures("no_new_threads", "no_daemon_here")

SECRET = "zirkelkastenschloss"
LONG_AGO, FAR_AHEAD = dt.datetime(2019, 1, 1, tzinfo=dt.UTC), dt.datetime(2060, 1, 1, tzinfo=dt.UTC)
YEAR = dt.timedelta(days=365)


@pytest.fixture
def no_daemon_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No daemon runs with this state folder, so that the check takes the client id of the daemon."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr("ferstream.app.find_daemons.SERVICE_FOLDERS", ())
    monkeypatch.setattr("ferstream.app.checks.broker.WATCH_S", 0.0)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two authorities, certificates of servers and of clients."""
    folder = tmp_path_factory.mktemp("pem")
    own, other = trustme.CA(), trustme.CA()
    for name, authority in (("ca", own), ("other-ca", other)):
        authority.cert_pem.write_to_path(str(folder / f"{name}.pem"))
    certificates = {
        "server": own.issue_cert(HOST),
        "wrong-name": own.issue_cert("other.example"),
        "expired": own.issue_cert(HOST, not_before=LONG_AGO, not_after=LONG_AGO + YEAR),
        "early": own.issue_cert(HOST, not_before=FAR_AHEAD, not_after=FAR_AHEAD + YEAR),
        "client": own.issue_cert("client"),
        "other-client": other.issue_cert("client"),
        "expired-client": own.issue_cert("client", not_before=LONG_AGO, not_after=LONG_AGO + YEAR),
    }
    for name, certificate in certificates.items():
        certificate.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
        certificate.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    (folder / "no-rights").write_text("topic write ferstream/edge-1/availability\n")
    (folder / "no-rights").chmod(0o600)
    return folder


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A broker, settings that do not fit to it, and what must be said.

    Attributes:
        broker: Lines of Mosquitto's configuration; ``PEM`` is the folder of the certificates.
        scheme: Scheme of ``mqtt.url``.
        mqtt: More settings; text that begins with ``PEM`` is a file.
        websocket: Whether the broker listens for WebSocket.
        says: What is wrong.
        advice: What to do.
    """

    says: str
    advice: str
    broker: tuple[str, ...] = ()
    scheme: str = "mqtt"
    mqtt: dict[str, Any] = field(default_factory=dict)
    websocket: bool = False


def tls(server: str = "server", *more: str) -> tuple[str, ...]:
    return ("cafile PEM/ca.pem", f"certfile PEM/{server}.pem", f"keyfile PEM/{server}.key", *more)


CA = {"ca_file": "PEM/ca.pem"}
DEMANDS = tls("server", "require_certificate true")


def client(name: str) -> dict[str, Any]:
    return CA | {"cert_file": f"PEM/{name}.pem", "key_file": f"PEM/{name}.key"}


FAULTS = {
    "plain to a TLS port": Fault(broker=tls(), says="the port speaks TLS", advice="mqtts://"),
    "TLS to a plain port": Fault(scheme="mqtts", says="the port speaks MQTT without TLS", advice="mqtt://"),
    "an unknown authority": Fault(broker=tls(), scheme="mqtts", says="not trusted: self-signed", advice="set mqtt.ca_file"),
    "another authority": Fault(
        broker=tls(),
        scheme="mqtts",
        mqtt={"ca_file": "PEM/other-ca.pem"},
        says="not trusted",
        advice="must hold the authority that signed it",
    ),
    "a wrong name": Fault(broker=tls("wrong-name"), scheme="mqtts", mqtt=CA, says="it is not for the name 127.0.0.1", advice="mqtt.url"),
    "an expired certificate": Fault(broker=tls("expired"), scheme="mqtts", mqtt=CA, says="it has expired", advice="renew it"),
    "a certificate of tomorrow": Fault(broker=tls("early"), scheme="mqtts", mqtt=CA, says="not valid yet", advice="clock"),
    "no client certificate": Fault(broker=DEMANDS, scheme="mqtts", mqtt=CA, says="asks for a client certificate", advice="mqtt.cert_file"),
    "no client certificate, 3.1.1": Fault(
        broker=DEMANDS, scheme="mqtts", mqtt=CA | {"protocol": "3.1.1"}, says="asks for a client certificate", advice="mqtt.cert_file"
    ),
    "a client of another authority": Fault(
        broker=DEMANDS,
        scheme="mqtts",
        mqtt=client("other-client"),
        says="does not know the authority of the client",
        advice="other-client.pem",
    ),
    "an expired client certificate": Fault(
        broker=DEMANDS,
        scheme="mqtts",
        mqtt=client("expired-client"),
        says="the client certificate has expired",
        advice="expired-client.pem",
    ),
    "no retained messages": Fault(
        broker=("retain_available false",), says="does not keep retained messages", advice="allow retained messages"
    ),
    "no retained messages, 3.1.1": Fault(
        broker=("retain_available false",),
        mqtt={"protocol": "3.1.1"},
        says="does not keep retained messages",
        advice="allow retained messages",
    ),
    "QoS 0 only": Fault(broker=("max_qos 0",), says="does not support QoS 1", advice="allow QoS 1"),
    "QoS 0 only, 3.1.1": Fault(broker=("max_qos 0",), mqtt={"protocol": "3.1.1"}, says="does not support QoS 1", advice="allow QoS 1"),
    "no user name": Fault(broker=("allow_anonymous false",), says="not authorised", advice="no user name was sent"),
    "another client id": Fault(broker=("clientid_prefixes other-",), says="not authorised", advice="mqtt.client_id"),
    "MQTT to a WebSocket port": Fault(websocket=True, says="a web server answers, not an MQTT broker", advice="ws://"),
    "WebSocket to an MQTT port": Fault(scheme="ws", says="the port speaks MQTT without WebSocket", advice="mqtt://"),
    "WebSocket to a TLS port": Fault(broker=tls(), scheme="ws", says="the port speaks TLS", advice="wss://"),
    "encrypted WebSocket to an encrypted MQTT port": Fault(
        broker=tls(), scheme="wss", mqtt=CA, says="the port speaks MQTT without WebSocket", advice="mqtts://"
    ),
    "encrypted WebSocket to a WebSocket port": Fault(websocket=True, scheme="wss", says="the port speaks MQTT without TLS", advice="ws://"),
    "encrypted WebSocket to an MQTT port": Fault(scheme="wss", says="the port speaks MQTT without TLS", advice="mqtt://"),
    "an encrypted WebSocket without a client certificate": Fault(
        broker=DEMANDS, scheme="wss", mqtt=CA, websocket=True, says="asks for a client certificate", advice="mqtt.cert_file"
    ),
}


@pytest.fixture
def start(tmp_path: Path, pem: Path) -> Iterator[Callable[[Fault], int]]:
    """Starts a broker; returns its port."""
    brokers: list[Mosquitto] = []

    def begin(fault: Fault) -> int:
        lines = [line.replace("PEM", str(pem)) for line in fault.broker]
        port = free_port()
        if fault.websocket:  # Mosquitto opens no WebSocket port without another one before it
            lines = [f"listener {port} {HOST}", "protocol websockets", *lines]
        broker = Mosquitto(tmp_path / "mosquitto", *lines).start()
        brokers.append(broker)
        if fault.websocket:
            await_port(port, alive=lambda: True)
        return port if fault.websocket else broker.port

    yield begin
    for broker in brokers:
        broker.end()


def settings_of(url: str, mqtt: dict[str, Any], pem: Path) -> Settings:
    files = {key: Path(value.replace("PEM", str(pem))) if str(value).startswith("PEM") else value for key, value in mqtt.items()}
    return Settings(node="edge-1", mqtt=MqttSettings(url=url, **files))


def log_of(settings: Settings, words: str, caplog: pytest.LogCaptureFixture) -> str:
    """What a daemon of these settings logs until the words appear."""
    address = broker_address(settings)
    fields = {name: getattr(address, name) for name in ("username", "password", "ca_file", "cert_file", "key_file", "protocol")}
    output = MqttOutput(address.url, address=fields, backoff=Gate())
    output.open()
    output.write(face_event())
    try:
        until(lambda: words in caplog.text)
    finally:
        output.close()
    return caplog.text


def the_failure(findings: list[Finding]) -> Finding:
    (found,) = [finding for finding in findings if finding.verdict is Verdict.FAIL]
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_named(name: str, start: Callable[[Fault], int], pem: Path, caplog: pytest.LogCaptureFixture) -> None:
    fault = FAULTS[name]
    settings = settings_of(f"{fault.scheme}://{HOST}:{start(fault)}", fault.mqtt, pem)
    found = the_failure(list(check_broker(settings)))
    assert fault.says in found.detail
    assert fault.advice in found.advice
    assert "\n" not in found.detail + found.advice
    log = log_of(settings, fault.says, caplog)
    assert fault.advice in log


@pytest.mark.parametrize("protocol", [5, "3.1.1"])
def test_a_topic_that_is_not_allowed_is_named(
    protocol: Any, start: Callable[[Fault], int], pem: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """This Mosquitto closes the connection at such a message; with MQTT 3.1.1 it even acknowledges the message before."""
    port = start(Fault(broker=("acl_file PEM/no-rights",), says="", advice=""))
    settings = settings_of(f"mqtt://{HOST}:{port}", {"protocol": protocol}, pem)
    found = the_failure(list(check_broker(settings)))
    assert (
        "not authorised to publish there" in found.detail if protocol == 5 else "after a message to ferstream/edge-1/check" in found.detail
    )
    assert "allow this user to write to ferstream/edge-1/#" in found.advice
    address = broker_address(settings)
    output = MqttOutput(address.url, address={"protocol": address.protocol}, backoff=Gate())
    output.open()
    try:
        number = 0
        while "times after a message to ferstream/edge-1/door/face, without a reason" not in caplog.text:
            output.write(face_event(number))
            assert output.outbox.wait_empty(60)
            number += 1
    finally:
        output.close()
    assert ("not authorised to publish there; it is dropped" in caplog.text) == (protocol == 5)


@pytest.mark.parametrize("option", ["max_packet_size 500", "message_size_limit 500"])
def test_a_limit_below_the_size_of_an_event_is_named_by_the_check(option: str, start: Callable[[Fault], int], pem: Path) -> None:
    port = start(Fault(broker=(option,), says="", advice=""))
    old = the_failure(list(check_broker(settings_of(f"mqtt://{HOST}:{port}", {"protocol": "3.1.1"}, pem))))
    assert "closes the connection after a message to ferstream/edge-1/check" in old.detail
    assert "packets of this size (1000 bytes)" in old.advice
    findings = list(check_broker(settings_of(f"mqtt://{HOST}:{port}", {}, pem)))
    if option.startswith("max_packet_size"):
        assert any("takes packets of up to 500 bytes" in finding.detail for finding in findings if finding.verdict is Verdict.WARN)
    else:
        assert "the message is too large for it" in the_failure(findings).detail


def test_another_daemon_with_the_same_node_is_found_by_the_check(
    start: Callable[[Fault], int], pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferstream.app.checks.broker.WATCH_S", 60.0)
    port = start(Fault(says="", advice=""))
    other = MqttOutput(f"mqtt://{HOST}:{port}", backoff=Gate())
    other.open()
    try:
        until(lambda: other.connected)
        findings = list(check_broker(settings_of(f"mqtt://{HOST}:{port}", {}, pem)))
    finally:
        other.close()
    (warning,) = [finding for finding in findings if finding.verdict is Verdict.WARN]
    assert 'does another client use the client id "ferstream-edge-1"' in warning.advice


def test_a_daemon_that_runs_here_keeps_its_connection_during_a_check(
    start: Callable[[Fault], int], pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferstream.app.checks.broker.runs_here", lambda: True)
    port = start(Fault(says="", advice=""))
    daemon = MqttOutput(f"mqtt://{HOST}:{port}", backoff=Gate())
    daemon.open()
    try:
        until(lambda: daemon.connected)
        (found,) = check_broker(settings_of(f"mqtt://{HOST}:{port}", {}, pem))
        assert found.verdict is Verdict.OK
        assert "as ferstream-edge-1-check, because a ferstream runs here" in found.detail
        assert daemon.publisher.connects == 1
    finally:
        daemon.close()


class _Web(http.server.BaseHTTPRequestHandler):
    """Answers ``/CODE`` with this status."""

    def do_GET(self) -> None:
        self.server.paths.append(self.path)  # type: ignore[attr-defined]
        self.send_response(int(self.path[1:4]))
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("status", "says", "advice"),
    [
        (401, "HTTP 401 Unauthorized", "it wants a login"),
        (403, "HTTP 403 Forbidden", "it wants a login"),
        (404, "HTTP 404 Not Found", "correct the path in mqtt.url"),
        (200, "HTTP 200 OK", "web page"),
        (503, "HTTP 503 Service Unavailable", "is the broker behind this server running"),
    ],
)
def test_a_web_server_that_opens_no_websocket_is_named_and_gets_the_query(
    status: int, says: str, advice: str, pem: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with http.server.ThreadingHTTPServer((HOST, 0), _Web) as server:
        server.paths = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        settings = settings_of(f"ws://{HOST}:{server.server_port}/{status}/mqtt?token={SECRET}", {}, pem)
        found = the_failure(list(check_broker(settings)))
        log = log_of(settings, says, caplog)
        server.shutdown()
        thread.join()
    assert says in found.detail
    assert advice in found.advice
    assert set(server.paths) == {f"/{status}/mqtt?token={SECRET}"}  # type: ignore[attr-defined]
    assert SECRET not in found.detail + found.advice + log
