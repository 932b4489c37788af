"""Settings: one frozen model, read from a file, the environment and flags. Only ``app`` and the commands see it."""

from __future__ import annotations

from ferstream.settings.loader import Loaded, load, load_settings
from ferstream.settings.model import (
    CameraSettings,
    DetectionSettings,
    HttpSettings,
    InferenceSettings,
    LogSettings,
    MqttSettings,
    OutboxSettings,
    PrivacySettings,
    RuntimeSettings,
    Settings,
    TrackingSettings,
    WatchdogSettings,
)
from ferstream.settings.reload import Changes, diff

__all__ = [
    "CameraSettings",
    "Changes",
    "DetectionSettings",
    "HttpSettings",
    "InferenceSettings",
    "Loaded",
    "LogSettings",
    "MqttSettings",
    "OutboxSettings",
    "PrivacySettings",
    "RuntimeSettings",
    "Settings",
    "TrackingSettings",
    "WatchdogSettings",
    "diff",
    "load",
    "load_settings",
]
