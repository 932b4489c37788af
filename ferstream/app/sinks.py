"""The sinks of a run, made from the settings: one row of ``SINKS`` per kind of sink."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ferstream.app.broker import broker_address
from ferstream.app.privacy import privacy_rules
from ferstream.broker.embedded import EmbeddedBroker
from ferstream.domain.ports import Sink
from ferstream.events.encode import Encoder
from ferstream.events.schemas import KINDS
from ferstream.homeassistant.discovery import birth_topics
from ferstream.outbox.outbox import Outbox
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.observer import Observer
from ferstream.settings import Settings, WebhookSettings
from ferstream.sinks.kafka.cluster import KafkaCluster
from ferstream.sinks.mqtt.commands import OnCommand
from ferstream.sinks.mqtt.publisher import OnFatal
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.sinks.mqtt.topics import Topics
from ferstream.sinks.webhook.endpoint import WebhookEndpoint

MakeSink = Callable[["SinkContext"], Sink | None]
"""Makes a sink; None when the settings do not ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkHooks:
    """What the threads of the sinks call.

    Attributes:
        on_command: Takes (camera, payload) of each MQTT command; None if commands are not wanted.
        on_fatal: Called with the thread's name and the error when a sink's thread dies.
        on_birth: Takes the birth and last-will messages of Home Assistant, if discovery is on; called by the MQTT thread.
    """

    on_command: OnCommand | None = None
    on_fatal: OnFatal | None = None
    on_birth: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkContext:
    """What a sink is made from.

    Attributes:
        settings: The settings.
        outbox: Holds the events for sinks that need a network.
        observer: Counts what the sinks do.
        broker: The embedded broker; None if the settings name a broker.
        hooks: What the sinks call.
    """

    settings: Settings
    outbox: Outbox
    observer: Observer
    broker: EmbeddedBroker | None = None
    hooks: SinkHooks = SinkHooks()


def mqtt_sink(context: SinkContext) -> Sink:
    """Make the MQTT sink."""
    settings = context.settings
    sink = MqttSink(
        address=broker_address(settings, context.broker),
        topics=Topics(prefix=settings.mqtt.prefix, node=settings.node),
        outbox=context.outbox,
        observer=context.observer,
        on_command=context.hooks.on_command if settings.mqtt.commands else None,
        on_fatal=context.hooks.on_fatal,
    )
    if settings.homeassistant.discovery and context.hooks.on_birth is not None:
        for topic in birth_topics(settings.homeassistant.prefix):
            sink.listen(topic, context.hooks.on_birth, if_refused="a start of Home Assistant is not noticed")
    return sink


def webhook_sink(context: SinkContext) -> Sink | None:
    """Make the webhook sink; None without ``webhook.url``."""
    webhook = context.settings.webhook
    endpoint = webhook_endpoint(webhook)
    if endpoint is None:
        return None
    from ferstream.sinks.webhook.sink import WebhookSink

    return WebhookSink(
        endpoint=endpoint,
        outbox=context.outbox,
        observer=context.observer,
        schemas=_schemas(context.settings, webhook.events),
        on_fatal=context.hooks.on_fatal,
    )


def kafka_sink(context: SinkContext) -> Sink | None:
    """Make the Kafka sink; None without ``kafka.brokers``."""
    kafka = context.settings.kafka
    cluster = kafka_cluster(context.settings)
    if cluster is None:
        return None
    from ferstream.sinks.kafka.sink import KafkaSink

    return KafkaSink(
        cluster=cluster,
        topic=kafka.topic,
        outbox=context.outbox,
        observer=context.observer,
        schemas=_schemas(context.settings, kafka.events),
        on_fatal=context.hooks.on_fatal,
    )


SINKS: tuple[MakeSink, ...] = (mqtt_sink, webhook_sink, kafka_sink)
"""Makes each kind of sink; None when the settings do not ask for it."""


def webhook_endpoint(webhook: WebhookSettings) -> WebhookEndpoint | None:
    """Return URL, signing keys and limits of the webhook; None without ``webhook.url``."""
    if webhook.url is None:
        return None
    return WebhookEndpoint(
        url=webhook.url,
        signing_keys=() if webhook.signing_key is None else (webhook.signing_key,),
        ca_file=webhook.ca_file,
        timeout_s=webhook.timeout_s,
        max_in_flight=webhook.max_in_flight,
    )


def kafka_cluster(settings: Settings) -> KafkaCluster | None:
    """Return brokers, credentials and certificates of Kafka; None without ``kafka.brokers``."""
    kafka = settings.kafka
    if kafka.brokers is None:
        return None
    return KafkaCluster(
        brokers=kafka.brokers,
        client_id=f"ferstream-{settings.node}",
        security=kafka.security,
        sasl_mechanism=kafka.sasl_mechanism,
        username=kafka.username,
        password=None if kafka.password is None else kafka.password.get_secret_value(),
        ca_file=kafka.ca_file,
    )


def _schemas(settings: Settings, kinds: Iterable[str]) -> tuple[str, ...]:
    """Return the schemas of these kinds of events; with ``privacy.aggregate_only`` without those about single faces."""
    rules, wanted = privacy_rules(settings), set(kinds)
    return tuple(schema for schema, kind in KINDS.items() if kind in wanted and rules.allows_schema(schema))


def network_sinks(
    settings: Settings,
    *,
    encoder: Encoder,
    observer: Observer,
    durable: bool,
    broker: EmbeddedBroker | None = None,
    hooks: SinkHooks | None = None,
    extra: Sequence[Sink] = (),
    kinds: Sequence[MakeSink] = SINKS,
) -> SinkSet:
    """Make every sink that the settings ask for, over one outbox; nothing is opened yet.

    Args:
        settings: The settings.
        encoder: Numbers and encodes the events of the run.
        observer: Counts what the sinks and the outbox do.
        durable: Keep the outbox on disk, if the settings name a place.
        broker: The embedded broker, if there is one.
        hooks: What the sinks call.
        extra: More sinks that take the same messages.
        kinds: Rows of ``SINKS``: the kinds of sinks to make.
    """
    outbox = Outbox(
        directory=settings.outbox.directory if durable else None,
        max_events=settings.outbox.max_events,
        max_bytes=settings.outbox.max_bytes,
        observer=observer,
        privacy=privacy_rules(settings),
    )
    context = SinkContext(settings=settings, outbox=outbox, observer=observer, broker=broker, hooks=hooks or SinkHooks())
    sinks = [sink for make in kinds if (sink := make(context)) is not None]
    return SinkSet(encoder=encoder, sinks=(*sinks, *extra), outbox=outbox, observer=observer)
