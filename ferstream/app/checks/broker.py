"""Check of the broker: connect with the real settings, publish a message, and read it back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from ferstream.app.broker import broker_address
from ferstream.app.checks.finding import Finding, failed_with, passed, warned
from ferstream.broker.embedded import EmbeddedBroker
from ferstream.errors import BrokerAuthError, ConfigError, FerstreamError
from ferstream.settings import Settings
from ferstream.sinks.mqtt.probe import ProbeResult, probe
from ferstream.sinks.mqtt.topics import Topics

BROKER_TIMEOUT_S = 30.0
_ENCRYPTED = ("mqtts", "wss")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def check_broker(settings: Settings) -> Iterator[Finding]:
    """Publish to the check topic and read the message back; with ``embedded`` on a broker started for this check."""
    mqtt = settings.mqtt
    try:
        topics = Topics(prefix=mqtt.prefix, node=settings.node)
        result = _probe_embedded(settings, topics) if mqtt.embedded else probe(broker_address(settings), topics)
    except FerstreamError as exc:
        yield failed_with("broker", exc, advice(exc))
        return
    detail = f"{'embedded, ' if mqtt.embedded else ''}{result.note}"
    if result.round_trip_s is None:
        yield warned("broker", detail, f"allow the user {mqtt.username or '(anonymous)'} to write to {mqtt.prefix}/# at the broker")
    else:
        yield passed("broker", detail)
    yield from check_encryption(settings)


def advice(error: FerstreamError) -> str:
    """Return what to do about a broker that cannot be used."""
    if isinstance(error, BrokerAuthError):
        return "check mqtt.username and mqtt.password_file (or FERSTREAM_MQTT__PASSWORD), and the broker's own users and rights"
    if isinstance(error, ConfigError):
        return "correct that key in the [mqtt] table"
    return 'start the broker or correct mqtt.url; mqtt.url = "embedded" needs none; events wait in the outbox meanwhile'


def _probe_embedded(settings: Settings, topics: Topics) -> ProbeResult:
    broker = EmbeddedBroker(port=0)
    try:
        broker.start()
        return probe(replace(broker_address(settings, broker), session_expiry_s=0), topics)
    finally:
        broker.stop()


def check_encryption(settings: Settings) -> Iterator[Finding]:
    """Warn about what the network between here and the broker can read."""
    mqtt = settings.mqtt
    if mqtt.embedded:
        return
    parts = urlsplit(mqtt.url)
    if mqtt.insecure and parts.scheme in _ENCRYPTED:
        yield warned(
            "broker",
            "mqtt.insecure is true: the broker's certificate is not verified",
            "set mqtt.ca_file to its authority instead",
        )
    elif parts.scheme not in _ENCRYPTED and parts.hostname not in _LOCAL:
        what = "the password and all events" if mqtt.password else "all events"
        yield warned("broker", f"{parts.scheme}:// is not encrypted: the network can read {what}", "use mqtts://")
