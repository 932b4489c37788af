"""The MQTT sink on real brokers: what subscribers see, and what the broker refuses."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from ferstream.broker.embedded import EmbeddedBroker
from ferstream.domain.event import CameraState, CameraStatus, Summary
from ferstream.errors import BrokerAuthError, BrokerError, ConfigError
from ferstream.events.payload import parse
from ferstream.runtime.counters import Counters
from ferstream.sinks.mqtt.connection import BrokerAddress
from ferstream.sinks.mqtt.probe import probe
from ferstream.sinks.mqtt.publisher import OFFLINE, ONLINE, STOPPED
from ferstream.sinks.mqtt.topics import Topics
from tests.support.brokers import Mosquitto, Subscriber, until
from tests.support.builders import UTC_NS, face_event, track_event
from tests.support.mqtt_output import MqttOutput
from tests.support.ports import HOST, free_port

pytestmark = pytest.mark.usefixtures("embedded", "no_new_threads")  # the shared broker has a thread of its own: before the count

MakeSink = Callable[..., MqttOutput]


@pytest.fixture(params=["embedded", "mosquitto"])
def url(request: pytest.FixtureRequest) -> str:
    """A broker that works, of either make."""
    broker = request.getfixturevalue(request.param)
    return broker.public_url if isinstance(broker, EmbeddedBroker) else broker.url


def state(status: CameraStatus = CameraStatus.ONLINE, camera: str = "door") -> CameraState:
    return CameraState(camera, status, "" if status is CameraStatus.ONLINE else "no answer", UTC_NS, 25.0)


def summary(faces: int = 2) -> Summary:
    return Summary("door", UTC_NS, 10.0, {"happy": 7, "unknown": 1}, faces)


class TestSubscribersSee:
    @pytest.mark.parametrize("protocol", [4, 5])
    def test_everything_that_is_documented(self, url: str, make_sink: MakeSink, protocol: Literal[4, 5]) -> None:
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

    def test_a_late_subscriber_gets_the_retained_values_only(self, url: str, make_sink: MakeSink) -> None:
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

    def test_a_camera_taken_away_leaves_nothing_retained(self, mosquitto: Mosquitto, make_sink: MakeSink) -> None:
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

    def test_what_is_late_of_a_camera_taken_away_is_not_retained_until_it_is_back(self, mosquitto: Mosquitto, make_sink: MakeSink) -> None:
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

    def test_properties_of_mqtt_5(self, url: str, make_sink: MakeSink) -> None:
        if shutil.which("mosquitto_sub") is None:
            pytest.skip("mosquitto_sub is not installed")
        port = url.rsplit(":", 1)[1]
        command = ["mosquitto_sub", "-V", "5", "-h", HOST, "-p", port, "-t", "ferstream/+/+/face", "-C", "1", "-W", "20"]
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

    def test_debians_mosquitto_sub_with_its_defaults(self, embedded: EmbeddedBroker, make_sink: MakeSink) -> None:
        if shutil.which("mosquitto_sub") is None:
            pytest.skip("mosquitto_sub is not installed")
        sink = make_sink(embedded.url)
        sink.open()
        sink.write(state())
        sink.flush(5)
        done = subprocess.run(
            ["mosquitto_sub", "-p", str(embedded.port), "-t", "ferstream/+/door/state", "-C", "1", "-W", "20"],
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

    host, port = url.removeprefix("mqtt://").split(":")

    def send(topic: str, payload: bytes) -> None:
        publish.single(topic, payload, qos=1, hostname=host, port=int(port))

    return send


class TestRefusals:
    @pytest.fixture
    def locked(self, tmp_path: Path) -> Iterator[Mosquitto]:
        """Wants a password; the user ``reader`` may publish nothing."""
        passwords = tmp_path / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "edge", "right"], check=True, capture_output=True)
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), "reader", "right"], check=True, capture_output=True)
        rights = tmp_path / "rights"
        rights.write_text("user edge\ntopic readwrite #\nuser reader\ntopic read #\ntopic write ferstream/edge-1/availability\n")
        for path in (passwords, rights):
            path.chmod(0o600)
        broker = Mosquitto(tmp_path / "locked", f"password_file {passwords}", f"acl_file {rights}", anonymous=False).start()
        yield broker
        broker.end()

    @pytest.mark.parametrize("protocol", [4, 5])
    @pytest.mark.parametrize(("username", "password"), [(None, None), ("edge", "wrong-secret"), ("nobody", "wrong-secret")])
    def test_a_wrong_password_is_named_as_such_and_never_shown(
        self, locked: Mosquitto, topics: Topics, protocol: Literal[4, 5], username: str | None, password: str | None
    ) -> None:
        address = BrokerAddress(url=locked.url, client_id="c", username=username, password=password, protocol=protocol)
        with pytest.raises(BrokerAuthError, match=r"refused the connection: (not authorised|wrong user name or password)") as caught:
            probe(address, topics)
        assert "secret" not in str(caught.value) + repr(address)

    def test_the_right_password(self, locked: Mosquitto, topics: Topics, make_sink: MakeSink) -> None:
        credentials: dict[str, Any] = {"username": "edge", "password": "right"}
        result = probe(BrokerAddress(url=locked.url, client_id="c", **credentials), topics)
        assert result.round_trip_s is not None and result.round_trip_s < 5
        sink = make_sink(locked.url, address=credentials)
        sink.open()
        sink.write(face_event())
        assert sink.flush(20) == 0
        assert sink.counts().acknowledged == 1

    def test_no_right_to_publish(self, locked: Mosquitto, topics: Topics, make_sink: MakeSink, observer: Counters) -> None:
        credentials: dict[str, Any] = {"username": "reader", "password": "right"}
        with pytest.raises(BrokerError, match="refused to publish: not authorised to publish there"):
            probe(BrokerAddress(url=locked.url, client_id="c", **credentials), topics)
        sink = make_sink(locked.url, address=credentials)
        sink.open()
        sink.write(face_event())
        assert sink.outbox.wait_empty(20)
        assert sink.counts().dropped == {"rejected": 1}
        assert sink.counts().balanced
        assert observer.snapshot().counts["mqtt_publish", "rejected"] == 1

    def test_refused_is_not_connected_and_it_goes_on_trying(self, locked: Mosquitto, make_sink: MakeSink, observer: Counters) -> None:
        sink = make_sink(locked.url, address={"username": "edge", "password": "wrong"})
        sink.open()
        sink.write(face_event())
        assert sink.flush(0.5) == 1
        assert not sink.connected
        assert "refused the connection" in sink.reason
        assert observer.snapshot().counts["mqtt_connect_failures", ""] >= 2

    def test_nobody_listens(self, topics: Topics) -> None:
        with pytest.raises(BrokerError, match="connection refused; is a broker running there"):
            probe(BrokerAddress(url=f"mqtt://{HOST}:{free_port()}", client_id="c"), topics)

    def test_an_unknown_host(self, topics: Topics) -> None:
        with pytest.raises(BrokerError, match="unknown host"):
            probe(BrokerAddress(url="mqtt://nowhere.invalid", client_id="c"), topics)

    def test_a_broker_that_accepts_and_says_nothing(self, mosquitto: Mosquitto, topics: Topics) -> None:
        mosquitto.freeze()
        with pytest.raises(BrokerError, match=r"did not answer within 0\.3 s"):
            probe(BrokerAddress(url=mosquitto.url, client_id="c"), topics, timeout_s=0.3)

    def test_something_that_is_no_broker(self, topics: Topics) -> None:
        import http.server
        import threading

        class Quiet(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = http.server.HTTPServer((HOST, 0), Quiet)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(BrokerError, match=r"closed the connection without an answer|did not answer"):
            probe(BrokerAddress(url=f"mqtt://{HOST}:{server.server_port}", client_id="c"), topics, timeout_s=2)
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A test authority, a server's and a client's certificate."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")
    (folder / "san").write_text(f"subjectAltName=IP:{HOST},DNS:localhost\n")
    for name, extra in (("server", ("-extfile", "san")), ("client", ())):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        sign = ("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        openssl(*sign, "-out", f"{name}.pem", *extra)
    return folder


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
class TestTls:
    @pytest.fixture
    def secure(self, certificates: Path, tmp_path: Path) -> Iterator[Mosquitto]:
        """Speaks TLS only, and wants a client certificate."""
        lines = [f"cafile {certificates}/ca.pem", f"certfile {certificates}/server.pem", f"keyfile {certificates}/server.key"]
        broker = Mosquitto(tmp_path / "secure", *lines, "require_certificate true").start()
        yield broker
        broker.end()

    def test_with_authority_and_client_certificate(
        self, secure: Mosquitto, certificates: Path, topics: Topics, make_sink: MakeSink
    ) -> None:
        files: dict[str, Any] = {
            "ca_file": certificates / "ca.pem",
            "cert_file": certificates / "client.pem",
            "key_file": certificates / "client.key",
        }
        url = f"mqtts://{HOST}:{secure.port}"
        assert probe(BrokerAddress(url=url, client_id="c", **files), topics).round_trip_s is not None
        sink = make_sink(url, address=files)
        sink.open()
        for index in range(500):
            sink.write(face_event(index))
        assert sink.flush(20) == 0
        assert sink.counts().acknowledged == 500

    def test_an_unknown_authority_is_refused_by_default(self, secure: Mosquitto, topics: Topics) -> None:
        with pytest.raises(BrokerError, match=r"certificate is not trusted.*mqtt\.ca_file"):
            probe(BrokerAddress(url=f"mqtts://{HOST}:{secure.port}", client_id="c"), topics)

    def test_a_missing_client_certificate(self, secure: Mosquitto, certificates: Path, topics: Topics) -> None:
        address = BrokerAddress(url=f"mqtts://{HOST}:{secure.port}", client_id="c", ca_file=certificates / "ca.pem")
        with pytest.raises(BrokerError):
            probe(address, topics, timeout_s=3)

    def test_insecure_must_be_asked_for(self, secure: Mosquitto, certificates: Path, topics: Topics) -> None:
        address = BrokerAddress(
            url=f"mqtts://{HOST}:{secure.port}",
            client_id="c",
            insecure=True,
            cert_file=certificates / "client.pem",
            key_file=certificates / "client.key",
        )
        assert probe(address, topics).round_trip_s is not None

    def test_tls_to_a_port_without_it(self, mosquitto: Mosquitto, topics: Topics) -> None:
        with pytest.raises(BrokerError, match=r"does the port speak TLS|closed the connection"):
            probe(BrokerAddress(url=f"mqtts://{HOST}:{mosquitto.port}", client_id="c"), topics)

    @pytest.mark.parametrize("key", ["ca_file", "cert_file"])
    def test_files_that_are_missing_or_no_certificates(self, tmp_path: Path, key: str, topics: Topics) -> None:
        rubbish = tmp_path / "rubbish.pem"
        rubbish.write_text("no certificate")
        for path, problem in ((rubbish, "no usable PEM"), (tmp_path / "absent.pem", "no such file")):
            with pytest.raises(ConfigError, match=f"mqtt.{key}.*{problem}"):
                probe(BrokerAddress(url="mqtts://localhost", client_id="c", **dict[str, Any]({key: path})), topics)


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
