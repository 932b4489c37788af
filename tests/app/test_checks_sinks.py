"""``ferstream check`` tries the webhook and Kafka too, and sends nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.app.checks.finding import Verdict
from ferstream.app.checks.plan import checks_of
from ferstream.app.checks.sinks import check_kafka, check_webhook
from ferstream.errors import ExitCode
from ferstream.settings import KafkaSettings, Settings, WebhookSettings
from tests.support.ports import HOST, free_port
from tests.support.tls import Authority
from tests.support.webhook_server import WebhookServer

pytestmark = pytest.mark.usefixtures("no_new_threads")


def webhook(url: str, ca_file: Path | None = None) -> Settings:
    return Settings(webhook=WebhookSettings(url=url, ca_file=ca_file))


def test_a_webhook_that_answers_gets_a_connection_and_no_event() -> None:
    with WebhookServer() as server:
        (found,) = check_webhook(webhook(server.url))
    assert found.verdict is Verdict.OK
    assert found.detail == f"{server.url.partition('/hooks')[0]}: connected; no event was sent"
    assert server.requests == []


def test_a_webhook_that_is_not_there_is_a_failure_with_advice() -> None:
    (found,) = check_webhook(webhook(f"http://{HOST}:{free_port()}/hook?key=zirkelkasten"))
    assert (found.verdict, found.exit_code) == (Verdict.FAIL, ExitCode.BROKER)
    assert "refused" in found.detail
    assert "webhook.url" in found.advice
    assert "zirkelkasten" not in found.detail


def test_a_webhook_with_another_authority_is_a_failure(tmp_path: Path) -> None:
    server_side, other = Authority(tmp_path, "localhost"), Authority(tmp_path, "localhost")
    with WebhookServer(tls=server_side.context) as server:
        (good,) = check_webhook(webhook(server.url, server_side.ca_file))
        (bad,) = check_webhook(webhook(server.url, other.ca_file))
    assert good.verdict is Verdict.OK
    assert bad.verdict is Verdict.FAIL
    assert "certificate" in bad.detail


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    (found,) = check_webhook(webhook(f"https://{HOST}:1/", tmp_path / "ca.pem"))
    assert found.verdict is Verdict.FAIL
    assert "webhook.ca_file" in found.detail


def test_kafka_that_is_not_there_is_a_failure_with_advice() -> None:
    pytest.importorskip("confluent_kafka")
    (found,) = check_kafka(Settings(kafka=KafkaSettings(brokers=f"{HOST}:{free_port()}")))
    assert (found.verdict, found.exit_code) == (Verdict.FAIL, ExitCode.BROKER)
    assert "kafka.brokers" in found.advice


def test_only_the_sinks_of_the_settings_are_checked() -> None:
    everything = Settings(cameras=(), webhook=WebhookSettings(url="https://h/"), kafka=KafkaSettings(brokers="h:9092"))
    assert [check.late.part for check in checks_of(everything)] == ["broker", "webhook", "kafka", "detector", "model", "http", "outbox"]
    assert list(check_webhook(Settings())) == list(check_kafka(Settings())) == []
