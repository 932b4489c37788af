"""Joins the page with a running daemon: its state and its cameras become routes of the HTTP server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import structlog

from ferstream import __version__
from ferstream.app.commands import Commands
from ferstream.app.page_state import Json, PageState
from ferstream.app.running import Running
from ferstream.app.status import readiness_of
from ferstream.runtime.clock import Clock
from ferstream.runtime.observer import Observer
from ferstream.settings import Settings
from ferstream.web.feed import LiveFeed
from ferstream.web.history import History, sample_of
from ferstream.web.hub import Hub
from ferstream.web.messages import LiveMessage
from ferstream.web.page import LivePage

_LOG = structlog.get_logger(__name__)


def live_page(settings: Settings, *, observer: Observer, clock: Clock) -> LivePage:
    """Make the page of a daemon; its feed is not started.

    Args:
        settings: The settings, of which these hold until the daemon ends.
        observer: Counts messages to viewers.
        clock: Monotonic time.
    """
    aggregate_only = settings.privacy.aggregate_only
    feed = LiveFeed(
        Hub(observer=observer),
        pixels=settings.http.pixels,
        aggregate_only=aggregate_only,
        observer=observer,
        clock=clock,
    )
    return LivePage(node=settings.node, version=__version__, feed=feed, history=History(show_faces=not aggregate_only))


def page_routes(running: Running, page: LivePage, *, commands: Commands, uploads: Callable[[], Json]) -> list[Any]:
    """Return Starlette's routes of the live page and its API.

    Args:
        running: The daemon.
        page: Its page.
        commands: Takes commands to switch cameras, if the settings allow them.
        uploads: Returns the part of the state that is about uploads.
    """
    from ferstream.web.live import LiveSource, live_routes

    settings = running.settings
    if page.feed.pixels:
        (_LOG.info if settings.http.loopback else _LOG.warning)("the live page shows pictures of the cameras", listen=settings.http.listen)
    state = PageState(running, page=page, ready=readiness_of(running), fixed=_fixed(settings), uploads=uploads)
    page.cameras_changed(running.cameras.names)

    def greeting(asked: Collection[str]) -> Iterator[LiveMessage]:
        return page.greeting(running.cameras.names, running.pipeline.cameras.states().values(), asked)

    def switch(camera: str, on: bool) -> None:
        _LOG.info("a command from the page", camera=camera, enabled=on)
        commands.put(camera, b"ON" if on else b"OFF")

    source = LiveSource(
        hub=page.feed.hub,
        cameras=lambda: running.cameras.names,
        state=state.as_json,
        greeting=greeting,
        switch=switch if settings.mqtt.commands else None,
    )
    return live_routes(source)


def sample_history(running: Running, page: LivePage) -> None:
    """Add a point to the charts; main thread."""
    clock = running.engine.clock
    snapshot = running.pipeline.counters.snapshot()
    sample = sample_of(snapshot, at_ns=clock.utc_ns(), monotonic_ns=clock.monotonic_ns(), outbox=running.outbox_events())
    page.history.add(sample)


def _fixed(settings: Settings) -> dict[str, Any]:
    """Return the part of the state that holds until the daemon ends."""
    return {
        "commands": settings.mqtt.commands,
        "login": settings.http.token is not None,
    }
