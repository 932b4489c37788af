"""Checks of the webhook and of Kafka: connect with the real settings, and send nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ferstream.app.checks.finding import Finding, failed, failed_with, passed
from ferstream.app.sinks import kafka_cluster, webhook_endpoint
from ferstream.errors import ExitCode, FerstreamError
from ferstream.runtime.clock import SystemClock
from ferstream.settings import Settings
from ferstream.sinks.transport import Transport

SINK_TIMEOUT_S = 45.0


def check_webhook(settings: Settings) -> Iterator[Finding]:
    """Connect to the web server of the webhook, with TLS if the URL says so."""
    endpoint = webhook_endpoint(settings.webhook)
    if endpoint is not None:
        from ferstream.sinks.webhook.sink import WebhookTransport

        advice = "is the server running, and is webhook.url right? events wait in the outbox meanwhile"
        yield from _connect("webhook", lambda: WebhookTransport(endpoint, SystemClock()), advice)


def check_kafka(settings: Settings) -> Iterator[Finding]:
    """Connect to the Kafka brokers and look for the topic."""
    cluster = kafka_cluster(settings)
    if cluster is not None:
        from ferstream.sinks.kafka.sink import ACK_TIMEOUT_S, WINDOW, KafkaTransport

        topic = settings.kafka.topic
        advice = "are the brokers running, and are kafka.brokers, kafka.security and kafka.topic right? events wait in the outbox meanwhile"

        def make() -> Transport:
            return KafkaTransport(cluster=cluster, topic=topic, window=WINDOW, ack_timeout_s=ACK_TIMEOUT_S)

        yield from _connect("kafka", make, advice)


def _connect(part: str, make: Callable[[], Transport], advice: str) -> Iterator[Finding]:
    """Open a transport and connect; nothing is sent."""
    try:
        transport = make()
        transport.open()
        try:
            failure = transport.connect(lambda: False)
        finally:
            transport.end(0.0)
    except FerstreamError as exc:
        yield failed_with(part, exc, f"correct that key in the [{part}] table")
        return
    if failure is not None:
        yield failed(part, failure.reason, advice, ExitCode.BROKER)
    else:
        yield passed(part, f"{transport.label}: connected; no event was sent")
