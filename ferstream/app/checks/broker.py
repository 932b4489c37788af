"""Check of the broker: make the connection of ``ferstream run``, publish a message, and read it back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from ferstream.app.broker import broker_address
from ferstream.app.checks.finding import Finding, failed, passed, warned
from ferstream.app.find_daemons import runs_here
from ferstream.app.homeassistant import EMBEDDED_BROKER
from ferstream.broker.embedded import EmbeddedBroker
from ferstream.errors import BrokerAuthError, BrokerError, ConfigError, FerstreamError
from ferstream.settings import Settings
from ferstream.sinks.mqtt.probe import ProbeResult, probe
from ferstream.sinks.mqtt.topics import Topics

BROKER_TIMEOUT_S = 45.0
WATCH_S = 1.5
"""Seconds to wait for another client with the same client id, which would connect again after a short pause."""
_ENCRYPTED = ("mqtts", "wss")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def check_broker(settings: Settings) -> Iterator[Finding]:
    """Make the connection of ``ferstream run``, publish to the check topic and read the message back.

    With ``embedded`` on a broker started for this check.
    """
    mqtt = settings.mqtt
    try:
        topics = Topics(prefix=mqtt.prefix, node=settings.node)
        result = _probe_embedded(settings, topics) if mqtt.embedded else _probe(settings, topics)
    except FerstreamError as exc:
        yield failed("broker", exc.detail if isinstance(exc, BrokerError) else str(exc), advice_for(exc), exc.exit_code)
        return
    detail = f"{'embedded, ' if mqtt.embedded else ''}{result.note}"
    if result.round_trip_s is None:
        user = mqtt.username or "(anonymous)"
        advice = (
            f"no harm if a subscriber gets events; if not, allow the user {user} to write to {mqtt.prefix}/{settings.node}/# at the broker"
        )
        yield warned("broker", detail, advice)
    else:
        yield passed("broker", detail)
    yield from (warned("broker", warning.detail, warning.advice) for warning in result.warnings)
    yield from check_encryption(settings)
    yield from check_discovery(settings)


def check_discovery(settings: Settings) -> Iterator[Finding]:
    """Warn of discovery on a broker that Home Assistant cannot use."""
    if settings.homeassistant.discovery and settings.mqtt.embedded:
        yield warned("homeassistant", *EMBEDDED_BROKER)


def advice_for(error: FerstreamError) -> str:
    """Return what to do about a broker that cannot be used."""
    if isinstance(error, BrokerError) and error.advice:
        return error.advice
    if isinstance(error, BrokerAuthError):
        return "check mqtt.username and mqtt.password_file (or FERSTREAM_MQTT__PASSWORD), and the broker's own users and rights"
    if isinstance(error, ConfigError):
        return "correct that key in the [mqtt] table"
    return 'start the broker or correct mqtt.url; mqtt.url = "embedded" needs none; events wait in the outbox meanwhile'


def _probe(settings: Settings, topics: Topics) -> ProbeResult:
    """Try the broker with the client id of the daemon; with another one while a daemon runs here, which would lose its connection."""
    address, commands = broker_address(settings), settings.mqtt.commands
    if not runs_here():
        return probe(address, topics, commands=commands, watch_s=WATCH_S)
    other = replace(address, client_id=f"{address.client_id}-check")
    try:
        result = probe(other, topics, commands=commands)
    except BrokerError as exc:
        hint = f'tried with the client id "{other.client_id}", because a ferstream runs here; stop it to try its own'
        raise type(exc)(exc.detail, advice=f"{advice_for(exc)}; {hint}") from exc
    return replace(result, note=f"{result.note} (as {other.client_id}, because a ferstream runs here)")


def _probe_embedded(settings: Settings, topics: Topics) -> ProbeResult:
    broker = EmbeddedBroker(port=0)
    try:
        broker.start()
        return probe(replace(broker_address(settings, broker), session_expiry_s=0), topics, commands=settings.mqtt.commands)
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
