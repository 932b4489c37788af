"""Settings as the plain values of the rooms below."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferstream.app.factories import MOST_WORKERS, CameraPlan, camera_plan, cores, credentials, detection_plan, inference_plan
from ferstream.errors import ConfigError, SourceAuthError, SourceError, SourceFormatError
from ferstream.runtime.clock import SystemClock
from ferstream.runtime.counters import Counters
from ferstream.settings import CameraSettings, Settings
from tests.support.clips import write_clip
from tests.support.http_stub import Transcript, serving
from tests.support.sources import frames_of
from tests.support.tls import Authority

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]


def plan_of(observer: Counters, *, width: int = 64, **keys: Any) -> CameraPlan:
    camera = CameraSettings.model_validate({"name": "door", **keys})
    return camera_plan(camera, width=width, observer=observer, clock=SystemClock())


def test_faces_are_found_as_the_settings_say(make_settings: MakeSettings) -> None:
    detection = {
        "width": 320,
        "score": 0.4,
        "min_face_px": 40,
        "check_visibility": False,
        "device": "GPU",
        "model": "other.onnx",
        "workers": 3,
    }
    plan = detection_plan(make_settings(detection=detection))
    assert not plan.check_visibility
    assert (plan.width, plan.score, plan.min_face_px, plan.device, plan.workers) == (320, 0.4, 40, "GPU", 3)
    assert plan.weights == "other.onnx"


def test_the_detector_s_own_weights_and_a_worker_a_core_are_the_defaults(make_settings: MakeSettings) -> None:
    plan = detection_plan(make_settings(detection={"workers": 0}))
    assert plan.weights is None
    assert plan.workers == min(len(os.sched_getaffinity(0)), MOST_WORKERS) == min(cores(), MOST_WORKERS)


@pytest.mark.parametrize("deterministic", [True, False])
def test_crops_are_classified_as_the_settings_say(make_settings: MakeSettings, deterministic: bool) -> None:
    inference = {"model": "other/2.0.0", "backend": "keras", "device": "GPU", "max_batch": 9, "threads": 4}
    plan = inference_plan(make_settings(inference=inference), deterministic=deterministic)
    assert (plan.model, plan.backend, plan.device, plan.max_batch, plan.threads) == ("other/2.0.0", "keras", "GPU", 9, 4)
    assert plan.deterministic is deterministic


def test_one_classifier_thread_is_the_default(make_settings: MakeSettings) -> None:
    assert inference_plan(make_settings(inference={"threads": 0}), deterministic=False).threads == 1


@pytest.mark.parametrize(
    ("keys", "live"),
    [
        ({"source": "demo:"}, True),
        ({"source": "rtsp://camera.lan/door"}, True),
        ({"source": "a.mp4"}, False),
        ({"source": "a.mp4", "realtime": True}, True),
    ],
)
def test_cameras_are_live_and_recordings_are_not(observer: Counters, keys: dict[str, Any], live: bool) -> None:
    plan = plan_of(observer, **keys)
    assert (plan.name, plan.live) == ("door", live)


def test_a_source_that_is_not_supported_is_an_error_at_once(observer: Counters) -> None:
    camera = CameraSettings(name="door", source="demo:").model_copy(update={"source": "gopher://camera.lan"})
    with pytest.raises(ConfigError, match="gopher"):
        camera_plan(camera, width=64, observer=observer, clock=SystemClock())


def test_a_plan_opens_nothing_and_connects_each_time_anew(observer: Counters, tmp_path: Path) -> None:
    plan = plan_of(observer, source=str(tmp_path / "later.mp4"), analysis_fps=0.0)
    write_clip(tmp_path / "later.mp4", frames=5)
    first, second = plan.connect(), plan.connect()
    assert first is not second
    assert len(frames_of(first)) == len(frames_of(second)) == 5
    assert observer.snapshot().frames["door", "decode"] == 10


def test_a_recording_is_read_with_the_options_of_the_camera(observer: Counters, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=25)  # one second
    frames = frames_of(plan_of(observer, width=32, source=str(clip), analysis_fps=5.0).connect())
    assert [frame.info.index for frame in frames] == [0, 4, 9, 14, 19, 24]  # nearest to every 200 ms
    assert frames[0].detection_image.shape == (32, 32, 3)
    assert not any(frame.info.live for frame in frames)


def test_a_loop_starts_again_at_the_end(observer: Counters, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=3)
    source = plan_of(observer, source=str(clip), loop=True, analysis_fps=0.0).connect()
    source.open()
    frames = source.frames()
    indices = [next(frames).info.index for _ in range(7)]
    source.close()
    assert indices == list(range(7))


def refusal() -> Transcript:
    lines = ["HTTP/1.1 401 Unauthorized", 'WWW-Authenticate: Basic realm="cam"', "Content-Length: 0", "", ""]
    return Transcript("\r\n".join(lines))


@pytest.mark.parametrize("place", ["source", "keys", "password_file"])
def test_the_credentials_of_a_camera_reach_it(observer: Counters, tmp_path: Path, place: str) -> None:
    file = tmp_path / "password"
    file.write_text("zirkel\n")
    keys: dict[str, Any] = {"keys": {"username": "joe", "password": "zirkel"}, "password_file": {"username": "joe", "password_file": file}}
    asked = refusal()
    with serving(asked) as port:
        address = f"joe:zirkel@127.0.0.1:{port}" if place == "source" else f"127.0.0.1:{port}"
        source = plan_of(observer, source=f"http://{address}/door", **keys.get(place, {})).connect()
        with pytest.raises(SourceAuthError):
            source.open()
        source.close()
    assert f"Authorization: Basic {b64encode(b'joe:zirkel').decode()}" in asked.text


@pytest.mark.parametrize(
    ("keys", "error", "is_asked"),
    [
        ((), "the certificate is not trusted", False),
        (("ca_file",), "authentication failed", True),
        (("tls_verify",), "authentication failed", True),
    ],
)
def test_the_certificate_of_a_camera_is_verified_unless_the_settings_say_otherwise(
    observer: Counters, tmp_path: Path, keys: tuple[str, ...], error: str, is_asked: bool
) -> None:
    authority = Authority(tmp_path, "127.0.0.1")
    values: dict[str, Any] = {"ca_file": authority.ca_file, "tls_verify": False}
    asked = refusal()
    with serving(asked, tls=authority.context) as port:
        source = plan_of(observer, source=f"https://joe:zirkel@127.0.0.1:{port}/door", **{key: values[key] for key in keys}).connect()
        with pytest.raises(SourceError, match=error):
            source.open()
        source.close()
    assert ("Authorization" in asked.text) is is_asked


def test_a_picture_over_the_max_pixels_of_the_settings_is_refused(observer: Counters, tmp_path: Path) -> None:
    small, large = (write_clip(tmp_path / f"{height}.mp4", size=(320, height), frames=2) for height in (200, 240))
    keys: dict[str, Any] = {"max_pixels": 65_536, "analysis_fps": 0.0}
    assert len(frames_of(plan_of(observer, source=str(small), **keys).connect())) == 2
    with pytest.raises(SourceFormatError, match="max_pixels allows 65,536"):
        frames_of(plan_of(observer, source=str(large), **keys).connect())


def test_a_camera_without_a_user_name_has_no_credentials() -> None:
    assert credentials(CameraSettings.model_validate({"name": "door", "source": "demo:"})) is None


def test_a_user_name_without_a_password() -> None:
    found = credentials(CameraSettings.model_validate({"name": "door", "source": "rtsp://joe@camera.lan/door"}))
    assert found is not None
    assert (found.username, found.password) == ("joe", None)


def test_a_camera_is_turned_mirrored_and_stretched_as_the_settings_say(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", size=(96, 64), frames=2)
    plan = plan_of(Counters(), source=str(clip), rotate=90, mirror=True, pixel_aspect=2.0)
    source = plan.connect()
    info = source.open()
    frame = next(iter(source.frames()))
    source.close()
    assert (info.width, info.height, info.pixel_aspect) == (64, 96, 0.5)
    assert (frame.info.width, frame.info.height, frame.luma.pixel_aspect) == (64, 96, 0.5)
