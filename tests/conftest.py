"""What every test may ask for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ferstream.events.encode import Encoder, ModelRef
from ferstream.inference.bundle import Bundle
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.sinks.mqtt.topics import Topics

# A busy machine is no failure: no example is timed.
settings.register_profile("ferstream", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ferstream")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root_dir() -> Path:
    """The top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Real clips and faces that lie beside the checkout on some machines."""
    shared = ROOT.parent / "shared"
    if not shared.is_dir():
        pytest.skip("../shared (real clips and faces) is not on this machine")
    return shared


@pytest.fixture(scope="session")
def videos_dir(shared_dir: Path) -> Path:
    """The real clips."""
    return shared_dir / "videos"


@pytest.fixture(scope="session")
def full_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A tiny bundle with Keras and OpenVINO files, made once; read only."""
    pytest.importorskip("keras", reason="the Keras extra is not installed")
    from tests.support.bundles import tiny_full_bundle

    return tiny_full_bundle(tmp_path_factory.mktemp("models"))


@pytest.fixture
def no_new_threads() -> Iterator[None]:
    """Fail when a test leaves a thread behind."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()]
    for thread in left:
        thread.join(5)
    assert not [thread.name for thread in left if thread.is_alive()]


@pytest.fixture
def observer() -> Counters:
    """Counters of the test."""
    return Counters()


@pytest.fixture
def encoder() -> Encoder:
    """Numbers from 0, boot id ``boot``."""
    return Encoder(node="edge-1", boot_id="boot", model=ModelRef("emotion-edge", "1.0.0"), clock=SystemClock())


@pytest.fixture
def topics() -> Topics:
    """Those of node edge-1."""
    return Topics(prefix="ferstream", node="edge-1")
