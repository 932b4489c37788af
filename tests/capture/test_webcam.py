"""Webcams, on a scripted device."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np
import pytest

from ferstream.capture.geometry import PictureOptions
from ferstream.capture.options import FrameOptions
from ferstream.capture.webcam import WebcamSource, open_device
from ferstream.domain.frame import Frame
from ferstream.errors import SourceError
from ferstream.runtime.counters import Counters
from tests.support.clips import card, quarters
from tests.support.devices import ScriptedDevice
from tests.support.runners import PATIENCE_S
from tests.support.threads import Task, wait_until

PICTURE = np.ascontiguousarray(card((128, 96))[:, :, ::-1])


def webcam(device: ScriptedDevice, counters: Counters, **options: Any) -> WebcamSource:
    return WebcamSource(number=3, camera="desk", observer=counters, device=lambda number: device, **options)


def test_pictures_of_the_device_become_frames(counters: Counters) -> None:
    device = ScriptedDevice([PICTURE] * 3)
    source = webcam(device, counters)
    info = source.open()
    assert (info.width, info.height, info.fps, info.codec) == (1280, 720, 30.0, "mjpg")
    frames: list[Frame] = []
    with pytest.raises(SourceError, match="delivers no pictures"):
        frames.extend(source.frames())
    source.close()
    assert counters.snapshot().frames == {("desk", "decode"): 3}
    assert device.released == 1
    frame = next(webcam_frames(ScriptedDevice([PICTURE]), counters))
    assert frame.info.live
    assert frame.luma.plane.shape == (96, 128)
    assert not frame.luma.limited
    np.testing.assert_allclose(quarters(frame.detection_image), quarters(PICTURE), atol=3)


def webcam_frames(device: ScriptedDevice, counters: Counters) -> Any:
    source = webcam(device, counters)
    source.open()
    return source.frames()


def test_a_missing_camera_is_an_error(counters: Counters) -> None:
    device = ScriptedDevice(there=False)
    with pytest.raises(SourceError, match=r"webcam:3: cannot be opened; check that /dev/video3 exists"):
        webcam(device, counters).open()
    assert device.released == 1


def test_a_missing_camera_is_an_error_with_the_real_driver(counters: Counters) -> None:
    source = WebcamSource(number=61, camera="desk", observer=counters, device=open_device)
    with pytest.raises(SourceError, match="webcam:61"):
        source.open()


def test_close_while_a_read_blocks_leaves_the_release_to_the_reader(counters: Counters, no_new_threads: None) -> None:
    reached, hold = threading.Event(), threading.Event()

    def block() -> None:
        reached.set()
        hold.wait(PATIENCE_S)

    device = ScriptedDevice([PICTURE], then=block)
    source = webcam(device, counters)
    source.open()
    reading = Task(lambda: list(source.frames()))
    assert reached.wait(PATIENCE_S)
    source.close()
    assert device.released == 0
    hold.set()
    assert len(reading.result()) == 1
    wait_until(lambda: device.released == 1)


def test_close_before_open_and_twice(counters: Counters) -> None:
    source = webcam(ScriptedDevice([PICTURE]), counters)
    source.close()
    source.close()
    assert list(source.frames()) == []


def test_analysis_fps_goes_by_the_clock(counters: Counters) -> None:
    device = ScriptedDevice([PICTURE] * 20)
    source = webcam(device, counters, options=FrameOptions(analysis_fps=0.001))
    source.open()
    with pytest.raises(SourceError):
        assert len(list(source.frames())) == 1
    assert counters.snapshot().frames == {("desk", "decode"): 20}


def test_a_webcam_is_turned_mirrored_and_stretched_as_the_settings_say(counters: Counters) -> None:
    picture = PictureOptions(rotate=90, mirror=True, pixel_aspect=2.0)
    source = webcam(ScriptedDevice([PICTURE]), counters, options=FrameOptions(picture=picture))
    info = source.open()
    assert (info.width, info.height, info.pixel_aspect) == (720, 1280, 0.5)
    frame = next(source.frames())
    shown = np.fliplr(np.rot90(PICTURE, -1))
    assert frame.luma.plane.shape == (128, 96)
    assert frame.luma.pixel_aspect == 0.5
    assert frame.detection_image.shape == (256, 96, 3)
    np.testing.assert_allclose(quarters(frame.detection_image), quarters(shown), atol=3)
    np.testing.assert_array_equal(frame.luma.plane, cv2.cvtColor(np.ascontiguousarray(shown), cv2.COLOR_BGR2GRAY))
