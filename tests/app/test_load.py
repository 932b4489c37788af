"""The log lines of an overload."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from ferstream.app.load import LoadMonitor
from ferstream.domain.frame import Frame
from tests.support.builders import frame
from tests.support.rig import Rig
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")


class Node:
    """A pipeline with one camera that asks for 25 frames/s; published frames are counted by hand."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.rig.pipeline.start()
        delivered = self.rig.add("door", self._frames(), live=True, linger=True).delivered
        assert delivered.wait(20)
        wait_until(lambda: self.rig.counters.snapshot().in_flight("door") == 0)
        self.rig.counters.camera_up("door", True)
        self.monitor = LoadMonitor(pipeline=self.rig.pipeline, clock=self.rig.clock)

    def _frames(self) -> Iterator[Frame]:
        for index in range(50):
            yield frame(index, live=True, captured_ns=self.rig.clock.monotonic_ns())

    def run(self, seconds: int, fps: int) -> None:
        """Publish so many frames a second."""
        for _ in range(seconds):
            self.rig.clock.advance(1.0)
            self.monitor.measure()
            for _ in range(fps):
                self.rig.counters.frame("door", "publishing")

    def end(self) -> None:
        """Stop the pipeline."""
        assert self.rig.pipeline.stop(timeout_s=20) == []


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.end()


def test_an_overload_is_logged_once_with_the_sustainable_rate(node: Node) -> None:
    with capture_logs() as lines:
        node.run(60, 8)
    assert [line["log_level"] for line in lines] == ["warning"]
    line = lines[0]
    assert line["event"].startswith("overloaded")
    assert (line["wanted_fps"], line["sustainable_fps"], line["served_percent"]) == (25.0, 8.0, 32)
    for setting in ("analysis_fps", "fewer cameras", "emotion-small", "detection.width"):
        assert setting in line["advice"]


def test_each_overload_has_a_line_at_its_begin_and_at_its_end(node: Node) -> None:
    with capture_logs() as lines:
        for _ in range(2):
            node.run(30, 8)
            node.run(30, 24)
    assert [line["event"].partition(":")[0] for line in lines] == ["overloaded", "no longer overloaded"] * 2
    assert lines[1]["seconds"] > 10


def test_a_camera_that_delivers_nothing_is_no_overload(node: Node) -> None:
    node.rig.counters.camera_up("door", False)
    with capture_logs() as lines:
        node.run(60, 0)
    assert lines == []
    assert node.monitor.load.cameras == {}
