"""The privacy settings as the commands obey them: rules for events, masks of recordings, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ferstream.app.pictures import picture_options
from ferstream.capture.geometry import PictureOptions
from ferstream.detection.mask import Polygon
from ferstream.errors import ConfigError
from ferstream.events.privacy import PrivacyRules
from ferstream.settings import CameraSettings, Settings, load
from ferstream.settings.loader import find_file

Masks = tuple[Polygon, ...]

DEMO_CLIP = "demo:"


def privacy_rules(settings: Settings) -> PrivacyRules:
    """Return the rules of the settings; every pipeline, sink and outbox is made with them."""
    privacy = settings.privacy
    return PrivacyRules(aggregate_only=privacy.aggregate_only, min_group_size=privacy.min_group_size)


def refuse_single_faces(settings: Settings, options: str) -> None:
    """Refuse outputs that consist of events of single faces.

    Args:
        settings: The settings.
        options: The options that ask for such an output.

    Raises:
        ConfigError: ``privacy.aggregate_only`` is set.
    """
    if settings.privacy.aggregate_only:
        raise ConfigError(
            f"privacy.aggregate_only is set, and {options} would publish events of single faces; leave that out, or use other settings"
        )


def masks_of_recording(settings: Settings, camera: str | None, *, option: str = "--camera") -> Masks:
    """Return the privacy masks of a recording.

    Args:
        settings: The settings; without masks in them none is needed.
        camera: Name of the camera that made the recording; None takes the only one of the settings.
        option: How the caller names the camera, for messages.

    Raises:
        ConfigError: No camera has that name, or several cameras could have made the recording and some have masks.
    """
    made_by = camera_of_recording(settings, camera, option=option)
    if made_by is not None:
        return made_by.masks
    if any(known.masks for known in settings.cameras):
        names = _names(settings)
        raise ConfigError(f"the settings have masks for several cameras; give {option} NAME, one of {names}, to say whose apply")
    return ()


def camera_of_recording(settings: Settings, camera: str | None, *, option: str = "--camera") -> CameraSettings | None:
    """Return the camera that made a recording; None if it could have been one of several.

    Args:
        settings: The settings.
        camera: Its name; None takes the only one of the settings.
        option: How the caller names the camera, for messages.

    Raises:
        ConfigError: No camera has that name.
    """
    if camera is None:
        return settings.cameras[0] if len(settings.cameras) == 1 else None
    found = next((known for known in settings.cameras if known.name == camera), None)
    if found is None:
        raise ConfigError(f'{option} "{camera}": no camera of the settings has that name; cameras: {_names(settings) or "none"}')
    return found


def _names(settings: Settings) -> str:
    return ", ".join(known.name for known in settings.cameras)


@dataclass(frozen=True, slots=True)
class DemoPrivacy:
    """The privacy settings that ``ferstream demo`` obeys.

    Attributes:
        aggregate_only: See ``PrivacySettings``.
        min_group_size: See ``PrivacySettings``.
        masks: Masks of the source.
        picture: Rotation, mirror and pixel aspect of the source; masks are relative to the turned picture.
        where: The file of the settings, for people.
    """

    aggregate_only: bool
    min_group_size: int
    masks: Masks
    picture: PictureOptions
    where: str


def demo_privacy(source: str, *, program: str = "demo") -> DemoPrivacy | None:
    """Return the privacy settings that ``ferstream run`` would obey here; None for the built-in clip, which shows nobody else.

    Args:
        source: The source, as a camera has it.
        program: What asks, for messages.

    Raises:
        ConfigError: They cannot be read, or a camera at the same host has masks and it is not certain that they fit this source.
    """
    if source == DEMO_CLIP:
        return None
    try:
        loaded = load(secrets=False)
    except ConfigError as exc:
        raise ConfigError(f"{program} obeys the privacy settings of this machine, which cannot be read: {exc}") from exc
    privacy, where = loaded.settings.privacy, str(loaded.file or find_file() or "the environment")
    camera = camera_of_source(source, loaded.settings, where)
    return DemoPrivacy(privacy.aggregate_only, privacy.min_group_size, camera.masks, picture_options(camera), where)


def camera_of_source(source: str, settings: Settings, where: str) -> CameraSettings:
    """Return the camera of the settings that has this source; a new one without masks if there is none.

    Args:
        source: The source.
        settings: The settings.
        where: Their file, for messages.

    Raises:
        ConfigError: A camera at the same host has masks, and it is not certain that they fit this source.
    """
    demo = CameraSettings(name="demo", source=source)
    wanted = demo.source
    for camera in settings.cameras:
        if _place(camera.source) == _place(wanted):
            return camera
    for camera in settings.cameras:
        if camera.masks and _host(camera.source) and _host(camera.source) == _host(wanted):
            raise ConfigError(f"camera {camera.name} of {where} has masks and is at the same host; give --source as it is in that file")
    return demo


def _place(source: str) -> str:
    """Return a source in a form in which equal places are equal: a local path is made absolute."""
    return source if ":" in source.partition("/")[0] else str(Path(source).expanduser().resolve())


def _host(source: str) -> str | None:
    return urlsplit(source).hostname if "://" in source else None
