"""``ferstream gaps`` on a real broker, and the port that serves both versions of MQTT."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from typer.testing import CliRunner

from ferstream.broker.embedded import EmbeddedBroker
from ferstream.broker.front import Front
from ferstream.broker.login import Login
from ferstream.cli import app
from ferstream.errors import BrokerAuthError, BrokerError, ConfigError
from ferstream.sinks.mqtt.connection import BrokerAddress
from ferstream.sinks.mqtt.subscriber import listen
from tests.support.brokers import Mosquitto, Subscriber, await_port, client_url, until
from tests.support.builders import face_event
from tests.support.mqtt_output import MqttOutput
from tests.support.ports import HOST, free_port
from tests.support.scripted_broker import CONNECT, SUBSCRIBE, ScriptedBroker, connack

pytestmark = pytest.mark.usefixtures("no_new_threads")

LOGIN = Login("ferstream", "of-the-front")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_gaps_of_a_whole_stream_are_none(
    embedded: EmbeddedBroker, make_sink: Callable[..., MqttOutput], tmp_path: Path, protocol: str
) -> None:
    password_file = tmp_path / "password"
    password_file.write_text(embedded.login.password)
    sink = make_sink(client_url(embedded))
    sink.open()
    stop = threading.Event()

    def publish() -> None:
        index = 0
        while not stop.wait(0.005):
            sink.write(face_event(index))
            index += 1

    thread = threading.Thread(target=publish)
    thread.start()
    words = ["gaps", "--json", "--seconds", "1.5", "--url", embedded.url, "--protocol", protocol]
    words += ["--username", embedded.login.username, "--password-file", str(password_file)]
    result = CliRunner().invoke(app, words)
    stop.set()
    thread.join()
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["missing"] == 0
    assert report["streams"][0]["received"] > 10
    assert f"listening to ferstream/# at {embedded.url}" in result.stderr


def session_kept(port: int, client_id: str, protocol: Literal[4, 5]) -> bool:
    """Whether the broker still has a session of this client."""
    name = client_id.encode()
    properties = b"\x00" if protocol == 5 else b""
    body = b"\x00\x04MQTT" + bytes((protocol, 0)) + b"\x00\x3c" + properties + len(name).to_bytes(2, "big") + name
    with socket.create_connection((HOST, port), timeout=10) as connection:
        connection.sendall(bytes((0x10, len(body))) + body)
        answer = connection.recv(100)
        assert answer[0] == 0x20 and answer[3] == 0
        connection.sendall(b"\xe0\x00")
        return bool(answer[2] & 1)


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("end", ["its time is over", "interrupted"])
def test_no_session_is_left_behind(mosquitto: Mosquitto, protocol: Literal[4, 5], end: str) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    address = BrokerAddress(url=mosquitto.url, client_id="listener", protocol=protocol)
    stop = threading.Event()
    if end == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            listen(address, ("#",), on_message=print, stop=stop, on_ready=interrupt)
    else:
        listen(address, ("#",), on_message=print, stop=stop, on_ready=stop.set)
    assert not session_kept(mosquitto.port, "listener", protocol)


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_refused_subscriber_connects_once_more_to_end_its_session(protocol: Literal[4, 5]) -> None:
    suback = b"\x90\x03\x00\x01\x80" if protocol == 4 else b"\x90\x04\x00\x01\x00\x87"
    greeting = b"\x20\x02\x00\x00" if protocol == 4 else connack()

    def reply(kind: int, packet: bytes) -> bytes:
        return {CONNECT: greeting, SUBSCRIBE: suback}.get(kind, b"")

    with ScriptedBroker(reply) as broker:
        address = BrokerAddress(url=broker.url, client_id="listener", protocol=protocol)
        with pytest.raises(BrokerAuthError, match="does not let this user read #"):
            listen(address, ("#",), on_message=print, stop=threading.Event())
        connects = [packet for packet in broker.packets if packet[0] >> 4 == CONNECT]
    clean_start = [bool(packet[packet.index(b"MQTT") + 5] & 0x02) for packet in connects]
    assert clean_start == [False, True]


def test_a_session_survives_a_cut_and_ends_with_the_subscriber(mosquitto: Mosquitto) -> None:
    with Subscriber(mosquitto.url) as subscriber:
        mosquitto.end(signal.SIGTERM)
        mosquitto.start()
        subscriber.wait_subscribed(2)
        client_id = subscriber.client_id
    assert not session_kept(mosquitto.port, client_id, 5)


def test_a_broker_that_is_gone_at_the_end_does_not_delay_the_end(mosquitto: Mosquitto) -> None:
    with Subscriber(mosquitto.url, protocol=4):
        mosquitto.end()


@pytest.mark.parametrize("url", ["mqtt://h:99999", "mqtt://h:x", "mqtt://h:0", "mqtt://[::1", "http://h", "mqtt://"])
def test_an_invalid_url_is_an_error(url: str) -> None:
    result = CliRunner().invoke(app, ["gaps", "--url", url])
    assert isinstance(result.exception, ConfigError), result.exception
    assert "--url: expected mqtt://" in str(result.exception)


def test_unusable_options_are_errors(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xe4")
    for words, problem in (
        (["--key-file", "k.pem"], "--cert-file"),
        (["--password-file", str(tmp_path / "latin")], "not UTF-8"),
        (["--url", "mqtts://127.0.0.1:9", "--cert-file", str(tmp_path / "none.pem")], "no such file"),
    ):
        result = CliRunner().invoke(app, ["gaps", "--seconds", "1", *words])
        assert isinstance(result.exception, ConfigError), result.exception
        assert problem in str(result.exception)


def test_a_closed_port_is_an_error() -> None:
    result = CliRunner().invoke(app, ["gaps", "--seconds", "1", "--url", f"mqtt://{HOST}:{free_port()}"])
    assert isinstance(result.exception, BrokerError)


@pytest.fixture
def front() -> Iterator[int]:
    """The front of the embedded broker in this process, and rumqttd behind another front in a child; the port of the former."""
    broker = EmbeddedBroker(port=0)
    broker.start()
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []
    listener = socket.create_server((HOST, 0))
    port = int(listener.getsockname()[1])

    async def serve() -> None:
        serving = asyncio.create_task(Front(login=LOGIN, back_port=broker.port, back_login=broker.login).serve(listener))
        started.append((asyncio.get_running_loop(), serving))
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    await_port(port, alive=thread.is_alive)
    yield port
    loop, serving = started[0]
    loop.call_soon_threadsafe(serving.cancel)
    thread.join(10)
    broker.stop()
    # Connections that were open when the loop ended are the child process's to lose; here they must not
    # be found by the collector in the middle of another test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_the_front_serves_both_versions(front: int, make_sink: Callable[..., MqttOutput]) -> None:
    url = f"mqtt://{LOGIN.username}:{LOGIN.password}@{HOST}:{front}"
    with Subscriber(url, "ferstream/#", protocol=4) as old, Subscriber(url, "ferstream/#", protocol=5) as new:
        for protocol in (4, 5):
            sink = make_sink(url, boot_id=f"v{protocol}", address={"protocol": protocol})
            sink.open()
            for index in range(200):
                sink.write(face_event(index))
            assert sink.flush(20) == 0
            sink.close()
        for subscriber in (old, new):
            for boot_id in ("v4", "v5"):
                until(lambda s=subscriber, b=boot_id: s.seqs(boot_id=b) == list(range(200)))  # type: ignore[misc]


def test_the_front_refuses_other_protocols(front: int) -> None:
    for hello, answer in (
        (bytes.fromhex("100d 0004 4d515454 07 02 003c 0001 78"), bytes.fromhex("20020001")),
        (b"GET / HTTP/1.1\r\n\r\n", b""),
    ):
        with socket.create_connection((HOST, front), timeout=5) as connection:
            connection.sendall(hello)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == answer
