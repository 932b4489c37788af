"""The Kafka sink against the mock cluster of librdkafka: what arrives, what is sent again, what is dropped, how it stops."""

from __future__ import annotations

import builtins
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed")

from ferstream.domain.message import Message
from ferstream.domain.ports import Sink
from ferstream.errors import ConfigError
from ferstream.events.schemas import FACE, SUMMARY, TRACK
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.counters import Counters
from ferstream.sinks.kafka.cluster import KafkaCluster
from ferstream.sinks.kafka.sink import KafkaSink
from tests.support.fed_outbox import FedOutbox
from tests.support.http_stub import free_port, says_nothing, serving
from tests.support.kafka import (
    KAFKA_STORAGE_ERROR,
    MSG_SIZE_TOO_LARGE,
    NOT_ENOUGH_REPLICAS,
    TOPIC_AUTHORIZATION_FAILED,
    MockCluster,
    read_topic,
)
from tests.support.runners import PATIENCE_S
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

TOPIC = "ferstream"
CAMERAS = ("door", "hall", "yard", "gate")
MakeSink = Callable[..., KafkaSink]


@pytest.fixture
def outbox() -> FedOutbox:
    return FedOutbox()


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster(TOPIC) as cluster:
        yield cluster


@pytest.fixture
def make_sink(outbox: FedOutbox, observer: Counters, caplog: pytest.LogCaptureFixture) -> Iterator[MakeSink]:
    caplog.set_level(logging.DEBUG)
    sinks: list[KafkaSink] = []

    def make(brokers: str, *, ack_timeout_s: float = 30.0, **settings: Any) -> KafkaSink:
        sink = KafkaSink(
            cluster=KafkaCluster(brokers=brokers, **settings),
            topic=TOPIC,
            outbox=outbox,
            observer=observer,
            backoff=Backoff(floor_s=0.01, cap_s=0.02),
            ack_timeout_s=ack_timeout_s,
        )
        sinks.append(sink)
        sink.open()
        return sink

    yield make
    for sink in sinks:
        sink.close()
        assert not sink.alive
        assert "s3cr3t" not in sink.status().reason
    assert "s3cr3t" not in caplog.text


def test_it_is_a_sink(make_sink: MakeSink, cluster: MockCluster) -> None:
    sink: Sink = make_sink(cluster.brokers)
    sink.write(Message(TRACK, "door", "boot", 0, b"{}"))
    assert sink.name == "kafka"
    assert sink.flush(PATIENCE_S) == 0


def test_face_track_and_summary_events_are_sent_by_default(outbox: FedOutbox) -> None:
    KafkaSink(cluster=KafkaCluster(brokers="localhost:1"), topic=TOPIC, outbox=outbox, observer=Counters())
    assert outbox.made.name == "kafka"
    assert set(outbox.made.schemas) == {FACE, TRACK, SUMMARY}


def test_a_message_has_the_camera_as_key_the_event_as_value_and_three_headers(
    make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox
) -> None:
    sent = outbox.put("hall")
    sink = make_sink(cluster.brokers)
    assert sink.flush(PATIENCE_S) == 0
    (message,) = read_topic(cluster.brokers, TOPIC, 1)
    assert message.key == "hall"
    assert message.value == sent.payload
    assert message.headers == {"schema": TRACK, "seq": "0", "boot_id": "boot"}


def test_the_events_of_a_camera_are_in_one_partition_in_order(
    make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox, observer: Counters
) -> None:
    outbox.put_many(3000, CAMERAS)
    sink = make_sink(cluster.brokers)
    assert sink.flush(PATIENCE_S) == 0
    messages = read_topic(cluster.brokers, TOPIC, 3000)
    for camera in CAMERAS:
        mine = [message for message in messages if message.key == camera]
        assert [message.seq for message in mine] == list(range(750))
        assert len({message.partition for message in mine}) == 1
    assert outbox.made.counts().acknowledged == 3000
    assert observer.snapshot().counts["sink_delivered", "kafka"] == 3000
    assert sink.status().connected is True


