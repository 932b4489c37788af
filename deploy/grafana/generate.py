"""Writes the dashboards: ``python deploy/grafana/generate.py`` after any change in this folder.

A test compares the files with what this program would write; another runs every query against a real
Prometheus that scrapes a real ferstream.
"""

from __future__ import annotations

import json
from pathlib import Path

from fleet import fleet
from node import node

FOLDER = Path(__file__).parent / "dashboards"


def render() -> dict[Path, str]:
    """Return the path and the content of each file."""
    return {FOLDER / f"{build()['uid'].removeprefix('ferstream-')}.json": json.dumps(build(), indent=2) + "\n" for build in (fleet, node)}


if __name__ == "__main__":
    for path, text in render().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)
