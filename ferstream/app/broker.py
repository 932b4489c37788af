"""The MQTT broker of the settings: starts the embedded one, or returns the address of another one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

from ferstream.broker.embedded import EmbeddedBroker
from ferstream.broker.password_file import PasswordFile
from ferstream.runtime.redaction import register_secret
from ferstream.settings import Settings
from ferstream.sinks.mqtt.address import BrokerAddress

_LOG = logging.getLogger(__name__)


@contextmanager
def broker_for(settings: Settings, *, durable: bool) -> Iterator[EmbeddedBroker | None]:
    """Run the embedded broker within the context, if the settings ask for it; its password is in a file meanwhile.

    Args:
        settings: The settings.
        durable: Keep the file in the folder of the outbox; otherwise in a private folder for temporary files.

    Raises:
        BrokerError: It does not start.
    """
    if not settings.mqtt.embedded:
        yield None
        return
    broker = EmbeddedBroker(password_file=PasswordFile(settings.outbox.directory if durable else None))
    broker.start()
    try:
        _LOG.info("embedded broker on %s: user %s, password in %s", broker.url, broker.login.username, broker.password_path or "no file")
        yield broker
    finally:
        broker.stop()


def subscribe_command(settings: Settings, broker: EmbeddedBroker) -> str:
    """Return the command that shows the events of the embedded broker; it holds the password, so it is for a terminal only."""
    login = broker.login
    topics = f"{settings.mqtt.prefix}/{settings.node}/#"
    return f"mosquitto_sub -h 127.0.0.1 -p {broker.port} -u {login.username} -P {login.password} -t '{topics}' -v"


def broker_address(settings: Settings, broker: EmbeddedBroker | None = None) -> BrokerAddress:
    """Return where to connect and with which login: those of the embedded broker if there is one, else those of the settings."""
    mqtt = settings.mqtt
    for _, value in parse_qsl(urlsplit(mqtt.url).query):  # ws://host/path?token=...
        register_secret(value)
    password = None if mqtt.password is None else mqtt.password.get_secret_value()
    return BrokerAddress(
        url=mqtt.url if broker is None else broker.url,
        client_id=mqtt.client_id or f"ferstream-{settings.node}",
        username=mqtt.username if broker is None else broker.login.username,
        password=password if broker is None else broker.login.password,
        ca_file=mqtt.ca_file,
        cert_file=mqtt.cert_file,
        key_file=mqtt.key_file,
        insecure=mqtt.insecure,
        protocol=4 if mqtt.protocol == "3.1.1" else 5,
        keepalive_s=mqtt.keepalive_s,
    )
