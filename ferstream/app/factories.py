"""Settings turned into the plain values that the layers below take."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from ferstream.capture.factory import SourceOptions, is_live, open_source
from ferstream.capture.source import Source
from ferstream.pipeline.models import DetectionPlan, InferencePlan
from ferstream.pipeline.pipeline import PipelineConfig
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer
from ferstream.runtime.redaction import register_secret
from ferstream.settings import CameraSettings, Settings

MOST_WORKERS = 8
"""More detection threads than this only wait for the decoders."""


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


def detection_plan(settings: Settings) -> DetectionPlan:
    """How faces are found."""
    detection = settings.detection
    return DetectionPlan(
        weights=None if detection.model == "auto" else detection.model,
        device=detection.device,
        score=detection.score,
        min_face_px=detection.min_face_px,
        workers=detection.workers or min(cores(), MOST_WORKERS),
        width=detection.width,
    )


def inference_plan(settings: Settings, *, deterministic: bool) -> InferencePlan:
    """How crops are classified."""
    inference = settings.inference
    return InferencePlan(
        model=inference.model,
        backend=inference.backend,
        device=inference.device,
        max_batch=inference.max_batch,
        threads=inference.threads or 1,
        deterministic=deterministic,
    )


def pipeline_config(settings: Settings) -> PipelineConfig:
    """What the stages follow."""
    return PipelineConfig(
        staleness_s=settings.runtime.staleness_s,
        max_batch=settings.inference.max_batch,
        max_wait_s=settings.inference.max_wait_ms / 1000,
        summary_interval_s=settings.publishing.summary_interval_s,
        per_face=not settings.privacy.aggregate_only,
        min_group_size=settings.privacy.min_group_size,
    )


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """A camera ready to be run: whether it waits for us, and how one connection to it is made."""

    name: str
    live: bool
    connect: Callable[[], Source]


def camera_plan(camera: CameraSettings, *, width: int, observer: Observer, clock: Clock) -> CameraPlan:
    """Turn a camera's settings into something that can connect.

    Raises:
        ConfigError: Its source is none, or its password file cannot be read.
    """
    options = SourceOptions(
        width=width,
        analysis_fps=camera.analysis_fps,
        loop=camera.loop,
        realtime=camera.realtime,
        transport=camera.transport,
        connect_timeout_s=camera.connect_timeout_s,
        read_timeout_s=camera.read_timeout_s,
        password_file=Path(camera.password_file) if camera.password_file else None,
    )
    source = with_credentials(camera)

    def connect() -> Source:
        return open_source(source, camera=camera.name, observer=observer, options=options, clock=clock)

    return CameraPlan(camera.name, is_live(camera.source, realtime=camera.realtime), connect)


def with_credentials(camera: CameraSettings) -> str:
    """Put user name and password back into the URL, for the moment of connecting only."""
    if camera.username is None or "://" not in camera.source:
        return camera.source
    parts = urlsplit(camera.source)
    userinfo = quote(camera.username, safe="")
    if camera.password is not None:
        secret = camera.password.get_secret_value()
        register_secret(secret)
        userinfo += ":" + quote(secret, safe="")
    return urlunsplit(parts._replace(netloc=f"{userinfo}@{parts.netloc}"))


def random_run() -> str:
    """A token that makes track ids of two runs of a live camera unrelated."""
    return secrets.token_hex(3)
