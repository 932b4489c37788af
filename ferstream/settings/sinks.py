"""Tables of the settings for publishing: how often, to which sinks, and where events wait. See ``model``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ferstream.settings import fields as f


class PublishingSettings(f.Section):
    """How often events are published, on every sink."""

    max_hz_per_face: f.Number = 10.0
    """Highest rate of face events for each track, in events per second; 0 = every analysed frame."""
    summary_interval_s: f.Seconds = 10.0
    """Time between summaries of a camera, in seconds."""


class MqttSettings(f.Section):
    """Publishing to MQTT."""

    url: f.BrokerUrl = f.EMBEDDED
    """embedded (a small broker inside ferstream, on loopback), mqtt://host:1883, mqtts://host:8883, ws:// or wss://."""
    username: f.Text | None = None
    """User name at the broker; taken from the URL if it is there."""
    password_file: f.FilePath | None = None
    """File with the broker's password."""
    password: f.Password = None
    """The password itself: environment or credential only."""
    ca_file: f.FilePath | None = None
    """Certificates to trust, PEM; the system's if left out."""
    cert_file: f.FilePath | None = None
    """Client certificate, PEM."""
    key_file: f.FilePath | None = None
    """Key of the client certificate, PEM."""
    insecure: f.Flag = False
    """true does not verify the broker's certificate; for tests only."""
    protocol: Literal[5, "3.1.1"] = 5
    """MQTT version: 5 or "3.1.1"."""
    client_id: f.Text = ""
    """MQTT client id; empty = ferstream-<node>."""
    keepalive_s: Annotated[int, Field(strict=True, ge=1, le=65_535)] = 30
    """MQTT keep-alive."""
    prefix: f.Prefix = "ferstream"
    """First levels of every topic: <prefix>/<node>/..."""
    commands: f.Flag = False
    """true accepts commands on <prefix>/<node>/<camera>/set, and from the page."""

    @model_validator(mode="before")
    @classmethod
    def _take_credentials_out(cls, data: Any) -> Any:
        return f.without_credentials(data, "url")

    @property
    def embedded(self) -> bool:
        """Whether ferstream starts its embedded broker."""
        return self.url == f.EMBEDDED


class HomeAssistantSettings(f.Section):
    """Announcing the cameras to Home Assistant, over the MQTT broker."""

    discovery: f.Flag = False
    """true publishes retained discovery messages, so that Home Assistant shows each camera as a device."""
    prefix: f.Prefix = "homeassistant"
    """Discovery prefix of Home Assistant's MQTT integration."""
    per_entity: f.Flag = False
    """true publishes one message for each entity, for openHAB and for versions of Home Assistant before 2024.11."""


class WebhookSettings(f.Section):
    """Sending events to a web server, as CloudEvents over HTTP."""

    url: f.WebhookUrl | None = None
    """https://... or http://... that receives a POST for each event; left out = no webhook."""
    events: f.EventKinds = ("track", "summary")
    """Kinds of events to send: face, track, summary."""
    secret_file: f.FilePath | None = None
    """File with the secret that signs each request (Standard Webhooks: whsec_ and base64, or any text)."""
    secret: f.SigningSecret = None
    """The secret itself: environment or credential only."""
    ca_file: f.FilePath | None = None
    """Certificates to trust, PEM; the system's if left out."""
    timeout_s: f.Seconds = 10.0
    """Longest wait for the response to one request, in seconds."""
    max_in_flight: Annotated[int, Field(strict=True, ge=1, le=64)] = 4
    """Highest number of requests at the same time."""

    @property
    def enabled(self) -> bool:
        """Whether events are sent to a web server."""
        return self.url is not None

    @property
    def signing_key(self) -> bytes | None:
        """Key of the HMAC that signs requests; None = requests are not signed."""
        return None if self.secret is None else f.signing_key(self.secret.get_secret_value())


class KafkaSettings(f.Section):
    """Sending events to Apache Kafka."""

    brokers: f.KafkaBrokers | None = None
    """Bootstrap brokers, host:port, separated by commas; left out = no Kafka."""
    topic: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9._-]{1,249}$")] = "ferstream"
    """Topic of all events; the key of a message is the camera's name."""
    events: f.EventKinds = ("face", "track", "summary")
    """Kinds of events to send: face, track, summary."""
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """Security of the connection: plaintext, ssl (TLS), sasl_plaintext or sasl_ssl (TLS and a password)."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """SASL mechanism of sasl_plaintext and sasl_ssl."""
    username: f.Text | None = None
    """User name at the brokers."""
    password_file: f.FilePath | None = None
    """File with the password."""
    password: f.Password = None
    """The password itself: environment or credential only."""
    ca_file: f.FilePath | None = None
    """Certificates to trust, PEM; the system's if left out."""

    @property
    def enabled(self) -> bool:
        """Whether events are sent to Kafka."""
        return self.brokers is not None

    @property
    def encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return self.security in {"ssl", "sasl_ssl"}

    @property
    def authenticated(self) -> bool:
        """Whether the brokers ask for a user name and a password."""
        return self.security in {"sasl_plaintext", "sasl_ssl"}


class OutboxSettings(f.Section):
    """Where events are kept until they are delivered."""

    path: f.AutoOrPath = "auto"
    """auto = $STATE_DIRECTORY/outbox, else ~/.local/state/ferstream/outbox; memory = not on disk."""
    max_events: f.Positive = 100_000
    """Most events kept; above it the oldest are dropped."""
    max_bytes: f.Positive = 67_108_864
    """Most bytes kept; above it the oldest are dropped."""

    @property
    def directory(self) -> Path | None:
        """Folder of the outbox; None for memory only."""
        return None if self.path == "memory" else state_directory() / "outbox" if self.path == "auto" else Path(self.path)


def state_directory() -> Path:
    """Return the folder for data that outlives the daemon: systemd's StateDirectory, else the user's state folder."""
    systemd = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(systemd) if systemd else Path(home).expanduser() / "ferstream"
