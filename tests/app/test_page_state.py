"""The state of the page, from the parts of a daemon whose stages do not run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ferstream.app.page_state import PageState
from ferstream.app.running import Running
from ferstream.app.web import live_page, sample_history
from ferstream.domain.event import CameraStatus, Summary
from ferstream.events.encode import Encoder
from ferstream.events.schemas import FACE
from ferstream.pipeline.models import Models
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings
from ferstream.telemetry.health import Check, Report
from tests.support.builders import UTC_NS, camera_state, face_event, labelled_frame
from tests.support.clock import FakeClock
from tests.support.outboxes import make_outbox
from tests.support.recording_sink import RecordingSink
from tests.support.running import ScriptedPlans, running_of

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]
CAMERAS = [{"name": "door", "source": "demo:"}, {"name": "yard", "source": "demo:", "enabled": False}]


class Page:
    """A daemon that is not started, and the state of its page."""

    def __init__(self, settings: Settings, models: Models, outputs: tuple[SinkSet, ...] = ()) -> None:
        self.clock = FakeClock()
        self.running: Running = running_of(settings, models=models, outputs=outputs, plans=ScriptedPlans(), clock=self.clock)
        self.running.cameras.start([camera for camera in settings.cameras if not camera.enabled])
        self.page = live_page(settings, observer=Counters(), clock=self.clock)
        report = Report((Check("broker", False, "refused"), Check("load", True, "", degraded=True)))
        self.state = PageState(self.running, page=self.page, ready=lambda: report, fixed={"commands": False}, uploads=dict)

    def camera(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(camera for camera in self.state.as_json()["cameras"] if camera["name"] == name)
        return found


def test_a_camera_that_is_switched_off_says_so(make_settings: MakeSettings, models: Models) -> None:
    page = Page(make_settings(cameras=CAMERAS), models)
    camera = page.camera("yard")
    assert (camera["enabled"], camera["status"], camera["reason"]) == (False, "disabled", "switched off in the settings")
    assert (camera["width"], camera["height"], camera["faces_now"]) == (None, None, None)
    assert camera["frames"] == {"captured": 0, "analysed": 0, "published": 0}


def test_faces_are_shown_of_a_camera_that_is_online_only(make_settings: MakeSettings, models: Models) -> None:
    page = Page(make_settings(cameras=CAMERAS), models)
    page.page.feed.show(labelled_frame(1, camera="yard", labels=("happy", "sad")))
    set_state = page.running.pipeline.cameras.set_state
    set_state(camera_state(camera="yard"))
    assert page.camera("yard")["faces_now"] == 2
    set_state(camera_state(CameraStatus.OFFLINE, camera="yard", reason="no route"))
    assert (page.camera("yard")["faces_now"], page.camera("yard")["reason"]) == (None, "no route")


def test_with_aggregate_only_the_faces_are_those_of_the_last_summary(make_settings: MakeSettings, models: Models) -> None:
    page = Page(make_settings(cameras=CAMERAS, privacy={"aggregate_only": True}), models)
    page.running.pipeline.cameras.set_state(camera_state(camera="yard"))
    assert page.camera("yard")["faces_now"] is None
    page.page.feed.show(Summary("yard", UTC_NS, 5.0, {}, 0))
    assert page.camera("yard")["faces_now"] == 0
    sample_history(page.running, page.page)
    page.running.pipeline.counters.faces("yard", "found", 3)
    sample_history(page.running, page.page)
    assert page.state.as_json()["history"]["points"][0]["faces_per_s"] is None


def test_dropped_frames_are_listed_by_stage_and_reason(make_settings: MakeSettings, models: Models) -> None:
    page = Page(make_settings(cameras=CAMERAS), models)
    page.running.pipeline.counters.frame_dropped("yard", "detection", "stale", 3)
    page.running.pipeline.counters.frame_dropped("door", "capture", "overflow", 5)
    assert page.camera("yard")["dropped"] == [{"stage": "detection", "reason": "stale", "count": 3}]


def test_readiness_is_that_of_readyz(make_settings: MakeSettings, models: Models) -> None:
    found = Page(make_settings(cameras=CAMERAS), models).state.as_json()["ready"]
    assert found == {
        "ok": False,
        "checks": [
            {"name": "broker", "ok": False, "degraded": False, "detail": "refused"},
            {"name": "load", "ok": True, "degraded": True, "detail": ""},
        ],
    }


def test_an_outbox_has_its_oldest_event(make_settings: MakeSettings, models: Models, encoder: Encoder) -> None:
    outbox = make_outbox(None, max_events=100)
    reader = outbox.reader("mqtt", schemas=(FACE,), on_ready=lambda: None)
    output = SinkSet(encoder=encoder, sinks=(RecordingSink(),), outbox=outbox, observer=Counters())
    page = Page(make_settings(cameras=CAMERAS), models, (output,))
    assert page.state.as_json()["outbox"] == {"events": 0, "bytes": 0, "oldest_s": 0.0, "on_disk": False}
    outbox.append(encoder.encode(face_event(1)))
    found = page.state.as_json()["outbox"]
    assert found["events"] == 1
    assert found["bytes"] > 100
    assert reader.counts().oldest_ns is not None


def test_without_an_outbox_it_is_null(make_settings: MakeSettings, models: Models) -> None:
    found = Page(make_settings(cameras=CAMERAS), models).state.as_json()
    assert found["outbox"] is None
    assert found["sinks"] == []
    assert found["latency_ms"] == {"p50": None, "p90": None, "p99": None}
