"""A trial run for ``ferstream check``: the connection that ``ferstream run`` makes, a message published and read back."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final

from ferstream.errors import BrokerAuthError, BrokerError
from ferstream.sinks.mqtt import reason_codes
from ferstream.sinks.mqtt.address import BrokerAddress
from ferstream.sinks.mqtt.connection import MqttConnection
from ferstream.sinks.mqtt.diagnosis import Diagnosis
from ferstream.sinks.mqtt.messages import last_will
from ferstream.sinks.mqtt.packets import FAILURE, Answer, Incoming, Outgoing
from ferstream.sinks.mqtt.topics import Topics

PROBE_TIMEOUT_S: Final = 5.0
FACE_EVENT_BYTES: Final = 1000
"""About the size of the packet of a face event, with long names."""
_READ_ADVICE: Final = "allow this user to read there at the broker, or set mqtt.commands = false"
_WRITE_ADVICE: Final = "allow this user to write to {topics} at the broker"


@dataclass(frozen=True, slots=True)
class ProbeWarning:
    """Something that works only in part.

    Attributes:
        detail: What does not work.
        advice: What to do.
    """

    detail: str
    advice: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of a trial that worked; a failure raises.

    Attributes:
        round_trip_s: Seconds from publishing to reading back; None when the message did not come back.
        note: One line for people.
        warnings: What works only in part.
    """

    round_trip_s: float | None
    note: str
    warnings: tuple[ProbeWarning, ...] = ()


def probe(
    address: BrokerAddress, topics: Topics, *, commands: bool = False, watch_s: float = 0.0, timeout_s: float = PROBE_TIMEOUT_S
) -> ProbeResult:
    """Connect as the daemon does, publish a message to ``<prefix>/<node>/check`` and read it back.

    Args:
        address: The broker; a running daemon with the same client id would lose its connection.
        topics: Topics of the node.
        commands: Subscribe to the commands too.
        watch_s: Seconds to wait afterwards for another client that takes over the client id.
        timeout_s: Longest wait for each answer, in seconds.

    Raises:
        BrokerAuthError: The broker refuses the credentials, or the right to publish.
        BrokerError: It cannot be reached, or refuses the message.
        ConfigError: A certificate, key or CA file cannot be used.
    """
    trial = _Trial(address, topics, timeout_s)
    try:
        trial.connect()
        readable = trial.subscribe(commands=commands)
        return trial.publish(readable=readable, watch_s=watch_s)
    finally:
        trial.end()


