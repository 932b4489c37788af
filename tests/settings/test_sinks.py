"""Settings of publishing and of the sinks: defaults, what is refused, and keys at their old place."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ferstream.runtime.redaction import redact
from ferstream.settings import KafkaSettings, Settings, WebhookSettings

from .conftest import ErrorLines, Reader


def test_webhook_and_kafka_are_off_by_default() -> None:
    assert not Settings().webhook.enabled
    assert not Settings().kafka.enabled
    assert WebhookSettings(url="https://h/x").enabled
    assert KafkaSettings(brokers="h:9092").enabled


def test_a_secret_of_standard_webhooks_is_decoded() -> None:
    encoded = base64.b64encode(b"key of some length").decode()
    assert WebhookSettings.model_validate({"secret": f"whsec_{encoded}"}).signing_key == b"key of some length"
    assert WebhookSettings.model_validate({"secret": "plain"}).signing_key == b"plain"
    assert WebhookSettings().signing_key is None


def test_a_webhook_secret_that_is_not_base64_is_an_error_that_does_not_show_it(tmp_path: Path, error_lines: ErrorLines) -> None:
    (tmp_path / "w").write_text("whsec_not*base64")
    assert error_lines('[webhook]\nsecret_file = "w"') == ["f.toml:2: webhook.secret_file: expected base64 after whsec_"]
    assert error_lines("", {"FERSTREAM_WEBHOOK__SECRET": "whsec_"}) == [
        "environment FERSTREAM_WEBHOOK__SECRET: webhook.secret: expected base64 after whsec_"
    ]


def test_a_webhook_secret_is_redacted_with_and_without_its_prefix(read: Reader) -> None:
    read("", {"FERSTREAM_WEBHOOK__SECRET": "whsec_YWJjZGVmZ2g="})
    assert redact("whsec_YWJjZGVmZ2g= YWJjZGVmZ2g=") == "*** ***"


def test_secrets_of_the_sinks_come_from_files_and_credentials(tmp_path: Path, read: Reader) -> None:
    (tmp_path / "k").write_text("kafka-pass\n")
    (tmp_path / "webhook_secret").write_text("webhook-pass\n")
    settings = read('[kafka]\npassword_file = "k"', {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.kafka.password is not None
    assert settings.kafka.password.get_secret_value() == "kafka-pass"
    assert settings.webhook.signing_key == b"webhook-pass"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[webhook]\nurl = 'ftp://h'", 'f.toml:2: webhook.url: expected a URL that begins with https:// or http://, found "ftp://h"'),
        (
            "[webhook]\nurl = 'https://u:hunter2@h/x'",
            (
                "f.toml:2: webhook.url: expected a URL without user name and password; requests are signed with webhook.secret_file, "
                'found "https://***@h/x"'
            ),
        ),
        (
            "[webhook]\nevents = []",
            "f.toml:2: webhook.events: expected at least one of face, track, summary, each once, found a list of 0",
        ),
        ("[webhook]\nevents = ['left']", "f.toml:2: webhook.events[0]: expected 'face', 'track' or 'summary', found \"left\""),
        (
            "[webhook]\nurl = 'http://h'\nca_file = '/ca'",
            "f.toml:3: webhook.ca_file: has no effect: http is not encrypted; write https:// in webhook.url, or remove the key",
        ),
        (
            "[kafka]\nbrokers = 'a:9092,b'",
            (
                "f.toml:2: kafka.brokers: expected host:port, or several separated by commas, such as kafka1:9092,kafka2:9092, "
                'found "a:9092,b"'
            ),
        ),
        (
            "[kafka]\nusername = 'u'",
            "f.toml:2: kafka.username: has no effect with security plaintext; write sasl_ssl or sasl_plaintext, or remove the key",
        ),
        (
            "[kafka]\nsecurity = 'sasl_plaintext'\nca_file = '/ca'",
            "f.toml:3: kafka.ca_file: has no effect with security sasl_plaintext; write ssl or sasl_ssl, or remove the key",
        ),
        (
            "[kafka]\nbrokers = 'a:1'\nsecurity = 'sasl_ssl'",
            "f.toml:1: kafka.username: is missing: security sasl_ssl needs a user name and a password",
        ),
    ],
)
def test_a_mistake_in_the_settings_of_a_sink_is_explained(text: str, line: str, error_lines: ErrorLines) -> None:
    assert error_lines(text) == [line]


def test_a_list_of_events_may_come_from_a_variable(read: Reader) -> None:
    assert read("", {"FERSTREAM_WEBHOOK__EVENTS": '["face"]'}).webhook.events == ("face",)


def test_kafka_with_sasl_needs_a_password(error_lines: ErrorLines, read: Reader) -> None:
    text = '[kafka]\nbrokers = "h:9092"\nsecurity = "sasl_ssl"\nusername = "u"\n'
    expected = "is missing: security sasl_ssl needs a password; name a file with it, or set FERSTREAM_KAFKA__PASSWORD"
    assert error_lines(text) == [f"f.toml:3: kafka.password_file: {expected}"]
    assert read(text, {"FERSTREAM_KAFKA__PASSWORD": "pass"}).kafka.enabled
