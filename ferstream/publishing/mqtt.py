"""One connection to an MQTT broker: the only module that knows paho.

A ``Connection`` lives from CONNECT to its end and is never reused, so nothing of paho's own
queue survives a reconnect: what to send again is decided by ``link.py`` and the outbox. One
thread owns it and drives the network itself (paho starts no thread here); paho's callbacks
only note what happened. Errors leave as ``BrokerError`` with the reason in words.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ferstream.errors import BrokerAuthError, BrokerError, ConfigError
from ferstream.publishing import reasons

DEFAULT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
CONNECT_TIMEOUT_S: Final = 5.0
MAX_PACKETS_IN_FLIGHT: Final = 65_535
_FAILURE: Final = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the broker is and how to be let in.

    Attributes:
        url: ``mqtt://``, ``mqtts://``, ``ws://`` or ``wss://`` with host, port and (WebSocket) path; no credentials.
        client_id: Must be unique at the broker.
        username: None connects without one.
        password: Never part of ``repr`` or of a message.
        ca_file: Certificates to trust, PEM; None = the system's.
        cert_file: Client certificate, PEM.
        key_file: Its key, PEM.
        insecure: Do not verify the broker's certificate.
        protocol: 5, or 4 for MQTT 3.1.1.
        keepalive_s: A silent broker is given up after two of these.
        session_expiry_s: How long the broker keeps the session; longer than the will's delay (MQTT 5).
        resume: Go on with the session the broker kept (subscribers; a publisher begins anew).
    """

    url: str
    client_id: str
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False
    protocol: Literal[4, 5] = 5
    keepalive_s: int = 30
    session_expiry_s: int = 60
    resume: bool = False

    def __repr__(self) -> str:
        """Host and client id only."""
        return f"BrokerAddress({self.label}, client_id={self.client_id!r})"

    @property
    def scheme(self) -> str:
        """First part of the URL."""
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        """Host name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Port of the URL, else the scheme's."""
        return urlsplit(self.url).port or DEFAULT_PORTS[self.scheme]

    @property
    def label(self) -> str:
        """``scheme://host:port``: safe to show."""
        return f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message to publish.

    Attributes:
        expiry_s: Message Expiry Interval, None = never (MQTT 5).
        user: User properties (MQTT 5).
        content_type: MIME type (MQTT 5).
    """

    topic: str
    payload: bytes
    qos: Literal[0, 1] = 1
    retain: bool = False
    expiry_s: int | None = None
    user: Mapping[str, str] | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker publishes when we vanish: retained, QoS 1."""

    topic: str
    payload: bytes
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message received."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The broker's PUBACK: ``code`` below 0x80 is success."""

    mid: int
    code: int

    @property
    def ok(self) -> bool:
        """Whether the message is the broker's now."""
        return self.code < _FAILURE


