"""Keys that are right each by itself, but not together."""

from __future__ import annotations

from collections.abc import Iterator

from ferstream.settings.model import KafkaSettings, MqttSettings, Settings, WebhookSettings
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

    yield from (Problem(tree.origin(("webhook", key)), f"webhook.{key}", text) for key, text in _webhook(settings.webhook))
    yield from (Problem(tree.origin(("kafka", key)), f"kafka.{key}", text) for key, text in _kafka(settings.kafka))


def _webhook(webhook: WebhookSettings) -> Iterator[tuple[str, str]]:
    if webhook.ca_file is not None and (webhook.url or "").startswith("http://"):
        yield "ca_file", "has no effect: http is not encrypted; write https:// in webhook.url, or take the key out"


def _kafka(kafka: KafkaSettings) -> Iterator[tuple[str, str]]:
    sasl, tls = kafka.security.startswith("sasl_"), kafka.security.endswith("ssl")
    if kafka.ca_file is not None and not tls:
        yield "ca_file", f"has no effect with security {kafka.security}; write ssl or sasl_ssl, or take the key out"
    if kafka.username is not None and not sasl:
        yield "username", f"has no effect with security {kafka.security}; write sasl_ssl or sasl_plaintext, or take the key out"
    if kafka.enabled and sasl and kafka.username is None:
        yield "username", f"is missing: security {kafka.security} needs a user name and a password"


def _ignored_tls_keys(mqtt: MqttSettings) -> list[str]:
    if mqtt.url.lower().startswith(_ENCRYPTED):
        return []
    return [key for key in (*_TLS_KEYS, "insecure") if getattr(mqtt, key)]
