"""Kafka for tests: the mock cluster inside librdkafka, with brokers that fail as told; and a reader of topics.

confluent-kafka has the mock cluster only as a setting of one client (``test.mock.num.brokers``). Its C interface,
reached with ctypes here, lets several clients share a cluster and makes requests fail.
"""

from __future__ import annotations

import ctypes
import json
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import confluent_kafka
from confluent_kafka import Consumer, TopicPartition

from tests.support.runners import PATIENCE_S

PRODUCE = 0
"""Number of the Produce request in the protocol."""
MSG_SIZE_TOO_LARGE, NOT_ENOUGH_REPLICAS, TOPIC_AUTHORIZATION_FAILED, KAFKA_STORAGE_ERROR = 10, 19, 29, 56
PARTITIONS = 4

_PRODUCER, _CONF_OK = 0, 0


def _library() -> Any:
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka*"))))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "conf_new": (pointer, []),
        "conf_set": (number, [pointer, text, text, text, ctypes.c_size_t]),
        "new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "destroy": (None, [pointer]),
        "mock_cluster_new": (pointer, [pointer, number]),
        "mock_cluster_destroy": (None, [pointer]),
        "mock_cluster_bootstraps": (text, [pointer]),
        "mock_topic_create": (number, [pointer, text, number, number]),
        "mock_topic_set_error": (None, [pointer, text, number]),
        "mock_push_request_errors_array": (None, [pointer, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(number)]),
        "mock_broker_set_down": (number, [pointer, ctypes.c_int32]),
        "mock_broker_set_up": (number, [pointer, ctypes.c_int32]),
        "mock_broker_set_rtt": (number, [pointer, ctypes.c_int32, number]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, f"rd_kafka_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class MockCluster:
    """Brokers on loopback in this process; a context manager."""

    def __init__(self, topic: str, *, brokers: int = 1) -> None:
        self._library = _library()
        self.topic, self._brokers = topic, range(1, brokers + 1)

    def __enter__(self) -> MockCluster:
        problem = ctypes.create_string_buffer(512)
        conf = self._library.rd_kafka_conf_new()
        assert self._library.rd_kafka_conf_set(conf, b"log_level", b"0", problem, 512) == _CONF_OK, problem.value
        self._client = self._library.rd_kafka_new(_PRODUCER, conf, problem, 512)
        assert self._client, problem.value
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, len(self._brokers))
        self._library.rd_kafka_mock_topic_create(self._cluster, self.topic.encode(), PARTITIONS, 1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    @property
    def brokers(self) -> str:
        """Where it is, host:port."""
        return str(self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode())

    def fail(self, *codes: int, request: int = PRODUCE) -> None:
        """Answer the next requests of this kind with these codes; 0 = as usual."""
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, request, len(codes), (ctypes.c_int * len(codes))(*codes))

    def fail_topic(self, code: int) -> None:
        """Give the topic this error in all metadata; 0 = none."""
        self._library.rd_kafka_mock_topic_set_error(self._cluster, self.topic.encode(), code)

    def set_down(self) -> None:
        """End all connections of all brokers, and accept none."""
        for broker in self._brokers:
            self._library.rd_kafka_mock_broker_set_down(self._cluster, broker)

    def set_up(self) -> None:
        """Accept connections again."""
        for broker in self._brokers:
            self._library.rd_kafka_mock_broker_set_up(self._cluster, broker)

    def delay(self, milliseconds: int) -> None:
        """Answer every request so much later."""
        for broker in self._brokers:
            self._library.rd_kafka_mock_broker_set_rtt(self._cluster, broker, milliseconds)


@dataclass(frozen=True)
class Received:
    """One message of a topic."""

    partition: int
    key: str
    value: bytes
    headers: dict[str, str]

    @property
    def seq(self) -> int:
        """Number of the event."""
        return int(json.loads(self.value)["seq"])


def read_topic(brokers: str, topic: str, count: int) -> list[Received]:
    """Read a topic until ``count`` different events have come, then to its end; doubles included, a partition in order."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "test",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "log_level": 0,
            "fetch.wait.max.ms": 10,
        }
    )
    partitions = [TopicPartition(topic, number, 0) for number in consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions]
    consumer.assign(partitions)
    messages: list[Received] = []
    deadline = time.monotonic() + PATIENCE_S
    try:
        while len({(message.key, message.value) for message in messages}) < count or len(messages) < _end(consumer, partitions):
            assert time.monotonic() < deadline, f"{len(messages)} messages came, wanted {count}"
            for message in consumer.consume(1000, 0.1):
                assert message.error() is None
                messages.append(_received(message))
    finally:
        consumer.close()
    return messages


def _end(consumer: Consumer, partitions: list[TopicPartition]) -> int:
    """Count the messages that the partitions hold now."""
    return sum(consumer.get_watermark_offsets(partition, timeout=PATIENCE_S)[1] for partition in partitions)


def _received(message: Any) -> Received:
    headers = {name: value.decode() for name, value in message.headers()}
    return Received(message.partition(), message.key().decode(), message.value(), headers)
