"""A real Home Assistant core beside a broker, for tests; ``make homeassistant`` installs it and names its Python."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port

PYTHON_VARIABLE = "FERSTREAM_TEST_HOMEASSISTANT"
"""Names the Python of an environment in which Home Assistant is installed."""
PROGRAM = Path(__file__).with_name("homeassistant_core.py")
WAIT_S = 60.0
OF_ITSELF = ("aiohttp_fast_zlib", "async_forward_entry_setups")
"""Words of warnings that this release writes whatever is announced: a slow zlib, and its MQTT integration calling itself too early."""

States = Mapping[str, tuple[str, Mapping[str, Any]]]


class HomeAssistantCore:
    """Runs a core; a context manager. It keeps its registries in the folder over restarts."""

    def __init__(self, folder: Path, port: int) -> None:
        python = os.environ.get(PYTHON_VARIABLE)
        if not python:
            pytest.skip(f"{PYTHON_VARIABLE} names no Python with Home Assistant: run make homeassistant")
        self._command = [python, "-P", str(PROGRAM), str(port), str(folder), str(free_port())]
        self._log = folder.with_suffix(".log")
        self._news = threading.Condition()
        self._states: dict[str, tuple[str, dict[str, Any]]] = {}
        self._history: list[tuple[str, str | None]] = []
        self._devices: list[dict[str, Any]] | None = None
        self._calls: list[tuple[str, list[str]]] = []
        self._ready = self._ended = False

    def __enter__(self) -> HomeAssistantCore:
        self._log.touch()
        with self._log.open("ab") as log:
            environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
            )
        self._reader = threading.Thread(target=self._read, name="home assistant")
        self._reader.start()
        try:
            self._await(lambda: self._ready, "Home Assistant did not start")
        except BaseException:
            self._process.kill()
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.send(do="stop")
        self._end()

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(WAIT_S)
        finally:
            self._process.kill()
            self._reader.join(10)
            self._process.stdout.close()

    @property
    def log(self) -> list[str]:
        """Warnings and errors of the core so far, without those about itself and the machine it runs on."""
        lines = self._log.read_text(errors="replace").splitlines()
        serious = (line for line in lines if line.startswith(("WARNING", "ERROR", "CRITICAL")))
        return [line for line in serious if not any(words in line for words in OF_ITSELF)]

    def states(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """The entities with state and attributes."""
        with self._news:
            return dict(self._states)

    def history(self, entity: str) -> list[str | None]:
        """All states of an entity since the start, None while it is gone."""
        with self._news:
            return [state for name, state in self._history if name == entity]

    def wait(self, ready: Callable[[States], bool]) -> States:
        """Wait until the states satisfy a condition."""
        self._await(lambda: ready(self._states), "the states did not satisfy the condition")
        return self.states()

    def wait_state(self, entity: str, *states: str) -> dict[str, Any]:
        """Wait until an entity has one of these states; return its attributes."""
        return dict(self.wait(lambda known: entity in known and known[entity][0] in states)[entity][1])

    def devices(self) -> dict[str, dict[str, Any]]:
        """The devices by name."""
        with self._news:
            self._devices = None
        self.send(do="devices")
        self._await(lambda: self._devices is not None, "no list of devices")
        with self._news:
            found: list[dict[str, Any]] = self._devices or []
        return {device["name"]: device for device in found}

    def call(self, domain: str, service: str, **data: Any) -> None:
        """Call a service."""
        self.send(do="call", domain=domain, service=service, data=data)

    def automate(self, automations: list[Any]) -> None:
        """Add automations; lamps that they switch need not be there."""
        self.send(do="automate", automations=automations)

    def wait_call(self, service: str, entity: str) -> None:
        """Wait until an automation has called a service for an entity."""
        self._await(lambda: (service, [entity]) in self._calls, f"{service} was not called for {entity}: {self._calls}")

    def send(self, **command: Any) -> None:
        """Give a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def _await(self, ready: Callable[[], bool], message: str) -> None:
        with self._news:
            assert self._news.wait_for(lambda: ready() or self._ended, WAIT_S), f"{message}: {self._about()}"
            assert not self._ended, f"Home Assistant ended: {self._log.read_text(errors='replace')[-3000:]}"

    def _about(self) -> str:
        return f"{json.dumps(self._states, indent=1)}\n{self._log.read_text(errors='replace')[-3000:]}"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            news = json.loads(line)
            with self._news:
                self._take(news)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _take(self, news: dict[str, Any]) -> None:
        if "ready" in news:
            self._ready = True
        elif "called" in news:
            self._calls.append((news["called"], news["entities"]))
        elif "devices" in news:
            self._devices = news["devices"]
        else:
            self._history.append((news["entity"], news["state"]))
            if news["state"] is None:
                self._states.pop(news["entity"], None)
            else:
                self._states[news["entity"]] = (news["state"], news["attributes"])
