"""One connection to an MQTT broker: the only module that knows paho.

An ``MqttConnection`` is used from CONNECT to its end and never again, so nothing of paho's own queue survives a
reconnect: ``publisher.py`` and the outbox decide what is sent again. One thread owns it and drives the network
itself (paho starts no thread here); paho's callbacks only record what happened. Errors leave as ``BrokerError``.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ferstream.errors import BrokerError
from ferstream.sinks.mqtt import faults, reason_codes
from ferstream.sinks.mqtt.address import DEFAULT_PORTS, BrokerAddress, tls_context
from ferstream.sinks.mqtt.client import MAX_PACKETS_IN_FLIGHT, connect_options, make_client
from ferstream.sinks.mqtt.packets import Answer, Incoming, Outgoing, Will, pack_properties, packet_bytes
from ferstream.sinks.mqtt.wire import Stage

__all__ = ["DEFAULT_PORTS", "Answer", "BrokerAddress", "Incoming", "MqttConnection", "Outgoing", "Will", "tls_context"]

CONNECT_TIMEOUT_S: Final = 5.0
_ASK_S: Final = 0.1


class _PackedProperties(Properties):
    """Properties of a message, encoded already."""

    def __init__(self, packed: bytes) -> None:
        # paho's own __init__ builds tables that are needed to pack and unpack only.
        object.__setattr__(self, "packetType", PacketTypes.PUBLISH)
        object.__setattr__(self, "packed", packed)

    def pack(self) -> bytes:
        """Return the bytes, for paho."""
        packed: bytes = self.__dict__["packed"]
        return packed


class MqttConnection:
    """One MQTT connection; the thread that owns it drives it."""

    def __init__(self, address: BrokerAddress, *, will: Will | None = None) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            ConfigError: A certificate, key or URL cannot be used.
        """
        self._address = address
        self._v5 = address.protocol == 5
        self._client = make_client(address, will)
        self._will = will
        self._connack: tuple[int, Properties | None] | None = None
        self._lost: BrokerError | None = None
        self._loss_code: int | None = None
        self._answers: list[Answer] = []
        self._incoming: list[Incoming] = []
        self._suback: dict[int, int] = {}
        self._client.on_connect, self._client.on_disconnect = self._on_connect, self._on_disconnect
        self._client.on_publish, self._client.on_message = self._on_publish, self._on_message
        self._client.on_subscribe = self._on_subscribe

    # -- life ------------------------------------------------------------------------------

    def connect(self, timeout_s: float = CONNECT_TIMEOUT_S, *, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Connect and wait for the CONNACK; ``is_cancelled`` is called often and ends the wait when true.

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
                **connect_options(self._address),
            )
        except Exception as exc:
            raise faults.unreachable(self._address, timeout_s, exc, stage=self._client.stage, head=self.first_bytes) from exc
        self._socket_option(socket.TCP_NODELAY, 1)
        while self._connack is None:
            left = deadline - time.monotonic()
            if left <= 0 or is_cancelled():
                raise BrokerError(
                    f"{where}: connected, but the broker did not answer within {timeout_s:g} s",
                    advice="does an MQTT broker listen on this port? is it overloaded?",
                )
            try:
                self._step_once(min(left, _ASK_S), None)
            except BrokerError as exc:
                if self._connack is None:
                    raise self._no_answer() from exc
        self._check_connack()

    def disconnect(self, *, end_session: bool = False) -> None:
        """Send DISCONNECT: the broker discards the Last Will and, with ``end_session``, the session it keeps (MQTT 5)."""
        if self._client.socket() is not None:
            properties = None
            if end_session and self._v5:
                properties = Properties(PacketTypes.DISCONNECT)
                properties.SessionExpiryInterval = 0
            self._client.disconnect(properties=properties)
            self._flush_socket()
        self.close()

    def close(self) -> None:
        """Close the socket without DISCONNECT; more than one call is allowed."""
        sock = self._client.socket()
        if sock is not None:
            sock.close()  # paho has no call that drops a connection without DISCONNECT
        self._client.on_connect = self._client.on_disconnect = self._client.on_publish = None
        self._client.on_message = self._client.on_subscribe = None

    # -- traffic ---------------------------------------------------------------------------

    @property
    def receive_maximum(self) -> int:
        """Most unacknowledged messages that the broker accepts."""
        return int(self._granted("ReceiveMaximum", MAX_PACKETS_IN_FLIGHT))

    @property
    def maximum_packet_bytes(self) -> int | None:
        """Largest packet that the broker accepts, in bytes; None if it named no limit."""
        size = self._granted("MaximumPacketSize", 0)
        return int(size) or None

    @property
    def address(self) -> BrokerAddress:
        """The broker."""
        return self._address

    @property
    def will(self) -> Will | None:
        """The Last Will."""
        return self._will

    @property
    def stage(self) -> Stage:
        """How far the connection came."""
        return self._client.stage

    @property
    def silent(self) -> bool:
        """Whether the other side neither answers nor closes the connection."""
        return self._connack is None and self._client.socket() is not None

    @property
    def first_bytes(self) -> bytes:
        """The beginning of what the other side sent, inside TLS."""
        return self._client.wire.head if self._client.wire is not None else b""

    @property
    def connack_code(self) -> int | None:
        """Reason code of the CONNACK; None before it came. Codes of MQTT 3.1.1 are those of MQTT 5 with the same meaning."""
        if self._v5 and self._connack is not None:
            return self._connack[0]
        code = self._client.codes.get(PacketTypes.CONNACK)  # paho does not know, or does not report, all of them
        return code if self._v5 or code is None else reason_codes.FROM_MQTT_3.get(code, code)

    @property
    def loss_code(self) -> int | None:
        """Reason code with which the broker ended the connection; None if it gave none."""
        return self._loss_code

    @property
    def taken_over(self) -> bool:
        """Whether the broker ended the connection for another client with the same client id (MQTT 5)."""
        return self._loss_code == reason_codes.SESSION_TAKEN_OVER

    def packet_bytes(self, message: Outgoing) -> int:
        """Return the size of a message's packet in bytes, which ``maximum_packet_bytes`` limits."""
        return packet_bytes(message, v5=self._v5)

    def publish(self, message: Outgoing) -> int:
        """Hand a message to the socket; return the packet id that its ``Answer`` will carry.

        Raises:
            BrokerError: The connection is lost.
        """
        properties = _PackedProperties(pack_properties(message)) if self._v5 else None
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._lost_error()
        return int(info.mid)

    def publish_all(self, messages: Sequence[Outgoing]) -> list[int]:
        """Hand several messages to the socket, in as few TCP segments as they fill.

        Raises:
            BrokerError: The connection is lost.
        """
        cork = len(messages) > 1
        if cork:
            self._socket_option(socket.TCP_CORK, 1)
        try:
            return [self.publish(message) for message in messages]
        finally:
            if cork:
                self._socket_option(socket.TCP_CORK, 0)

    def subscribe(self, topic: str, qos: int = 1) -> int:
        """Subscribe to a topic; ``subscribed`` returns the broker's answer.

        Raises:
            BrokerError: The connection is lost.
        """
        code, mid = self._client.subscribe(topic, qos)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise self._lost_error()
        return int(mid)

    def subscribed(self, mid: int) -> int | None:
        """The granted QoS, or the reason code (0x80 and up) of a refusal; None while there is no answer."""
        return self._suback.get(mid)

    def step(self, timeout_s: float, wake: int | None = None) -> tuple[list[Answer], list[Incoming]]:
        """Send and receive for at most ``timeout_s`` seconds; return at once when something came or ``wake`` (a descriptor) is readable.

        Raises:
            BrokerError: The connection is lost, and all that came before its end was returned.
        """
        try:
            self._step_once(timeout_s, wake)
        except BrokerError:
            if self._client.socket() is not None or not (self._answers or self._incoming):
                raise
        answers, self._answers = self._answers, []
        incoming, self._incoming = self._incoming, []
        return answers, incoming

    def _socket_option(self, option: int, value: int) -> None:
        sock = self._client.socket()
        if isinstance(sock, socket.socket):  # not through a WebSocket
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, option, value)

    def _step_once(self, timeout_s: float, wake: int | None) -> None:
        sock = self._client.socket()
        if sock is None:
            raise self._lost_error()
        pending = getattr(sock, "pending", None)  # TLS and WebSocket buffer what poll() cannot see
        poller = select.poll()
        poller.register(sock, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        if wake is not None:
            poller.register(wake, select.POLLIN)
        has_pending = bool(pending and pending())
        ready = dict(poller.poll(0 if has_pending else timeout_s * 1000))
        flags = ready.get(sock.fileno(), 0)
        try:
            code = self._move_bytes(read=has_pending or bool(flags & ~select.POLLOUT), write=bool(flags & select.POLLOUT))
        except Exception as exc:
            raise BrokerError(f"{self._address.label}: the broker sent something malformed ({type(exc).__name__})") from exc
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._lost_error()

    def _move_bytes(self, *, read: bool, write: bool) -> MQTTErrorCode:
        code = self._client.loop_read() if read else MQTTErrorCode.MQTT_ERR_SUCCESS
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS and write:
            code = self._client.loop_write()
        return self._client.loop_misc() if code == MQTTErrorCode.MQTT_ERR_SUCCESS else code

    def _flush_socket(self) -> None:
        deadline = time.monotonic() + 1.0
        while self._client.want_write() and self._client.socket() is not None and time.monotonic() < deadline:
            try:
                self._step_once(0.1, None)
            except BrokerError:
                return

    # -- callbacks of paho; these only record ------------------------------------------------

    def _on_connect(self, client: Client, userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None) -> None:
        self._connack = (reason.value, properties)

    def _on_disconnect(
        self, client: Client, userdata: object, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._disconnected(reason.value, properties)
        elif reason.value == reason_codes.KEEP_ALIVE_TIMEOUT:
            self._lost = BrokerError(f"{self._address.label}: the broker does not answer any more")
            self._loss_code = reason_codes.KEEP_ALIVE_TIMEOUT

    def _on_publish(self, client: Client, userdata: object, mid: int, reason: ReasonCode, properties: Properties) -> None:
        self._answers.append(Answer(mid, self._client.puback_code(mid, reason.value)))

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        self._incoming.append(Incoming(message.topic, bytes(message.payload), message.retain))

    def _on_subscribe(self, client: Client, userdata: object, mid: int, codes: list[ReasonCode], properties: Properties | None) -> None:
        self._suback[mid] = codes[0].value if codes else 0

    # -- reasons -----------------------------------------------------------------------------

    def _granted(self, name: str, default: int) -> int:
        properties = self._connack[1] if self._connack else None
        return int(getattr(properties, name, default)) if properties is not None else default

    def _no_answer(self) -> BrokerError:
        if code := self.connack_code:
            return faults.refused(self._address, code, None, will_topic=None)
        if self._lost is not None and self._loss_code is not None:
            return self._lost
        return faults.no_answer(self._address, self._client.wire)

    def _check_connack(self) -> None:
        code, properties = self.connack_code or 0, self._connack[1] if self._connack else None
        if code:
            will_topic = None if self._will is None else self._will.topic
            raise faults.refused(self._address, code, properties, will_topic=will_topic)
        where = self._address.label
        if self._granted("MaximumQoS", 1) < 1:
            raise BrokerError(f"{where} does not support QoS 1, which ferstream needs", advice=reason_codes.QOS_ADVICE)
        if not self._granted("RetainAvailable", 1):
            raise BrokerError(f"{where} does not keep retained messages, which ferstream needs", advice=reason_codes.RETAIN_ADVICE)

    def _lost_error(self) -> BrokerError:
        if self._lost is None:
            code = self._client.codes.get(PacketTypes.DISCONNECT)
            if code is not None:  # a reason code that paho does not know
                self._disconnected(code, None)
        wire = self._client.wire
        if self._lost is None and wire is not None and isinstance(wire.failure, ssl.SSLError):
            self._lost = faults.tls_failure(self._address, wire.failure)
        self._lost = self._lost or BrokerError(f"{self._address.label}: the connection was lost")
        return self._lost

    def _disconnected(self, code: int, properties: Properties | None) -> None:
        """Note the DISCONNECT of the broker."""
        self._loss_code = code
        words = reason_codes.words(reason_codes.DISCONNECTED, code) + faults.server_words(properties)
        self._lost = BrokerError(f"{self._address.label}: {words}", advice=reason_codes.DISCONNECT_ADVICE.get(code, ""))
