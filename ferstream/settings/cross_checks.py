"""Keys that are right each by itself, but not together."""

from __future__ import annotations

from collections.abc import Iterator

from ferstream.settings.model import MqttSettings, Settings
from ferstream.settings.problems import Problem
from ferstream.settings.raw_values import Tree

_ENCRYPTED = ("mqtts://", "wss://")
_TLS_KEYS = ("ca_file", "cert_file", "key_file")


def contradictions(settings: Settings, tree: Tree) -> Iterator[Problem]:
    """Yield what would be ignored in silence, above all TLS that somebody believes to be on."""
    mqtt = settings.mqtt
    for key in _ignored_tls_keys(mqtt):
        text = f"has no effect: {mqtt.url.partition('://')[0]} is not encrypted; write mqtts:// in mqtt.url, or take the key out"
        yield Problem(tree.origin(("mqtt", key)), f"mqtt.{key}", text)
    if mqtt.key_file is not None and mqtt.cert_file is None:
        yield Problem(
            tree.origin(("mqtt", "key_file")), "mqtt.key_file", "is the key of a client certificate, but mqtt.cert_file names none"
        )
    if mqtt.embedded and mqtt.username is not None:
        yield Problem(tree.origin(("mqtt", "username")), "mqtt.username", "has no effect: the embedded broker knows no users; set mqtt.url")


def _ignored_tls_keys(mqtt: MqttSettings) -> list[str]:
    if mqtt.url.lower().startswith(_ENCRYPTED):
        return []
    return [key for key in (*_TLS_KEYS, "insecure") if getattr(mqtt, key)]
