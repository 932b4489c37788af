"""Keys that contradict each other, and keys at their old place."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ferstream.settings import load

from .conftest import ErrorLines, Reader

NOT_ENCRYPTED = "has no effect: the source is not encrypted; use rtsps:// or https://, or remove the key"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "[mqtt]\nurl = 'mqtt://h'\nca_file = '/ca.pem'",
            ["f.toml:3: mqtt.ca_file: has no effect: mqtt is not encrypted; write mqtts:// in mqtt.url, or remove the key"],
        ),
        (
            "[mqtt]\nurl = 'ws://h'\ninsecure = true",
            ["f.toml:3: mqtt.insecure: has no effect: ws is not encrypted; write mqtts:// in mqtt.url, or remove the key"],
        ),
        (
            "[mqtt]\nurl = 'mqtts://h'\nkey_file = '/k.pem'",
            ["f.toml:3: mqtt.key_file: is the key of a client certificate, but mqtt.cert_file is missing"],
        ),
        (
            "[mqtt]\nusername = 'u'",
            ["f.toml:2: mqtt.username: has no effect: the embedded broker makes its own user and password; set mqtt.url"],
        ),
        (
            "[[cameras]]\nname = 'door'\nsource = 'rtsp://h'\nca_file = '/ca.pem'\ntls_verify = false",
            [
                f"f.toml:4: cameras.door.ca_file: {NOT_ENCRYPTED}",
                f"f.toml:5: cameras.door.tls_verify: {NOT_ENCRYPTED}",
            ],
        ),
        (
            "[[cameras]]\nname = 'door'\nsource = 'rtsps://h'\nca_file = '/ca.pem'\ntls_verify = false",
            ["f.toml:4: cameras.door.ca_file: has no effect with tls_verify = false; remove one of the two"],
        ),
        (
            "[http]\npixels = true\n[privacy]\naggregate_only = true\n",
            ["f.toml:2: http.pixels: would show single faces, which privacy.aggregate_only forbids; set one of the two to false"],
        ),
    ],
)
def test_keys_that_contradict_each_other_are_errors(text: str, lines: list[str], error_lines: ErrorLines) -> None:
    assert error_lines(text) == lines


@pytest.mark.parametrize(
    "text",
    [
        "url = 'mqtts://h'\nca_file = '/ca.pem'\ncert_file = '/c.pem'\nkey_file = '/k.pem'",
        "url = 'WSS://h'\ninsecure = true",
        "url = 'mqtts://h'\ncert_file = '/both.pem'",
        "url = 'mqtt://h'\nusername = 'u'",
    ],
)
def test_keys_that_go_together_are_accepted(text: str, read: Reader) -> None:
    assert read(f"[mqtt]\n{text}").mqtt.url.lower().endswith("://h")


def test_keys_at_their_old_place_work_and_leave_a_note(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text("[mqtt]\nmax_hz_per_face = 3\n")
    loaded = load(file, environ={"FERSTREAM_MQTT__SUMMARY_INTERVAL_S": "60"})
    assert (loaded.settings.publishing.max_hz_per_face, loaded.settings.publishing.summary_interval_s) == (3, 60)
    assert loaded.notes == (
        f"mqtt.max_hz_per_face is now publishing.max_hz_per_face ({file}:2)",
        "mqtt.summary_interval_s is now publishing.summary_interval_s (environment FERSTREAM_MQTT__SUMMARY_INTERVAL_S)",
    )
    assert str(loaded.origins["publishing", "max_hz_per_face"]) == f"{file}:2"


def test_keys_at_their_new_place_leave_no_note(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text("[publishing]\nmax_hz_per_face = 3\n")
    assert load(tmp_path / "f.toml", environ={}).notes == ()


def test_the_same_value_at_both_places_is_taken(read: Reader) -> None:
    text = "[mqtt]\nmax_hz_per_face = 3\n[publishing]\nmax_hz_per_face = 3\n"
    assert read(text).publishing.max_hz_per_face == 3


def test_different_values_at_both_places_are_an_error(error_lines: ErrorLines) -> None:
    text = "[mqtt]\nmax_hz_per_face = 3\n[publishing]\nmax_hz_per_face = 4\n"
    expected = "is now publishing.max_hz_per_face, which has another value (f.toml:4); remove mqtt.max_hz_per_face"
    assert error_lines(text) == [f"f.toml:2: mqtt.max_hz_per_face: {expected}"]


@pytest.mark.parametrize("text", ["mqtt = 3", "publishing = 3\n[mqtt]\nmax_hz_per_face = 3", "[mqtt]\nmax_hz_per_face = 'x'"])
def test_a_wrong_kind_at_an_old_place_is_an_error(text: str, error_lines: ErrorLines) -> None:
    assert tomllib.loads(text)
    assert len(error_lines(text)) == 1
