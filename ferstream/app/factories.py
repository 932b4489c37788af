"""Makes from the settings the plain values that the rooms below take."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from ferstream.app.pictures import picture_options
from ferstream.capture.credentials import Credentials
from ferstream.capture.factory import SourceOptions, is_live, open_source
from ferstream.capture.source import Source
from ferstream.pipeline.models import DetectionPlan, InferencePlan
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer
from ferstream.settings import CameraSettings, Settings

MOST_WORKERS = 8
"""Highest number of detection threads; more would wait for the decoders."""


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def detection_plan(settings: Settings) -> DetectionPlan:
    """Return how faces are found."""
    detection = settings.detection
    return DetectionPlan(
        weights=None if detection.model == "auto" else detection.model,
        device=detection.device,
        score=detection.score,
        min_face_px=detection.min_face_px,
        check_visibility=detection.check_visibility,
        workers=detection.workers or min(cores(), MOST_WORKERS),
        width=detection.width,
    )


def inference_plan(settings: Settings, *, deterministic: bool) -> InferencePlan:
    """Return how crops are classified.

    Args:
        settings: The settings.
        deterministic: Whether results must not depend on how faces were batched.
    """
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
    """What is needed to run a camera.

    Attributes:
        name: Name of the camera.
        live: Whether it is connected again after an end, and drops late frames.
        connect: Makes the source of one connection; opens nothing.
    """

    name: str
    live: bool
    connect: Callable[[], Source]


def camera_plan(camera: CameraSettings, *, width: int, observer: Observer, clock: Clock) -> CameraPlan:
    """Make the plan of a camera; nothing is opened.

    Args:
        camera: Settings of the camera.
        width: Longer side of the detection image in pixels.
        observer: Receives counts and durations of the source.
        clock: Monotonic time and UTC.

    Raises:
        ConfigError: The source is not supported.
    """
    options = SourceOptions(
        width=width,
        analysis_fps=camera.analysis_fps,
        loop=camera.loop,
        realtime=camera.realtime,
        transport=camera.transport,
        connect_timeout_s=camera.connect_timeout_s,
        read_timeout_s=camera.read_timeout_s,
        open_timeout_s=camera.open_timeout_s,
        snapshot_interval_s=camera.snapshot_interval_s,
        credentials=credentials(camera),
        password_file=camera.password_file,
        tls_verify=camera.tls_verify,
        ca_file=camera.ca_file,
        allow_inward_redirects=camera.allow_inward_redirects,
        max_pixels=camera.max_pixels,
        picture=picture_options(camera),
    )

    def connect() -> Source:
        return open_source(camera.source, camera=camera.name, observer=observer, options=options, clock=clock)

    return CameraPlan(camera.name, is_live(camera.source, realtime=camera.realtime), connect)


def credentials(camera: CameraSettings) -> Credentials | None:
    """Return the user name and password of a camera; None without a user name."""
    if camera.username is None:
        return None
    return Credentials(camera.username, None if camera.password is None else camera.password.get_secret_value())