def test_an_event_put_while_the_sink_is_idle_is_sent_at_once(make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox) -> None:
    sink = make_sink(cluster.brokers)
    wait_until(lambda: sink.status().connected is True)
    outbox.put()
    assert sink.flush(PATIENCE_S) == 0
    assert len(read_topic(cluster.brokers, TOPIC, 1)) == 1


def test_an_error_that_passes_is_tried_again_without_doubles(
    make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox, observer: Counters
) -> None:
    cluster.fail(NOT_ENOUGH_REPLICAS, KAFKA_STORAGE_ERROR, NOT_ENOUGH_REPLICAS)
    outbox.put_many(50)
    sink = make_sink(cluster.brokers)
    assert sink.flush(PATIENCE_S) == 0
    assert [message.seq for message in read_topic(cluster.brokers, TOPIC, 50)] == list(range(50))
    assert ("sink_retries", "kafka") not in observer.snapshot().counts


def test_only_what_is_refused_alone_is_dropped(
    make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.fail(MSG_SIZE_TOO_LARGE, 0, 0, MSG_SIZE_TOO_LARGE)  # the batch, then the third event alone
    outbox.put_many(20)
    make_sink(cluster.brokers)
    wait_until(lambda: outbox.made.counts().events == 0)
    assert outbox.made.counts().dropped == {"rejected": 1}
    assert outbox.made.counts().acknowledged == 19
    seqs = [message.seq for message in read_topic(cluster.brokers, TOPIC, 19)]
    assert list(dict.fromkeys(seqs)) == sorted(set(seqs))
    assert len(set(seqs)) == 19
    assert caplog.text.count("refuses events (MSG_SIZE_TOO_LARGE)") == 1


def test_later_batches_do_not_overtake_a_refused_one(make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox) -> None:
    sink = make_sink(cluster.brokers)
    outbox.put()
    assert sink.flush(PATIENCE_S) == 0
    cluster.delay(200)
    cluster.fail(MSG_SIZE_TOO_LARGE)
    for _ in range(5):  # several batches in flight: librdkafka closes one after 5 ms
        outbox.put_many(5)
        threading.Event().wait(0.02)
    cluster.delay(0)
    wait_until(lambda: outbox.made.counts().acknowledged == 26)
    seqs = [message.seq for message in read_topic(cluster.brokers, TOPIC, 26)]
    assert list(dict.fromkeys(seqs)) == list(range(26))


def test_batches_come_back_after_a_refusal(make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox) -> None:
    cluster.fail(MSG_SIZE_TOO_LARGE)
    outbox.put_many(20)
    make_sink(cluster.brokers)
    wait_until(lambda: outbox.made.counts().acknowledged == 20)
    for _ in range(12):
        outbox.put_many(100)
        wait_until(lambda: outbox.made.counts().events == 0)
    assert outbox.made.counts().dropped == {}
    assert [message.seq for message in read_topic(cluster.brokers, TOPIC, 1220)] == list(range(1220))


def test_an_event_larger_than_any_message_is_dropped(make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox) -> None:
    outbox.put(payload=json.dumps({"text": "x" * 1_100_000}).encode())
    outbox.put()
    sink = make_sink(cluster.brokers)
    assert sink.flush(PATIENCE_S) == 0
    assert outbox.made.counts().dropped == {"rejected": 1}
    assert [message.seq for message in read_topic(cluster.brokers, TOPIC, 1)] == [1]


def test_a_cluster_that_goes_and_comes_back_gets_everything_in_order(make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox) -> None:
    sink = make_sink(cluster.brokers)
    outbox.put_many(100, CAMERAS)
    assert sink.flush(PATIENCE_S) == 0
    cluster.set_down()
    outbox.put_many(100, CAMERAS)
    wait_until(lambda: sink.status().connected is False)
    assert sink.status().reason.startswith(f"kafka://{cluster.brokers}: ")
    assert outbox.made.counts().events == 100
    cluster.set_up()
    wait_until(lambda: outbox.made.counts().acknowledged == 200)
    messages = read_topic(cluster.brokers, TOPIC, 200)
    for camera in CAMERAS:
        seqs = [message.seq for message in messages if message.key == camera]
        assert list(dict.fromkeys(seqs)) == list(range(50))
    wait_until(lambda: sink.status().connected is True)


def test_a_cluster_that_is_not_there_is_named_and_the_events_stay(make_sink: MakeSink, outbox: FedOutbox) -> None:
    outbox.put()
    sink = make_sink(f"127.0.0.1:{free_port()}")
    wait_until(lambda: "Connection refused" in sink.status().reason)
    assert outbox.made.counts().events == 1


def test_a_topic_without_rights_is_named(make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox) -> None:
    cluster.fail_topic(TOPIC_AUTHORIZATION_FAILED)
    outbox.put()
    sink = make_sink(cluster.brokers)
    wait_until(lambda: "topic ferstream: " in sink.status().reason)
    assert "uthorization failed" in sink.status().reason
    cluster.fail_topic(0)
    wait_until(lambda: outbox.made.counts().acknowledged == 1)


def test_rights_that_are_taken_away_keep_the_events(make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox) -> None:
    cluster.fail(*[TOPIC_AUTHORIZATION_FAILED] * 3)
    outbox.put_many(10)
    make_sink(cluster.brokers)
    wait_until(lambda: outbox.made.counts().acknowledged == 10)
    assert outbox.made.counts().dropped == {}


def test_a_cluster_that_acknowledges_nothing_is_left(make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox) -> None:
    sink = make_sink(cluster.brokers, ack_timeout_s=0.2)
    wait_until(lambda: sink.status().connected is True)
    cluster.delay(600_000)
    outbox.put()
    wait_until(lambda: "nothing was acknowledged for 0.2 s" in sink.status().reason)
    assert outbox.made.counts().events == 1


def test_a_stop_while_the_cluster_is_silent_ends_the_thread(make_sink: MakeSink, cluster: MockCluster, outbox: FedOutbox) -> None:
    sink = make_sink(cluster.brokers)
    wait_until(lambda: sink.status().connected is True)
    cluster.delay(600_000)
    outbox.put_many(10)
    wait_until(lambda: sink.in_flight == 10)
    sink.close()
    assert not sink.alive
    assert outbox.made.counts().events == 10


def test_a_stop_while_connecting_ends_the_thread(make_sink: MakeSink, outbox: FedOutbox) -> None:
    outbox.put()
    with serving(says_nothing) as port:
        sink = make_sink(f"127.0.0.1:{port}")
        sink.close()
        assert not sink.alive
    assert outbox.made.counts().events == 1


def test_a_missing_package_is_named_with_what_to_install(outbox: FedOutbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_confluent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "confluent_kafka":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    sink = KafkaSink(cluster=KafkaCluster(brokers="localhost:1"), topic=TOPIC, outbox=outbox, observer=Counters())
    monkeypatch.setattr(builtins, "__import__", without_confluent)
    with pytest.raises(ConfigError, match=r"install it with: uv pip install --python .* 'confluent-kafka"):
        sink.open()


@pytest.mark.parametrize(
    "settings",
    [
        {"security": "ssl", "ca_file": Path("/no/such/file")},
        {"security": "sasl_ssl", "sasl_mechanism": "SCRAM-SHA-256", "username": "u"},
    ],
)
def test_settings_that_librdkafka_refuses_are_a_settings_error(make_sink: MakeSink, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="kafka: "):
        make_sink("localhost:1", **settings)


def test_a_password_is_used_and_never_shown(make_sink: MakeSink, outbox: FedOutbox) -> None:
    cluster = KafkaCluster(brokers="localhost:1", security="sasl_plaintext", username="me", password="s3cr3t")
    assert cluster.properties()["sasl.password"] == "s3cr3t"
    assert "s3cr3t" not in repr(cluster)
    with MockCluster(TOPIC) as plain:  # knows no SASL
        outbox.put()
        sink = make_sink(plain.brokers, security="sasl_plaintext", username="me", password="s3cr3t")
        wait_until(lambda: sink.status().connected is False and "not connected yet" not in sink.status().reason)
        sink.close()


def test_a_cluster_without_a_password_is_given_none() -> None:
    assert KafkaCluster(brokers="a:1,b:2").properties() == {
        "bootstrap.servers": "a:1,b:2",
        "client.id": "ferstream",
        "security.protocol": "plaintext",
    }
