"""What holds for each view of the page: accessible, reachable by keyboard, fits on every width, silent console."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import page_faces
from tests.support.browser import Scheme, Visit
from tests.support.page_server import ScriptedDaemon

Open = Callable[..., Visit]
DONE = {"id": "r1", "name": "clip.mp4", "state": "done", "progress": 1.0, "frames": 300, "error": ""}
FOCUS_IS_VISIBLE = """document.activeElement === document.body
    || getComputedStyle(document.activeElement).outlineStyle !== 'none'"""
LIVE_TABLE = ".camera details summary"


@pytest.fixture
def full(daemon: ScriptedDaemon) -> ScriptedDaemon:
    """A daemon with something in every view."""
    yard = page_faces.camera("yard", status="offline", reason="no route to host", fps=0.0)
    daemon.state["cameras"] = [page_faces.camera("door"), yard, page_faces.camera("hall", status="disabled", enabled=False)]
    daemon.greeting = lambda: [("frame", page_faces.scene("door", 0))]
    daemon.recordings = [DONE]
    return daemon


def _show_all_of(visit: Visit, view: str, portrait: Path) -> None:
    """Wait until a view has its content, and open what is folded."""
    if view == "live":
        visit.page.locator(".face").first.wait_for()
        visit.page.locator(LIVE_TABLE).first.click()
        visit.wait_for_text("unknown", "tbody")
    elif view == "status":
        visit.page.locator(".uplot canvas").first.wait_for()
    elif view == "stills":
        visit.page.set_input_files("input[type=file]", [portrait])
        visit.page.locator(".result .face").wait_for()
    else:
        visit.page.locator(".timeline").wait_for()
        visit.page.get_by_text("Timeline as a table").click()


@pytest.fixture(scope="session")
def portrait() -> Path:
    """A photograph of a face that comes with Matplotlib."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@pytest.mark.parametrize("view", ["live", "status", "stills", "recording"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(full: ScriptedDaemon, visit: Open, portrait: Path, view: str, scheme: Scheme) -> None:
    opened = visit(view, scheme=scheme)

    _show_all_of(opened, view, portrait)

    assert opened.accessibility_faults() == []


def test_axe_finds_a_planted_fault(full: ScriptedDaemon, visit: Open) -> None:
    opened = visit("status")
    opened.page.locator("main h1").wait_for()

    opened.page.evaluate("document.querySelector('main').append(document.createElement('button'), new Image())")

    assert {fault.partition(":")[0] for fault in opened.accessibility_faults()} >= {"button-name", "image-alt"}


@pytest.mark.parametrize("view", ["live", "status", "stills", "recording"])
def test_no_view_is_wider_than_the_window(full: ScriptedDaemon, visit: Open, portrait: Path, view: str) -> None:
    opened = visit(view, width=360)
    _show_all_of(opened, view, portrait)

    widths = {}
    for width in (360, 800, 1440):
        opened.page.set_viewport_size({"width": width, "height": 900})
        widths[width] = opened.page.evaluate("document.documentElement.scrollWidth")

    assert widths == {360: 360, 800: 800, 1440: 1440}


@pytest.mark.parametrize("view", ["live", "status", "stills", "recording"])
def test_the_keyboard_reaches_everything(full: ScriptedDaemon, visit: Open, portrait: Path, view: str) -> None:
    opened = visit(view)
    _show_all_of(opened, view, portrait)
    script = """() => [...document.querySelectorAll('a[href], button, summary, select, [role=slider], [tabindex="0"]')]
        .filter((element) => element.checkVisibility() && !element.disabled)
        .map((element, index) => (element.dataset.reach ??= `${index} ${element.textContent.slice(0, 30)}`))"""
    wanted = set(opened.page.evaluate(script))

    reached: set[str] = set()
    opened.page.evaluate("document.activeElement.blur(); window.getSelection().removeAllRanges()")
    for _ in range(len(wanted) + 10):
        opened.page.keyboard.press("Tab")
        reached.add(opened.page.evaluate("document.activeElement?.dataset?.reach ?? ''"))
        assert opened.page.evaluate(FOCUS_IS_VISIBLE)

    assert len(wanted) > 8
    assert wanted - reached == set()


def test_the_views_change_with_the_keyboard_and_keep_the_focus_in_the_content(full: ScriptedDaemon, visit: Open) -> None:
    opened = visit("live")
    opened.page.locator("nav a", has_text="Status").focus()

    opened.page.keyboard.press("Enter")

    opened.page.get_by_role("heading", name="Status", level=1).wait_for()
    opened.page.wait_for_function("document.activeElement.id === 'main-content'")
    assert opened.page.title().startswith("Status")
    assert opened.page.locator("nav a[aria-current=page]").inner_text() == "Status"


def test_a_chosen_theme_stays(visit: Open) -> None:
    opened = visit("stills", scheme="light")
    opened.page.get_by_role("button", name="Theme").click()
    opened.page.get_by_role("button", name="Theme").click()
    dark = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")

    opened.page.reload()

    assert opened.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == dark != "rgb(243, 245, 248)"
