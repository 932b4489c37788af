"""The names of keys and of their variables."""

from __future__ import annotations

from ferstream.settings.model import MOVED, CameraSettings, env_names, field_at, known_keys, secret_keys
from ferstream.settings.sinks import WebhookSettings


def test_every_key_has_a_variable() -> None:
    assert len(env_names()) == len(known_keys()) == len(set(env_names()))
    assert "FERSTREAM_CAMERAS__<NAME>__SOURCE" in env_names()
    assert "FERSTREAM_PUBLISHING__MAX_HZ_PER_FACE" in env_names()


def test_a_camera_is_addressed_by_index() -> None:
    assert field_at(("cameras", 3, "source")) is CameraSettings.model_fields["source"]
    assert field_at(("cameras", 3)) is None
    assert field_at(("mqtt",)) is None


def test_an_old_place_has_the_type_of_the_new_one() -> None:
    for old, new in MOVED.items():
        assert field_at(old) is field_at(new) is not None
        assert ".".join(old) not in known_keys()


def test_secret_keys_name_the_key_of_their_file() -> None:
    assert {key: mark.file_key for key, mark in secret_keys(WebhookSettings).items()} == {"secret": "secret_file"}
