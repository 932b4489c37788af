"""Random settings give settings or a ConfigError with one line per problem, and never any other exception."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferstream.errors import ConfigError
from ferstream.settings import Settings, load
from ferstream.settings.model import env_names, known_keys
from ferstream.settings.render import effective, toml_value

KEYS = sorted(key for key in known_keys() if not key.startswith("cameras."))
CAMERA_KEYS = sorted(key.removeprefix("cameras.") for key in known_keys() if key.startswith("cameras."))
PLANTED = "hunter2secret"

scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**400), max_value=10**400),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [
            "auto",
            "demo:",
            "webcam:0",
            "webcam:x",
            "rtsp://u:hunter2secret@h/s",
            "rtsp://u:x@y:hunter2secret#z@h/s",
            "mqtts://u:hunter2secret/1@h",
            "http://h:80/v?a=b&loginpas=hunter2secret",
            "rtsp://u:[hunter2secret@h/s",
            "mqtt://[::1",
            "127.0.0.1:9108",
            "0.0.0.0:1",
            "info",
            "5",
            "a\nb",
            "\ud800",
        ]
    ),
)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=8)
as_toml = anything.map(lambda value: written(value))
bad_toml = st.sampled_from(
    ["", "=", "[", '"', "2026-01-01", "{}", "{a = 1}", "[" * 2000, "1" * 5000, "0x" + "f" * 5000, "inf", "nan", "1e999", "'''"]
)
lines = st.one_of(
    st.tuples(st.sampled_from(KEYS), as_toml | bad_toml).map(" = ".join),
    st.tuples(st.sampled_from([*CAMERA_KEYS, "name", "source"]), as_toml | bad_toml).map(" = ".join),
    st.sampled_from(
        [
            "[[cameras]]",
            "[[cameras]]\nname = 'a'\nsource = 'demo:'",
            "[cameras]",
            "[mqtt]",
            "[detection]",
            "[x.y]",
            "# c",
            f"password = '{PLANTED}'",
        ]
    ),
    st.text(max_size=30),
)
variables = st.dictionaries(
    st.sampled_from([name.replace("<NAME>", "A") for name in env_names()]) | st.text(max_size=12).map(lambda t: f"FERSTREAM_{t}"),
    st.text(max_size=12) | as_toml | st.sampled_from(["1" * 5000, "[" * 3000, "1e999"]),
    max_size=3,
)
flags = st.dictionaries(
    st.sampled_from([*KEYS, "cameras", "cameras.a.source", "x.y", ""]),
    anything | st.none() | st.dictionaries(st.text(max_size=3), scalars),
    max_size=2,
)


def written(value: Any) -> str:
    try:
        text = toml_value(value)
        text.encode()
    except (ValueError, OverflowError):
        return "nan"
    return text


def check(text: str, environ: dict[str, str], given_flags: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "f.toml")
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            loaded = load(file, environ=environ, flags=given_flags)
        except ConfigError as exc:
            said = str(exc)
            assert all(line and line.isprintable() for line in said.split("\n"))
            assert PLANTED not in said
            assert "Traceback" not in said
        else:
            assert isinstance(loaded.settings, Settings)
            assert PLANTED not in effective(loaded)
            assert PLANTED not in "".join(map(str, (*loaded.passwords, *loaded.notes)))
            assert all(str(problem).isprintable() for problem in loaded.passwords)
            assert PLANTED not in repr(loaded.settings)


@pytest.mark.parametrize("name", ["0x" + "f" * 5000, "[0x" + "f" * 5000 + "]"], ids=["integer", "list"])
@pytest.mark.parametrize("rest", ["", f"password = '{PLANTED}'", f"source = 'rtsp://u:{PLANTED}@h/s'"], ids=["alone", "password", "url"])
def test_an_integer_without_end_as_the_name_of_a_camera_is_an_error(name: str, rest: str) -> None:
    text = f"[[cameras]]\nname = {name}\n{rest}"

    check(text, {}, {})
    check(text, {"FERSTREAM_NODE": "a"}, {})


@given(text=st.lists(lines, max_size=8).map("\n".join), environ=variables, given_flags=flags)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_settings_never_give_a_traceback(text: str, environ: dict[str, str], given_flags: dict[str, Any]) -> None:
    check(text, environ, given_flags)


@pytest.mark.slow
@given(text=st.lists(lines, max_size=12).map("\n".join), environ=variables, given_flags=flags)
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_two_thousand_random_settings(text: str, environ: dict[str, str], given_flags: dict[str, Any]) -> None:
    check(text, environ, given_flags)


@given(data=st.binary(max_size=200))
def test_random_bytes_never_give_a_traceback(data: bytes) -> None:
    check(data.decode("latin-1"), {}, {})
