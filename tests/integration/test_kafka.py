"""The Kafka sink against Tansu, a broker of its own process that speaks Kafka's protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed")

from ferstream.runtime.backoff import Backoff
from ferstream.runtime.counters import Counters
from ferstream.sinks.kafka.cluster import KafkaCluster
from ferstream.sinks.kafka.sink import KafkaSink
from tests.support.fed_outbox import FedOutbox
from tests.support.kafka import read_topic
from tests.support.runners import PATIENCE_S
from tests.support.tansu import Tansu
from tests.support.threads import wait_until

TOPIC, PARTITIONS = "ferstream", 3
CAMERAS = ("door", "hall", "yard", "gate")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Tansu]:
    with Tansu(tmp_path, TOPIC, PARTITIONS) as broker:
        yield broker


@pytest.fixture
def outbox() -> FedOutbox:
    return FedOutbox()


@pytest.fixture
def sink(broker: Tansu, outbox: FedOutbox) -> Iterator[KafkaSink]:
    sink = KafkaSink(
        cluster=KafkaCluster(brokers=broker.brokers),
        topic=TOPIC,
        outbox=outbox,
        observer=Counters(),
        backoff=Backoff(floor_s=0.01, cap_s=0.05),
    )
    sink.open()
    yield sink
    sink.close()
    assert not sink.alive


def test_every_event_arrives_in_order_per_camera(sink: KafkaSink, broker: Tansu, outbox: FedOutbox) -> None:
    outbox.put_many(4000, CAMERAS)
    assert sink.flush(PATIENCE_S) == 0
    messages = read_topic(broker.brokers, TOPIC, 4000)
    for camera in CAMERAS:
        mine = [message for message in messages if message.key == camera]
        assert [message.seq for message in mine] == list(range(1000))
        assert len({message.partition for message in mine}) == 1
    assert outbox.made.counts().acknowledged == 4000


def test_events_made_while_the_broker_is_away_arrive_after_it_came_back(sink: KafkaSink, broker: Tansu, outbox: FedOutbox) -> None:
    outbox.put_many(100, CAMERAS)
    assert sink.flush(PATIENCE_S) == 0
    broker.stop()
    outbox.put_many(400, CAMERAS)
    wait_until(lambda: sink.status().connected is False)
    broker.start()
    wait_until(lambda: outbox.made.counts().events == 0)
    seqs = [message.seq for message in read_topic(broker.brokers, TOPIC, 400) if message.key == "door"]
    assert list(dict.fromkeys(seqs)) == list(range(25, 125))
    assert outbox.made.counts().dropped == {}
