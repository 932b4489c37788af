"""Short outages, retained commands and huge messages with real brokers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ferstream.broker.embedded import EmbeddedBroker
from ferstream.runtime.backoff import Backoff
from ferstream.sinks.mqtt.connection import BrokerAddress, MqttConnection
from ferstream.sinks.mqtt.packets import Outgoing
from tests.support.brokers import Mosquitto, address_fields, client_url, until
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput

pytestmark = pytest.mark.usefixtures("embedded", "no_new_threads")

COMMAND = "ferstream/edge-1/door/set"
HUGE_BYTES = 200_000_000
LIMIT_MB = 5.0


@pytest.fixture(params=["embedded", "mosquitto"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a running broker: the embedded one, then Mosquitto."""
    broker = request.getfixturevalue(request.param)
    return client_url(broker) if isinstance(broker, EmbeddedBroker) else broker.url


def publish(url: str, topic: str, payload: bytes, *, retain: bool = False) -> None:
    """Publish once and wait for the acknowledgement."""
    connection = MqttConnection(BrokerAddress(client_id="sender", session_expiry_s=0, **address_fields(url)))
    connection.connect()
    packet_id = connection.publish(Outgoing(topic=topic, payload=payload, retain=retain))
    acknowledged = False
    while not acknowledged:
        answers, _ = connection.step(1.0)
        acknowledged = any(answer.mid == packet_id for answer in answers)
    connection.disconnect()


class RecordingBackoff(Backoff):
    """Waits as short as it can; records how many connections there were and how many failures, before each wait."""

    def __init__(self) -> None:
        super().__init__(floor_s=0.01, cap_s=0.02)
        self.recorded: list[tuple[int, int]] = []
        self.connects: Callable[[], int] = lambda: 0

    def wait(self, stop: threading.Event) -> bool:
        """Record and wait."""
        self.recorded.append((self.connects(), self.failures))
        return super().wait(stop)


def test_each_short_outage_begins_with_the_shortest_pause(mosquitto: Mosquitto, make_sink: Callable[..., MqttOutput]) -> None:
    backoff = RecordingBackoff()
    sink = make_sink(mosquitto.url, backoff=backoff)
    backoff.connects = lambda: sink.publisher.connects
    sink.open()
    for number in range(5):
        sink.write(face_event(number))
        assert sink.outbox.wait_empty(60)
        mosquitto.end(signal.SIGKILL)
        until(lambda: not sink.connected)
        mosquitto.start()
    sink.write(face_event(5))
    assert sink.outbox.wait_empty(60)
    sink.close()
    first_failures = dict(reversed(backoff.recorded))  # the first wait after each connection
    assert [first_failures[connection] for connection in range(1, 6)] == [0] * 5


def test_a_retained_command_is_ignored_on_every_connection(
    url: str, make_sink: Callable[..., MqttOutput], caplog: pytest.LogCaptureFixture
) -> None:
    publish(url, COMMAND, b"OFF", retain=True)
    for _ in range(2):
        obeyed: list[tuple[str, bytes]] = []
        caplog.clear()
        sink = make_sink(url, on_command=lambda *given, to=obeyed: to.append(given))
        sink.open()
        until(lambda: f"a retained command on {COMMAND} is ignored" in caplog.text)
        publish(url, COMMAND, b"ON")
        until(lambda seen=obeyed: bool(seen))  # type: ignore[misc]
        sink.close()
        assert obeyed == [("door", b"ON")]
    publish(url, COMMAND, b"", retain=True)


READER = """
import json, sys
from ferstream.sinks.mqtt.connection import BrokerAddress, MqttConnection
from pathlib import Path

def peak_mb():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000

connection = MqttConnection(BrokerAddress(url=sys.argv[1], client_id="reader", protocol=int(sys.argv[2])))
connection.connect()
subscription = connection.subscribe("#")
while connection.subscribed(subscription) is None:
    connection.step(1.0)
before = peak_mb()
print("ready", flush=True)
sizes = []
while 3 not in sizes:
    sizes += [len(message.payload) for message in connection.step(1.0)[1]]
print(json.dumps({"grown_mb": peak_mb() - before, "sizes": sizes}), flush=True)
connection.disconnect()
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("protocol", [4, 5])
def test_a_message_of_200_megabytes_costs_no_memory(mosquitto: Mosquitto, tmp_path: Path, root_dir: Path, protocol: int) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(HUGE_BYTES)
    with subprocess.Popen([sys.executable, "-c", READER, mosquitto.url, str(protocol)], cwd=root_dir, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"ready\n"
        subprocess.run(["mosquitto_pub", "-L", f"{mosquitto.url}/{COMMAND}", "-q", "1", "-f", str(huge)], check=True, timeout=240)
        publish(mosquitto.url, COMMAND, b"OFF")
        found = json.loads(reader.stdout.readline())
    print(found)
    assert found["grown_mb"] < LIMIT_MB
    assert found["sizes"][-1] == 3
    assert all(size < 70_000 for size in found["sizes"])
