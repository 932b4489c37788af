"""The size of a packet, measured before it is sent."""

from __future__ import annotations

from typing import Literal

import pytest

from ferstream.outbox.entry import Delivery, Entry
from ferstream.sinks.mqtt.connection import BrokerAddress, MqttConnection
from ferstream.sinks.mqtt.messages import availability, event_message
from ferstream.sinks.mqtt.packets import Outgoing, packet_bytes
from ferstream.sinks.mqtt.topics import Topics
from tests.support.brokers import until
from tests.support.scripted_broker import PUBLISH, ScriptedBroker, answering, puback

pytestmark = pytest.mark.usefixtures("no_new_threads")

TOPICS = Topics(prefix="haus/küche", node="kamera-ä")


def event(payload: bytes) -> Outgoing:
    entry = Entry(camera="door", schema="ferstream.face/1", boot_id="9f86d081884c7d65", seq=4711, size=len(payload), payload=payload)
    return event_message(TOPICS, Delivery(entry))


MESSAGES = {
    "an event": event(b"x" * 700),
    "a remaining length of one byte": Outgoing(topic="t", payload=b"x" * 100, qos=0),
    "the longest of one byte": Outgoing(topic="t", payload=b"x" * 80),
    "two bytes": Outgoing(topic="t", payload=b"x" * 16_300),
    "three bytes": Outgoing(topic="t", payload=b"x" * 16_400),
    "long properties": Outgoing(topic="t", payload=b"", expiry_s=1, user={"k" * 90: "ä" * 60}),
    "availability": availability(TOPICS, b"online", expiry_s=900),
    "a removal": Outgoing(topic="t", payload=b"", retain=True),
}


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("name", MESSAGES)
def test_the_size_is_that_of_the_packet_on_the_wire(name: str, protocol: Literal[4, 5]) -> None:
    message = MESSAGES[name]
    greeting = b"\x20\x02\x00\x00" if protocol == 4 else b"\x20\x03\x00\x00\x00"
    answer = answering(puback if protocol == 5 else lambda packet: b"\x40\x02" + puback(packet)[2:4], greeting)
    with ScriptedBroker(answer) as broker:
        connection = MqttConnection(BrokerAddress(url=broker.url, client_id="c", protocol=protocol))
        connection.connect()
        connection.publish(message)
        until(lambda: any(packet[0] >> 4 == PUBLISH for packet in broker.packets))
        connection.disconnect()
    (packet,) = [packet for packet in broker.packets if packet[0] >> 4 == PUBLISH]
    assert packet_bytes(message, v5=protocol == 5) == len(packet)


@pytest.mark.parametrize("size", [0, 1, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128])
def test_the_size_is_right_around_a_longer_length_field(size: int) -> None:
    length = 2 + 1 + 2 + size  # topic, packet id, payload
    assert packet_bytes(Outgoing(topic="t", payload=b"x" * size), v5=False) == 1 + (1 if length < 128 else 2) + length
