"""Makes the paho client of one connection from the address of a broker."""

from __future__ import annotations

from typing import Any, Final

from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ferstream.sinks.mqtt.address import BrokerAddress, tls_context
from ferstream.sinks.mqtt.bounded_client import MAX_INCOMING_BYTES, BoundedClient
from ferstream.sinks.mqtt.packets import Will

MAX_PACKETS_IN_FLIGHT: Final = 65_535


def make_client(address: BrokerAddress, will: Will | None) -> BoundedClient:
    """Make a client with login, TLS, WebSocket and Last Will; nothing is sent yet.

    Raises:
        ConfigError: A certificate, key or URL cannot be used.
    """
    v5 = address.protocol == 5
    client = BoundedClient(
        CallbackAPIVersion.VERSION2,
        client_id=address.client_id,
        clean_session=None if v5 else not address.resume,
        protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
        transport="websockets" if address.websocket else "tcp",
        reconnect_on_failure=False,
    )
    client.suppress_exceptions = True
    client.max_inflight_messages_set(MAX_PACKETS_IN_FLIGHT)
    if address.username is not None:
        client.username_pw_set(address.username, address.password)
    if address.encrypted:
        client.tls_set_context(tls_context(address))
        if address.insecure:
            client.tls_insecure_set(True)
    if address.websocket:
        client.ws_set_options(path=address.websocket_path, headers={"Host": address.host_and_port})
    if will is not None:
        client.will_set(will.topic, will.payload, will.qos, will.retain, _will_properties(will) if v5 else None)
    return client


def connect_options(address: BrokerAddress) -> dict[str, Any]:
    """Return the arguments of paho's ``connect`` that only MQTT 5 has."""
    if address.protocol != 5:
        return {}
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = address.session_expiry_s
    properties.MaximumPacketSize = MAX_INCOMING_BYTES
    return {"clean_start": not address.resume, "properties": properties}


def _will_properties(will: Will) -> Properties:
    properties = Properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = will.delay_s
    properties.PayloadFormatIndicator = 1
    properties.ContentType = "text/plain"
    return properties
