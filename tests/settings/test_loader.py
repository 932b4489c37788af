"""Reading settings: which source wins, and what is said of each mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ferstream.errors import ConfigError, ExitCode
from ferstream.settings import Settings, load, load_settings
from ferstream.settings.keys import env_names
from ferstream.settings.problems import SettingsError
from ferstream.settings.sources import OTHER_VARIABLES

from .conftest import Complaints, Reader

DOOR = '[[cameras]]\nname = "door"\nsource = "rtsp://cam/stream"\n'


def test_without_a_file_it_is_webcam_0_and_the_embedded_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ferstream.settings.loader.SYSTEM_FILE", tmp_path / "none.toml")
    loaded = load(environ={})
    assert loaded.file is None
    assert [(c.name, c.source) for c in loaded.settings.cameras] == [("webcam", "webcam:0")]
    assert loaded.settings.mqtt.embedded
    assert loaded.settings == Settings()


def test_the_local_file_comes_before_the_system_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    system = tmp_path / "system.toml"
    system.write_text('node = "system"')
    monkeypatch.setattr("ferstream.settings.loader.SYSTEM_FILE", system)
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}).node == "system"
    (tmp_path / "ferstream.toml").write_text('node = "local"')
    assert load_settings(environ={}).node == "local"


def test_a_file_that_may_not_be_seen_is_not_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(self: Path, *_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "is_file", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match="this user may not read it; run as its owner, or give another file with -c FILE"):
        load_settings(environ={})


def test_flags_win_over_the_environment_and_that_over_the_file(read: Reader) -> None:
    text = "[detection]\nwidth = 320\nscore = 0.5\nmin_face_px = 30\n"
    environ = {"FERSTREAM_DETECTION__SCORE": "0.6", "FERSTREAM_DETECTION__MIN_FACE_PX": "40"}
    detection = read(text, environ, {"detection.min_face_px": 50, "detection.device": None}).detection
    assert (detection.width, detection.score, detection.min_face_px, detection.device) == (320, 0.6, 50, "auto")


def test_each_value_knows_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text(f"{DOOR}\n[detection]\nwidth = 320\nscore = 0.5\n")
    origins = load(file, environ={"FERSTREAM_DETECTION__SCORE": "0.6"}, flags={"log.level": "debug"}).origins
    assert str(origins["detection", "width"]) == f"{file}:6"
    assert str(origins["cameras", 0, "source"]) == f"{file}:3"
    assert str(origins["detection", "score"]) == "environment FERSTREAM_DETECTION__SCORE"
    assert str(origins["log", "level"]) == "flag log.level"


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
def test_text_of_a_variable_becomes_what_its_key_wants(name: str, text: str, key: str, value: object, read: Reader) -> None:
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


def test_relative_paths_count_from_the_folder_of_the_file(tmp_path: Path, read: Reader) -> None:
    (tmp_path / "pw").write_text("secret-1")
    text = '[[cameras]]\nname = "a"\nsource = "clip.mp4"\npassword_file = "pw"\n[inference]\nmodel = "./m"\n[outbox]\npath = "box"\n'
    settings = read(text)
    assert settings.cameras[0].source == str(tmp_path / "clip.mp4")
    assert settings.cameras[0].password_file == tmp_path / "pw"
    assert settings.inference.model == str(tmp_path / "m")
    assert settings.outbox.directory == tmp_path / "box"


@pytest.mark.parametrize("source", ["RTSP://viewer:hunter2@cam/s", "Http://viewer:hunter2@cam/s"])
def test_a_scheme_in_capitals_is_no_file(source: str, read: Reader) -> None:
    (found,) = read(f'[[cameras]]\nname = "a"\nsource = "{source}"\n').cameras
    assert found.source.lower() == source.lower().replace("viewer:hunter2@", "")
    assert found.password is not None
    assert "hunter2" not in repr(found)


def test_a_source_that_is_refused_is_shown_without_its_password(complaints: Complaints) -> None:
    (line,) = complaints('[[cameras]]\nname = "a"\nsource = "rtsp:/viewer:hunter2@cam/s"\n')
    assert "expected rtsp://, with two slashes" in line
    assert "hunter2" not in line


def test_a_token_that_could_be_guessed_is_refused(tmp_path: Path, complaints: Complaints) -> None:
    (tmp_path / "t").write_text("short")
    (line,) = complaints('[http]\ntoken_file = "t"\n')
    assert "at least 16" in line
    assert "short" not in line


@pytest.mark.parametrize("source", ["rtsp://cam/s", "webcam:0", "demo:", "/abs/clip.mp4", "http://cam/mjpeg"])
def test_what_is_no_relative_path_stays(source: str, read: Reader) -> None:
    settings = read(f'[[cameras]]\nname = "a"\nsource = "{source}"\n[inference]\nmodel = "emotion-edge/1.0.0"\n[detection]\nmodel = "auto"')
    assert settings.cameras[0].source == source
    assert (settings.inference.model, settings.detection.model, settings.outbox.path) == ("emotion-edge/1.0.0", "auto", "auto")


def test_all_problems_are_told_at_once_in_the_order_of_the_file(complaints: Complaints) -> None:
    text = '[detection]\nwidht = 3\nwidth = "640"\n[mqtt]\nurl = "ftp://h"\n'
    assert complaints(text, {"FERSTREAM_LOG__LEVL": "debug"}, {"http.listen": "nowhere"}) == [
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
def test_what_is_said_of_a_mistake_in_a_file(text: str, line: str, complaints: Complaints) -> None:
    assert complaints(text) == [line]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("FERSTREAM_TYPO", "environment FERSTREAM_TYPO: unknown variable; ferstream config keys lists all"),
        ("FERSTREAM_DETECTION", "environment FERSTREAM_DETECTION: unknown variable; did you mean FERSTREAM_DETECTION__WIDTH?"),
        ("FERSTREAM_", "environment FERSTREAM_: unknown variable; ferstream config keys lists all"),
        (
            "FERSTREAM_CAMERAS__DOR__LOOP",
            "environment FERSTREAM_CAMERAS__DOR__LOOP: there is no camera dor, only door; its __SOURCE would add it",
        ),
    ],
)
def test_an_unknown_variable_is_an_error(name: str, line: str, complaints: Complaints) -> None:
    assert complaints(DOOR, {name: "1"}) == [line]


def test_variables_of_the_scripts_in_deploy_are_none_of_our_business(read: Reader, root_dir: Path) -> None:
    scripts = "".join(file.read_text(errors="replace") for file in (root_dir / "deploy").rglob("*") if file.is_file())
    used = set(re.findall(r"\bFERSTREAM_[A-Z_]+\b", scripts))
    settings = {name for name in env_names() if "<" not in name}
    assert used >= OTHER_VARIABLES
    assert used - settings - OTHER_VARIABLES == {name for name in used if name.startswith("FERSTREAM_CAMERAS__")}
    assert read("", dict.fromkeys(OTHER_VARIABLES, "x")) == Settings()


def test_an_ill_typed_variable_is_told_by_its_name(complaints: Complaints) -> None:
    expected = 'environment FERSTREAM_INFERENCE__MAX_BATCH: inference.max_batch: expected a whole number, found "many"'
    assert complaints("", {"FERSTREAM_INFERENCE__MAX_BATCH": "many"}) == [expected]


def test_an_unknown_flag_is_an_error(complaints: Complaints) -> None:
    assert complaints("", {}, {"mqtt.ulr": "x"}) == ["flag mqtt.ulr: mqtt.ulr: unknown key; did you mean mqtt.url?"]


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
            ["f.toml:2: mqtt.username: has no effect: the embedded broker has no users; set mqtt.url"],
        ),
    ],
)
def test_keys_that_contradict_each_other_are_told(text: str, lines: list[str], complaints: Complaints) -> None:
    assert complaints(text) == lines


@pytest.mark.parametrize(
    "text",
    [
        "url = 'mqtts://h'\nca_file = '/ca.pem'\ncert_file = '/c.pem'\nkey_file = '/k.pem'",
        "url = 'WSS://h'\ninsecure = true",
        "url = 'mqtts://h'\ncert_file = '/both.pem'",
        "url = 'mqtt://h'\nusername = 'u'",
    ],
)
def test_keys_that_go_together_are_taken(text: str, read: Reader) -> None:
    assert read(f"[mqtt]\n{text}").mqtt.url.lower().endswith("://h")


def test_files_that_cannot_be_read_are_told_in_one_line(tmp_path: Path) -> None:
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"a = '\xff\xfe'")
    large.write_bytes(b"#" * 1_000_001)
    for file, text in [
        (tmp_path / "none.toml", "no such file; copy config/ferstream.toml there, or give another with -c FILE"),
        (tmp_path, "is a directory, expected a TOML file"),
        (binary, "is not UTF-8 text (byte 5), expected a TOML file"),
        (large, "is larger than 1000000 bytes, expected a TOML file"),
    ]:
        with pytest.raises(ConfigError) as caught:
            load_settings(file, environ={})
        assert str(caught.value) == f"{file}: {text}"
        assert caught.value.exit_code == ExitCode.USAGE


def test_a_bom_and_windows_line_ends_are_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_bytes(b'\xef\xbb\xbfnode = "a"\r\n[log]\r\nlevel = "debug"\r\n')
    assert load_settings(file, environ={}).log.level == "debug"


def test_control_characters_of_a_value_cannot_forge_a_line(complaints: Complaints) -> None:
    (line,) = complaints('[log]\nlevel = "a\\nflag --x: all is well\\u001b[31m"')
    assert "\\nflag" in line
    assert "\x1b" not in line


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().detection.width = 3  # type: ignore[misc]


def test_the_error_carries_every_problem(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text("a = 1\nb = 2\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "f.toml", environ={})
    assert [problem.key for problem in caught.value.problems] == ["a", "b"]
