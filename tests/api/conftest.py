"""Settings files, a face, a recording of it, and networks that are loaded anew for each module."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

import ferstream
from tests.support.bundles import tiny_openvino_bundle
from tests.support.portraits import write_portrait_clip

WriteConfig = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings from the environment, a working directory without a settings file, and structlog as before afterwards."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("FERSTREAM_")]:
        monkeypatch.delenv(name)
    before = structlog.get_config() if structlog.is_configured() else None
    yield
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


@pytest.fixture(scope="package", autouse=True)
def _networks_freed() -> Iterator[None]:
    """Networks do not outlive the tests that loaded them."""
    yield
    ferstream.unload_models()


@pytest.fixture(scope="session")
def portrait() -> Path:
    """A photograph of one face; read only."""
    return ferstream.examples.portrait()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty frames of one face in two seconds; read only."""
    return write_portrait_clip(tmp_path_factory.mktemp("clips") / "Portrait 1.mp4", frames=20)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a tiny model; read only."""
    return str(tiny_openvino_bundle(tmp_path_factory.mktemp("tiny")).directory)


@pytest.fixture
def write_config(tmp_path: Path, tiny_model: str) -> WriteConfig:
    """Writes a settings file with the tiny model and more lines; returns its path."""

    def write(text: str) -> Path:
        file = tmp_path / "settings.toml"
        file.write_text(f'{text}\n[inference]\nmodel = "{tiny_model}"\n')
        return file

    return write
