"""A real Prometheus for tests, and the queries of the dashboards with their variables filled in."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
START_S = 60.0


def executable(name: str) -> str:
    """Path of a program of Prometheus; skips the test if it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install prometheus)")
    return found


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """A query of a dashboard, with the names of dashboard and panel."""

    dashboard: str
    panel: str
    expr: str

    def __str__(self) -> str:
        return f"{self.dashboard}/{self.panel}: {self.expr}"


def panel_queries(*, job: str, instance: str, window: str) -> Iterator[PanelQuery]:
    """Every query of every panel, with its variables filled in."""
    values = {"$job": job, "$instance": instance, "$camera": ".*", "$__rate_interval": window, "$__range": window}
    for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")):
        page = json.loads(path.read_text(encoding="utf-8"))
        for panel in page["panels"]:
            for target in panel.get("targets", ()):
                yield PanelQuery(path.stem, panel["title"], _filled(target["expr"], values))


def _filled(expr: str, values: dict[str, str]) -> str:
    filled = re.sub(r"\$\w+", lambda match: values[match.group()], expr)
    # The window of an hour for rare things is replaced too: the test runs for seconds.
    return filled.replace("[1h]", f"[{values['$__rate_interval']}]")


class Prometheus:
    """A Prometheus on loopback that scrapes one target every second.

    Args:
        folder: An empty folder for its data.
        target: ``host:port`` to scrape as job ``ferstream``.
        rules: Rule files to load, evaluated every second.
        token: Bearer token for the target.
    """

    def __init__(self, folder: Path, *, target: str, rules: list[Path] | None = None, token: str | None = None) -> None:
        self._folder, self._target = folder, target
        self._rules, self._token = rules or [], token
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Prometheus:
        """Start the process and wait until it is ready."""
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        config = self._folder / "prometheus.json"
        config.write_text(json.dumps(self._config()), encoding="utf-8")
        command = [executable("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={self._folder / 'data'}"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
        if not until(self._ready, START_S):
            self.__exit__()
            raise AssertionError(f"prometheus did not start:\n{(self._folder / 'log').read_text()}")
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The instant vector of an expression, without NaN."""
        result: list[dict[str, Any]] = self.ask("/api/v1/query", query=expr)["result"]
        return [sample for sample in result if sample["value"][1] != "NaN"]

    def ask(self, path: str, **parameters: str) -> Any:
        """The ``data`` of an API page."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer).get("data")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2):
                return True
        except OSError:
            return False

    def _config(self) -> dict[str, Any]:
        scrape: dict[str, Any] = {"job_name": "ferstream", "static_configs": [{"targets": [self._target]}]}
        if self._token:
            scrape["authorization"] = {"credentials": self._token}
        return {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rule) for rule in self._rules],
            "scrape_configs": [scrape],
        }


def until(condition: Any, timeout_s: float, *, every_s: float = 0.2) -> bool:
    """Poll a condition; return whether it was met in time."""
    never = threading.Event()
    for _ in range(int(timeout_s / every_s) + 1):
        if condition():
            return True
        never.wait(every_s)
    return False