class Connection:
    """One MQTT connection, driven by the thread that owns it."""

    def __init__(self, address: BrokerAddress, *, will: Will | None = None) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            ConfigError: A certificate, key or URL cannot be used.
        """
        self._address = address
        self._v5 = address.protocol == 5
        self._client = self._make_client()
        self._will(will)
        self._connack: tuple[int, Properties | None] | None = None
        self._lost: str | None = None
        self._answers: list[Answer] = []
        self._incoming: list[Incoming] = []
        self._suback: dict[int, int] = {}

    # -- life ------------------------------------------------------------------------------

    def connect(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Connect and wait for the broker's word.

        Raises:
            BrokerAuthError: It refuses the credentials or the client.
            BrokerError: It cannot be reached, refuses for another reason, or does not answer.
        """
        where, deadline = self._address.label, time.monotonic() + timeout_s
        self._client.connect_timeout = timeout_s
        try:
            self._client.connect(
                self._address.host,
                self._address.port,
                keepalive=self._address.keepalive_s,
                **self._connect_options(),
            )
        except Exception as exc:
            raise _unreachable(where, timeout_s, exc) from exc
        while self._connack is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BrokerError(f"{where}: connected, but the broker did not answer within {timeout_s:g} s")
            try:
                self._turn(left, None)
            except BrokerError as exc:
                if self._connack is None:
                    raise BrokerError(f"{where} closed the connection without an answer; does it speak MQTT {self._version}?") from exc
        self._check_connack(where)

    def disconnect(self) -> None:
        """Say goodbye: the broker drops the Last Will."""
        if self._client.socket() is not None:
            self._client.disconnect()
            self._flush_socket()
        self.close()

    def close(self) -> None:
        """Drop the connection without a word; more than once is fine."""
        sock = self._client.socket()
        if sock is not None:
            sock.close()  # paho has no call that drops a connection without DISCONNECT
        self._client.on_connect = self._client.on_disconnect = self._client.on_publish = None
        self._client.on_message = self._client.on_subscribe = None

    # -- traffic ---------------------------------------------------------------------------

    @property
    def receive_maximum(self) -> int:
        """How many unacknowledged messages the broker takes."""
        return int(self._granted("ReceiveMaximum", MAX_PACKETS_IN_FLIGHT))

    @property
    def maximum_packet_bytes(self) -> int | None:
        """Largest packet the broker takes; None if it did not say."""
        size = self._granted("MaximumPacketSize", 0)
        return int(size) or None

    def publish(self, message: Outgoing) -> int:
        """Hand a message to the socket; returns the number that its ``Answer`` will carry.

        Raises:
            BrokerError: The connection is lost.
        """
        properties = self._message_properties(message) if self._v5 else None
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise BrokerError(self._lost_reason())
        return int(info.mid)

    def subscribe(self, topic: str, qos: int = 1) -> int:
        """Ask for a topic; ``subscribed`` tells what became of it.

        Raises:
            BrokerError: The connection is lost.
        """
        code, mid = self._client.subscribe(topic, qos)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise BrokerError(self._lost_reason())
        return int(mid)

    def subscribed(self, mid: int) -> int | None:
        """The granted QoS, or the reason code (0x80 and up) of a refusal; None while there is no answer."""
        return self._suback.get(mid)

    def step(self, timeout_s: float, wake: int | None = None) -> tuple[list[Answer], list[Incoming]]:
        """Move bytes for at most ``timeout_s`` s; returns at once when something came or ``wake`` (a descriptor) is readable.

        Raises:
            BrokerError: The connection is lost.
        """
        self._turn(timeout_s, wake)
        answers, self._answers = self._answers, []
        incoming, self._incoming = self._incoming, []
        return answers, incoming

    def _turn(self, timeout_s: float, wake: int | None) -> None:
        sock = self._client.socket()
        if sock is None:
            raise BrokerError(self._lost_reason())
        pending = getattr(sock, "pending", None)  # TLS and WebSocket buffer what poll() cannot see
        poller = select.poll()
        poller.register(sock, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        if wake is not None:
            poller.register(wake, select.POLLIN)
        has_pending = bool(pending and pending())
        ready = dict(poller.poll(0 if has_pending else timeout_s * 1000))
        flags = ready.get(sock.fileno(), 0)
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        if has_pending or flags & ~select.POLLOUT:
            code = self._client.loop_read()
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS and flags & select.POLLOUT:
            code = self._client.loop_write()
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS:
            code = self._client.loop_misc()
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise BrokerError(self._lost_reason())

    def _flush_socket(self) -> None:
        deadline = time.monotonic() + 1.0
        while self._client.want_write() and self._client.socket() is not None and time.monotonic() < deadline:
            try:
                self._turn(0.1, None)
            except BrokerError:
                return

    # -- set-up ----------------------------------------------------------------------------

    def _make_client(self) -> Client:
        address = self._address
        websocket = address.scheme in ("ws", "wss")
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=address.client_id,
            clean_session=None if self._v5 else not address.resume,
            protocol=MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311,
            transport="websockets" if websocket else "tcp",
            reconnect_on_failure=False,
        )
        client.suppress_exceptions = True
        client.max_inflight_messages_set(MAX_PACKETS_IN_FLIGHT)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_message = self._on_publish, self._on_message
        client.on_subscribe = self._on_subscribe
        if address.username is not None:
            client.username_pw_set(address.username, address.password)
        if address.scheme in ("mqtts", "wss"):
            client.tls_set_context(tls_context(address))
            if address.insecure:
                client.tls_insecure_set(True)
        if websocket:
            client.ws_set_options(path=urlsplit(address.url).path or "/mqtt")
        return client

    def _connect_options(self) -> dict[str, Any]:
        if not self._v5:
            return {}
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._address.session_expiry_s
        return {"clean_start": not self._address.resume, "properties": properties}

    def _will(self, will: Will | None) -> None:
        if will is None:
            return
        properties = None
        if self._v5:
            properties = Properties(PacketTypes.WILLMESSAGE)
            properties.WillDelayInterval = will.delay_s
            properties.PayloadFormatIndicator = 1
            properties.ContentType = "text/plain"
        self._client.will_set(will.topic, will.payload, 1, True, properties)

    def _message_properties(self, message: Outgoing) -> Properties:
        properties = Properties(PacketTypes.PUBLISH)
        properties.PayloadFormatIndicator = 1
        properties.ContentType = message.content_type
        if message.expiry_s is not None:
            properties.MessageExpiryInterval = message.expiry_s
        if message.user:
            properties.UserProperty = list(message.user.items())
        return properties

    # -- what paho reports; these only take notes --------------------------------------------

    def _on_connect(self, client: Client, userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None) -> None:
        self._connack = (reason.value, properties)

    def _on_disconnect(
        self, client: Client, userdata: object, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._lost = reasons.words(reasons.DISCONNECTED, reason.value)
        elif reason.value == reasons.KEEP_ALIVE_TIMEOUT:
            self._lost = "the broker does not answer any more"

    def _on_publish(self, client: Client, userdata: object, mid: int, reason: ReasonCode, properties: Properties) -> None:
        self._answers.append(Answer(mid, reason.value))

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        self._incoming.append(Incoming(message.topic, message.payload, message.retain))

    def _on_subscribe(self, client: Client, userdata: object, mid: int, codes: list[ReasonCode], properties: Properties | None) -> None:
        self._suback[mid] = codes[0].value if codes else 0

    # -- reasons -----------------------------------------------------------------------------

    @property
    def _version(self) -> str:
        return "5" if self._v5 else "3.1.1"

    def _granted(self, name: str, default: int) -> int:
        properties = self._connack[1] if self._connack else None
        return int(getattr(properties, name, default)) if properties is not None else default

    def _check_connack(self, where: str) -> None:
        code = self._connack[0] if self._connack else 0
        if code >= _FAILURE:
            kind = BrokerAuthError if code in reasons.NOT_AUTHORISED else BrokerError
            raise kind(f"{where} refused the connection: {reasons.words(reasons.CONNECT_REFUSED, code)}")
        if self._granted("MaximumQoS", 1) < 1:
            raise BrokerError(f"{where} does not support QoS 1, which ferstream needs")

    def _lost_reason(self) -> str:
        if self._lost is None:
            self._lost = "the connection was lost"
        return f"{self._address.label}: {self._lost}"


def tls_context(address: BrokerAddress) -> ssl.SSLContext:
    """TLS as asked for; the broker's certificate is verified unless ``insecure``.

    Raises:
        ConfigError: A file cannot be read or is no certificate or key.
    """
    try:
        context = ssl.create_default_context(cafile=address.ca_file and str(address.ca_file))
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"mqtt.ca_file {address.ca_file}: {_file_problem(exc)}") from exc
    if address.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if address.cert_file is not None:
        try:
            context.load_cert_chain(str(address.cert_file), address.key_file and str(address.key_file))
        except (OSError, ssl.SSLError) as exc:
            files = f"{address.cert_file} and {address.key_file}" if address.key_file else str(address.cert_file)
            raise ConfigError(f"mqtt.cert_file, mqtt.key_file: {files}: {_file_problem(exc)}") from exc
    return context


