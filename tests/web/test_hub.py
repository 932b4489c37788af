"""Who looks at which camera, and how messages get to their streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ferstream.runtime.counters import Counters
from ferstream.web.hub import SENT, SKIPPED, Hub
from ferstream.web.messages import FRAME, LiveMessage
from tests.support.threads import Task

Steps = Callable[[Hub], Coroutine[Any, Any, None]]


def in_loop(steps: Steps, *, max_viewers: int = 32) -> Counters:
    """Run the steps of a test on an event loop; return what was counted."""
    counters = Counters()
    asyncio.run(steps(Hub(observer=counters, max_viewers=max_viewers)))
    return counters


def frame(camera: str, data: bytes) -> LiveMessage:
    return LiveMessage(FRAME, camera, data)


def test_a_camera_is_wanted_while_somebody_looks_at_it() -> None:
    async def steps(hub: Hub) -> None:
        assert not hub.wants("door")
        one, everyone = hub.join(["door"]), hub.join(None)
        assert hub.wants("yard")
        hub.leave(everyone)
        assert (hub.wants("door"), hub.wants("yard"), hub.viewers) == (True, False, 1)
        hub.leave(one)
        hub.leave(one)
        assert (hub.wants("door"), hub.viewers) == (False, 0)

    in_loop(steps)


def test_messages_of_another_thread_reach_the_viewers_of_their_camera() -> None:
    async def steps(hub: Hub) -> None:
        door, everyone = hub.join(["door"]), hub.join(None)
        for message in (frame("door", b"1"), frame("yard", b"2")):
            await asyncio.to_thread(hub.send, message)
        assert await door.take(60) == b"1"
        assert await everyone.take(60) == b"12"

    counters = in_loop(steps)
    assert counters.snapshot().counts[SENT, FRAME] == 3
    assert (SKIPPED, "door") not in counters.snapshot().counts


def test_a_busy_event_loop_gathers_no_queue() -> None:
    async def steps(hub: Hub) -> None:
        viewer = hub.join(None)
        for number in range(1000):  # the loop does not run in between
            hub.send(frame("door", b"%d" % number))
        await asyncio.sleep(0)
        assert viewer.waiting == 1
        assert await viewer.take(60) == b"999"

    in_loop(steps)


def test_over_the_limit_there_is_no_room() -> None:
    async def steps(hub: Hub) -> None:
        viewers = [hub.join(None) for _ in range(3)]
        assert not hub.has_room
        hub.leave(viewers[0])
        assert hub.has_room

    in_loop(steps, max_viewers=3)


def test_a_closed_hub_ends_its_viewers_and_takes_no_more() -> None:
    async def steps(hub: Hub) -> None:
        viewer = hub.join(None)
        await asyncio.to_thread(hub.close)
        assert await viewer.take(60) is None
        assert not hub.has_room
        assert await hub.join(None).take(60) is None

    in_loop(steps)


def test_without_an_event_loop_nothing_happens() -> None:
    hub = Hub(observer=Counters())
    hub.send(frame("door", b"1"))
    hub.close()

    async def steps(hub: Hub) -> None:
        hub.join(None)

    ended = Hub(observer=Counters())
    asyncio.run(steps(ended))
    Task(lambda: ended.send(frame("door", b"1"))).result()
    ended.close()
