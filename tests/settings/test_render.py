"""The files in config/ agree with the model; settings written as text."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ferstream.settings import Settings, load, load_settings
from ferstream.settings.model import known_keys
from ferstream.settings.render import effective, reference, schema, toml_value

UNSET = {f"{table}.{key}" for table in ("cameras", "mqtt") for key in ("username", "password_file")}
UNSET |= {"cameras.pixel_aspect", "cameras.ca_file", "mqtt.ca_file", "mqtt.cert_file", "mqtt.key_file", "http.token_file"}
UNSET |= {"webhook.url", "webhook.secret_file", "webhook.ca_file"}
UNSET |= {f"kafka.{key}" for key in ("brokers", "username", "password_file", "ca_file")}
SECRETS = {"cameras.password", "mqtt.password", "webhook.secret", "kafka.password", "http.token"}


@pytest.fixture
def config(root_dir: Path) -> Path:
    return root_dir / "config"


def uncommented(text: str) -> dict[str, Any]:
    return tomllib.loads(re.sub(r"(?m)^#(?=[a-z\[])", "", text))


def flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        inner = value[0] if key == "cameras" else value
        found |= flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {prefix + key: value}
    return found


def test_the_reference_file_is_current(config: Path) -> None:
    assert (config / "ferstream.toml").read_text() == reference(), "run: ferstream config reference > config/ferstream.toml"


def test_the_schema_file_is_current(config: Path) -> None:
    assert (config / "ferstream.schema.json").read_text() == schema(), "run: ferstream config schema > config/ferstream.schema.json"


def test_every_key_is_in_the_reference(config: Path) -> None:
    found = flat(uncommented((config / "ferstream.toml").read_text()))
    assert set(found) == set(known_keys()) - SECRETS


def test_every_default_in_the_reference_is_the_default(config: Path) -> None:
    found = flat(uncommented((config / "ferstream.toml").read_text()))
    defaults = flat(json.loads(Settings().model_dump_json()))
    examples = {"node", "cameras.name", "cameras.source", "cameras.masks", *UNSET}
    assert {key: value for key, value in found.items() if key not in examples} == {
        k: v for k, v in defaults.items() if k in found and k not in examples
    }
    assert all(defaults[key] is None for key in UNSET)


def test_every_key_is_explained(config: Path) -> None:
    lines = [line for line in (config / "ferstream.toml").read_text().splitlines() if re.match(r"#[a-z]\w* = ", line)]
    assert len(lines) == len(known_keys()) - len(SECRETS)
    assert all(re.search(r"  # \S.{8,}", line) for line in lines)


def test_the_reference_changes_nothing(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(config / "ferstream.toml", environ={}) == Settings()


@pytest.mark.parametrize("name", ["one-camera", "four-rtsp-cameras", "recordings", "mqtts-tls", "privacy-aggregate"])
def test_every_example_is_valid(name: str, config: Path) -> None:
    file = config / "examples" / f"{name}.toml"
    settings = load(file, environ={}, secrets=False).settings
    assert settings.cameras
    jsonschema.validate(tomllib.loads(file.read_text()), json.loads(schema()))


def test_the_privacy_example_publishes_groups_only_and_writes_nothing_to_disk(config: Path) -> None:
    settings = load(config / "examples" / "privacy-aggregate.toml", environ={}, secrets=False).settings
    assert settings.privacy.aggregate_only
    assert settings.privacy.min_group_size > Settings().privacy.min_group_size
    assert settings.publishing.summary_interval_s > Settings().publishing.summary_interval_s
    assert settings.outbox.path == "memory"


def test_the_number_of_examples(config: Path) -> None:
    assert len(list((config / "examples").iterdir())) == 5


def test_the_schema_refuses_what_the_model_refuses() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema()))
    validator.check_schema(json.loads(schema()))
    assert validator.is_valid({"mqtt": {"max_hz_per_face": 3}})
    for bad in ({"nod": 1}, {"detection": {"width": "640"}}, {"mqtt": {"password": "x"}}, {"cameras": [{"name": "A", "source": "demo:"}]}):
        assert not validator.is_valid(bad), bad
    assert validator.is_valid({"cameras": [{"name": "a", "source": "demo:", "masks": [[[0, 0], [1, 0], [1, 1]]]}]})


def test_settings_in_force_are_shown_with_their_origin_and_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text('[[cameras]]\nname = "a"\nsource = "rtsp://u:hunter2@h/s?token=hunter3"\n')
    text = effective(load(file, environ={"FERSTREAM_MQTT__PASSWORD": "hunter4"}))
    assert "hunter" not in text
    lines = {line.split(" = ")[0]: line for line in reversed(text.splitlines()) if " = " in line}
    assert lines["username"].split() == ["username", "=", '"u"', "#", f"{file}:3"]
    assert lines["width"].endswith("# default")
    shown = tomllib.loads(text)
    assert shown["mqtt"]["password"] == shown["cameras"][0]["password"] == "***"
    assert shown["cameras"][0]["source"] == "rtsp://h/s?***"


def test_what_is_shown_is_valid_settings(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text('[[cameras]]\nname = "a"\nsource = "demo:"\nmasks = [[[0, 0], [0.5, 0], [1, 1]]]\n')
    first = load(file, environ={})
    file.write_text(effective(first))
    assert load(file, environ={}).settings == first.settings


@pytest.mark.parametrize("value", ["", 'a"b\\c\n\x7f\u20ac', True, 3, 0.25, -1.5e-7, [[0, 0.5], ["x"]]])
def test_values_survive_being_written_as_toml(value: object) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value
