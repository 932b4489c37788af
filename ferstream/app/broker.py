"""The MQTT broker of the settings: the embedded one is started, any other is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ferstream.broker.embedded import EmbeddedBroker
from ferstream.settings import MqttSettings, Settings
from ferstream.sinks.mqtt.address import BrokerAddress


@contextmanager
def broker_for(mqtt: MqttSettings) -> Iterator[EmbeddedBroker | None]:
    """Run the embedded broker within the context, if the settings ask for it.

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
    """Return the address at which the embedded broker listens for the protocol of the settings; None without one."""
    if broker is None:
        return None
    return broker.url if settings.mqtt.protocol != "3.1.1" else f"mqtt://127.0.0.1:{broker.port}"


def broker_address(settings: Settings, *, url: str | None = None) -> BrokerAddress:
    """Return where to connect; ``url``, the address of the embedded broker, replaces the one of the settings."""
    mqtt = settings.mqtt
    return BrokerAddress(
        url=url or mqtt.url,
        client_id=mqtt.client_id or f"ferstream-{settings.node}",
        username=mqtt.username,
        password=None if mqtt.password is None else mqtt.password.get_secret_value(),
        ca_file=optional_path(mqtt.ca_file),
        cert_file=optional_path(mqtt.cert_file),
        key_file=optional_path(mqtt.key_file),
        insecure=mqtt.insecure,
        protocol=4 if mqtt.protocol == "3.1.1" else 5,
        keepalive_s=mqtt.keepalive_s,
    )


def optional_path(value: object) -> Path | None:
    """Return a file of the settings as a path; None if it is left out."""
    return None if value is None else Path(str(value))
