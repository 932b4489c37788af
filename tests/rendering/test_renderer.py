"""The drawing thread: it waits for the analysis and the analysis for it, hides what nobody looked at, and ends in every case."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from ferstream.domain.event import LabelledFrame
from ferstream.domain.frame import FrameInfo
from ferstream.errors import OutputError, SourceError
from ferstream.rendering.renderer import CHANNEL_FRAMES, Renderer, RenderOptions
from tests.support.builders import frame_info
from tests.support.clips import write_clip

pytestmark = pytest.mark.usefixtures("no_new_threads")


def info(index: int) -> FrameInfo:
    return replace(frame_info(index), width=96, height=64)


def empty(index: int) -> LabelledFrame:
    return LabelledFrame(info(index), faces=(), changes=())


def read(path: Path) -> list[npt.NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def started(source: Path, out: Path, *, blur: bool = False, failures: list[Exception] | None = None) -> Renderer:
    renderer = Renderer(source, out, RenderOptions(blur=blur))
    renderer.start(on_failure=lambda name, error: None if failures is None else failures.append(error))
    return renderer


def test_pictures_that_the_detector_did_not_see_are_hidden_whole(tmp_path: Path) -> None:
    renderer = started(write_clip(tmp_path / "a.mkv", codec="ffv1", frames=5), tmp_path / "out.mp4", blur=True)
    for index in range(5):
        if index != 2:
            renderer.add_detections(info(index), ())
            renderer.add(empty(index))
    renderer.finish(complete=True)
    edges = [np.abs(np.diff(picture[10].astype(int), axis=0)).max() for picture in read(tmp_path / "out.mp4")]
    assert len(edges) == 5
    assert edges[2] < 30 < min(edges[:2] + edges[3:])


def test_the_analysis_waits_for_the_drawing_and_the_drawing_for_the_analysis(tmp_path: Path) -> None:
    """A thread adds many frames; the drawing cannot begin before it knows the next two seconds."""
    frames = 4 * CHANNEL_FRAMES
    renderer = started(write_clip(tmp_path / "a.mp4", frames=frames), tmp_path / "out.mp4")

    def analyse() -> None:
        for index in range(frames):
            renderer.add(empty(index))

    analysis = threading.Thread(target=analyse)
    analysis.start()
    analysis.join()
    renderer.finish(complete=True)
    assert renderer.pictures == frames


def test_a_video_of_an_analysis_that_was_stopped_ends_with_it(tmp_path: Path) -> None:
    renderer = started(write_clip(tmp_path / "a.mp4", frames=50), tmp_path / "out.mp4")
    for index in range(20):
        renderer.add(empty(index))
    renderer.finish(complete=False)
    assert len(read(tmp_path / "out.mp4")) == 20


def test_an_abandoned_video_leaves_nothing(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", frames=50)
    (tmp_path / "out").mkdir()
    for frames in (0, 10):
        renderer = started(source, tmp_path / "out" / "out.mp4")
        for index in range(frames):
            renderer.add(empty(index))
        renderer.abandon()
        renderer.abandon()
        renderer.add(empty(60))  # as of a pipeline that drains
    Renderer(source, tmp_path / "out" / "out.mp4", RenderOptions()).abandon()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_recording_that_cannot_be_read_again_is_an_error_and_the_analysis_goes_on(tmp_path: Path) -> None:
    failures: list[Exception] = []
    renderer = started(tmp_path / "gone.mp4", tmp_path / "out.mp4", failures=failures)
    for index in range(3 * CHANNEL_FRAMES):
        renderer.add(empty(index))
    with pytest.raises(SourceError, match="no such file"):
        renderer.finish(complete=True)
    assert len(failures) == 1


def test_a_full_disk_is_an_error_and_the_analysis_goes_on(tmp_path: Path) -> None:
    (tmp_path / "out.mp4.part").symlink_to("/dev/full")
    renderer = started(write_clip(tmp_path / "a.mp4", frames=100), tmp_path / "out.mp4")
    for index in range(100):
        renderer.add(empty(index))
    with pytest.raises(OutputError, match="No space left on device"):
        renderer.finish(complete=True)
    renderer.abandon()
    assert not (tmp_path / "out.mp4").exists()
