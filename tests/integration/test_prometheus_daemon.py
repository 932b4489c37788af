"""A real Prometheus scrapes a real daemon: every query of every panel returns data, and no alert is raised."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.daemon import RunningDaemon
from tests.support.prometheus import DEPLOY, PanelQuery, Prometheus, executable, panel_queries, until
from tests.support.sockets import is_loopback, sockets_of

SETTINGS = """
[[cameras]]
name = "door"
source = "demo:"

[mqtt]
url = "embedded"

[outbox]
path = "{folder}/outbox"
"""
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
DATA_S = 180.0
ALERTS_ON_SPEED = ("FerstreamLatencyBudgetBurnsFast", "FerstreamLatencyBudgetBurns", "FerstreamFramesDropping")


@dataclass(frozen=True)
class Pair:
    daemon: RunningDaemon
    prometheus: Prometheus


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    executable("prometheus")
    folder = tmp_path_factory.mktemp("daemon")
    with RunningDaemon(folder, SETTINGS.format(folder=folder)) as daemon:
        daemon.wait_frames("door", 10)
        data = tmp_path_factory.mktemp("prometheus")
        with Prometheus(data, target=f"127.0.0.1:{daemon.port}", rules=RULES) as prometheus:
            assert until(lambda: prometheus.query('ferstream_frames_total{camera="door"}'), DATA_S), "no data was scraped"
            yield Pair(daemon, prometheus)


def test_every_query_of_every_panel_returns_data(pair: Pair) -> None:
    asked = list(panel_queries(job="ferstream", instance=f"127.0.0.1:{pair.daemon.port}", window="15s"))
    without: list[PanelQuery] = []

    def all_answered() -> bool:
        without[:] = [query for query in asked if not pair.prometheus.query(query.expr)]
        return not without

    assert until(all_answered, DATA_S, every_s=1.0), "\n".join(map(str, without))


def test_no_alert_is_raised_by_a_healthy_daemon(pair: Pair) -> None:
    """An alert with cause stays; one whose cause is a slow machine is not the daemon's, or passes."""
    assert until(lambda: pair.prometheus.query("instance_camera_stage:ferstream_frames:rate1m"), DATA_S)
    alerts = f'ALERTS{{severity=~"page|ticket", alertname!~"{"|".join(ALERTS_ON_SPEED)}"}}'
    assert until(lambda: not pair.prometheus.query(alerts), DATA_S, every_s=1.0), pair.prometheus.query(alerts)


def test_promtool_accepts_the_metrics(pair: Pair) -> None:
    text = pair.daemon.page("/metrics")[1]
    found = subprocess.run([executable("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_the_number_of_series_of_a_camera_is_bounded(pair: Pair) -> None:
    """A hundred cameras must stay far below what a small Prometheus can hold."""
    for_one_camera = pair.prometheus.query('count({camera="door"})')
    assert int(for_one_camera[0]["value"][1]) < 100


def test_the_daemon_is_healthy_and_ready(pair: Pair) -> None:
    assert pair.daemon.page("/healthz")[0] == 200
    status, body = pair.daemon.page("/readyz")
    assert status == 200, body
    assert all(f'"{check}"' in body for check in ("models", "cameras", "broker", "outbox"))


def test_the_folder_holds_no_picture(pair: Pair) -> None:
    """The daemon writes its outbox and its log, and no frames."""
    signs = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF")
    for path in Path(pair.daemon.folder).rglob("*"):
        assert not path.is_file() or not path.read_bytes().startswith(signs), path


def test_the_log_names_no_face_no_event_and_no_visitor_of_the_pages(pair: Pair) -> None:
    assert pair.daemon.page("/metrics")[0] == 200
    log = pair.daemon.log
    assert "door" in log
    assert not [words for words in ('"box"', "landmarks", "probabilities", "ferstream.face/1", "GET /metrics") if words in log]


def test_every_connection_of_the_daemon_is_one_that_its_settings_name(pair: Pair) -> None:
    """Its camera makes its own pictures, its broker and its pages are on loopback: nothing else may be connected."""
    assert pair.daemon.process is not None
    sockets = sockets_of(pair.daemon.process.pid)
    assert len(sockets) >= 3  # the pages, the broker's side and ours
    assert {address for address in sockets if not is_loopback(address)} == set()
