"""The options of ``replay`` and ``watch``, checked, as their sessions take them. Privacy settings are obeyed, or refuse the call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ferstream.api.checks import OPTION, Config, MadeBy, check_camera_has_config, number, read_settings, refuse_aggregate_only
from ferstream.api.replay_session import ReplayJob, masks_and_picture, opened
from ferstream.api.values import Masks
from ferstream.api.watch_session import WatchJob
from ferstream.app.privacy import camera_of_recording, camera_of_source, demo_privacy
from ferstream.capture.creation_time import start_time_ns
from ferstream.detection.mask import PrivacyMask
from ferstream.errors import ConfigError
from ferstream.events.schemas import FACE, KINDS, TRACK
from ferstream.settings import CameraSettings, Settings, load_settings

SINGLE_FACES = frozenset({FACE, TRACK})
"""Schemas of events of single faces."""


def checked_kinds(kinds: Sequence[str]) -> frozenset[str]:
    """Return the schemas of kinds of events.

    Raises:
        ConfigError: There is none, or one has another name than ``face``, ``track``, ``summary`` and ``state``.
    """
    wanted = {kinds} if isinstance(kinds, str) else set(kinds)
    if not wanted or not wanted <= set(KINDS.values()):
        raise ConfigError(f"kinds = {kinds!r}: expected some of {', '.join(KINDS.values())}")
    return frozenset(schema for schema, kind in KINDS.items() if kind in wanted)


def replay_settings(config: Config, *, model: str | None, more: Mapping[str, object] | None) -> Settings:
    """Return the settings of a replay.

    Args:
        config: A settings file. None: neither a file of the working directory nor variables of the environment change the events.
        model: Model instead of that of the settings.
        more: Further values by dotted key.

    Raises:
        ConfigError: A setting is wrong, or ``privacy.aggregate_only`` is set.
    """
    flags = _flags(model, more)
    settings = load_settings(os.devnull, environ={}, flags=flags) if config is None else read_settings(config, flags)
    refuse_aggregate_only(settings, _where(config), "ferstream.replay yields")
    return settings


@dataclass(frozen=True, slots=True)
class CameraChoice:
    """Which cameras ``watch`` shall watch, as it was asked.

    Attributes:
        source: The source of one camera; None for cameras of the settings file.
        camera: Name of a camera.
        fps: Frames to analyse per second; None for what the settings say, and every frame without settings.
        masks: Further masks.
    """

    source: str | None
    camera: str | None
    fps: float | None
    masks: Masks


def watch_job(
    choice: CameraChoice,
    *,
    config: Config,
    kinds: Sequence[str],
    buffer: int,
    max_hz: float | None,
    model: str | None,
    more: Mapping[str, object] | None,
) -> WatchJob:
    """Return what ``watch`` does, from its options.

    Args:
        choice: Which cameras.
        config: See ``watch``.
        kinds: See there.
        buffer: See there.
        max_hz: See there.
        model: See there.
        more: Its ``settings``.

    Raises:
        ConfigError: An option is wrong, or the privacy settings do not allow what it asks for.
    """
    places = int(number("buffer", buffer, 1, 10_000_000))
    schemas = checked_kinds(kinds)
    rate = {} if max_hz is None else {"publishing.max_hz_per_face": number("max_hz", max_hz, 0, 1e6)}
    settings = watch_settings(config, choice, model=model, more={**(more or {}), **rate})
    if schemas & SINGLE_FACES and settings.privacy.aggregate_only:
        where = "the settings of this machine" if config is None else str(config)
        raise ConfigError(f'privacy.aggregate_only is set ({where}), and events of single faces were asked for; give kinds = ("summary",)')
    return WatchJob(settings=settings, schemas=schemas, buffer=places)


def watch_settings(config: Config, choice: CameraChoice, *, model: str | None, more: Mapping[str, object] | None) -> Settings:
    """Return the settings of ``watch``; its cameras are those to watch.

    Args:
        config: A settings file; None for the defaults with the privacy settings of this machine.
        choice: Which cameras.
        model: Model instead of that of the settings.
        more: Further values by dotted key.

    Raises:
        ConfigError: A setting or a source is wrong, or no camera is left.
    """
    PrivacyMask(choice.masks)  # checks them
    if more and any(key.split(".")[0] == "cameras" for key in more):
        raise ConfigError("settings = cannot hold cameras; give them in a settings file, or as source =")
    flags = _flags(model, more)
    if config is not None:
        settings = read_settings(config, flags)
        cameras = _cameras(settings, choice, str(config))
    elif choice.source is not None:
        settings = _settings_of_source(choice.source, choice.camera or "camera", flags)
        cameras = settings.cameras
    else:
        raise ConfigError("give a source, such as webcam:0, or config = with a settings file that has cameras")
    changed = tuple(_changed(camera, choice) for camera in cameras)
    return settings.model_copy(update={"cameras": changed})


def _settings_of_source(source: str, name: str, flags: Mapping[str, object]) -> Settings:
    camera: dict[str, Any] = {"name": name, "source": source, "realtime": True, "analysis_fps": 0.0}
    settings = load_settings(os.devnull, environ={}, flags={**flags, "cameras": [camera]})
    privacy = demo_privacy(settings.cameras[0].source, program="ferstream.watch")
    if privacy is None:
        return settings
    camera |= {"masks": privacy.masks, **asdict(privacy.picture)}
    rules = {
        "privacy.aggregate_only": privacy.aggregate_only or settings.privacy.aggregate_only,
        "privacy.min_group_size": max(privacy.min_group_size, settings.privacy.min_group_size),
    }
    return load_settings(os.devnull, environ={}, flags={**flags, **rules, "cameras": [camera]})


def _cameras(settings: Settings, choice: CameraChoice, where: str) -> tuple[CameraSettings, ...]:
    """Return the cameras of a settings file that are to be watched."""
    if choice.source is not None:
        return (_camera_with_source(settings, choice.source, choice.camera, where),)
    if choice.camera is not None:
        return (_named(settings, choice.camera).model_copy(update={"enabled": True}),)
    enabled = tuple(camera for camera in settings.cameras if camera.enabled)
    if not enabled:
        raise ConfigError(f"{where} has no camera that is enabled")
    return enabled


def _camera_with_source(settings: Settings, source: str, name: str | None, where: str) -> CameraSettings:
    """Return a camera of the settings with another source, the one that has this source, or a new one."""
    new = load_settings(
        os.devnull, environ={}, flags={"cameras": [{"name": "camera", "source": source, "realtime": True, "analysis_fps": 0.0}]}
    ).cameras[0]
    if name is None:
        known = camera_of_source(source, settings, where)
        return known.model_copy(update={"enabled": True}) if known in settings.cameras else new
    known = _named(settings, name)
    access = {} if new.username is None else {"username": new.username, "password": new.password, "password_file": None}
    return known.model_copy(update={"source": new.source, "realtime": True, "enabled": True, **access})


def _named(settings: Settings, name: str) -> CameraSettings:
    known = camera_of_recording(settings, name, option=OPTION)
    assert known is not None  # with a name, it is found or an error
    return known


def _changed(camera: CameraSettings, choice: CameraChoice) -> CameraSettings:
    masks = (*camera.masks, *(tuple((float(x), float(y)) for x, y in polygon) for polygon in choice.masks))
    fps = camera.analysis_fps if choice.fps is None else number("fps", choice.fps, 0, 1000)
    return camera.model_copy(update={"masks": masks, "analysis_fps": fps})


def _flags(model: str | None, more: Mapping[str, object] | None) -> dict[str, object]:
    return {**(more or {}), **({} if model is None else {"inference.model": model})}


def _where(config: Config) -> str:
    return "settings =" if config is None else str(config)


def recording_job(
    videos: Sequence[Path],
    *,
    rates: tuple[float, float, float],
    kinds: Sequence[str],
    start: datetime | str | None,
    masks: Masks,
    made_by: MadeBy,
    model: str | None,
    more: Mapping[str, object] | None,
) -> ReplayJob:
    """Return what ``replay`` does, from its options; the recordings were opened once.

    Args:
        videos: The recordings.
        rates: Its ``fps``, ``speed`` and ``max_hz``.
        kinds: See there.
        start: See there.
        masks: See there.
        made_by: Its ``config`` and ``camera``.
        model: See there.
        more: Its ``settings``.

    Raises:
        SourceError: A recording cannot be read.
        ConfigError: An option is wrong.
    """
    settings = replay_settings(made_by[0], model=model, more=more)
    check_camera_has_config(made_by)
    fps, speed, max_hz = (number(name, value, 0, 1e6) for name, value in zip(("fps", "speed", "max_hz"), rates, strict=True))
    schemas = checked_kinds(kinds)
    if start is not None and len(videos) != 1:
        raise ConfigError("start = is the time of one recording; replay the others with a start = of their own")
    start_ns = None if start is None else start_time_ns(start, name="start =")
    PrivacyMask(masks)  # checks them
    known, picture = masks_and_picture(settings, made_by[1], option=OPTION)
    return ReplayJob(
        videos=videos,
        infos=opened(videos),
        settings=settings,
        schemas=schemas,
        fps=fps,
        speed=speed,
        max_hz=max_hz,
        start_ns=start_ns,
        masks=(*known, *masks),
        picture=picture,
    )
