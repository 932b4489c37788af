"""The MQTT broker of the settings: starts the embedded one, or returns the address of another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ferstream.broker.embedded import EmbeddedBroker
from ferstream.settings import MqttSettings, Settings
from ferstream.sinks.mqtt.address import BrokerAddress


@contextmanager
def broker_for(mqtt: MqttSettings) -> Iterator[EmbeddedBroker | None]:
    """Run the embedded broker inside the block if the settings name it, and yield it; else yield None.

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
    """Return the address of the embedded broker for the MQTT version of the settings; None without an embedded broker."""
    if broker is None:
        return None
    return broker.public_url if settings.mqtt.protocol == "3.1.1" else broker.url


def broker_address(settings: Settings, *, url: str | None = None) -> BrokerAddress:
    """Return address, credentials and certificates of the broker.

    Args:
        settings: The settings.
        url: Address of the embedded broker; None uses ``mqtt.url``.
    """
    mqtt = settings.mqtt
    return BrokerAddress(
        url=url or mqtt.url,
        client_id=mqtt.client_id or f"ferstream-{settings.node}",
        username=mqtt.username,
        password=None if mqtt.password is None else mqtt.password.get_secret_value(),
        ca_file=mqtt.ca_file,
        cert_file=mqtt.cert_file,
        key_file=mqtt.key_file,
        insecure=mqtt.insecure,
        protocol=4 if mqtt.protocol == "3.1.1" else 5,
        keepalive_s=mqtt.keepalive_s,
    )
