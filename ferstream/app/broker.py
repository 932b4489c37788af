"""From the settings of MQTT to a sink: the embedded broker or a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ferstream.app.sinks import encoder
from ferstream.broker.embedded import EmbeddedBroker
from ferstream.inference.classifier import Classifier
from ferstream.runtime.observer import Observer
from ferstream.settings import MqttSettings, Settings
from ferstream.sinks.mqtt.connection import BrokerAddress
from ferstream.sinks.mqtt.sink import MqttSink
from ferstream.sinks.mqtt.topics import Topics


@contextmanager
def broker_for(mqtt: MqttSettings) -> Iterator[EmbeddedBroker | None]:
    """Run the embedded broker while inside, if the settings ask for it.

    Raises:
        BrokerError: It does not start.
    """
    if not mqtt.embedded:
        yield None
        return
    broker = EmbeddedBroker()
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def broker_url(settings: Settings, broker: EmbeddedBroker | None) -> str | None:
    """Where the embedded broker really listens, for the protocol of the settings."""
    if broker is None:
        return None
    return broker.url if settings.mqtt.protocol != "3.1.1" else f"mqtt://127.0.0.1:{broker.port}"


def broker_address(settings: Settings, *, url: str | None = None) -> BrokerAddress:
    """Where to connect; ``url`` overrides the settings' (the embedded broker's real one)."""
    mqtt = settings.mqtt
    return BrokerAddress(
        url=url or mqtt.url,
        client_id=mqtt.client_id or f"ferstream-{settings.node}",
        username=mqtt.username,
        password=None if mqtt.password is None else mqtt.password.get_secret_value(),
        ca_file=_path(mqtt.ca_file),
        cert_file=_path(mqtt.cert_file),
        key_file=_path(mqtt.key_file),
        insecure=mqtt.insecure,
        protocol=4 if mqtt.protocol == "3.1.1" else 5,
        keepalive_s=mqtt.keepalive_s,
    )


def mqtt_sink(
    settings: Settings,
    *,
    classifier: Classifier,
    boot_id: str,
    observer: Observer,
    url: str | None = None,
    durable: bool = True,
    on_command: Callable[[str, bytes], None] | None = None,
    on_fatal: Callable[[str, BaseException], None] | None = None,
) -> MqttSink:
    """Make the sink; ``url`` as in ``broker_address``; not ``durable`` keeps the outbox in memory."""
    outbox = settings.outbox
    return MqttSink(
        address=broker_address(settings, url=url),
        topics=Topics(prefix=settings.mqtt.prefix, node=settings.node),
        encoder=encoder(classifier, node=settings.node, boot_id=boot_id),
        observer=observer,
        outbox_directory=outbox.directory if durable else None,
        max_events=outbox.max_events,
        max_bytes=outbox.max_bytes,
        per_face=not settings.privacy.aggregate_only,
        on_command=on_command if settings.mqtt.commands else None,
        on_fatal=on_fatal,
    )


def _path(value: object) -> Path | None:
    return None if value is None else Path(str(value))
