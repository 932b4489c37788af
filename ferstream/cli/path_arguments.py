"""Refuse URLs where a command takes a path: ``Path`` would make ``rtsp:/host`` of ``rtsp://host``, and no such file would be found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from ferstream.errors import ConfigError
from ferstream.runtime.program import command
from ferstream.runtime.shown_url import shown_source

_URL = re.compile(r"(?i)\s*([a-z][a-z0-9+.-]{1,15})://")
_STREAMS = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp", "mms"})


def refuse_urls(loaded: Any) -> None:
    """Make each parameter of a command that takes a path refuse URLs, in its subcommands too.

    Raises (when the command is called):
        ConfigError: A value is a URL. The message says what to do with it.
    """
    for parameter in loaded.params:
        if _takes_path(parameter.type_descriptor.annotation):
            parameter.process_value = _checked(parameter.process_value)
    for subcommand in getattr(loaded, "commands", {}).values():
        refuse_urls(subcommand)


def _takes_path(annotation: Any) -> bool:
    return annotation is Path or any(_takes_path(part) for part in get_args(annotation))


def _checked(process_value: Any) -> Any:
    def process(ctx: Any, value: Any) -> Any:
        for text in _texts(value):
            scheme = _URL.match(text)
            if scheme is not None:
                raise ConfigError(f"{shown_source(text)}: {_advice(scheme[1].lower())}")
        return process_value(ctx, value)

    return process


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _advice(scheme: str) -> str:
    if scheme == "file":
        return "is a URL, and a path is expected: write it without file://"
    if scheme in _STREAMS:
        return f'is a stream, and a file is expected; for streams: {command("demo", "--source")} URL, or source = "URL" in the settings'
    return "is a URL, and a file or folder of this machine is expected: download it first"
