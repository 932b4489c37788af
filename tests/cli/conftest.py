"""``ferstream check`` with settings that are right but for what a test changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from tests.support.bundles import tiny_openvino_bundle
from tests.support.check_command import RunCheck, run_check
from tests.support.clips import write_clip
from tests.support.logs import logging_restored


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small valid recording; read only."""
    return write_clip(tmp_path_factory.mktemp("clips") / "good.mp4")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small valid model bundle; read only."""
    return tiny_openvino_bundle(tmp_path_factory.mktemp("models")).directory


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings from the environment, an outbox folder of the test's own, and logging as before afterwards."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    for name in [name for name in os.environ if name.startswith("FERSTREAM_") or name == "CREDENTIALS_DIRECTORY"]:
        monkeypatch.delenv(name)
    with logging_restored():
        yield


@pytest.fixture
def check(tmp_path: Path, clip: Path, bundle: Path) -> RunCheck:
    """Write ``tmp_path``/f.toml and run ``check --json`` on it."""

    def run(
        *,
        camera: str | None = None,
        mqtt: str = "",
        model: Path | str | None = None,
        http: str = "listen = '127.0.0.1:0'",
        rest: str = "",
        text: str | None = None,
    ) -> Result:
        cameras = camera if camera is not None else f'[[cameras]]\nname = "door"\nsource = "{clip}"\n'
        tables = f'[inference]\nmodel = "{model or bundle}"\n[mqtt]\n{mqtt}\n[http]\n{http}\n{rest}\n'
        file = tmp_path / "f.toml"
        file.write_text(cameras + tables if text is None else text)
        return run_check(file, "--json")

    return run
