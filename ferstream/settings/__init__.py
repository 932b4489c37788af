"""Settings: one frozen model, read from a file, the environment and flags. Only ``app`` and the commands import it."""

from __future__ import annotations

from ferstream.settings.loader import Changes, Loaded, diff, load, load_settings
from ferstream.settings.model import (
    CameraSettings,
    DetectionSettings,
    HttpSettings,
    InferenceSettings,
    LogSettings,
    PrivacySettings,
    RuntimeSettings,
    Settings,
    TrackingSettings,
    WatchdogSettings,
)
from ferstream.settings.sinks import (
    HomeAssistantSettings,
    KafkaSettings,
    MqttSettings,
    OutboxSettings,
    PublishingSettings,
    WebhookSettings,
    state_directory,
)

__all__ = [
    "CameraSettings",
    "Changes",
    "DetectionSettings",
    "HomeAssistantSettings",
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
    "state_directory",
]
