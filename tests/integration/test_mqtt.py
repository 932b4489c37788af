"""The MQTT sink on real brokers: what subscribers receive."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest

from ferstream.broker.embedded import EmbeddedBroker
from ferstream.domain.event import CameraState, CameraStatus, Summary
from ferstream.events.payload import parse
from ferstream.sinks.mqtt.messages import OFFLINE, ONLINE, STOPPED
from tests.support.brokers import Mosquitto, Subscriber, client_url, until
from tests.support.builders import UTC_NS, face_event, track_event
from tests.support.mqtt_output import MqttOutput
from tests.support.ports import HOST, free_port

pytestmark = pytest.mark.usefixtures("embedded", "no_new_threads")  # the shared broker has a thread of its own: before the count

MakeSink = Callable[..., MqttOutput]


@pytest.fixture(params=["embedded", "mosquitto"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a running broker: the embedded one, then Mosquitto."""
    broker = request.getfixturevalue(request.param)
    return client_url(broker) if isinstance(broker, EmbeddedBroker) else broker.url


def state(status: CameraStatus = CameraStatus.ONLINE, camera: str = "door") -> CameraState:
    return CameraState(camera, status, "" if status is CameraStatus.ONLINE else "no answer", UTC_NS, 25.0)


def summary(faces: int = 2) -> Summary:
    return Summary("door", UTC_NS, 10.0, {"happy": 7, "unknown": 1}, faces)


