"""Writes settings as text: the reference file, the JSON Schema for editors, the values in force."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ferstream.runtime.redaction import redact_source
from ferstream.settings.fields import Section
from ferstream.settings.loader import Loaded
from ferstream.settings.model import CAMERAS, MOVED, CameraSettings, Settings, secret_keys
from ferstream.settings.problems import DEFAULT, KeyPath, Origin, dotted

SCHEMA_NAME = "ferstream.schema.json"
MASK = "***"
_HEAD = f"""\
#:schema {SCHEMA_NAME}
# Every key of ferstream with its default. Remove the # of a line to change it.
#
# Read from -c FILE, else ./ferstream.toml, else /etc/ferstream/ferstream.toml. A variable wins over the
# file (FERSTREAM_DETECTION__WIDTH=320, FERSTREAM_CAMERAS__DOOR__SOURCE=rtsp://...), a flag over both.
# Relative paths start at the folder of this file. Unknown keys are errors.
# Passwords and tokens are errors here: name a file, set a variable such as FERSTREAM_MQTT__PASSWORD, or use a
# systemd credential (mqtt_password, http_token, webhook_secret, kafka_password, camera_<name>_password).
# Written by "ferstream config reference"; docs/configuration.md says more.
"""
_EXAMPLES: dict[str, Any] = {
    "node": "edge-1",
    "cameras.name": "door",
    "cameras.source": "rtsp://camera.lan/stream",
    "cameras.username": "viewer",
    "cameras.password_file": "/etc/ferstream/secrets/door",
    "cameras.ca_file": "/etc/ferstream/door.pem",
    "cameras.pixel_aspect": 1.422,
    "cameras.masks": [[[0, 0], [0.3, 0], [0.3, 1], [0, 1]]],
    "mqtt.username": "ferstream",
    "mqtt.password_file": "/etc/ferstream/secrets/mqtt",
    "mqtt.ca_file": "/etc/ferstream/ca.pem",
    "mqtt.cert_file": "/etc/ferstream/client.pem",
    "mqtt.key_file": "/etc/ferstream/client.key",
    "webhook.url": "https://example.org/events",
    "webhook.secret_file": "/etc/ferstream/secrets/webhook",
    "webhook.ca_file": "/etc/ferstream/ca.pem",
    "kafka.brokers": "kafka1.lan:9092,kafka2.lan:9092",
    "kafka.username": "ferstream",
    "kafka.password_file": "/etc/ferstream/secrets/kafka",
    "kafka.ca_file": "/etc/ferstream/ca.pem",
    "http.token_file": "/etc/ferstream/secrets/http",
}
"""Values of the reference for keys without a default, or with an empty one."""


def reference() -> str:
    """Return ``config/ferstream.toml``: every key that may stand in a file, commented out, with its default."""
    lines = [_HEAD.rstrip(), ""]
    lines += [_key_line("node", Settings.model_fields["node"], "node"), ""]
    lines += [f"# {_first_line(CameraSettings)} One [[cameras]] table each; with none, webcam 0 is used.", "#[[cameras]]"]
    lines += _section_lines(CameraSettings, CAMERAS)
    for table, info in Settings.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, Section):
            lines += ["", f"# {_first_line(section)}", f"[{table}]", *_section_lines(section, table)]
    return "\n".join(lines) + "\n"


def schema() -> str:
    """Return the JSON Schema of the file, for editors. It has no secrets: they are errors in the file."""
    made = Settings.model_json_schema()
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "ferstream.toml"}
    tables: dict[str, Any] = made["$defs"]
    for (table, key), new in MOVED.items():
        tables[f"{table.title()}Settings"]["properties"][key] = {"deprecated": True, "description": f"Is now {dotted(new)}."}
    for model in (CameraSettings, *(info.annotation for info in Settings.model_fields.values())):
        if isinstance(model, type) and issubclass(model, Section):
            for key in secret_keys(model):
                del tables[model.__name__]["properties"][key]
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def effective(loaded: Loaded) -> str:
    """Return the settings in force as TOML, each with its origin as a comment; secrets are masked."""
    settings = loaded.settings
    lines = [_shown_line(loaded, ("node",), settings.node)]
    for number, camera in enumerate(settings.cameras):
        lines += ["", "[[cameras]]", *_shown_section(loaded, (CAMERAS, number), camera)]
    for table in type(settings).model_fields:
        section = getattr(settings, table)
        if isinstance(section, Section):
            lines += ["", f"[{table}]", *_shown_section(loaded, (table,), section)]
    return "\n".join(lines) + "\n"


def toml_value(value: object) -> str:
    """Return a value in TOML syntax."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case int():
            return str(value)
        case list() | tuple():
            return f"[{', '.join(toml_value(item) for item in value)}]"
        case _:
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _section_lines(section: type[Section], table: str) -> Iterator[str]:
    for key, info in section.model_fields.items():
        if key not in secret_keys(section):
            yield _key_line(key, info, f"{table}.{key}")


def _key_line(key: str, info: FieldInfo, name: str) -> str:
    value = _EXAMPLES[name] if name in _EXAMPLES else info.get_default(call_default_factory=True)
    kind = "  (required)" if info.is_required() else "  (an example)" if name in _EXAMPLES else ""
    return f"{f'#{key} = {toml_value(value)}':<44}  # {info.description}{kind}"


def _first_line(section: type[Section]) -> str:
    return (section.__doc__ or "").partition("\n")[0]


def _shown_section(loaded: Loaded, path: KeyPath, section: Section) -> Iterator[str]:
    for key in type(section).model_fields:
        value = getattr(section, key)
        if value is not None:
            yield _shown_line(loaded, (*path, key), value)


def _shown_line(loaded: Loaded, path: KeyPath, value: object) -> str:
    plain = MASK if isinstance(value, SecretStr) else redact_source(str(value)) if isinstance(value, str | Path) else value
    text = f"{path[-1]} = {toml_value(plain)}"
    return f"{text:<44}  # {_origin(loaded, path)}"


def _origin(loaded: Loaded, path: KeyPath) -> Origin:
    """Return the origin of a value; credentials that were in a URL have the origin of the URL."""
    inside = {"username", "password"} & {path[-1]} and path not in loaded.origins
    url = (*path[:-1], "source" if path[0] == CAMERAS else "url")
    return loaded.origins.get(url if inside else path, DEFAULT)
