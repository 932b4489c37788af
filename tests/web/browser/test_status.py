"""The status view in a real browser."""

from __future__ import annotations

from collections.abc import Callable

from tests.support import page_faces
from tests.support.browser import Visit
from tests.support.page_server import ScriptedDaemon

Open = Callable[..., Visit]


def test_it_shows_what_is_not_in_order(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.state["ready"] = {"ok": False, "checks": [{"name": "mqtt", "ok": False, "detail": "connection refused"}]}
    daemon.state["sinks"] = [{"name": "mqtt", "connected": False, "reason": "refused", "waiting": 12, "acknowledged": 7, "dropped": 3}]
    daemon.state["outbox"] = {"events": 12, "bytes": 6400, "oldest_s": 75.0, "on_disk": False}

    opened = visit("status")
    opened.wait_for_text("something needs a look")

    text = opened.text()
    for part in ("mqtt: not ok", "connection refused", "not connected", "12 events (6.4 kB) wait in the outbox, in memory", "1 min 15 s"):
        assert part in text


def test_a_daemon_that_is_ready_without_a_camera_or_a_sink_says_which(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.state["cameras"] = [page_faces.camera("a", status="offline"), page_faces.camera("b", status="disabled", enabled=False)]
    daemon.state["sinks"] = [{"name": "mqtt", "connected": False, "reason": "refused", "waiting": 0, "acknowledged": 0, "dropped": 0}]

    opened = visit("status")

    opened.wait_for_text("works, but: 1 camera not online, 1 sink not connected", ".verdict")


def test_with_groups_only_the_chart_of_faces_is_left_out(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.state["aggregate_only"] = True

    opened = visit("status")

    opened.page.locator(".uplot canvas").first.wait_for()
    assert opened.page.locator(".chart h3:visible").all_inner_texts() == [
        "Frames per second, all cameras",
        "Latency in milliseconds",
        "Events that wait in the outbox",
    ]


def test_a_camera_is_switched_off_and_on(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("status")

    opened.page.get_by_role("button", name="Switch door off").click()
    opened.page.get_by_role("button", name="Switch door on").wait_for()
    opened.page.wait_for_function("document.activeElement.dataset.key === 'switch-door'")
    opened.page.get_by_role("button", name="Switch door on").click()
    opened.page.get_by_role("button", name="Switch door off").wait_for()

    assert [call for call in daemon.calls if call.startswith("door")] == ["door off", "door on"]


def test_without_commands_there_is_no_button_and_a_reason(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.state["commands"] = False

    opened = visit("status")

    opened.wait_for_text("commands are off")
    assert opened.page.get_by_role("button", name="Switch").count() == 0


def test_a_refused_switch_is_shown(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("status")
    opened.expect_complaints("403")
    opened.page.get_by_role("button", name="Switch door off").wait_for()
    daemon.state = daemon.state | {"commands": False}

    opened.page.get_by_role("button", name="Switch door off").click()

    opened.wait_for_text("door was not switched: commands are off", "[role=alert]")


def test_unknown_numbers_and_empty_lists_are_shown_as_such(daemon: ScriptedDaemon, visit: Open) -> None:
    daemon.state |= {"latency_ms": {"p50": None, "p90": None, "p99": None}, "sinks": [], "queues": [], "model": None}
    daemon.state["history"] = {"interval_s": 2, "points": []}
    daemon.state["cameras"] = [page_faces.camera("door", fps=None, faces_now=None, width=0, height=0, dropped=[])]

    opened = visit("status")

    opened.wait_for_text("not measured yet")
    assert "No sink is set up" in opened.text()
    assert "NaN" not in opened.text()
    assert "null" not in opened.text()


def test_the_charts_are_described_in_words(daemon: ScriptedDaemon, visit: Open) -> None:
    opened = visit("status")
    opened.page.locator(".uplot canvas").first.wait_for()

    described = opened.page.locator(".plot").nth(1).get_attribute("aria-label")

    assert described is not None
    assert described.startswith("Latency in milliseconds, last ten minutes: p50 now")


def test_names_are_text_and_never_markup(daemon: ScriptedDaemon, visit: Open) -> None:
    name = "<img src=x onerror=alert(1)>"
    daemon.state |= {"node": name, "cameras": [page_faces.camera(name, status="offline", reason=name)]}

    opened = visit("status")
    opened.wait_for_text(name, "tbody")
    opened.page.locator("nav a", has_text="Live").click()
    opened.wait_for_text(name, ".cover")

    assert opened.page.locator("main img").count() == 0
