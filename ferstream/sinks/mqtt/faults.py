"""Why a connection to a broker did not come about or was refused, in words, with what to do about it."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any, Final

from ferstream.errors import BrokerAuthError, BrokerError
from ferstream.runtime.redaction import redact
from ferstream.runtime.shown_url import shown_source
from ferstream.sinks.mqtt import reason_codes
from ferstream.sinks.mqtt.address import BrokerAddress
from ferstream.sinks.mqtt.wire import RecordingSocket, Stage

_LONGEST_QUOTE: Final = 200
_STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})([^\r\n]*)")
_LOCATION = re.compile(rb"(?i)\nlocation:[ \t]*([^\r\n]+)")
_TLS_ALERT: Final = b"\x15\x03"

_EXPIRED, _NOT_YET_VALID = 10, 9
_WRONG_NAME: Final = frozenset({62, 63, 64})
"""OpenSSL's verification errors: host name, e-mail, IP address."""

_CERTIFICATE_WANTED: Final = ("CERTIFICATE_REQUIRED",)
_CERTIFICATE_REFUSED: Final = {
    "UNKNOWN_CA": "the broker does not know the authority of the client certificate",
    "CERTIFICATE_EXPIRED": "the broker says that the client certificate has expired",
    "CERTIFICATE_REVOKED": "the broker says that the client certificate is revoked",
    "BAD_CERTIFICATE": "the broker does not accept the client certificate",
    "CERTIFICATE_UNKNOWN": "the broker does not accept the client certificate",
    "UNSUPPORTED_CERTIFICATE": "the broker does not support this kind of client certificate",
    "ACCESS_DENIED": "the broker does not let the owner of the client certificate in",
    "DECRYPT_ERROR": "the broker does not accept the client certificate",
}
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "INVALID_ALERT")

PLAIN_ADVICE: Final = "use the TLS port of the broker, often 8883; or write mqtt:// or ws://, without encryption"
CLIENT_CERTIFICATE_ADVICE: Final = "set mqtt.cert_file and mqtt.key_file to a certificate that the broker knows"
_NOT_HTTP_ADVICE: Final = "if the port speaks MQTT without WebSocket: mqtt://; if it is encrypted: wss://"
_NOT_HTTPS_ADVICE: Final = "if the port speaks MQTT without WebSocket: mqtts://; if it asks for a client certificate: mqtt.cert_file"


def unreachable(address: BrokerAddress, timeout_s: float, exc: Exception, *, stage: Stage, head: bytes) -> BrokerError:
    """Return why there is no connection.

    Args:
        address: The broker.
        timeout_s: Longest wait in seconds.
        exc: The error that came before the packet CONNECT was sent.
        stage: How far the connection came.
        head: The first bytes that the other side sent.
    """
    if isinstance(exc, ssl.SSLError) and not isinstance(exc, ssl.SSLEOFError):
        return tls_failure(address, exc)
    if stage is Stage.TLS and isinstance(exc, ssl.SSLEOFError | ConnectionError):
        return BrokerError(
            f"{address.label}: the other side closed the connection in the TLS handshake; does the port speak TLS?", advice=PLAIN_ADVICE
        )
    if stage is Stage.WEBSOCKET and not isinstance(exc, TimeoutError):
        return websocket_refusal(address, head)
    return _network_failure(address.label, timeout_s, exc)


def _network_failure(where: str, timeout_s: float, exc: Exception) -> BrokerError:
    if isinstance(exc, socket.gaierror):
        return BrokerError(f"{where}: unknown host", advice="correct the host in mqtt.url, or the name server of this machine")
    if isinstance(exc, ConnectionRefusedError):
        return BrokerError(f"{where}: connection refused; is a broker running there?")
    if isinstance(exc, TimeoutError):
        return BrokerError(
            f"{where}: no answer within {timeout_s:g} s", advice="is the host on, and does a firewall let this port through?"
        )
    if isinstance(exc, OSError):
        return BrokerError(f"{where}: {(exc.strerror or 'no connection').lower()}")
    return BrokerError(f"{where}: {type(exc).__name__}")


def tls_failure(address: BrokerAddress, exc: ssl.SSLError) -> BrokerError:
    """Return why TLS failed: in the handshake, or at the first read after it."""
    where, reason = address.label, exc.reason or ""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _untrusted(address, exc)
    if any(word in reason for word in _CERTIFICATE_WANTED) or ("HANDSHAKE_FAILURE" in reason and address.cert_file is None):
        return BrokerError(f"{where}: the broker asks for a client certificate", advice=CLIENT_CERTIFICATE_ADVICE)
    for word, detail in _CERTIFICATE_REFUSED.items():
        if word in reason and address.cert_file is not None:
            return BrokerError(f"{where}: {detail}", advice=f"replace mqtt.cert_file ({address.cert_file}) by one that it accepts")
    if any(word in reason for word in _NOT_TLS):
        return BrokerError(f"{where}: no TLS connection: the port does not speak TLS", advice=PLAIN_ADVICE)
    if "PROTOCOL_VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason:
        return BrokerError(f"{where}: no TLS version in common", advice="allow TLS 1.2 or 1.3 at the broker")
    if "UNRECOGNIZED_NAME" in reason:
        return BrokerError(f"{where}: the TLS server does not know the name {address.host}", advice="correct the host in mqtt.url")
    words = reason.lower().replace("_", " ") or "handshake failed"
    return BrokerError(f"{where}: no TLS connection: {words}", advice="the broker's log may say why")


