"""Settings: one frozen model, read from a file, the environment and flags. Only ``app`` and the commands see it."""

from __future__ import annotations

from ferstream.settings.loader import Loaded, load, load_settings
from ferstream.settings.model import (
    CameraSettings,
    DetectionSettings,
    HttpSettings,
    InferenceSettings,
    KafkaSettings,
    LogSettings,
    MqttSettings,
    OutboxSettings,
    PrivacySettings,
    PublishingSettings,
    RuntimeSettings,
    Settings,
    TrackingSettings,
    WatchdogSettings,
    WebhookSettings,
)
from ferstream.settings.reload import Changes, diff

__all__ = [
    "CameraSettings",
    "Changes",
    "DetectionSettings",
    "HttpSettings",
    "InferenceSettings",
    "KafkaSettings",
    "Loaded",
    "LogSettings",
    "MqttSettings",
    "OutboxSettings",
    "PrivacySettings",
    "PublishingSettings",
    "RuntimeSettings",
    "Settings",
    "TrackingSettings",
    "WatchdogSettings",
    "WebhookSettings",
    "diff",
    "load",
    "load_settings",
]
