"""Turns the settings into the plain values that the layers below take."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ferstream.capture.credentials import Credentials
from ferstream.capture.factory import SourceOptions, is_live, open_source
from ferstream.capture.source import Source
from ferstream.pipeline.models import DetectionPlan, InferencePlan
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer
from ferstream.settings import CameraSettings, Settings

MOST_WORKERS = 8
"""Most detection threads: more would only wait for the decoders."""


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


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """A camera that can be run: whether it is live, and how one connection to it is made."""

    name: str
    live: bool
    connect: Callable[[], Source]


def camera_plan(camera: CameraSettings, *, width: int, observer: Observer, clock: Clock) -> CameraPlan:
    """Turn a camera's settings into something that can connect.

    Raises:
        ConfigError: Its source is not supported.
    """
    options = SourceOptions(
        width=width,
        analysis_fps=camera.analysis_fps,
        loop=camera.loop,
        realtime=camera.realtime,
        transport=camera.transport,
        connect_timeout_s=camera.connect_timeout_s,
        read_timeout_s=camera.read_timeout_s,
        credentials=credentials(camera),
        password_file=Path(camera.password_file) if camera.password_file else None,
    )

    def connect() -> Source:
        return open_source(camera.source, camera=camera.name, observer=observer, options=options, clock=clock)

    return CameraPlan(camera.name, is_live(camera.source, realtime=camera.realtime), connect)


def credentials(camera: CameraSettings) -> Credentials | None:
    """Return the user name and password of a camera; None without a user name."""
    if camera.username is None:
        return None
    return Credentials(camera.username, None if camera.password is None else camera.password.get_secret_value())
