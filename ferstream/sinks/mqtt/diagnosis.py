"""Finds out by trial connections why a broker does not accept a connection, when its answer does not say.

Each trial differs from the real connection in one thing: encryption, WebSocket, MQTT version or Last Will. The trial that
works names the cause. User name and password are never sent over a connection that is less encrypted than the real one.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from ferstream.errors import BrokerAuthError, BrokerError
from ferstream.sinks.mqtt import faults, reason_codes
from ferstream.sinks.mqtt.address import BrokerAddress, tls_context
from ferstream.sinks.mqtt.connection import MqttConnection
from ferstream.sinks.mqtt.packets import FAILURE, Will
from ferstream.sinks.mqtt.wire import Stage

TRIAL_TIMEOUT_S: Final = 2.0
_VERSIONS: Final = {4: '"3.1.1"', 5: "5"}

Trial = Callable[[], BrokerError | None]
"""Connects once; returns the cause if the trial worked."""


class Diagnosis:
    """The trials for one failed connection."""

    def __init__(self, connection: MqttConnection, *, timeout_s: float = TRIAL_TIMEOUT_S) -> None:
        """Prepare.

        Args:
            connection: The connection that failed.
            timeout_s: Longest time for one trial, in seconds.
        """
        self._stage, self._code = connection.stage, connection.connack_code
        self._silent, self._answered = connection.silent, bool(connection.first_bytes)
        self._address, self._will, self._timeout_s = connection.address, connection.will, timeout_s

    def cause(self, *, is_cancelled: Callable[[], bool] = lambda: False) -> BrokerError | None:
        """Try one difference after the other; return the cause, None if no trial worked.

        Args:
            is_cancelled: Called between the trials and often within them; ends the search when true.
        """
        for trial in self._trials():
            if is_cancelled():
                return None
            with suppress(BrokerError):
                found = trial()
                if found is not None:
                    return found
        return None

    def _trials(self) -> Iterator[Trial]:
        """Yield the trials that fit to how far the connection came."""
        if self._stage is Stage.TLS:
            yield partial(self._plain, "mqtt")
            if self._address.websocket:
                yield partial(self._plain, "ws")
        elif self._stage is Stage.WEBSOCKET and not self._answered:
            yield self._without_websocket
            if not self._address.encrypted:
                yield self._encrypted
        elif self._stage is Stage.MQTT:
            yield from self._trials_without_connack()
        elif self._stage is Stage.ANSWERED:
            yield from self._trials_after_refusal()

    def _trials_without_connack(self) -> Iterator[Trial]:
        if self._answered and not self._address.websocket:
            return  # something answers that is no broker
        yield self._tls_alert if self._address.encrypted else self._encrypted
        if not self._silent:
            yield self._without_will
            yield self._other_version

    def _trials_after_refusal(self) -> Iterator[Trial]:
        if self._code == reason_codes.UNSUPPORTED_VERSION:
            yield self._other_version
        elif self._code in reason_codes.ABOUT_THE_WILL:
            yield self._without_will

    # -- one difference each -------------------------------------------------------------------

    def _plain(self, scheme: str) -> BrokerError | None:
        if not self._answers(self._stranger(scheme)):
            return None
        advice = f"use the broker's TLS port, or without encryption {scheme}://"
        return BrokerError(f"{self._address.label}: the port speaks MQTT without TLS", advice=advice)

    def _without_websocket(self) -> BrokerError | None:
        scheme = "mqtts" if self._address.encrypted else "mqtt"
        if not self._answers(self._stranger(scheme)):
            return None
        advice = f"write {scheme}:// instead of {self._address.scheme}://, or use the broker's WebSocket port"
        return BrokerError(f"{self._address.label}: the port speaks MQTT without WebSocket", advice=advice)

    def _encrypted(self) -> BrokerError | None:
        if not _speaks_tls(self._address, self._timeout_s):
            return None
        scheme = "wss" if self._address.websocket else "mqtts"
        return BrokerError(f"{self._address.label}: the port speaks TLS", advice=f"write {scheme}:// instead of {self._address.scheme}://")

    def _tls_alert(self) -> BrokerError | None:
        """Return what the broker says about the client certificate: with TLS 1.3 it does so after the handshake.

        On the real connection that answer may be lost, because the broker closes while the packet CONNECT is on its way.
        """
        try:
            with (
                socket.create_connection((self._address.host, self._address.port), timeout=self._timeout_s) as sock,
                tls_context(self._address).wrap_socket(sock, server_hostname=self._address.host) as tls,
            ):
                tls.settimeout(self._timeout_s / 2)
                tls.recv(1)
        except ssl.SSLError as exc:
            return faults.tls_failure(self._address, exc)
        except OSError:
            pass
        return None

    def _other_version(self) -> BrokerError | None:
        other = replace(self._address, protocol=4 if self._address.protocol == 5 else 5)
        if not self._answers(other):
            return None
        detail = f"{self._address.label} does not speak MQTT {_VERSIONS[self._address.protocol].strip(chr(34))}"
        return BrokerError(detail, advice=f"set mqtt.protocol = {_VERSIONS[other.protocol]}")

    def _without_will(self) -> BrokerError | None:
        will, where = self._will, self._address.label
        if will is None or not self._accepts(None):
            return None
        if self._accepts(replace(will, retain=False)):
            return BrokerError(f"{where} does not keep retained messages, which ferstream needs", advice=reason_codes.RETAIN_ADVICE)
        if self._accepts(replace(will, qos=0)):
            return BrokerError(f"{where} does not support QoS 1, which ferstream needs", advice=reason_codes.QOS_ADVICE)
        user = self._address.username or "(anonymous)"
        detail = f"{where} refuses the Last Will: the user {user} may not write to {will.topic}"
        return BrokerAuthError(detail, advice=f"allow that user to write to {will.topic.rpartition('/')[0]}/#")

    # -- connections ---------------------------------------------------------------------------

    def _stranger(self, scheme: str) -> BrokerAddress:
        """Return the same host and port over another scheme, without user name and password."""
        url = f"{scheme}://{self._address.host_and_port}"
        return replace(self._address, url=url, username=None, password=None, cert_file=None, key_file=None)

    def _accepts(self, will: Will | None) -> bool:
        return self._code_of(self._address, will) == 0

    def _answers(self, address: BrokerAddress) -> bool:
        """Whether a broker of this kind is there: it accepts the connection, or refuses it for another reason than its version."""
        code = self._code_of(address, None)
        return code is not None and code != reason_codes.UNSUPPORTED_VERSION

    def _code_of(self, address: BrokerAddress, will: Will | None) -> int | None:
        """Return the reason code of the CONNACK; None if none came."""
        connection = MqttConnection(address, will=will)
        try:
            with suppress(BrokerError):
                connection.connect(self._timeout_s)
            code = connection.connack_code
            if code is not None and code < FAILURE:
                connection.disconnect(end_session=True)
                return 0
            return code
        finally:
            connection.close()


def _speaks_tls(address: BrokerAddress, timeout_s: float) -> bool:
    """Whether the port answers a TLS handshake; nothing is sent over it, so its certificate does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address.host, address.port), timeout=timeout_s) as sock,
            context.wrap_socket(sock, server_hostname=address.host),
        ):
            return True
    except ssl.SSLError as exc:
        return "ALERT" in (exc.reason or "")
    except OSError:
        return False
