"""Settings with tiny models, and those models loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ferstream.app.assembly import live_mode, load_models
from ferstream.pipeline.models import Models
from ferstream.settings import Settings
from tests.support.accepting_broker import AcceptingBroker
from tests.support.bundles import tiny_openvino_bundle
from tests.support.logs import Logs
from tests.support.portraits import write_portrait_clip

MakeSettings = Callable[..., Settings]
NOWHERE = "mqtt://127.0.0.1:9"
"""Nothing listens on the discard port."""


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of a test: a state folder of its own, no systemd, and an allocator that the daemon does not tune."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny OpenVINO bundle; read only."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_openvino_bundle(folder)
    return folder / "tiny" / "1.0.0"


@pytest.fixture(scope="session")
def portrait_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of one face, ten frames; read only."""
    return write_portrait_clip(tmp_path_factory.mktemp("clips") / "portrait.mp4")


@pytest.fixture
def make_settings(tiny_model: Path) -> MakeSettings:
    """Makes settings of node edge-1 with tiny models and everything in memory; each argument adds keys to a table."""
    base: Mapping[str, Any] = {
        "node": "edge-1",
        "cameras": (),
        "detection": {"width": 192, "workers": 1},
        "inference": {"model": str(tiny_model), "backend": "openvino"},
        "mqtt": {"url": NOWHERE},
        "outbox": {"path": "memory"},
        "http": {"listen": "127.0.0.1:0"},
        "runtime": {"staleness_s": 60.0, "shutdown_timeout_s": 10.0},
    }

    def make(**tables: Any) -> Settings:
        merged = {
            **base,
            **{name: {**base.get(name, {}), **value} if isinstance(value, dict) else value for name, value in tables.items()},
        }
        return Settings.model_validate(merged)

    return make


@pytest.fixture(scope="session")
def models(tiny_model: Path) -> Iterator[Models]:
    """Detector and tiny classifier, loaded once; tests may set masks."""
    settings = Settings.model_validate(
        {"detection": {"width": 192, "workers": 2}, "inference": {"model": str(tiny_model), "backend": "openvino"}}
    )
    loaded = load_models(settings, live_mode(settings))
    yield loaded
    loaded.close()


@pytest.fixture
def portrait(portrait_clip: Path) -> dict[str, Any]:
    """Camera ``door``: a face, over and over."""
    return {"name": "door", "source": str(portrait_clip), "loop": True, "realtime": True, "analysis_fps": 0.0}


@pytest.fixture
def broker() -> Iterator[AcceptingBroker]:
    """A broker that accepts everything."""
    with AcceptingBroker() as running:
        yield running


@pytest.fixture
def logs() -> Iterator[Logs]:
    """The lines that structlog's loggers were given."""
    with capture_logs() as entries:
        yield entries