def _untrusted(address: BrokerAddress, exc: ssl.SSLCertVerificationError) -> BrokerError:
    where, code = address.label, exc.verify_code
    if code == _EXPIRED:
        return BrokerError(
            f"{where}: the broker's certificate is not trusted: it has expired",
            advice="renew it at the broker; if it is still valid, set the clock of this machine",
        )
    if code == _NOT_YET_VALID:
        return BrokerError(
            f"{where}: the broker's certificate is not trusted: it is not valid yet", advice="is the clock of this machine right?"
        )
    if code in _WRONG_NAME:
        return BrokerError(
            f"{where}: the broker's certificate is not trusted: it is not for the name {address.host}",
            advice="write a name that the certificate holds into mqtt.url, or issue one for this name",
        )
    if address.ca_file is None:
        advice = "set mqtt.ca_file to the certificate of the authority that signed it"
    else:
        advice = f"mqtt.ca_file ({address.ca_file}) must hold the authority that signed it"
    return BrokerError(f"{where}: the broker's certificate is not trusted: {exc.verify_message}", advice=advice)


def websocket_refusal(address: BrokerAddress, head: bytes) -> BrokerError:
    """Return why the WebSocket was not opened; ``head`` is the beginning of the HTTP response."""
    where = redact(shown_source(address.url))
    match = _STATUS_LINE.match(head)
    if match is None:
        advice = _NOT_HTTPS_ADVICE if address.encrypted else _NOT_HTTP_ADVICE
        return BrokerError(f"{where}: the other side does not answer as a web server", advice=advice)
    status, line = int(match[1]), _printable(match[1] + match[2])
    detail = f"{where}: no WebSocket, the server answers HTTP {line}"
    if 300 <= status < 400 and (location := _LOCATION.search(head)):
        target = redact(shown_source(_printable(location[1])))
        return BrokerError(f"{detail} and leads to {target}", advice="write the final address into mqtt.url")
    return BrokerError(detail, advice=_websocket_advice(status, encrypted=address.encrypted))


def _websocket_advice(status: int, *, encrypted: bool) -> str:
    if status in {401, 403, 407}:
        return "it wants a login before MQTT: put its token into the path or query of mqtt.url, or allow this machine at the server"
    if status in {404, 405, 410}:
        return "correct the path in mqtt.url, often /mqtt or /"
    if status in {400, 426} and not encrypted:
        return "correct the path in mqtt.url; if the port is encrypted: wss://"
    if status == 429:
        return "too many connections: nothing, if it passes"
    if status >= 500:
        return "is the broker behind this server running?"
    return "host, port or path in mqtt.url belong to a web page: correct them, the path is often /mqtt"


def no_answer(address: BrokerAddress, wire: RecordingSocket | None) -> BrokerError:
    """Return why the other side closed the connection before a CONNACK."""
    where, version = address.label, "5" if address.protocol == 5 else "3.1.1"
    head, failure = (wire.head, wire.failure) if wire is not None else (b"", None)
    if isinstance(failure, ssl.SSLError):
        return tls_failure(address, failure)
    if not address.websocket and head:
        return _no_broker(address, head)
    if address.encrypted and address.cert_file is None:
        advice = f"if it asks for a client certificate: {CLIENT_CERTIFICATE_ADVICE}"
        return BrokerError(f"{where} closed the connection right after the TLS handshake", advice=advice)
    return BrokerError(
        f"{where} closed the connection without an answer; does it speak MQTT {version}?",
        advice="mqtt.protocol, the user and password, and the rights of the user at the broker may be wrong; its log may say why",
    )


def _no_broker(address: BrokerAddress, head: bytes) -> BrokerError:
    where = address.label
    if head.lstrip().startswith((b"HTTP/", b"<")):
        return BrokerError(
            f"{where}: a web server answers, not an MQTT broker", advice="use the broker's MQTT port, or ws:// for WebSocket"
        )
    if head.startswith(_TLS_ALERT):
        return BrokerError(f"{where}: the port speaks TLS", advice="write mqtts:// instead of mqtt://")
    return BrokerError(f"{where}: something answers that is not an MQTT broker", advice="correct host and port of mqtt.url")


def refused(address: BrokerAddress, code: int, properties: object, *, will_topic: str | None) -> BrokerError:
    """Return why the broker refused the connection with a CONNACK.

    Args:
        address: The broker.
        code: Reason code of the CONNACK.
        properties: Its properties (MQTT 5), None if there are none.
        will_topic: Topic of the Last Will; None without one.
    """
    kind = BrokerAuthError if code in reason_codes.NOT_AUTHORISED else BrokerError
    words = reason_codes.words(reason_codes.CONNECT_REFUSED, code) + server_words(properties)
    advice = reason_codes.CONNECT_ADVICE.get(code, "the broker's log may say why")
    if code in reason_codes.WRONG_LOGIN and address.username is None:
        advice = f"no user name was sent: does the broker want one? {advice}"
    if code == 0x87 and will_topic is not None:
        advice += f"; the Last Will needs the right to write {will_topic}"
    return kind(f"{address.label} refused the connection: {words}", advice=advice)


def server_words(properties: object) -> str:
    """Return what a packet says besides its code: another server, and a text for people. Empty if it says nothing."""
    server, text = (_quoted(getattr(properties, name, None)) for name in ("ServerReference", "ReasonString"))
    return (f": {server}" if server else "") + (f'; it says "{text}"' if text else "")


def _quoted(value: Any) -> str:
    return redact(_printable(value.encode())) if isinstance(value, str) else ""


def _printable(text: bytes) -> str:
    decoded = text.decode("utf-8", "replace").strip()[:_LONGEST_QUOTE]
    return "".join(char if char.isprintable() else "?" for char in decoded)
