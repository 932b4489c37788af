"""The sinks of a run, made from the settings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ferstream.app.broker import broker_for
from ferstream.app.sinks import SINKS, SinkContext, SinkHooks, kafka_cluster, mqtt_sink, network_sinks, webhook_endpoint
from ferstream.domain.event import Summary
from ferstream.errors import ConfigError
from ferstream.events.encode import Encoder
from ferstream.events.schemas import FACE, STATE, SUMMARY, TRACK
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings
from tests.support.accepting_broker import AcceptingBroker
from tests.support.brokers import Subscriber, client_url
from tests.support.builders import UTC_NS, camera_state, face_event, track_event
from tests.support.outboxes import make_outbox
from tests.support.recording_sink import RecordingSink
from tests.support.runners import PATIENCE_S, Scripted
from tests.support.threads import wait_until
from tests.support.webhook_server import WebhookServer

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]
MakeSinks = Callable[..., SinkSet]
EVERYTHING = {"webhook": {"url": "https://hooks.lan/x"}, "kafka": {"brokers": "kafka.lan:9092"}}


@pytest.fixture
def make_sinks(encoder: Encoder, observer: Counters) -> Iterator[MakeSinks]:
    """Makes sinks, which are closed at the end."""
    with ExitStack() as stack:

        def make(settings: Settings, *, durable: bool = False, **options: Any) -> SinkSet:
            made = network_sinks(settings, **{"encoder": encoder, "observer": observer, "durable": durable, **options})
            stack.callback(made.close)
            return made

        yield make


def events(sinks: SinkSet) -> int:
    assert sinks.outbox is not None
    return sinks.outbox.events


def summary() -> Summary:
    return Summary("door", UTC_NS, 10.0, {"happy": 6}, 1)


def names(sinks: SinkSet) -> list[str]:
    return [sink.name for sink in sinks.sinks]


def schemas(sinks: SinkSet) -> dict[str, set[str]]:
    assert sinks.outbox is not None
    return {reader.name: set(reader.schemas) for reader in sinks.outbox.readers}


# -- the table -----------------------------------------------------------------------------------


def test_each_row_makes_a_sink_only_when_the_settings_ask_for_it(make_settings: MakeSettings, observer: Counters) -> None:
    def made(settings: Settings) -> list[str | None]:
        context = SinkContext(settings=settings, outbox=make_outbox(), observer=observer)
        return [None if sink is None else sink.name for sink in (row(context) for row in SINKS)]

    assert made(make_settings()) == ["mqtt", None, None]
    assert made(make_settings(webhook=EVERYTHING["webhook"])) == ["mqtt", "webhook", None]
    assert made(make_settings(kafka=EVERYTHING["kafka"])) == ["mqtt", None, "kafka"]


def test_every_sink_of_the_settings_reads_the_one_outbox(make_settings: MakeSettings, make_sinks: MakeSinks) -> None:
    sinks = make_sinks(make_settings(**EVERYTHING))
    assert names(sinks) == ["mqtt", "webhook", "kafka"]
    assert schemas(sinks) == {"mqtt": {FACE, TRACK}, "webhook": {TRACK, SUMMARY}, "kafka": {FACE, TRACK, SUMMARY}}


def test_a_run_can_have_some_kinds_of_sinks_only(make_settings: MakeSettings, make_sinks: MakeSinks) -> None:
    assert names(make_sinks(make_settings(**EVERYTHING), kinds=(mqtt_sink,))) == ["mqtt"]


def test_the_kinds_of_events_of_a_sink_are_those_of_the_settings(make_settings: MakeSettings, make_sinks: MakeSinks) -> None:
    webhook = {**EVERYTHING["webhook"], "events": ("face",)}
    kafka = {**EVERYTHING["kafka"], "events": ("summary",)}
    found = schemas(make_sinks(make_settings(webhook=webhook, kafka=kafka)))
    assert (found["webhook"], found["kafka"]) == ({FACE}, {SUMMARY})


def test_events_of_single_faces_reach_no_sink_when_only_sums_may_leave(make_settings: MakeSettings, make_sinks: MakeSinks) -> None:
    webhook = {**EVERYTHING["webhook"], "events": ("face", "track")}
    found = schemas(make_sinks(make_settings(webhook=webhook, kafka=EVERYTHING["kafka"], privacy={"aggregate_only": True})))
    assert (found["webhook"], found["kafka"]) == (set(), {SUMMARY})


# -- MQTT ----------------------------------------------------------------------------------------


def test_the_mqtt_sink_publishes_under_the_prefix_and_the_node(make_settings: MakeSettings, make_sinks: MakeSinks) -> None:
    with AcceptingBroker() as broker:
        sinks = make_sinks(make_settings(mqtt={"url": broker.url, "prefix": "house/faces", "client_id": "box-7"}))
        sinks.open()
        sinks.write(face_event())
        sinks.write(camera_state())
        assert sinks.flush(PATIENCE_S) == 0
        sinks.close()
        assert broker.client_ids == ["box-7"]
        topics = {topic for topic, _ in broker.published}
        assert topics == {f"house/faces/edge-1/{end}" for end in ("availability", "door/face", "door/state")}
        assert not broker.subscribed


def test_the_embedded_broker_replaces_the_address_of_the_settings(make_settings: MakeSettings, make_sinks: MakeSinks) -> None:
    settings = make_settings(mqtt={"url": "embedded"})
    with broker_for(settings, durable=False) as broker:
        assert broker is not None
        sinks = make_sinks(settings, broker=broker)
        sinks.open()
        with Subscriber(client_url(broker), "ferstream/#") as subscriber:
            subscriber.wait_payload("/availability", b"online")
        sinks.close()


@pytest.mark.parametrize("wanted", [True, False])
def test_commands_are_taken_only_when_the_settings_ask_for_them(make_settings: MakeSettings, make_sinks: MakeSinks, wanted: bool) -> None:
    commands: list[tuple[str, bytes]] = []
    with AcceptingBroker() as broker:
        settings = make_settings(mqtt={"url": broker.url, "commands": wanted})
        sinks = make_sinks(settings, hooks=SinkHooks(on_command=lambda *command: commands.append(command)))
        sinks.open()
        if wanted:
            broker.publish("ferstream/edge-1/door/set", b"OFF")
            wait_until(lambda: bool(commands))
        wait_until(lambda: bool(broker.payloads("/availability")))
        sinks.close()
        assert broker.subscribed is wanted
    assert commands == ([("door", b"OFF")] if wanted else [])


class BrokenCounters(Counters):
    """Fails when a message is acknowledged, in the thread of the sink."""

    def count(self, name: str, label: str = "", count: int = 1) -> None:
        """Count, or fail."""
        if name == "mqtt_publish":
            raise Scripted("counters")
        super().count(name, label, count)


def test_a_sink_whose_thread_dies_reports_it(make_settings: MakeSettings, make_sinks: MakeSinks) -> None:
    died: list[tuple[str, BaseException]] = []
    over = threading.Event()

    def on_fatal(name: str, error: BaseException) -> None:
        died.append((name, error))
        over.set()

    with AcceptingBroker() as broker:
        sinks = make_sinks(make_settings(mqtt={"url": broker.url}), observer=BrokenCounters(), hooks=SinkHooks(on_fatal=on_fatal))
        sinks.open()
        sinks.write(face_event())
        assert over.wait(PATIENCE_S)
        sinks.close()
    assert [(name, type(error)) for name, error in died] == [("mqtt", Scripted)]


def test_a_certificate_that_cannot_be_read_is_an_error_when_the_sinks_are_opened(
    make_settings: MakeSettings, make_sinks: MakeSinks, tmp_path: Path
) -> None:
    sinks = make_sinks(make_settings(mqtt={"url": "mqtts://broker.lan", "ca_file": tmp_path / "none.pem"}))
    with pytest.raises(ConfigError, match=r"none\.pem"):
        sinks.open()


# -- webhook and Kafka ---------------------------------------------------------------------------


def test_an_event_reaches_the_webhook_signed(make_settings: MakeSettings, make_sinks: MakeSinks) -> None:
    with WebhookServer() as server:
        sinks = make_sinks(make_settings(webhook={"url": server.url, "secret": "a secret of thirty-two characters"}))
        sinks.open()
        sinks.write(track_event())
        server.wait_for_request()
        sinks.close()
    (request,) = server.accepted
    assert request.camera == "door"
    assert "webhook-signature" in {name.lower() for name in request.headers}


def test_the_endpoint_of_the_webhook_is_that_of_the_settings(make_settings: MakeSettings, tmp_path: Path) -> None:
    keys = {"url": "https://hooks.lan/x", "ca_file": tmp_path / "ca.pem", "timeout_s": 3.0, "max_in_flight": 2}
    endpoint = webhook_endpoint(make_settings(webhook={**keys, "secret": "0123456789abcdef0123456789"}).webhook)
    assert endpoint is not None
    assert (endpoint.url, endpoint.ca_file) == ("https://hooks.lan/x", tmp_path / "ca.pem")
    assert (endpoint.timeout_s, endpoint.max_in_flight, len(endpoint.signing_keys)) == (3.0, 2, 1)
    unsigned = webhook_endpoint(make_settings(webhook=keys).webhook)
    assert unsigned is not None
    assert unsigned.signing_keys == ()
    assert webhook_endpoint(make_settings().webhook) is None


def test_the_cluster_of_kafka_is_that_of_the_settings(make_settings: MakeSettings, tmp_path: Path) -> None:
    keys = {"security": "sasl_ssl", "sasl_mechanism": "SCRAM-SHA-512", "username": "joe", "password": "zirkel"}
    cluster = kafka_cluster(make_settings(kafka={"brokers": "a:9093,b:9093", "ca_file": tmp_path / "ca.pem", **keys}))
    assert cluster is not None
    assert (cluster.brokers, cluster.client_id, cluster.ca_file) == ("a:9093,b:9093", "ferstream-edge-1", tmp_path / "ca.pem")
    assert (cluster.security, cluster.sasl_mechanism, cluster.username, cluster.password) == ("sasl_ssl", "SCRAM-SHA-512", "joe", "zirkel")
    plain = kafka_cluster(make_settings(kafka={"brokers": "a:9092"}))
    assert plain is not None
    assert (plain.security, plain.username, plain.password) == ("plaintext", None, None)
    assert kafka_cluster(make_settings()) is None


# -- outbox --------------------------------------------------------------------------------------


def test_the_outbox_has_the_place_and_the_limits_of_the_settings(
    make_settings: MakeSettings, make_sinks: MakeSinks, tmp_path: Path
) -> None:
    settings = make_settings(outbox={"path": str(tmp_path / "box"), "max_events": 3, "max_bytes": 5000})
    outbox = make_sinks(settings, durable=True).outbox
    assert outbox is not None
    assert (outbox.durable, outbox.max_events, outbox.max_bytes) == (True, 3, 5000)


@pytest.mark.parametrize(("durable", "path"), [(False, "box"), (True, "memory")])
def test_nothing_is_on_disk_when_one_side_does_not_want_it(
    make_settings: MakeSettings, make_sinks: MakeSinks, tmp_path: Path, durable: bool, path: str
) -> None:
    folder = path if path == "memory" else str(tmp_path / path)
    sinks = make_sinks(make_settings(outbox={"path": folder}), durable=durable)
    sinks.open()
    sinks.write(face_event())
    assert sinks.outbox is not None
    assert not sinks.outbox.durable
    sinks.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("aggregate_only", [True, False])
def test_what_an_earlier_run_left_of_single_faces_is_dropped_when_only_sums_may_leave(
    make_settings: MakeSettings, make_sinks: MakeSinks, tmp_path: Path, observer: Counters, aggregate_only: bool
) -> None:
    keys: dict[str, Any] = {"kafka": EVERYTHING["kafka"], "outbox": {"path": str(tmp_path / "box")}}
    first = make_sinks(make_settings(**keys), durable=True, kinds=SINKS[:1])
    first.open()
    for index in range(3):
        first.write(face_event(index))
    assert first.flush(PATIENCE_S) == 0
    first.close()
    second = make_sinks(make_settings(**keys, privacy={"aggregate_only": aggregate_only}), durable=True, kinds=SINKS[:1])
    second.open()
    expected = (3, 0) if aggregate_only else (0, 3)
    wait_until(lambda: (observer.snapshot().counts.get(("outbox_dropped", "privacy"), 0), events(second)) == expected)


# -- extra sinks ---------------------------------------------------------------------------------


def test_extra_sinks_get_the_same_messages_and_the_same_life(make_settings: MakeSettings, make_sinks: MakeSinks) -> None:
    extra = RecordingSink("terminal")
    with AcceptingBroker() as broker:
        sinks = make_sinks(make_settings(mqtt={"url": broker.url}), extra=(extra,))
        sinks.open()
        for event in (face_event(), track_event(), summary(), camera_state()):
            sinks.write(event)
        assert sinks.flush(PATIENCE_S) == 0
        sinks.close()
        assert [message.schema for message in extra.messages] == [FACE, TRACK, SUMMARY, STATE]
        assert extra.messages[0].payload in broker.payloads("/door/face")
    assert extra.log == ["open terminal", "flush terminal", "close terminal"]
    assert names(sinks) == ["mqtt", "terminal"]
