"""A real Prometheus scrapes the real server: every query of every panel, every rule, every alert finds its data."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferstream.runtime.counters import Counters, Snapshot
from ferstream.telemetry.access_policy import access_to
from ferstream.telemetry.collector import build_registry
from ferstream.telemetry.health import Heartbeats, readiness
from ferstream.telemetry.metrics import CATALOGUE, EMOTIONS, FRAME_STAGES, STAGES
from ferstream.telemetry.readings import BuildInfo, CameraLoadReading, LoadReading, OutboxReading, QueueReading, Readings, SinkReading
from ferstream.telemetry.server import TelemetryServer
from tests.support.prometheus import DEPLOY, PanelQuery, Prometheus, panel_queries, until

CAMERAS = ("door", "yard")
TOKEN = "correct-horse-battery-staple"
RULES = [DEPLOY / "prometheus" / "rules" / "recording.yml", DEPLOY / "prometheus" / "rules" / "alerts.yml"]
DATA_S = 120.0


class LivelyNode:
    """A counters to which a second's work is added at every scrape, so that rates are not 0."""

    def __init__(self) -> None:
        self._counters = Counters()
        self._random = random.Random(7)

    def snapshot(self) -> Snapshot:
        """Work a while, then read."""
        for camera in CAMERAS:
            for _ in range(25):
                self._one_frame(camera)
            self._counters.camera_up(camera, True)
        self._counters.reconnect("door", "timeout")
        self._counters.count("batch_limit_halved")
        self._counters.count("mqtt_publish", "acknowledged", 40)
        self._counters.count("outbox_dropped", "max_events", 2)
        return self._counters.snapshot()

    def beats(self) -> dict[str, int]:
        """For the health page."""
        return dict(self._counters.snapshot().beats)

    def _one_frame(self, camera: str) -> None:
        for stage in FRAME_STAGES:
            self._counters.frame(camera, stage)
        for stage in STAGES:
            self._counters.duration(stage, self._random.lognormvariate(-6, 0.6))
            self._counters.beat(stage)
        self._counters.frame_dropped(camera, "detection", "stale")
        self._counters.faces(camera, "found", 2)
        self._counters.faces(camera, "classified", 2)
        self._counters.batch(2)
        self._counters.latency(camera, self._random.lognormvariate(-4, 0.8))
        self._counters.event(camera, self._random.choice(EMOTIONS))


@pytest.fixture(scope="module")
def target() -> Iterator[TelemetryServer]:
    node = LivelyNode()
    registry = build_registry(
        Readings(
            snapshot=node.snapshot,
            cameras=lambda: CAMERAS,
            build=lambda: BuildInfo("1.2.3", "emotion-edge/1.0.0", "openvino"),
            queues=lambda: {stage: QueueReading(1, 4) for stage in STAGES[1:]},
            outbox=lambda: OutboxReading(30, 9000, 100_000, 1 << 26),
            sinks=lambda: [SinkReading("mqtt", connected=True, events=30, acknowledged=7)],
            load=lambda: LoadReading(False, {camera: CameraLoadReading(10.0, 0.97) for camera in CAMERAS}),
            mqtt_connected=lambda: True,
            viewers=lambda: 2,
            gpu_memory_bytes=lambda: 0,
        )
    )
    health = Heartbeats(beats=node.beats, stale_after_s=60).report
    listen = "127.0.0.1:0"
    access = access_to(listen, token=TOKEN)
    server = TelemetryServer(listen=listen, registry=registry, health=health, ready=readiness([]), access=access)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def prometheus(target: TelemetryServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("prometheus"), target=str(target.address), rules=RULES, token=TOKEN) as server:
        assert until(lambda: server.query('sum(rate(ferstream_frames_total{job="ferstream"}[10s])) > 0'), DATA_S), "no data was scraped"
        yield server


def queries(instance: str) -> list[PanelQuery]:
    return list(panel_queries(job="ferstream", instance=instance, window="10s"))


def test_every_query_of_every_panel_returns_data(prometheus: Prometheus, target: TelemetryServer) -> None:
    asked = queries(str(target.address))
    assert len(asked) > 40
    without: list[PanelQuery] = []

    def all_answered() -> bool:
        without[:] = [query for query in asked if not prometheus.query(query.expr)]
        return not without

    assert until(all_answered, DATA_S, every_s=1.0), "\n".join(map(str, without))


def test_every_choice_of_the_dashboards_can_be_filled(prometheus: Prometheus, target: TelemetryServer) -> None:
    values = {"$job": "ferstream", "$instance": str(target.address)}
    for path in (DEPLOY / "grafana" / "dashboards").glob("*.json"):
        for choice in json.loads(path.read_text())["templating"]["list"]:
            if choice["type"] != "query":
                continue
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", choice["definition"]).groups()  # type: ignore[union-attr]
            for name, value in values.items():
                selector = selector.replace(name, value)
            assert prometheus.ask(f"/api/v1/label/{label}/values", **{"match[]": selector}), choice["definition"]


def test_every_recorded_series_exists(prometheus: Prometheus) -> None:
    names = re.findall(r"record: (\S+)", RULES[0].read_text())
    assert len(names) == 10
    assert until(lambda: all(prometheus.query(name) for name in names), DATA_S, every_s=1.0), [n for n in names if not prometheus.query(n)]


def test_the_rules_are_loaded_and_every_metric_they_name_exists(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.ask("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    named = {name for rule in rules for name in re.findall(r"(?<![\w:])(?:ferstream|process)_\w+(?![\w:])", rule["query"])}
    assert len(named) > 10
    assert not {name for name in named if not prometheus.query(f"last_over_time({name}[1m])")}


def test_lost_events_raise_an_alert(prometheus: Prometheus) -> None:
    """Two events are dropped at every scrape: the alert on lost events, which has no waiting time, fires; that on a dead node does not."""
    assert until(lambda: prometheus.query('ALERTS{alertname="FerstreamEventsLost", reason="max_events"}'), DATA_S)
    assert until(lambda: not prometheus.query('ALERTS{alertname="FerstreamDown"}'), DATA_S)  # a scrape may be late once


def test_every_metric_has_its_type_and_help(prometheus: Prometheus) -> None:
    metadata = prometheus.ask("/api/v1/metadata")
    for metric in CATALOGUE:
        # Prometheus asks for OpenMetrics, where the family of a counter is named without its suffix.
        found = metadata[metric.name.removesuffix("_total")][0]
        assert (found["type"], found["help"]) == (metric.kind, metric.help)


def test_without_its_token_the_page_is_not_scraped(target: TelemetryServer, tmp_path: Path) -> None:
    with Prometheus(tmp_path, target=str(target.address), token="a-wrong-token-of-some-length") as stranger:
        assert until(lambda: stranger.query("up"), DATA_S)
        assert stranger.query("up")[0]["value"][1] == "0"
        assert "401" in stranger.ask("/api/v1/targets")["activeTargets"][0]["lastError"]
