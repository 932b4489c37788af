"""Two daemons with one node name, and a daemon that ends without a word."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

import pytest

from ferstream.broker.embedded import EmbeddedBroker
from ferstream.domain.event import CameraState, CameraStatus
from ferstream.runtime.backoff import Backoff
from ferstream.sinks.mqtt.timings import MqttTimings
from tests.support.brokers import Mosquitto, Subscriber, client_url, until
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput
from tests.support.proxy import Proxy
from tests.support.publish import publish

pytestmark = pytest.mark.usefixtures("embedded", "no_new_threads")

MakeSink = Callable[..., MqttOutput]


class Recording(Backoff):
    """Short pauses; records the number of failures before each."""

    def __init__(self) -> None:
        super().__init__(floor_s=0.3, cap_s=0.5, healthy_after_s=1e9)
        self.recorded: list[int] = []

    def wait(self, stop: threading.Event) -> bool:
        """Record and wait."""
        self.recorded.append(self.failures)
        return super().wait(stop)


@pytest.mark.parametrize(("kind", "protocol"), [("mosquitto", 4), ("mosquitto", 5), ("embedded", 5)])
def test_two_daemons_with_one_node_name_are_named_and_wait_longer_each_time(
    request: pytest.FixtureRequest, make_sink: MakeSink, caplog: pytest.LogCaptureFixture, kind: str, protocol: Literal[4, 5]
) -> None:
    """Neither of these brokers gives a reason code."""
    broker = request.getfixturevalue(kind)
    url = client_url(broker) if isinstance(broker, EmbeddedBroker) else broker.url
    pauses = [Recording(), Recording()]
    sinks = [make_sink(url, backoff=pause, address={"protocol": protocol}) for pause in pauses]
    for sink in sinks:
        sink.open()
    number, ticker = 0, threading.Event()
    while not all(pause.failures >= 5 for pause in pauses):
        for sink in sinks:
            sink.write(face_event(number))
        number += 1
        ticker.wait(0.05)
    assert "times soon after it was made, and the broker gives no reason" in caplog.text
    assert 'probably another client uses the client id "ferstream-edge-1": two ferstreams with one node name?' in caplog.text
    sinks[1].close()
    assert sinks[0].outbox.wait_empty(60), "the other one delivers everything once it is alone"
    sinks[0].close()


def test_a_daemon_that_is_killed_leaves_no_state_behind_that_looks_alive(mosquitto: Mosquitto, make_sink: MakeSink) -> None:
    """Its states and its ``online`` expire, so that even a broker that lost the Last Will forgets them."""
    timings = MqttTimings(step_s=0.05, refresh_s=0.3, state_expiry_s=2)
    with Proxy(mosquitto.port) as proxy:
        sink = make_sink(f"mqtt://127.0.0.1:{proxy.port}", timings=timings, address={"keepalive_s": 600})
        sink.write(CameraState("door", CameraStatus.ONLINE, "", 0))
        sink.open()
        with Subscriber(mosquitto.url, "ferstream/edge-1/#") as subscriber:
            subscriber.wait(lambda messages: sum(message.topic.endswith("/state") for message in messages) >= 8)
        proxy.hold()  # the broker believes in the connection, and publishes no Last Will
        until(lambda: retained(mosquitto) == [])
        proxy.flow()
        until(lambda: retained(mosquitto) == ["ferstream/edge-1/availability", "ferstream/edge-1/door/state"])
        sink.close()
    until(lambda: retained(mosquitto) == ["ferstream/edge-1/availability", "ferstream/edge-1/door/state"])


def retained(broker: Mosquitto) -> list[str]:
    """The topics of which the broker keeps a message."""
    with Subscriber(broker.url, "ferstream/edge-1/#", "end") as subscriber:
        publish(broker.url, "end", b"x")
        messages = subscriber.wait(lambda messages: any(message.topic == "end" for message in messages))
    return sorted(message.topic for message in messages if message.retain)
