"""Check of a camera: connect and decode one frame."""

from __future__ import annotations

from collections.abc import Iterator

from ferstream.app.checks.finding import Finding, failed, failed_with, passed, skipped, warned
from ferstream.app.factories import camera_plan
from ferstream.capture.display_name import display_name
from ferstream.capture.factory import reads_once
from ferstream.capture.source import SourceInfo
from ferstream.errors import ConfigError, FerstreamError, SourceAuthError, SourceError, SourceFormatError, SourceTimeoutError
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.runtime.printable import plain_number
from ferstream.settings import CameraSettings

SLACK_S = 5.0
"""Seconds added to the camera's own timeouts before the check counts as hung."""


def timeout_s(camera: CameraSettings) -> float:
    """Return how many seconds the check of this camera may take."""
    return camera.first_picture_within_s + SLACK_S


def check_camera(camera: CameraSettings, *, width: int) -> Iterator[Finding]:
    """Open a camera and decode one frame; warn of a certificate that is not verified.

    Args:
        camera: Settings of the camera.
        width: Width in pixels of the image given to the face detector.
    """
    part = f"camera {camera.name}"
    if not camera.enabled:
        yield skipped(part, "enabled is false")
        return
    if camera.encrypted and not camera.tls_verify:
        yield _unverified(part)
    if reads_once(camera.source):
        yield skipped(part, f"{display_name(camera.source)} is a pipe: what check reads of it would be lost for run")
        return
    try:
        info, waited_s = open_once(camera, width=width)
    except FerstreamError as exc:
        yield _failure(part, camera, exc)
    else:
        yield passed(part, f"{described(info)}, first frame after {waited_s:.1f} s")


def open_once(camera: CameraSettings, *, width: int) -> tuple[SourceInfo, float]:
    """Open a camera, decode one frame, and close it again; return its format, and the seconds until the frame came.

    Args:
        camera: Settings of the camera.
        width: Width in pixels of the image given to the face detector.

    Raises:
        FerstreamError: The camera cannot be read, or gives no frame.
    """
    clock = SystemClock()
    began_ns = clock.monotonic_ns()
    source = camera_plan(camera, width=width, observer=Counters(), clock=clock).connect()
    try:
        info = source.open()
        if next(iter(source.frames()), None) is None:
            raise SourceFormatError(f"{display_name(camera.source)}: opened, but no frame could be decoded")
    finally:
        source.close()
    return info, (clock.monotonic_ns() - began_ns) / 1e9


def _failure(part: str, camera: CameraSettings, error: FerstreamError) -> Finding:
    """Return the finding for an error, with what it says to do; a remedy is not given twice."""
    if not isinstance(error, SourceError) or not error.remedy:
        return failed_with(part, error, advice(camera, error))
    to_set = isinstance(error, SourceAuthError) and "password_file" in error.remedy  # advice knows the camera's own keys
    return failed(part, error.problem, advice(camera, error) if to_set else error.remedy, error.exit_code)


def _unverified(part: str) -> Finding:
    detail = "tls_verify is false: the camera's certificate is not verified, so whoever answers in its place gets the password"
    return warned(part, detail, "set ca_file of the camera to its certificate, and remove tls_verify")


def described(info: SourceInfo) -> str:
    """Return size, pixel aspect, frame rate and codec as text, and which of several video streams is read."""
    rate = f"{plain_number(info.fps, 5)} fps" if info.fps else "unknown rate"
    pixels = "" if info.pixel_aspect == 1 else f" (pixel aspect {plain_number(info.pixel_aspect, 3)})"
    choice = f", {info.choice}" if info.choice else ""
    return f"{info.width} x {info.height}{pixels}, {rate}, {info.codec}{choice}"


def advice(camera: CameraSettings, error: FerstreamError) -> str:
    """Return what to do about a camera that cannot be read."""
    name = camera.name.upper().replace("-", "_")
    if isinstance(error, SourceAuthError):
        verb = "set" if error.remedy.startswith("set ") else "check"
        return f"{verb} username and password_file of camera {camera.name} (or FERSTREAM_CAMERAS__{name}__PASSWORD)"
    if isinstance(error, SourceTimeoutError):
        return "is the camera on, and can this machine reach it? a slow camera needs a larger connect_timeout_s"
    if isinstance(error, ConfigError):
        return f"correct the source of camera {camera.name}"
    if isinstance(error, SourceFormatError):
        return "the source must be a video; play it with: ffplay SOURCE"
    if "://" in camera.source:
        return "check address, port and path, and that the camera is on; play it with: ffplay SOURCE"
    return "check the path or number, and that this user may read it (webcams: group video)"
