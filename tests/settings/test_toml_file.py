"""The settings file: what can be read, the line of each key, relative paths, and syntax errors."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.errors import ConfigError, ExitCode
from ferstream.settings import load_settings
from ferstream.settings.problems import SettingsError
from ferstream.settings.toml_file import find_lines, paths, read_toml

from .conftest import Reader

FILE = """\
# node = "not this"
node = "a" # nor = "this"

[[cameras]]
name = "one"
masks = [
  [[0, 0],   # key = "in a list"
   [1, 0], [1, 1]],
]
"quoted" = 1
[[cameras]]
name = "two"
source = "x = ["
  [ mqtt ]
  url   =   "mqtt://h"
outbox.path = "dotted"
log = { level = "info",
  format = "json" }
"""


def test_the_line_of_each_key_is_found() -> None:
    assert find_lines(FILE) == {
        ("node",): 2,
        ("cameras",): 4,
        ("cameras", 0): 4,
        ("cameras", 0, "name"): 5,
        ("cameras", 0, "masks"): 6,
        ("cameras", 0, "quoted"): 10,
        ("cameras", 1): 11,
        ("cameras", 1, "name"): 12,
        ("cameras", 1, "source"): 13,
        ("mqtt",): 14,
        ("mqtt", "url"): 15,
        ("mqtt", "outbox", "path"): 16,
        ("mqtt", "log"): 17,
        ("mqtt", "format"): 18,
    }


def test_a_value_without_a_line_has_that_of_the_table_around_it(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(FILE.replace(",\n  format", ", format"))
    origins = read_toml(tmp_path / "f.toml").origins
    assert origins["mqtt", "log", "level"].line == 17
    assert origins["mqtt", "outbox"].line == 14
    assert origins["cameras", 1, "source"].line == 13


def test_the_first_of_two_lines_of_a_key_is_kept() -> None:
    assert find_lines("a = 1\na = 2\n") == {("a",): 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[b]\nc = 1\nc = 2\n", "3: c: is given twice"),
        ("a = 1\na.b = 2\n", "2: a.b: is given twice"),
        ("[a]\n[a]\n", "2: is not valid TOML: Cannot declare ('a',) twice (column 3)"),
        ("[b]\nc = [\n", "2: is not valid TOML: Invalid value"),
        ("[" * 3000, "1: is not valid TOML: "),
    ],
)
def test_a_syntax_error_is_reported_with_its_line(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_toml(tmp_path / "f.toml")
    assert str(caught.value).removeprefix(f"{tmp_path}/f.toml:").startswith(problem)


names = st.text("abc-_1", min_size=1, max_size=4)
values = st.sampled_from(["1", "true", '"x # = ["', "'['", "[1,\n 2]", "{ z = 1 }", "[{y = [1]}]", '"\\\\"'])


@given(st.dictionaries(names, st.dictionaries(names, values, max_size=4), max_size=4))
def test_every_key_that_tomllib_reads_has_its_line(tables: dict[str, dict[str, str]]) -> None:
    text = "".join(f"[{table}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()) for table, keys in tables.items())
    found = find_lines(text)
    for path in paths(tomllib.loads(text)):
        if len(path) <= 2:
            line = text.split("\n")[found[path] - 1]
            assert line.startswith(f"[{path[0]}]" if len(path) == 1 else f"{path[1]} = ")


@given(st.text("a=[]{}\"'#\\\n. 1", max_size=60))
def test_lines_are_looked_for_in_any_text(text: str) -> None:
    assert all(1 <= line <= text.count("\n") + 1 for line in find_lines(text).values())


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
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


def test_a_bom_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_bytes(b'\xef\xbb\xbfnode = "a"\r\n[log]\r\nlevel = "debug"\r\n')
    assert load_settings(file, environ={}).log.level == "debug"


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path, read: Reader) -> None:
    (tmp_path / "pw").write_text("secret-1")
    text = '[[cameras]]\nname = "a"\nsource = "clip.mp4"\npassword_file = "pw"\n[inference]\nmodel = "./m"\n[outbox]\npath = "box"\n'
    settings = read(text)
    assert settings.cameras[0].source == str(tmp_path / "clip.mp4")
    assert settings.cameras[0].password_file == tmp_path / "pw"
    assert settings.inference.model == str(tmp_path / "m")
    assert settings.outbox.directory == tmp_path / "box"


@pytest.mark.parametrize("source", ["rtsp://cam/s", "webcam:0", "demo:", "/abs/clip.mp4", "http://cam/mjpeg"])
def test_other_values_than_relative_paths_are_not_changed(source: str, read: Reader) -> None:
    settings = read(f'[[cameras]]\nname = "a"\nsource = "{source}"\n[inference]\nmodel = "emotion-edge/1.0.0"\n[detection]\nmodel = "auto"')
    assert settings.cameras[0].source == source
    assert (settings.inference.model, settings.detection.model, settings.outbox.path) == ("emotion-edge/1.0.0", "auto", "auto")


def test_the_name_of_a_detector_is_not_a_path_and_a_file_of_weights_is(tmp_path: Path, read: Reader) -> None:
    assert read('[detection]\nmodel = "yunet"').detection.model == "yunet"
    assert read('[detection]\nmodel = "face.onnx"').detection.model == str(tmp_path / "face.onnx")
