"""What decides about every digit of the results of an archive: version, models and settings; and how two plans differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferstream import __version__
from ferstream.app.privacy import camera_of_recording
from ferstream.detection.factory import DETECTORS
from ferstream.detection.weights import find_weights
from ferstream.errors import BundleError
from ferstream.inference.backends import choose_backend
from ferstream.inference.bundle import Bundle, load_bundle
from ferstream.inference.model_choice import open_bundle
from ferstream.settings import CameraSettings, Settings

_SECTIONS = ("detection", "tracking", "inference", "privacy", "runtime")
"""Sections of the settings that workers and the merge obey; no other is kept, so that no password is."""
_OF_DIGITS = ("detection", "tracking", "inference")
_ONLY_SPEED = {"detection": {"workers"}, "inference": {"threads", "max_wait_ms"}}
_OF_CAMERA = {"name", "masks", "rotate", "mirror", "pixel_aspect"}


@dataclass(frozen=True, slots=True)
class Identity:
    """What a plan is made of, beside its recordings.

    Attributes:
        values: What decides about every digit, as JSON.
        settings: The settings that workers use, as JSON: with the model that ``auto`` stands for here.
    """

    values: Mapping[str, Any]
    settings: Mapping[str, Any]


def identity_of(settings: Settings, camera: str | None) -> Identity:
    """Return the identity of a plan with these settings. The files of the models are read, no model is loaded.

    Args:
        settings: The settings.
        camera: The camera of the settings that made the recordings; None if none was named.

    Raises:
        ModelError: A model was not found or is damaged.
        ConfigError: No camera has that name.
    """
    inference = settings.inference
    bundle, _ = open_bundle(inference.model, backend=inference.backend, device=inference.device)
    backend, name = choose_backend(bundle, inference.backend), f"{bundle.manifest.name}/{bundle.manifest.version}"
    made_by = camera_of_recording(settings, camera)
    stored = settings.model_dump(mode="json", include=set(_SECTIONS))
    stored["inference"] |= {"model": _found_again(bundle, name), "backend": backend}
    stored["cameras"] = [] if made_by is None else [{"source": "demo:", **_picture(made_by)}]
    values = {
        "ferstream": __version__,
        "model": f"{name} on {backend}",
        "files of the model": hashlib.sha256(json.dumps(dict(bundle.manifest.files), sort_keys=True).encode()).hexdigest(),
        "detector": _digest(_weights(settings.detection.model)),
        "settings": {section: _without(stored[section], _ONLY_SPEED.get(section, set())) for section in _OF_DIGITS},
        "camera": None if made_by is None else _picture(made_by),
    }
    return Identity(json.loads(json.dumps(values)), json.loads(json.dumps(stored)))


def difference(before: Any, now: Any, name: str = "") -> str:
    """Return the first value that two identities do not share, for people; empty if they are equal.

    Args:
        before: The identity of an earlier plan, or a value in it.
        now: That of the present one.
        name: Name of the value.
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        found = (difference(before.get(key), now.get(key), f"{name}.{key}" if name else key) for key in {**before, **now})
        return next((text for text in found if text), "")
    return "" if before == now else f"{name} is {now} now, and was {before} in its plan"


def _found_again(bundle: Bundle, name: str) -> str:
    """Return the text by which the model is found by a worker: its name, or its folder if it has no known place."""
    try:
        is_known = load_bundle(name).directory.resolve() == bundle.directory.resolve()
    except BundleError:
        is_known = False
    return name if is_known else str(bundle.directory.absolute())


def _weights(model: str) -> Path:
    return find_weights(None if model in {"auto", *DETECTORS} else model)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in (path, path.with_suffix(".bin")) if path.suffix == ".xml" else (path,):
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()


def _picture(camera: CameraSettings) -> dict[str, Any]:
    return camera.model_dump(mode="json", include=_OF_CAMERA)


def _without(values: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in names}
