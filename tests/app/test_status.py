"""What a running daemon reports: the text of /metrics, readiness, heartbeats, and the watchdog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from ferstream import __version__
from ferstream.app.load import LoadMonitor
from ferstream.app.running import Running
from ferstream.app.status import (
    DEFAULT_STUCK_AFTER_S,
    expected_down,
    heartbeats_of,
    load_check,
    readiness_of,
    readings_of,
    telemetry_server,
)
from ferstream.domain.event import CameraStatus
from ferstream.errors import ConfigError
from ferstream.events.encode import Encoder
from ferstream.events.schemas import FACE, TRACK
from ferstream.outbox.outbox import Outbox
from ferstream.pipeline.models import Models
from ferstream.pipeline.overload import CameraLoad, Load
from ferstream.publishing.sink_set import SinkSet
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings, diff
from ferstream.telemetry.collector import build_registry
from ferstream.telemetry.health import Check, Report
from tests.support.builders import face_event, frame
from tests.support.clock import FakeClock
from tests.support.outboxes import make_outbox
from tests.support.recording_sink import RecordingSink
from tests.support.runners import PATIENCE_S
from tests.support.running import ScriptedPlans, running_of
from tests.support.sources import ScriptedSource
from tests.support.telemetry import ask
from tests.support.threads import wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]
Run = Callable[..., Running]


@pytest.fixture
def run(make_settings: MakeSettings, models: Models) -> Iterator[Run]:
    """Starts a pipeline with cameras ``door`` (online, 2 frames), ``clip`` (a recording that ended) and ``off`` (disabled)."""
    with ExitStack() as stack:

        def start(*outputs: SinkSet, clock: FakeClock | None = None, **tables: Any) -> Running:
            cameras = [{"name": name, "source": "demo:", "enabled": name != "off"} for name in ("door", "clip", "off")]
            settings = make_settings(**{"cameras": cameras, **tables})
            sources = {
                "door": [ScriptedSource([frame(0), frame(1)], linger=True)],
                "clip": [ScriptedSource([frame(0, camera="clip")])],
            }
            running = running_of(settings, models=models, outputs=outputs, plans=ScriptedPlans(sources, live=False), clock=clock)
            running.pipeline.start()
            stack.callback(running.pipeline.stop, timeout_s=PATIENCE_S)
            running.cameras.start(settings.cameras)
            frames = running.pipeline.counters
            wait_until(lambda: [frames.snapshot().frames.get((name, "publishing")) for name in ("door", "clip")] == [2, 1])
            wait_until(lambda: status(running, "door") is CameraStatus.ONLINE and status(running, "clip") is CameraStatus.OFFLINE)
            wait_until(lambda: not any(items for items, _ in running.pipeline.queues().values()))  # the end of "clip" is an item too
            return running

        yield start


def status(running: Running, name: str) -> CameraStatus | None:
    state = running.pipeline.cameras.states().get(name)
    return None if state is None else state.status


def metrics(running: Running) -> dict[str, float]:
    """The samples of /metrics by name and labels."""
    text = generate_latest(build_registry(readings_of(running))).decode()
    pairs = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def outbox_with_reader(name: str, **options: Any) -> Outbox:
    outbox = make_outbox(**options)
    outbox.reader(name, schemas=(FACE, TRACK), on_ready=lambda: None)
    return outbox


def with_outbox(encoder: Encoder, outbox: Outbox, *sinks: RecordingSink) -> SinkSet:
    return SinkSet(encoder=encoder, sinks=sinks, observer=Counters(), outbox=outbox)


def mqtt(*, connected: bool) -> RecordingSink:
    sink = RecordingSink("mqtt")
    sink.connected = connected
    return sink


def of_sinks(samples: dict[str, float], metric: str) -> dict[str, float]:
    """The samples of a metric of sinks, by the name of the sink."""
    head = f'ferstream_sink_{metric}{{sink="'
    return {name.removeprefix(head).removesuffix('"}'): value for name, value in samples.items() if name.startswith(head)}


# -- metrics -------------------------------------------------------------------------------------


def test_metrics_of_the_cameras(run: Run) -> None:
    samples = metrics(run())
    assert samples['ferstream_frames_total{camera="door",stage="publishing"}'] == 2
    assert [samples[f'ferstream_camera_up{{camera="{name}"}}'] for name in ("door", "clip", "off")] == [1, 0, 0]
    assert [samples[f'ferstream_camera_enabled{{camera="{name}"}}'] for name in ("door", "clip", "off")] == [1, 0, 0]


def test_metrics_of_the_build_the_queues_and_the_accelerator(run: Run) -> None:
    samples = metrics(run())
    assert samples[f'ferstream_build_info{{backend="openvino:CPU",model="tiny/1.0.0",version="{__version__}"}}'] == 1
    assert samples['ferstream_queue_items{stage="detection"}'] == 0
    assert samples['ferstream_queue_capacity_items{stage="tracking"}'] > 0
    assert samples["ferstream_gpu_memory_bytes"] == 0


def test_metrics_of_the_outbox(run: Run, encoder: Encoder) -> None:
    output = with_outbox(encoder, outbox_with_reader("mqtt", max_events=50, max_bytes=9000), mqtt(connected=True))
    running = run(output)
    before = metrics(running)["ferstream_outbox_events"]
    output.write(face_event())
    samples = metrics(running)
    assert (before, samples["ferstream_outbox_events"]) == (0, 1)
    assert samples["ferstream_outbox_bytes"] > 100
    assert (samples["ferstream_outbox_capacity_events"], samples["ferstream_outbox_capacity_bytes"]) == (50, 9000)
    assert samples["ferstream_outbox_degraded"] == 0


def test_metrics_without_an_outbox_and_without_a_broker(run: Run, encoder: Encoder) -> None:
    samples = metrics(run(SinkSet(encoder=encoder, sinks=(RecordingSink("jsonl"),), observer=Counters())))
    assert "ferstream_outbox_events" not in samples
    assert "ferstream_mqtt_connected" not in samples


def test_each_sink_has_its_own_series(run: Run, encoder: Encoder) -> None:
    outbox = make_outbox()
    reader = outbox.reader("mqtt", schemas=(FACE,), on_ready=lambda: None)
    other = outbox.reader("webhook", schemas=(FACE,), on_ready=lambda: None)
    webhook, terminal = RecordingSink("webhook"), RecordingSink("terminal")
    webhook.connected, terminal.connected = False, None
    first = with_outbox(encoder, outbox, mqtt(connected=True), webhook)
    second = SinkSet(encoder=encoder, sinks=(terminal,), observer=Counters())
    for index in range(4):
        first.write(face_event(index))
    reader.acknowledge(reader.take(3))
    other.refuse(other.take(1)[0], "refused")
    samples = metrics(run(first, second))
    assert of_sinks(samples, "connected") == {"mqtt": 1, "webhook": 0}
    assert of_sinks(samples, "waiting_events") == {"mqtt": 1, "webhook": 3}
    assert of_sinks(samples, "acknowledged_total") == {"mqtt": 3, "webhook": 0}
    assert samples['ferstream_sink_dropped_total{reason="refused",sink="webhook"}'] == 1
    assert samples['ferstream_sink_dropped_total{reason="refused",sink="mqtt"}'] == 0
    assert samples["ferstream_mqtt_connected"] == 1


def test_a_camera_that_is_removed_has_no_state_in_the_metrics(run: Run, make_settings: MakeSettings) -> None:
    running = run()
    running.cameras.apply(diff(running.settings, make_settings()))
    assert not [name for name in metrics(running) if name.startswith("ferstream_camera_up")]


# -- cameras that are down on purpose ------------------------------------------------------------


def test_disabled_cameras_and_recordings_that_are_over_are_expected_to_be_down(run: Run) -> None:
    running = run()
    assert expected_down(running) == {"clip", "off"}
    running.cameras.switch("door", on=False)
    assert expected_down(running) == {"door", "clip", "off"}


def test_a_camera_that_failed_is_not_expected_to_be_down(make_settings: MakeSettings, models: Models) -> None:
    settings = make_settings(cameras=[{"name": "door", "source": "demo:"}])
    running = running_of(settings, models=models, plans=ScriptedPlans(refused={"door": "names no host"}))
    running.cameras.start(settings.cameras)
    assert status(running, "door") is CameraStatus.OFFLINE
    assert expected_down(running) == set()


# -- readiness -----------------------------------------------------------------------------------


def checks(running: Running) -> dict[str, Check]:
    return {check.name: check for check in readiness_of(running)().checks}


def test_a_daemon_is_ready_with_a_camera_a_broker_and_its_outbox(run: Run, encoder: Encoder) -> None:
    running = run(with_outbox(encoder, outbox_with_reader("mqtt"), mqtt(connected=True)))
    found = checks(running)
    assert readiness_of(running)().ok
    assert list(found) == ["models", "cameras", "load", "broker", "outbox"]
    assert found["models"].detail == "tiny/1.0.0 on openvino:CPU"
    assert found["cameras"].detail == "1 of 1 up"  # neither the recording that is over nor the disabled camera counts


def test_a_daemon_without_a_camera_that_delivers_is_not_ready(run: Run, encoder: Encoder) -> None:
    running = run(with_outbox(encoder, outbox_with_reader("mqtt"), mqtt(connected=True)))
    running.pipeline.counters.camera_up("door", up=False)
    assert checks(running)["cameras"] == Check("cameras", False, "0 of 1 up; down: door")
    assert not readiness_of(running)().ok


def test_a_daemon_without_its_broker_is_not_ready_and_says_why(run: Run, encoder: Encoder) -> None:
    running = run(with_outbox(encoder, outbox_with_reader("mqtt"), mqtt(connected=False)))
    assert checks(running)["broker"] == Check("broker", False, "refused")


def test_a_daemon_without_an_mqtt_sink_is_not_ready(run: Run, encoder: Encoder) -> None:
    running = run(SinkSet(encoder=encoder, sinks=(), observer=Counters()))
    assert checks(running)["broker"] == Check("broker", False, "no MQTT sink")
    assert checks(running)["outbox"] == Check("outbox", True, "")


def test_a_daemon_whose_outbox_lost_its_disk_is_not_ready(run: Run, encoder: Encoder, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("where the folder should be")
    outbox = outbox_with_reader("mqtt", directory=place / "box")
    output = with_outbox(encoder, outbox, mqtt(connected=True))
    output.open()
    running = run(output)
    wait_until(lambda: outbox.degraded is not None)
    found = checks(running)["outbox"]
    assert (found.ok, found.detail) == (False, outbox.degraded)
    assert metrics(running)["ferstream_outbox_degraded"] == 1
    output.close()


LOADS = {"door": CameraLoad(wanted_fps=25.0, served_fps=8.0), "yard": CameraLoad(wanted_fps=10.0, served_fps=3.5)}


class FixedLoad(LoadMonitor):
    """Reports an overload."""

    @property
    def load(self) -> Load:
        """An overload of two cameras."""
        return Load(LOADS, overloaded_s=3.0)


def test_an_overload_is_degraded_but_ready() -> None:
    report = Report((load_check(Load(LOADS, overloaded_s=3.0)),))
    assert report.ok
    assert report.as_json() == {
        "status": "degraded",
        "failed": [],
        "degraded": ["load"],
        "checks": {"load": {"ok": True, "detail": "11.5 of 35.0 frames/s analysed"}},
    }


def test_without_an_overload_the_load_is_ok() -> None:
    assert Report((load_check(Load(LOADS)),)).status == "ok"
    assert load_check(Load()).detail == ""


def test_metrics_of_the_load(run: Run) -> None:
    running = run()
    assert metrics(running)["ferstream_overloaded"] == 0
    running.load = FixedLoad(pipeline=running.pipeline, clock=running.engine.clock)
    samples = metrics(running)
    assert samples["ferstream_overloaded"] == 1
    assert samples['ferstream_camera_wanted_fps{camera="door"}'] == 25.0
    assert samples['ferstream_camera_served_ratio{camera="door"}'] == 0.32


def test_a_daemon_that_is_overloaded_is_ready_and_degraded(run: Run, encoder: Encoder) -> None:
    running = run(with_outbox(encoder, outbox_with_reader("mqtt"), mqtt(connected=True)))
    assert readiness_of(running)().status == "ok"
    running.load = FixedLoad(pipeline=running.pipeline, clock=running.engine.clock)
    assert (readiness_of(running)().ok, readiness_of(running)().status) == (True, "degraded")


# -- heartbeats ----------------------------------------------------------------------------------


def test_stages_beat_while_they_wait(run: Run) -> None:
    report = heartbeats_of(run()).report()
    stages = {check.name.removeprefix("stage:").partition("-")[0] for check in report.checks}  # detection has a beat per worker
    assert stages == {"detection", "tracking", "inference", "publishing"}
    assert report.ok


@pytest.mark.parametrize(("stuck_after_s", "limit_s"), [(7.0, 7.0), (0.0, DEFAULT_STUCK_AFTER_S)])
def test_a_heartbeat_is_stale_after_the_time_of_the_settings(
    make_settings: MakeSettings, models: Models, stuck_after_s: float, limit_s: float
) -> None:
    clock = FakeClock()
    running = running_of(make_settings(watchdog={"stuck_after_s": stuck_after_s}), models=models, clock=clock)
    heartbeats = heartbeats_of(running)
    running.pipeline.counters.beat("inference")
    clock.advance(limit_s - 0.1)
    assert not heartbeats.stale()
    clock.advance(0.2)
    assert set(heartbeats.stale()) == {"inference"}
    assert heartbeats.report().failed == ("stage:inference",)


# -- the server ----------------------------------------------------------------------------------


def test_the_pages_show_metrics_health_and_readiness(run: Run, encoder: Encoder) -> None:
    running = run(with_outbox(encoder, outbox_with_reader("mqtt"), mqtt(connected=False)))
    server = telemetry_server(running, heartbeats=heartbeats_of(running))
    server.start()
    try:
        assert ask(server, "/healthz")[0] == 200
        code, _, text = ask(server, "/readyz")
        assert (code, "refused" in text) == (503, True)
        code, _, text = ask(server, "/metrics")
        assert (code, 'ferstream_sink_connected{sink="mqtt"} 0.0' in text) == (200, True)
        assert "edge-1" in ask(server, "/")[2]
    finally:
        server.stop()


def test_the_pages_need_the_token_of_the_settings(run: Run) -> None:
    running = run(http={"token": "correct-horse-battery-staple"})
    server = telemetry_server(running, heartbeats=heartbeats_of(running))
    server.start()
    try:
        assert ask(server, "/metrics")[0] == 401
        assert ask(server, "/metrics", headers={"Authorization": "Bearer correct-horse-battery-staple"})[0] == 200
    finally:
        server.stop()


def test_an_address_that_is_open_to_the_network_needs_a_token(make_settings: MakeSettings, models: Models) -> None:
    running = running_of(make_settings(http={"listen": "0.0.0.0:0"}), models=models)
    with pytest.raises(ConfigError, match="token"):
        telemetry_server(running, heartbeats=heartbeats_of(running))
