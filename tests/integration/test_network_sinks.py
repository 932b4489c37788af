"""Webhook and Kafka beside each other over one outbox on disk: real events, one side away, a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed")

from ferstream.domain.event import CameraState, CameraStatus, Event, Summary
from ferstream.events.encode import Encoder, ModelRef
from ferstream.events.payload import parse
from ferstream.events.schemas import FACE, SUMMARY, TRACK
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.sinks.kafka.cluster import KafkaCluster
from ferstream.sinks.kafka.sink import KafkaSink
from ferstream.sinks.webhook.endpoint import WebhookEndpoint
from ferstream.sinks.webhook.sink import WebhookSink
from tests.support.builders import UTC_NS, face_event, track_event
from tests.support.http_stub import free_port
from tests.support.kafka import MockCluster, read_topic
from tests.support.outboxes import make_outbox
from tests.support.runners import PATIENCE_S
from tests.support.threads import wait_until
from tests.support.webhook_server import WebhookServer

pytestmark = pytest.mark.usefixtures("no_new_threads")

TOPIC = "ferstream"
EVENTS: tuple[Event, ...] = (
    face_event(),
    track_event(),
    Summary("door", UTC_NS, 10.0, {"happy": 3}, 1),
    CameraState("door", CameraStatus.ONLINE, "", UTC_NS),
)


@pytest.fixture
def server() -> Iterator[WebhookServer]:
    with WebhookServer() as server:
        yield server


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster(TOPIC) as cluster:
        yield cluster


@contextmanager
def running(folder: Path, *, url: str, brokers: str, boot_id: str = "first") -> Iterator[SinkSet]:
    """Both sinks as a run of the daemon has them."""
    observer, outbox = Counters(), make_outbox(folder)
    backoffs = [Backoff(floor_s=0.01, cap_s=0.05) for _ in range(2)]
    webhook = WebhookSink(endpoint=WebhookEndpoint(url=url), outbox=outbox, observer=observer, backoff=backoffs[0])
    kafka = KafkaSink(cluster=KafkaCluster(brokers=brokers), topic=TOPIC, outbox=outbox, observer=observer, backoff=backoffs[1])
    encoder = Encoder(node="edge-1", boot_id=boot_id, model=ModelRef("m", "1"), clock=SystemClock())
    sinks = SinkSet(encoder=encoder, sinks=(webhook, kafka), observer=observer, outbox=outbox)
    sinks.open()
    try:
        yield sinks
    finally:
        sinks.close()


def test_each_sink_gets_the_kinds_of_events_it_wants(tmp_path: Path, server: WebhookServer, cluster: MockCluster) -> None:
    with running(tmp_path, url=server.url, brokers=cluster.brokers) as sinks:
        for event in EVENTS * 10:
            sinks.write(event)
        assert sinks.flush(PATIENCE_S) == 0
        assert sinks.outbox is not None
        assert sinks.outbox.wait_empty(PATIENCE_S)
    messages = read_topic(cluster.brokers, TOPIC, 30)
    assert Counter(message.headers["schema"] for message in messages) == {FACE: 10, TRACK: 10, SUMMARY: 10}
    assert Counter(request.event["data"]["schema"] for request in server.accepted) == {TRACK: 10, SUMMARY: 10}
    for value in [message.value for message in messages]:
        parse(value)


def test_a_sink_that_is_away_does_not_delay_the_other(tmp_path: Path, cluster: MockCluster) -> None:
    with running(tmp_path, url=f"http://127.0.0.1:{free_port()}/", brokers=cluster.brokers) as sinks:
        for event in EVENTS * 10:
            sinks.write(event)
        wait_until(lambda: "refused" in _reason(sinks, "webhook"))
        assert len(read_topic(cluster.brokers, TOPIC, 30)) == 30
        assert sinks.outbox is not None
        wait_until(lambda: sinks.outbox is not None and sinks.outbox.events == 20)


def test_events_that_one_sink_could_not_deliver_are_delivered_after_a_restart(
    tmp_path: Path, server: WebhookServer, cluster: MockCluster
) -> None:
    server.stop()
    with running(tmp_path, url=server.url, brokers=cluster.brokers) as sinks:
        for event in EVENTS * 10:
            sinks.write(event)
        assert len(read_topic(cluster.brokers, TOPIC, 30)) == 30
        assert sinks.flush(PATIENCE_S) == 0  # what is left is on disk
    server.start()
    with running(tmp_path, url=server.url, brokers=cluster.brokers, boot_id="second") as sinks:
        for event in EVENTS:
            sinks.write(event)
        assert sinks.outbox is not None
        assert sinks.outbox.wait_empty(PATIENCE_S)
    tracks = [request.event["id"] for request in server.accepted if request.event["type"] == "ferstream.track.v1"]
    assert tracks == [f"first/door/{TRACK}/{seq}" for seq in range(10)] + [f"second/door/{TRACK}/0"]
    assert len(read_topic(cluster.brokers, TOPIC, 33)) == 33


def _reason(sinks: SinkSet, name: str) -> str:
    status = sinks.status(name)
    assert status is not None
    return status.reason
