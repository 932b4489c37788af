"""Checks of keys against each other: each value is valid by itself, but they cannot be meant together."""

from __future__ import annotations

from collections.abc import Iterator

from ferstream.settings.keys import CAMERAS, MOVED
from ferstream.settings.model import Settings
from ferstream.settings.problems import Origin, Problem, dotted, value_at
from ferstream.settings.sinks import KafkaSettings, MqttSettings, WebhookSettings
from ferstream.settings.sources import RawValues

_ENCRYPTED = ("mqtts://", "wss://")


def contradictions(settings: Settings, raw: RawValues) -> Iterator[Problem]:
    """Yield keys that would have no effect because of another key, such as a ``ca_file`` for a broker without TLS."""
    found = [("mqtt", _mqtt(settings.mqtt)), ("webhook", _webhook(settings.webhook)), ("kafka", _kafka(settings.kafka))]
    for table, problems in found:
        for key, text in problems:
            yield Problem(raw.origin((table, key)), f"{table}.{key}", text)


def _mqtt(mqtt: MqttSettings) -> Iterator[tuple[str, str]]:
    scheme = mqtt.url.partition("://")[0]
    if not mqtt.url.startswith(_ENCRYPTED):
        for key in ("ca_file", "cert_file", "key_file", "insecure"):
            if getattr(mqtt, key):
                yield key, f"has no effect: {scheme} is not encrypted; write mqtts:// in mqtt.url, or remove the key"
    if mqtt.key_file is not None and mqtt.cert_file is None:
        yield "key_file", "is the key of a client certificate, but mqtt.cert_file is missing"
    if mqtt.embedded and mqtt.username is not None:
        yield "username", "has no effect: the embedded broker has no users; set mqtt.url"


def _webhook(webhook: WebhookSettings) -> Iterator[tuple[str, str]]:
    if webhook.ca_file is not None and (webhook.url or "").startswith("http://"):
        yield "ca_file", "has no effect: http is not encrypted; write https:// in webhook.url, or remove the key"


def _kafka(kafka: KafkaSettings) -> Iterator[tuple[str, str]]:
    if kafka.ca_file is not None and not kafka.encrypted:
        yield "ca_file", f"has no effect with security {kafka.security}; write ssl or sasl_ssl, or remove the key"
    if kafka.username is not None and not kafka.authenticated:
        yield "username", f"has no effect with security {kafka.security}; write sasl_ssl or sasl_plaintext, or remove the key"
    if kafka.enabled and kafka.authenticated and kafka.username is None:
        yield "username", f"is missing: security {kafka.security} needs a user name and a password"


def repeated_names(raw: RawValues) -> Iterator[Problem]:
    """Yield each camera whose name is that of a camera before it."""
    cameras = raw.data.get(CAMERAS)
    first: dict[str, Origin] = {}
    for index, camera in enumerate(cameras if isinstance(cameras, list) else ()):
        name, origin = value_at(camera, ("name",)), raw.origin((CAMERAS, index, "name"))
        if isinstance(name, str) and name in first:
            yield Problem(origin, f"{CAMERAS}[{index}].name", f'"{name}" is the name of another camera already ({first[name]})')
        elif isinstance(name, str):
            first[name] = origin


def move_old_keys(raw: RawValues) -> tuple[str, ...]:
    """Move each value at the old place of a key to its new place. Different values at both places are a problem.

    Returns:
        One line for each key that was moved, for the log.
    """
    return tuple(_move(raw, old, new) for old, new in MOVED.items() if value_at(raw.data, old) is not None)


def _move(raw: RawValues, old: tuple[str, ...], new: tuple[str, ...]) -> str:
    value, origin = raw.data[old[0]].pop(old[1]), raw.origin(old)
    present = value_at(raw.data, new)
    if present is None:
        raw.put(new, value, origin)
    elif present != value:
        text = f"is now {dotted(new)}, which has another value ({raw.origin(new)}); remove {dotted(old)}"
        raw.problems.append(Problem(origin, dotted(old), text))
    return f"{dotted(old)} is now {dotted(new)} ({origin})"
