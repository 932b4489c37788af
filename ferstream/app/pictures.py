"""How the pictures of a camera are turned, mirrored and stretched, from its settings."""

from __future__ import annotations

from ferstream.capture.geometry import PictureOptions
from ferstream.settings import CameraSettings


def picture_options(camera: CameraSettings) -> PictureOptions:
    """Return how the pictures of a camera are turned, and the shape of their pixels."""
    return PictureOptions(rotate=camera.rotate, mirror=camera.mirror, pixel_aspect=camera.pixel_aspect)
