"""Fixtures of the capture tests: tiny recordings, written once, and counters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ferstream.capture.recording import FileSource
from ferstream.runtime.counters import Counters
from ferstream.runtime.redaction import forget_secrets
from tests.support.clips import write_clip


@pytest.fixture(scope="session")
def clips_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the recordings of this test run."""
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def clip(clips_dir: Path) -> Path:
    """Ten H.264 frames, 96x64, 25 a second."""
    return write_clip(clips_dir / "clip.mp4")


@pytest.fixture(scope="session")
def long_clip(clips_dir: Path) -> Path:
    """Two seconds with a key frame every ten pictures."""
    return write_clip(clips_dir / "long.mp4", frames=50, options={"g": "10", "bf": "0"})


@pytest.fixture
def counters() -> Counters:
    """Counters of one test."""
    return Counters()


@pytest.fixture
def read(counters: Counters) -> Callable[..., FileSource]:
    """Makes a ``FileSource`` of camera ``door`` with the counters of the test."""
    return lambda path, **options: FileSource(path=path, camera="door", observer=counters, **options)


@pytest.fixture(autouse=True)
def no_secrets_left() -> Iterator[None]:
    """Forget the passwords of other tests, which would mask words in the texts of this one."""
    forget_secrets()
    yield
    forget_secrets()
