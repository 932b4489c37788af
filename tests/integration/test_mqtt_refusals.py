"""What the MQTT sink and the probe report when a broker refuses them or is not there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from ferstream.errors import BrokerAuthError, BrokerError
from ferstream.runtime.counters import Counters
from ferstream.sinks.mqtt.connection import BrokerAddress
from ferstream.sinks.mqtt.probe import probe
from ferstream.sinks.mqtt.topics import Topics
from tests.support.brokers import Mosquitto
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput
from tests.support.ports import HOST, free_port

pytestmark = pytest.mark.usefixtures("no_new_threads")

MakeSink = Callable[..., MqttOutput]


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that requires a password; the user ``reader`` may publish only its availability."""
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "edge", "right"], check=True, capture_output=True)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "reader", "right"], check=True, capture_output=True)
    rights = tmp_path / "rights"
    rights.write_text("user edge\ntopic readwrite #\nuser reader\ntopic read #\ntopic write ferstream/edge-1/availability\n")
    for path in (passwords, rights):
        path.chmod(0o600)
    broker = Mosquitto(tmp_path / "locked", f"password_file {passwords}", f"acl_file {rights}", anonymous=False).start()
    yield broker
    broker.end()


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize(("username", "password"), [(None, None), ("edge", "wrong-secret"), ("nobody", "wrong-secret")])
def test_a_wrong_password_is_reported_and_never_shown(
    locked: Mosquitto, topics: Topics, protocol: Literal[4, 5], username: str | None, password: str | None
) -> None:
    address = BrokerAddress(url=locked.url, client_id="c", username=username, password=password, protocol=protocol)
    with pytest.raises(BrokerAuthError, match=r"refused the connection: (not authorised|wrong user name or password)") as caught:
        probe(address, topics)
    assert "secret" not in str(caught.value) + repr(address)


def test_the_right_password_is_accepted(locked: Mosquitto, topics: Topics, make_sink: MakeSink) -> None:
    credentials: dict[str, Any] = {"username": "edge", "password": "right"}
    result = probe(BrokerAddress(url=locked.url, client_id="c", **credentials), topics)
    assert result.round_trip_s is not None
    sink = make_sink(locked.url, address=credentials)
    sink.open()
    sink.write(face_event())
    assert sink.flush(20) == 0
    assert sink.counts().acknowledged == 1


def test_events_the_user_may_not_publish_are_dropped_as_rejected(
    locked: Mosquitto, topics: Topics, make_sink: MakeSink, observer: Counters
) -> None:
    credentials: dict[str, Any] = {"username": "reader", "password": "right"}
    with pytest.raises(BrokerError, match="refused to publish: not authorised to publish there"):
        probe(BrokerAddress(url=locked.url, client_id="c", **credentials), topics)
    sink = make_sink(locked.url, address=credentials)
    sink.open()
    sink.write(face_event())
    assert sink.outbox.wait_empty(20)
    assert sink.counts().dropped == {"rejected": 1}
    assert sink.counts().balanced
    assert observer.snapshot().counts["mqtt_publish", "rejected"] == 1


def test_a_refused_connection_is_tried_again(locked: Mosquitto, make_sink: MakeSink, observer: Counters) -> None:
    sink = make_sink(locked.url, address={"username": "edge", "password": "wrong"})
    sink.open()
    sink.write(face_event())
    assert sink.flush(0.5) == 1
    assert not sink.connected
    assert "refused the connection" in sink.reason
    assert observer.snapshot().counts["mqtt_connect_failures", ""] >= 2


def test_a_closed_port_is_an_error(topics: Topics) -> None:
    with pytest.raises(BrokerError, match="connection refused; is a broker running there"):
        probe(BrokerAddress(url=f"mqtt://{HOST}:{free_port()}", client_id="c"), topics)


def test_an_unknown_host_is_an_error(topics: Topics) -> None:
    with pytest.raises(BrokerError, match="unknown host"):
        probe(BrokerAddress(url="mqtt://nowhere.invalid", client_id="c"), topics)


def test_a_broker_that_does_not_answer_is_an_error(mosquitto: Mosquitto, topics: Topics) -> None:
    mosquitto.freeze()
    with pytest.raises(BrokerError, match=r"did not answer within 0\.3 s"):
        probe(BrokerAddress(url=mosquitto.url, client_id="c"), topics, timeout_s=0.3)


def test_a_server_that_is_not_a_broker_is_an_error(topics: Topics) -> None:
    import http.server
    import threading

    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(*_: object) -> None:
            """Say nothing."""

    server = http.server.HTTPServer((HOST, 0), Quiet)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    with pytest.raises(BrokerError, match="a web server answers, not an MQTT broker"):
        probe(BrokerAddress(url=f"mqtt://{HOST}:{server.server_port}", client_id="c"), topics, timeout_s=2)
    thread.join()
    server.server_close()
