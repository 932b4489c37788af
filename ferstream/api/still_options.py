"""The options of ``analyze``, checked, as the analysis takes them. Privacy settings are obeyed, or refuse the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from ferstream.api.checks import OPTION, MadeBy, check_camera_has_config, number, read_settings, refuse_aggregate_only
from ferstream.api.networks import StillKey
from ferstream.api.still_analysis import StillOptions
from ferstream.api.values import Colors, Masks
from ferstream.app.privacy import camera_of_recording, masks_of_recording
from ferstream.detection.detector import DetectorLimits
from ferstream.detection.mask import PrivacyMask
from ferstream.errors import ConfigError
from ferstream.inference.backends import BACKENDS
from ferstream.settings import Settings

MOST_PIXELS = 178_000_000
"""Limit of ``max_pixels``, as in ``ferstream predict``."""


def still_options(
    *,
    key: Mapping[str, Any],
    score: float | None,
    min_face: float,
    max_pixels: int,
    colors: Colors,
    masks: Masks,
    made_by: MadeBy,
) -> StillOptions:
    """Return the options of ``analyze``, which describes them.

    Args:
        key: Its ``model``, ``backend`` and ``detect``.
        score: See there.
        min_face: See there.
        max_pixels: See there.
        colors: See there.
        masks: See there.
        made_by: Its ``config`` and ``camera``.

    Raises:
        ConfigError: An option is wrong, or the privacy settings do not allow results of single faces.
    """
    check_camera_has_config(made_by)
    settings = None if made_by[0] is None else read_settings(made_by[0])
    painted = (*masks, *(() if settings is None else _masks_for_stills(settings, made_by[1], str(made_by[0]))))
    detection, inference = (Settings().detection, Settings().inference) if settings is None else (settings.detection, settings.inference)
    chosen = StillKey(
        model=str(key["model"] or inference.model),
        backend=str(key["backend"] or inference.backend),
        detector=detection.model,
        detect=bool(key["detect"]),
    )
    if chosen.backend not in BACKENDS:
        raise ConfigError(f"backend = {chosen.backend!r}: expected one of {', '.join(BACKENDS)}")
    if colors not in get_args(Colors):
        raise ConfigError(f"colors = {colors!r}: expected 'bgr' or 'rgb'")
    limits = DetectorLimits(
        score=number("score", detection.score if score is None else score, 0, 1), min_face_px=number("min_face", min_face, 1, 1e6)
    )
    pixels = int(number("max_pixels", max_pixels, 1, MOST_PIXELS))
    return StillOptions(key=chosen, limits=limits, mask=PrivacyMask(painted), max_pixels=pixels, colors=colors)


def _masks_for_stills(settings: Settings, camera: str | None, where: str) -> Masks:
    """Return the masks of the camera that made a still picture."""
    refuse_aggregate_only(settings, where, "ferstream.analyze returns")
    masks, made_by = masks_of_recording(settings, camera, option=OPTION), camera_of_recording(settings, camera, option=OPTION)
    if masks and made_by is not None and (made_by.rotate or made_by.mirror):
        raise ConfigError(
            f"camera {made_by.name} of {where} has masks for the picture after rotate and mirror, which analyze does not apply; "
            "turn the picture yourself, and give the masks as masks = with settings that have none"
        )
    return masks
