"""The texts of errors: one line each, with where, the key, what was expected and what was found."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.settings import load_settings
from ferstream.settings.problems import SettingsError

from .conftest import DOOR, ErrorLines


def test_all_problems_are_reported_at_once_file_first(error_lines: ErrorLines) -> None:
    text = '[detection]\nwidht = 3\nwidth = "640"\n[mqtt]\nurl = "ftp://h"\n'
    assert error_lines(text, {"FERSTREAM_LOG__LEVL": "debug"}, {"http.listen": "nowhere"}) == [
        "f.toml:2: detection.widht: unknown key; did you mean detection.width?",
        'f.toml:3: detection.width: expected a whole number, found "640"',
        'f.toml:5: mqtt.url: expected a URL that begins with mqtt://, mqtts://, ws:// or wss://, found "ftp://h"',
        "environment FERSTREAM_LOG__LEVL: unknown variable; did you mean FERSTREAM_LOG__LEVEL?",
        (
            "flag http.listen: http.listen: expected address:port with a port of 0 to 65535, "
            'such as 127.0.0.1:9108 or [::1]:9108, found "nowhere"'
        ),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nodes = 'x'", "f.toml:1: nodes: unknown key; did you mean node?"),
        ("[camera]\nname = 'x'", "f.toml:1: camera: unknown key; did you mean cameras.name?"),
        ("[zzz]", "f.toml:1: zzz: unknown key; config/ferstream.toml lists all keys"),
        ("widht = 3", "f.toml:1: widht: unknown key; did you mean detection.width?"),
        ("node = 3", "f.toml:1: node: expected text in quotes, found 3"),
        ("node = 'a/b'", 'f.toml:1: node: expected 1 to 64 characters without / + # or blanks, found "a/b"'),
        ("detection = 3", "f.toml:1: detection: expected a table, found 3"),
        ("cameras = 'x'", 'f.toml:1: cameras: expected a list, found "x"'),
        ("[cameras]\nname = 'x'", "f.toml:1: cameras: expected a list, found a table"),
        ("[detection]\nscore = 2", "f.toml:2: detection.score: expected less than or equal to 1, found 2"),
        ("[detection]\nscore = nan", "f.toml:2: detection.score: expected a finite number, found nan"),
        ("[detection]\nwidth = true", "f.toml:2: detection.width: expected a whole number, found true"),
        ("[detection]\nwidth = 640.5", "f.toml:2: detection.width: expected a whole number, found 640.5"),
        ("[mqtt]\ncommands = 1", "f.toml:2: mqtt.commands: expected true or false, found 1"),
        ("[mqtt]\nprotocol = 4", "f.toml:2: mqtt.protocol: expected 5 or '3.1.1', found 4"),
        (
            "[mqtt]\nprefix = 'a//b'",
            (
                "f.toml:2: mqtt.prefix: expected topic levels joined by single slashes, without + # or blanks, "
                'not beginning with $, found "a//b"'
            ),
        ),
        (
            "[mqtt]\nurl = 'mqtt://::1:21183'",
            'f.toml:2: mqtt.url: expected the IPv6 address in brackets, such as mqtt://[::1]:21183, found "mqtt://***"',
        ),
        (
            "[mqtt]\nurl = 'wss://2001:db8::7/mqtt'",
            'f.toml:2: mqtt.url: expected the IPv6 address in brackets, such as wss://[2001:db8::7], found "wss://***/mqtt"',
        ),
        (
            "[[cameras]]\nname = 'a'\nsource = 'rtsp://fe80::1%eth0:554/live'",
            'f.toml:3: cameras.a.source: expected the IPv6 address in brackets, such as rtsp://[fe80::1%eth0]:554, found "rtsp://***/live"',
        ),
        ("[mqtt]\nca_file = 3", "f.toml:2: mqtt.ca_file: expected a path as text, found 3"),
        ("[log]\nlevel = 'loud'", "f.toml:2: log.level: expected 'debug', 'info', 'warning' or 'error', found \"loud\""),
        ("[http]\nlisten = ['a', 'b']", "f.toml:2: http.listen: expected text in quotes, found a list of 2"),
        ("[http]\nlisten = 1979-05-27", "f.toml:2: http.listen: expected text in quotes, found a date"),
        ("[[cameras]]\nname = 'a'", "f.toml:1: cameras.a.source: is missing and has no default"),
        ("[[cameras]]\nsource = 'demo:'", "f.toml:1: cameras[0].name: is missing and has no default"),
        (
            "[[cameras]]\nname = 'A'\nsource = 'demo:'",
            'f.toml:2: cameras.A.name: expected 1 to 32 of the characters a-z 0-9 _ -, found "A"',
        ),
        (
            "[[cameras]]\nname = 'a'\nsource = 'webcam:x'",
            'f.toml:3: cameras.a.source: expected webcam:N with the number of the webcam, such as webcam:0, found "webcam:x"',
        ),
        (
            "[[cameras]]\nname = 'a'\nsource = 'demo:'\nmasks = [[[0, 0], [1, 1]]]",
            "f.toml:4: cameras.a.masks[0]: expected a polygon of at least 3 corners [x, y], each 0 to 1, found a list of 2",
        ),
        (
            "[[cameras]]\nname = 'a'\nsource = 'demo:'\nmasks = [[[0, 0], [1, 1], [0, 2]]]",
            "f.toml:4: cameras.a.masks[0][2][1]: expected less than or equal to 1, found 2",
        ),
        (f"{DOOR}{DOOR}", 'f.toml:5: cameras[1].name: "door" is the name of another camera already (f.toml:2)'),
        ("node = 'a'\nnode = 'b'", "f.toml:2: node: is given twice"),
        ("[log]\nlevel = 'info'\n[log]", "f.toml:3: is not valid TOML: Cannot declare ('log',) twice (column 5)"),
        ("node = ", "f.toml:1: is not valid TOML: Invalid value"),
        ("node = 'a", 'f.toml:1: is not valid TOML: Expected "\'"'),
    ],
)
def test_text_of_a_mistake_in_the_file(text: str, line: str, error_lines: ErrorLines) -> None:
    assert error_lines(text) == [line]


def test_control_characters_of_a_value_cannot_forge_a_line(error_lines: ErrorLines) -> None:
    (line,) = error_lines('[log]\nlevel = "a\\nflag --x: all is well\\u001b[31m"')
    assert "\\nflag" in line
    assert "\x1b" not in line


def test_the_error_carries_every_problem(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text("a = 1\nb = 2\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "f.toml", environ={})
    assert [problem.key for problem in caught.value.problems] == ["a", "b"]
