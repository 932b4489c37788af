"""How the MQTT thread waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttTimings:
    """How the MQTT thread waits; all but ``window``, ``cautious_messages`` and the factor in seconds.

    Attributes:
        window: Most messages that are sent and not acknowledged.
        reconnect_floor_s: Shortest pause between two connections.
        reconnect_cap_s: Longest pause between two connections.
        reconnect_factor: Growth of the longest pause with each connection that fails or delivers nothing; at 1.5 no pause
            that begins within 2 s of an outage is longer than 2.6 s.
        healthy_after_s: A connection that stood for so long resets the pause, even if there was nothing to deliver.
        calm_after_s: A connection that stood for so long does not count among those that were lost soon. More than twice
            ``reconnect_cap_s``: two clients with one client id end each other's connection after the other's pause.
        ack_timeout_s: A broker that acknowledges nothing for so long is left, even if it answers pings.
        step_s: Longest wait for the network at a time.
        goodbye_s: Time for the last messages at a stop.
        retry_floor_s: Pause before a refused message is sent again.
        retry_cap_s: Longest such pause.
        cautious_messages: Messages that are sent one by one after a connection that ended without a reason and with
            unanswered messages, so that the next such end shows which message it follows.
        cautious_pause_s: Time between two of these messages, in which the broker may close the connection.
        state_expiry_s: The broker forgets ``online`` and the camera states after so long without a refresh (MQTT 5).
        refresh_s: Interval at which they are published again.
    """

    window: int = 64
    reconnect_floor_s: float = 0.5
    reconnect_cap_s: float = 30.0
    reconnect_factor: float = 1.5
    healthy_after_s: float = 10.0
    calm_after_s: float = 120.0
    ack_timeout_s: float = 30.0
    step_s: float = 0.5
    goodbye_s: float = 2.0
    retry_floor_s: float = 0.5
    retry_cap_s: float = 30.0
    cautious_messages: int = 16
    cautious_pause_s: float = 0.1
    state_expiry_s: int = 900
    refresh_s: float = 300.0
