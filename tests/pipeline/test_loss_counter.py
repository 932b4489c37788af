"""Whatever ends early is counted for what it is."""

from __future__ import annotations

import pytest

from ferstream.domain.frame import EndOfStream
from ferstream.pipeline.loss_counter import LossCounter
from ferstream.runtime.counters import Counters
from tests.support.builders import camera_state, detected_frame, frame, labelled_frame, tracked_frame


@pytest.mark.parametrize(
    ("item", "frames", "faces"),
    [
        (frame(), 1, 0),
        (detected_frame(greys=(1, 2, None)), 1, 3),
        (tracked_frame(greys=(1, None)), 1, 2),
        (tracked_frame(greys=(), end_of_stream=True), 0, 0),
        (labelled_frame(labels=("happy", "sad")), 1, 0),  # its faces were classified
        (labelled_frame(end_of_stream=True), 0, 0),
        (EndOfStream("door", final=True), 0, 0),
        (camera_state(), 0, 0),
        (("door", 7, frame()), 1, 0),  # a ticket of a lane
        (("door", 7, EndOfStream("door", final=True)), 0, 0),
    ],
)
def test_frames_and_unclassified_faces(item: object, frames: int, faces: int) -> None:
    counters = Counters()
    LossCounter(counters).lost("tracking", [item], "shutdown")
    snapshot = counters.snapshot()
    assert snapshot.dropped == ({("door", "tracking", "shutdown"): 1} if frames else {})
    assert snapshot.faces == ({("door", "dropped"): faces} if faces else {})


def test_each_camera_for_itself() -> None:
    counters = Counters()
    LossCounter(counters).lost("detection", [frame(0), frame(0, camera="yard"), frame(1)], "error")
    assert counters.snapshot().dropped == {("door", "detection", "error"): 2, ("yard", "detection", "error"): 1}
