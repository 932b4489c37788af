"""Fixtures for all tests."""

from __future__ import annotations

import logging
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
from tests.support.signal_stack import use_the_normal_stack_for_signals

# No example is timed: a busy machine is not a failure.
settings.register_profile("ferstream", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ferstream")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root_dir() -> Path:
    """Root folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real clips and faces beside the checkout; skips the test where there is none."""
    shared = ROOT.parent / "shared"
    if not shared.is_dir():
        pytest.skip("../shared (real clips and faces) is not on this machine")
    return shared


@pytest.fixture(scope="session")
def videos_dir(shared_dir: Path) -> Path:
    """Folder of the real clips."""
    return shared_dir / "videos"


@pytest.fixture(scope="session")
def full_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A tiny bundle with Keras and OpenVINO files; read only."""
    pytest.importorskip("keras", reason="the Keras extra is not installed")
    from tests.support.bundles import tiny_full_bundle

    return tiny_full_bundle(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def _safe_signals() -> None:
    """Signals, those of pytest-timeout included, do not run on a stack that OpenVINO has freed."""
    use_the_normal_stack_for_signals()


@pytest.fixture(autouse=True)
def _logging_left_as_it_was() -> Iterator[None]:
    """Fail if the test leaves logging configured: the tests after it in this process would not see log lines."""
    root = logging.getLogger()
    before = root.level, logging.root.manager.disable
    yield
    assert (root.level, logging.root.manager.disable) == before, "use tests.support.logs.logging_restored"


@pytest.fixture
def no_new_threads() -> Iterator[None]:
    """Fail if the test leaves a thread running."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(20)
    assert not [thread.name for thread in left if thread.is_alive()]


@pytest.fixture
def observer() -> Counters:
    """Counters of the test."""
    return Counters()


@pytest.fixture
def encoder() -> Encoder:
    """An encoder of node edge-1 with boot id ``boot``; numbers start at 0."""
    return Encoder(node="edge-1", boot_id="boot", model=ModelRef("emotion-edge", "1.0.0"), clock=SystemClock())


@pytest.fixture
def topics() -> Topics:
    """The topics of node edge-1."""
    return Topics(prefix="ferstream", node="edge-1")