class _Trial:
    """One trial; it connects again where the broker closes the connection at a subscription."""

    def __init__(self, address: BrokerAddress, topics: Topics, timeout_s: float) -> None:
        self._address, self._topics, self._timeout_s = address, topics, timeout_s
        self._where = address.label
        self._connection = MqttConnection(address, will=last_will(topics))
        self._warnings: list[ProbeWarning] = []

    def connect(self) -> None:
        """Connect; find out by trial connections what a failure does not say."""
        try:
            self._connection.connect(self._timeout_s)
        except BrokerError as exc:
            cause = Diagnosis(self._connection).cause()
            if cause is None:
                raise
            raise cause from exc
        limit = self._connection.maximum_packet_bytes
        if limit is not None and limit < FACE_EVENT_BYTES:
            detail = f"{self._where} takes packets of up to {limit} bytes; larger events are dropped, and a face event has about 900 bytes"
            self._warnings.append(ProbeWarning(detail, "raise the broker's limit to 2 kB or more"))

    def end(self) -> None:
        """Disconnect and leave no session behind."""
        self._connection.disconnect(end_session=True)

    def subscribe(self, *, commands: bool) -> bool:
        """Subscribe to the topic of the trial, and to commands; return whether the message will come back.

        Raises:
            BrokerError: The broker does not answer, or closes the connection that the daemon would need for its commands.
        """
        if commands and not self._granted(self._topics.commands):
            detail = f"commands do not work: {self._where} does not let this user read {self._topics.commands}"
            self._warnings.append(ProbeWarning(detail, _READ_ADVICE))
        try:
            return self._granted(self._topics.probe)
        except BrokerAuthError:
            self._connection.close()
            self._connection = MqttConnection(self._address, will=last_will(self._topics))
            self._connection.connect(self._timeout_s)
            return False

    def _granted(self, topic: str) -> bool:
        """Subscribe; return whether the broker allows it.

        Raises:
            BrokerAuthError: The broker closes the connection.
            BrokerError: It does not answer.
        """
        deadline = time.monotonic() + self._timeout_s
        subscription = self._connection.subscribe(topic)
        while (granted := self._connection.subscribed(subscription)) is None:
            left_s = _left(deadline, f"{self._where} did not answer a subscription within {self._timeout_s:g} s")
            try:
                self._connection.step(left_s)
            except BrokerError as exc:
                detail = f"{self._where} closes the connection at a subscription to {topic}: {_why(exc, self._where)}"
                raise BrokerAuthError(detail, advice=_READ_ADVICE) from exc
        return granted < FAILURE

    def publish(self, *, readable: bool, watch_s: float) -> ProbeResult:
        """Publish a message, wait until it is acknowledged and comes back, and look for another client with the same id."""
        topic, deadline = self._topics.probe, time.monotonic() + self._timeout_s
        message = self._message()
        began = time.monotonic()
        mid = self._connection.publish(message)
        acknowledged = back = False
        while not acknowledged or (not back and readable):
            if acknowledged and time.monotonic() >= deadline:
                break
            answers, incoming = self._step(message, _left(deadline, f"{self._where} did not acknowledge within {self._timeout_s:g} s"))
            for answer in answers:
                acknowledged = acknowledged or answer.mid == mid
                self._check(answer)
            back = back or any(came.payload == message.payload for came in incoming)
        took_s = time.monotonic() - began
        self._watch(watch_s)
        if back:
            return ProbeResult(took_s, f"{self._where}: published and read back in {took_s * 1000:.0f} ms", tuple(self._warnings))
        reason = f"the broker does not let this user read {topic}, or drops what it may not write"
        note = f"{self._where}: acknowledged, but not read back: {reason}"
        return ProbeResult(None, note, tuple(self._warnings))

    def _message(self) -> Outgoing:
        """Return a number, filled up with blanks to the size of a face event, or less if the broker says that it takes less."""
        message = Outgoing(topic=self._topics.probe, payload=f"{time.monotonic_ns()}".encode(), expiry_s=10, content_type="text/plain")
        size = min(FACE_EVENT_BYTES, self._connection.maximum_packet_bytes or FACE_EVENT_BYTES)
        blanks = size - self._connection.packet_bytes(message) - 1  # one byte more for a longer length field
        return replace(message, payload=message.payload + b" " * max(0, blanks))

    def _step(self, message: Outgoing, timeout_s: float) -> tuple[list[Answer], list[Incoming]]:
        try:
            return self._connection.step(timeout_s)
        except BrokerError as exc:
            detail = f"{self._where} closes the connection after a message to {message.topic}: {_why(exc, self._where)}"
            size = self._connection.packet_bytes(message)
            advice = f"{_WRITE_ADVICE.format(topics=self._topics.everything)}, and packets of this size ({size} bytes)"
            raise BrokerAuthError(detail, advice=advice) from exc

    def _check(self, answer: Answer) -> None:
        if not answer.ok:
            why = reason_codes.words(reason_codes.PUBLISH_FAILED, answer.code)
            kind = BrokerAuthError if answer.code in reason_codes.NOT_AUTHORISED else BrokerError
            raise kind(f"{self._where} refused to publish: {why}", advice=_WRITE_ADVICE.format(topics=self._topics.everything))

    def _watch(self, watch_s: float) -> None:
        deadline = time.monotonic() + watch_s
        try:
            while (left_s := deadline - time.monotonic()) > 0:
                self._connection.step(left_s)
        except BrokerError as exc:
            detail = f"{_why(exc, self._where)}, {watch_s - (deadline - time.monotonic()):.1f} s after the trial"
            advice = (
                f'does another client use the client id "{self._address.client_id}", such as a ferstream with the same node name? '
                "give each its own node, or mqtt.client_id"
            )
            self._warnings.append(ProbeWarning(f"{self._where}: {detail}", advice))


def _why(exc: BrokerError, where: str) -> str:
    return exc.detail.removeprefix(f"{where}: ")


def _left(deadline: float, complaint: str) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise BrokerError(complaint, advice="is it overloaded?")
    return left
