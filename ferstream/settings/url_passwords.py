"""Passwords in the URLs of the settings file, which everyone who can read the file can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from ferstream.settings.model import CAMERAS
from ferstream.settings.problems import DEFAULT, KeyPath, Problem, dotted, value_at
from ferstream.settings.sources import RawValues

_NAMES = r"pass(?:word|wd|phrase|code)?|pas|pwd|pw|token|secret|(?:api)?[_-]?key|auth"
_SECRET_IN_QUERY = re.compile(rf"(?i)[?&;][a-z0-9_.-]*(?:{_NAMES})=[^&;#]")


def passwords_in_file(raw: RawValues) -> tuple[Problem, ...]:
    """Return a problem, which does not hold the password, for each URL of the file that has one; it names the better place."""
    return tuple(_problems(raw))


def _problems(raw: RawValues) -> Iterator[Problem]:
    cameras = raw.data.get(CAMERAS)
    count = len(cameras) if isinstance(cameras, list) else 0
    places: list[KeyPath] = [*((CAMERAS, index, "source") for index in range(count)), ("mqtt", "url")]
    for path in places:
        url, origin = value_at(raw.data, path), raw.origin(path)
        if not isinstance(url, str) or "://" not in url or origin == DEFAULT or origin.rank > 0:
            continue
        key, table = dotted(path, raw.data), dotted(path[:-1], raw.data)
        if _has_password(url):
            where = f"put it into a file that only this user can read, and set {table}.password_file and {table}.username"
            yield Problem(origin, key, f"the URL has a password, which everyone who can read this file can read; {where}")
        elif _SECRET_IN_QUERY.search(url):
            where = f"put the whole URL into the variable {raw.variable(path)}"
            yield Problem(origin, key, f"the URL has a password or token, which everyone who can read this file can read; {where}")


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False
