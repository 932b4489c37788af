"""Which hosts redirects and playlists may lead to, and which of them get the password."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from ferstream.capture.credentials import Credentials
from ferstream.capture.host_guard import HostGuard, Network, parse_address
from ferstream.capture.options import Connecting
from ferstream.errors import SourceError, SourceRedirectError

JOE = Credentials("joe", "hunter2")
HOSTS = {
    "cam.public": "203.0.114.5",
    "cdn.public": "2606:4700::5",
    "cam.lan": "192.168.1.5",
    "nas.lan": "10.0.0.9",
    "metadata.cloud": "169.254.169.254",
    "mapped.public": "::ffff:127.0.0.1",
    "translated.public": "64:ff9b::7f00:1",
    "any.public": "0.0.0.0",
    "localhost": "127.0.0.1",
}


@dataclass
class ScriptedNetwork(Network):
    """Resolves ``HOSTS``; a connection is a socket that leads nowhere."""

    connected: list[str] = field(default_factory=list)

    def resolve(self, host: str, port: int) -> list[str]:
        return [HOSTS.get(host, host)]

    def connect(self, host: str, port: int, timeout_s: float) -> tuple[socket.socket, str]:
        ip = HOSTS.get(host, host)
        self.connected.append(ip)
        return socket.socket(), ip


def guard(url: str, network: Network | None = None, *, inward: bool = False) -> HostGuard:
    connecting = Connecting(allow_inward_redirects=inward)
    return HostGuard(url, name="the camera", connecting=connecting, credentials=JOE, network=network or ScriptedNetwork())


def follow(from_host: str, to_host: str, network: ScriptedNetwork, *, inward: bool = False) -> None:
    """Connect to the configured host, then to where it redirects."""
    made = guard(f"http://{from_host}/", network, inward=inward)
    made.connect(made.configured, 1).close()
    made.connect(made.follow(made.configured, f"http://{to_host}/"), 1).close()


@pytest.mark.parametrize(
    ("from_host", "to_host"),
    [
        ("cam.public", "cdn.public"),
        ("cam.lan", "nas.lan"),
        ("cam.lan", "cdn.public"),
        ("localhost", "metadata.cloud"),
        ("cam.lan", "cam.lan:8080"),
    ],
)
def test_a_redirect_outward_or_to_the_same_kind_of_network_is_followed(from_host: str, to_host: str) -> None:
    network = ScriptedNetwork()
    follow(from_host, to_host, network)
    assert len(network.connected) == 2


@pytest.mark.parametrize(
    ("from_host", "to_host", "words"),
    [
        ("cam.public", "cam.lan", "from a public to a private address"),
        ("cam.public", "localhost", "from a public to a loopback address"),
        ("cam.public", "mapped.public", "to a loopback address"),
        ("cam.public", "translated.public", "to a loopback address"),
        ("cam.public", "any.public", "to a loopback address"),
        ("cam.public", "127.0.0.1", "to a loopback address"),
        ("cam.lan", "metadata.cloud", "from a private to a link-local address"),
        ("cam.lan", "localhost", "from a private to a loopback address"),
    ],
)
def test_a_redirect_inward_is_refused_before_anything_is_sent(from_host: str, to_host: str, words: str) -> None:
    network = ScriptedNetwork()
    with pytest.raises(SourceRedirectError, match=words) as caught:
        follow(from_host, to_host, network)
    assert "allow_inward_redirects = true" in str(caught.value)
    assert network.connected == [HOSTS[from_host]]


def test_a_redirect_inward_is_followed_where_it_is_allowed() -> None:
    network = ScriptedNetwork()
    follow("cam.public", "localhost", network, inward=True)
    assert network.connected == [HOSTS["cam.public"], "127.0.0.1"]


def test_a_host_with_several_addresses_is_reached_at_one_that_is_allowed() -> None:
    class TwoAddresses(ScriptedNetwork):
        def resolve(self, host: str, port: int) -> list[str]:
            return ["127.0.0.1", "203.0.114.9"]

    network = TwoAddresses()
    follow("cam.public", "rebinding.public", network)
    assert network.connected[-1] == "203.0.114.9"


def test_libav_gets_the_address_that_was_checked_not_the_name() -> None:
    made = guard("rtsp://cam.public/")
    made.connect(made.configured, 1).close()
    target = made.follow(made.configured, "rtsp://cdn.public:8554/a")
    made.connect(target, 1).close()
    assert made.pinned(target).url == "rtsp://[2606:4700::5]:8554/a"
    assert made.pinned(made.configured).url == "rtsp://cam.public/"


@pytest.mark.parametrize(
    ("configured", "location", "gets_it"),
    [
        ("http://cam/a", "/b", True),
        ("http://cam/a", "https://cam/b", True),
        ("http://cam/a", "http://CAM:8080/b", True),
        ("http://cam/a", "http://cam.evil/b", False),
        ("http://cam/a", "http://joe:hunter2@evil/b", False),
        ("http://cam/a", "//evil/b", False),
        ("rtsp://cam/a", "rtsp://evil/b", False),
        ("rtsp://cam/a", "rtsp://cam@evil/b", False),
        ("rtsps://cam/a", "rtsps://cam:8322/b", True),
    ],
)
def test_only_the_configured_host_gets_the_password(configured: str, location: str, gets_it: bool) -> None:
    made = guard(configured)
    assert (made.credentials(made.follow(made.configured, location)) is JOE) is gets_it


@pytest.mark.parametrize(
    ("configured", "address", "gets_it"),
    [
        ("https://cam/a", "http://cam/a", False),
        ("rtsps://cam/a", "rtsp://cam/a", False),
        ("https://cam/a", "https://cam:8443/b", True),
        ("http://cam/a", "http://cam/b", True),
    ],
)
def test_the_password_for_a_connection_with_tls_is_not_sent_without_it(configured: str, address: str, gets_it: bool) -> None:
    assert (guard(configured).credentials(parse_address(address)) is JOE) is gets_it


@pytest.mark.parametrize(
    ("configured", "location", "words"),
    [
        ("https://cam/a", "http://cam/b", "not encrypted"),
        ("rtsps://cam/a", "rtsp://cam/b", "not encrypted"),
        ("http://cam/a", "rtsp://cam/b", "another protocol"),
        ("rtsp://cam/a", "http://127.0.0.1:6379/", "another protocol"),
        ("http://cam/a", "file:///etc/passwd", "not a camera's URL"),
        ("http://cam/a", "gopher://cam/", "not a camera's URL"),
        ("http://cam/a", "http://cam:99999/b", "not a camera's URL"),
        ("rtsp://cam/a", "rtsp://cam/b\r\nX: y", "not a camera's URL"),
        ("rtsp://cam/a", "rtsp://cam/b c", "not a camera's URL"),
    ],
)
def test_other_protocols_and_less_security_are_refused(configured: str, location: str, words: str) -> None:
    made = guard(configured)
    with pytest.raises(SourceRedirectError, match=words):
        made.follow(made.configured, location)


def test_an_unknown_host_is_an_error() -> None:
    class NoNames(Network):
        def connect(self, host: str, port: int, timeout_s: float) -> tuple[socket.socket, str]:
            raise socket.gaierror(-2, "Name or service not known")

    made = guard("http://nowhere/", NoNames())
    with pytest.raises(SourceError, match="Name or service not known"):
        made.connect(made.configured, 1)


@pytest.mark.parametrize("url", ["", "http://", "ftp://cam/", "rtsp://cam:x/", "http://cam/\n", "http://[::1/"])
def test_a_url_that_is_not_valid_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError):
        parse_address(url)


def test_other_characters_than_ascii_are_quoted_and_quoted_ones_stay() -> None:
    assert parse_address("http://cam/tür%20a?x=ü&y=/:@").target == "/t%C3%BCr%20a?x=%C3%BC&y=/:@"


def test_the_network_of_this_machine_resolves_and_connects() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        assert "127.0.0.1" in Network().resolve("127.0.0.1", port)
        connection, ip = Network().connect("localhost", port, 5)
        connection.close()
    assert ip == "127.0.0.1"