def _file_problem(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLError):
        return "no usable PEM certificate or key, or the two do not belong together"
    return (exc.strerror or "cannot be read").lower()


def _unreachable(where: str, timeout_s: float, exc: Exception) -> BrokerError:
    """Why no connection came about, in words."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return BrokerError(f"{where}: the broker's certificate is not trusted: {exc.verify_message} (see mqtt.ca_file)")
    if isinstance(exc, ssl.SSLError):
        return BrokerError(f"{where}: no TLS connection: {exc.reason or 'handshake failed'} (does the port speak TLS?)")
    if isinstance(exc, socket.gaierror):
        return BrokerError(f"{where}: unknown host")
    if isinstance(exc, ConnectionResetError):
        hint = " (does the port speak TLS?)" if where.startswith(("mqtts", "wss")) else ""
        return BrokerError(f"{where}: the other side closed the connection{hint}")
    if isinstance(exc, ConnectionRefusedError):
        return BrokerError(f"{where}: connection refused; is a broker running there?")
    if isinstance(exc, TimeoutError):
        return BrokerError(f"{where}: no answer within {timeout_s:g} s")
    if isinstance(exc, OSError):
        return BrokerError(f"{where}: {exc.strerror or 'no connection'}")
    return BrokerError(f"{where}: {type(exc).__name__}")