class TestSubscribersSee:
    @pytest.mark.parametrize("protocol", [4, 5])
    def test_every_documented_topic_and_payload(self, url: str, make_sink: MakeSink, protocol: Literal[4, 5]) -> None:
        with Subscriber(url, "ferstream/#", protocol=protocol) as subscriber:
            sink = make_sink(url, address={"protocol": protocol})
            sink.open()
            sink.write(state())
            for index in range(20):
                sink.write(face_event(index, live=True))
            sink.write(track_event(20))
            sink.write(summary())
            assert sink.flush(20) == 0
            subscriber.wait(lambda messages: len(messages) >= 24)
            sink.close()
            subscriber.wait_payload("/availability", STOPPED)
        assert subscriber.seqs() == list(range(20))
        assert sink.counts().acknowledged == 21
        kinds = {message.topic: parse(message.payload) for message in subscriber.messages if "availability" not in message.topic}
        assert set(kinds) == {f"ferstream/edge-1/door/{kind}" for kind in ("face", "track", "summary", "state")}
        availability = [message.payload for message in subscriber.messages if message.topic.endswith("/availability")]
        assert availability[-2:] == [ONLINE, STOPPED]

    def test_a_late_subscriber_gets_only_the_retained_values(self, url: str, make_sink: MakeSink) -> None:
        sink = make_sink(url)
        sink.open()
        for faces in range(3):
            sink.write(summary(faces))
            sink.write(state())
            sink.write(face_event(faces))
        assert sink.flush(20) == 0
        with Subscriber(url, "ferstream/edge-1/#") as subscriber:
            subscriber.wait(lambda messages: len(messages) >= 3)
            assert all(message.retain for message in subscriber.messages)
            subscriber.wait_payload("/availability", ONLINE)
            assert subscriber.events(kind="summary")[-1]["faces_now"] == 2
            assert subscriber.events(kind="state")[-1]["status"] == "online"
            assert subscriber.events() == []

    def test_a_removed_camera_leaves_nothing_retained(self, mosquitto: Mosquitto, make_sink: MakeSink) -> None:
        sink = make_sink(mosquitto.url)
        sink.open()
        with Subscriber(mosquitto.url) as first:
            sink.write(state())
            first.wait(lambda _: bool(first.events(kind="state")))
            sink.forget_camera("door")
            first.wait_payload("/door/state", b"")
        with Subscriber(mosquitto.url) as second:
            second.wait_payload("/availability", ONLINE)
            assert second.events(kind="state") == []

    def test_late_states_of_a_removed_camera_are_not_retained_until_it_returns(self, mosquitto: Mosquitto, make_sink: MakeSink) -> None:
        sink = make_sink(mosquitto.url)
        sink.open()
        with Subscriber(mosquitto.url) as first:
            sink.write(state())
            first.wait(lambda _: bool(first.events(kind="state")))
            sink.forget_camera("door")
            sink.write(Summary("door", UTC_NS, 10.0, {"happy": 3}, 1))
            sink.write(state())
            first.wait_payload("/door/summary", b"")
            sink.write(face_event())
            first.wait(lambda _: bool(first.events()))
        with Subscriber(mosquitto.url) as second:
            second.wait_payload("/availability", ONLINE)
            assert second.events(kind="state") == second.events(kind="summary") == []
            sink.remember_camera("door")
            sink.write(state())
            second.wait(lambda _: bool(second.events(kind="state")))

    def test_mqtt_5_properties_of_an_event(self, url: str, make_sink: MakeSink) -> None:
        if shutil.which("mosquitto_sub") is None:
            pytest.skip("mosquitto_sub is not installed")
        command = ["mosquitto_sub", "-V", "5", "-L", f"{url}/ferstream/+/+/face", "-C", "1", "-W", "20"]
        sink = make_sink(url)
        with subprocess.Popen([*command, "-F", "%C|%E|%F|%P|%q"], stdout=subprocess.PIPE, text=True) as listener:
            sink.open()
            index = 0
            while listener.poll() is None and index < 2000:
                sink.write(face_event(index))
                sink.flush(0.02)
                index += 1
            output = listener.communicate()[0].strip()
        content_type, expiry, payload_format, user, _ = output.split("|")
        assert (content_type, payload_format) == ("application/json", "1")
        assert 0 < int(expiry) <= 3600
        assert "schema:ferstream.face/1" in user
        assert "boot_id:boot" in user and "seq:" in user

    def test_debians_mosquitto_sub_works_with_its_defaults(self, embedded: EmbeddedBroker, make_sink: MakeSink) -> None:
        if shutil.which("mosquitto_sub") is None:
            pytest.skip("mosquitto_sub is not installed")
        sink = make_sink(client_url(embedded))
        sink.open()
        sink.write(state())
        sink.flush(5)
        words = ["-u", embedded.login.username, "-P", embedded.login.password]
        done = subprocess.run(
            ["mosquitto_sub", "-p", str(embedded.port), *words, "-t", "ferstream/+/door/state", "-C", "1", "-W", "20"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert '"status":"online"' in done.stdout

    def test_commands_reach_their_camera(self, url: str, make_sink: MakeSink) -> None:
        commands: list[tuple[str, bytes]] = []
        sink = make_sink(url, on_command=lambda camera, payload: commands.append((camera, payload)))
        sink.open()
        with Subscriber(url, "ferstream/edge-1/+/set") as subscriber:
            sender = make_sender(url)
            while not commands:
                sender("ferstream/edge-1/door/set", b"OFF")
                until(lambda: bool(commands) or bool(subscriber.messages))
        assert commands[0] == ("door", b"OFF")


def make_sender(url: str) -> Callable[[str, bytes], None]:
    """Publishes with paho's own one-shot call, as other people's code would."""
    from paho.mqtt import publish

    parts = urlsplit(url)
    login: Any = None if parts.username is None else {"username": parts.username, "password": parts.password or ""}

    def send(topic: str, payload: bytes) -> None:
        publish.single(topic, payload, qos=1, hostname=parts.hostname or HOST, port=parts.port or 1883, auth=login)

    return send


class TestWebSocket:
    def test_events_through_a_websocket(self, tmp_path: Path, make_sink: MakeSink) -> None:
        port = free_port()
        broker = Mosquitto(tmp_path / "ws", f"listener {port} {HOST}", "protocol websockets").start()
        try:
            sink = make_sink(f"ws://{HOST}:{port}")
            sink.open()
            for index in range(100):
                sink.write(face_event(index))
            assert sink.flush(20) == 0
            assert sink.counts().acknowledged == 100
        finally:
            broker.end()


class TestLastWill:
    @pytest.fixture(params=["embedded", "mosquitto"])
    def url(self, request: pytest.FixtureRequest) -> Iterator[str]:
        """The URL of a new broker of either kind.

        After a clean end of a client the embedded broker publishes that client's will at the next connection of the
        same client id, and not the will of the new connection. It never lives that long in the daemon.
        """
        if request.param == "mosquitto":
            yield request.getfixturevalue("mosquitto").url
            return
        broker = EmbeddedBroker(port=0)
        broker.start()
        yield client_url(broker)
        broker.stop()

    def test_a_killed_process_is_reported_offline(
        self, url: str, tmp_path: Path, spawn_publisher: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        with Subscriber(url, "ferstream/edge-1/availability") as subscriber:
            child = spawn_publisher(url, tmp_path / "outbox")
            subscriber.wait_payload("/availability", ONLINE)
            child.kill()
            child.wait(10)
            subscriber.wait_payload("/availability", OFFLINE)

    def test_a_terminated_process_is_reported_stopped(
        self, url: str, tmp_path: Path, spawn_publisher: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        with Subscriber(url, "ferstream/edge-1/availability") as subscriber:
            child = spawn_publisher(url, tmp_path / "outbox")
            subscriber.wait_payload("/availability", ONLINE)
            child.terminate()
            assert child.wait(20) == 0
            subscriber.wait_payload("/availability", STOPPED)
