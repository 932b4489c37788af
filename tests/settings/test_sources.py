"""Variables and flags: names, types, cameras by name, and unknown ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ferstream.settings import Settings
from ferstream.settings.model import env_names
from ferstream.settings.sources import OTHER_VARIABLES

from .conftest import DOOR, ErrorLines, Reader


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("FERSTREAM_NODE", "12", "node", "12"),
        ("FERSTREAM_DETECTION__WIDTH", "320", "detection.width", 320),
        ("FERSTREAM_DETECTION__SCORE", "1", "detection.score", 1.0),
        ("FERSTREAM_MQTT__PROTOCOL", "5", "mqtt.protocol", 5),
        ("FERSTREAM_MQTT__PROTOCOL", "3.1.1", "mqtt.protocol", "3.1.1"),
        ("FERSTREAM_MQTT__COMMANDS", "yes", "mqtt.commands", True),
        ("FERSTREAM_MQTT__COMMANDS", "0", "mqtt.commands", False),
        ("FERSTREAM_OUTBOX__PATH", "/a/box", "outbox.path", "/a/box"),
        ("ferstream_log__level", "debug", "log.level", "debug"),
    ],
)
def test_text_of_a_variable_is_converted_to_the_type_of_its_key(name: str, text: str, key: str, value: object, read: Reader) -> None:
    found: object = read("", {name: text})
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value
    assert type(found) is type(value) or isinstance(value, Path)


def test_a_variable_reaches_a_camera_by_its_name(read: Reader) -> None:
    environ = {"FERSTREAM_CAMERAS__FRONT_DOOR__ANALYSIS_FPS": "3", "FERSTREAM_CAMERAS__FRONT_DOOR__MASKS": "[[[0,0],[1,0],[1,1]]]"}
    camera = read('[[cameras]]\nname = "front-door"\nsource = "demo:"', environ).cameras[0]
    assert camera.analysis_fps == 3
    assert camera.masks == (((0, 0), (1, 0), (1, 1)),)


def test_a_variable_with_a_source_adds_a_camera(read: Reader) -> None:
    environ = {"FERSTREAM_CAMERAS__YARD__LOOP": "true", "FERSTREAM_CAMERAS__YARD__SOURCE": "/clips/yard.mp4"}
    door, yard = read(DOOR, environ).cameras
    assert (door.name, yard.name, yard.source, yard.loop) == ("door", "yard", "/clips/yard.mp4", True)


def test_a_variable_changes_the_default_camera(monkeypatch: pytest.MonkeyPatch, read: Reader) -> None:
    cameras = read("", {"FERSTREAM_CAMERAS__WEBCAM__ANALYSIS_FPS": "2"}).cameras
    assert [(c.name, c.source, c.analysis_fps) for c in cameras] == [("webcam", "webcam:0", 2)]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("FERSTREAM_TYPO", "environment FERSTREAM_TYPO: unknown variable; ferstream config keys lists all"),
        ("FERSTREAM_DETECTION", "environment FERSTREAM_DETECTION: unknown variable; did you mean FERSTREAM_DETECTION__WIDTH?"),
        ("FERSTREAM_", "environment FERSTREAM_: unknown variable; ferstream config keys lists all"),
        (
            "FERSTREAM_CAMERAS__DOR__LOOP",
            (
                "environment FERSTREAM_CAMERAS__DOR__LOOP: no camera is named dor (cameras: door); "
                "FERSTREAM_CAMERAS__DOR__SOURCE would add it"
            ),
        ),
    ],
)
def test_an_unknown_variable_is_an_error(name: str, line: str, error_lines: ErrorLines) -> None:
    assert error_lines(DOOR, {name: "1"}) == [line]


def test_variables_of_the_scripts_in_deploy_are_ignored(read: Reader, root_dir: Path) -> None:
    scripts = "".join(file.read_text(errors="replace") for file in (root_dir / "deploy").rglob("*") if file.is_file())
    used = set(re.findall(r"\bFERSTREAM_[A-Z_]+\b", scripts))
    settings = {name for name in env_names() if "<" not in name}
    assert used >= OTHER_VARIABLES
    assert used - settings - OTHER_VARIABLES == {name for name in used if name.startswith("FERSTREAM_CAMERAS__")}
    assert read("", dict.fromkeys(OTHER_VARIABLES, "x")) == Settings()


def test_a_variable_of_the_wrong_type_is_reported_with_its_name(error_lines: ErrorLines) -> None:
    expected = 'environment FERSTREAM_INFERENCE__MAX_BATCH: inference.max_batch: expected a whole number, found "many"'
    assert error_lines("", {"FERSTREAM_INFERENCE__MAX_BATCH": "many"}) == [expected]


def test_an_unknown_flag_is_an_error(error_lines: ErrorLines) -> None:
    assert error_lines("", {}, {"mqtt.ulr": "x"}) == ["flag mqtt.ulr: mqtt.ulr: unknown key; did you mean mqtt.url?"]


def test_all_cameras_in_one_variable_replace_those_of_the_file(read: Reader) -> None:
    environ = {
        "FERSTREAM_CAMERAS": '[{"name": "a", "source": "demo:"}, {"name": "b", "source": "demo:"}]',
        "FERSTREAM_CAMERAS__B__LOOP": "true",
    }
    assert [(camera.name, camera.loop) for camera in read(DOOR, environ).cameras] == [("a", False), ("b", True)]


def test_cameras_can_be_a_flag(read: Reader) -> None:
    (camera,) = read(DOOR, {}, {"cameras": [{"name": "a", "source": "demo:"}], "cameras.a.loop": True}).cameras
    assert (camera.name, camera.loop) == ("a", True)


def test_a_new_camera_takes_the_place_of_the_default_camera(read: Reader) -> None:
    assert [camera.name for camera in read("", {"FERSTREAM_CAMERAS__YARD__SOURCE": "demo:"}).cameras] == ["yard"]


@pytest.mark.parametrize("text", ["1" * 5000, "[" * 3000])
def test_a_value_that_json_cannot_read_is_an_error(text: str, error_lines: ErrorLines) -> None:
    environ = {"FERSTREAM_DETECTION__WIDTH": text, "FERSTREAM_LOG__LEVL": "x"}
    assert error_lines("", environ) == [
        "environment FERSTREAM_DETECTION__WIDTH: is too large or too deeply nested",
        "environment FERSTREAM_LOG__LEVL: unknown variable; did you mean FERSTREAM_LOG__LEVEL?",
    ]


def test_text_that_is_not_json_is_reported_with_the_other_problems(error_lines: ErrorLines) -> None:
    lines = error_lines(DOOR + "[detection]\nwidth = 1", {"FERSTREAM_CAMERAS__DOOR__MASKS": "[["})
    assert lines == [
        "f.toml:5: detection.width: expected greater than or equal to 64, found 1",
        'environment FERSTREAM_CAMERAS__DOOR__MASKS: cameras.door.masks: expected a list, found "[["',
    ]


def test_a_table_of_the_wrong_kind_is_the_only_problem(error_lines: ErrorLines) -> None:
    assert error_lines("mqtt = 3", {"FERSTREAM_MQTT__URL": "mqtt://h"}) == ["f.toml:1: mqtt: expected a table, found 3"]
