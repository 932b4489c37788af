"""What waits for one viewer: the newest of each kind and camera, taken as one piece."""

from __future__ import annotations

import asyncio
from collections import Counter

from ferstream.web.messages import CAMERA, FRAME, KEEP_ALIVE, LiveMessage
from ferstream.web.viewer import Viewer


class Watcher:
    """A viewer, and what it reported."""

    def __init__(self, *cameras: str) -> None:
        self.sent: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.viewer = Viewer(
            cameras or None, on_sent=lambda kind: self.sent.update([kind]), on_skipped=lambda name: self.skipped.update([name])
        )

    def put(self, kind: str, camera: str, data: bytes) -> None:
        self.viewer.put(LiveMessage(kind, camera, data))


def test_all_that_waits_is_taken_as_one_piece() -> None:
    async def steps() -> bytes | None:
        watcher.put(CAMERA, "door", b"state ")
        watcher.put(FRAME, "door", b"frame ")
        watcher.put(FRAME, "yard", b"other ")
        return await watcher.viewer.take(60)

    watcher = Watcher()
    assert asyncio.run(steps()) == b"state frame other "
    assert watcher.sent == {CAMERA: 1, FRAME: 2}
    assert not watcher.skipped


def test_of_a_thousand_frames_the_newest_waits() -> None:
    async def steps() -> bytes | None:
        for number in range(1000):
            watcher.put(FRAME, "door", b"%d" % number)
            watcher.put(CAMERA, "door", b"state %d " % number)
            assert watcher.viewer.waiting <= 2
        return await watcher.viewer.take(60)

    watcher = Watcher()
    assert asyncio.run(steps()) == b"999state 999 "
    assert watcher.skipped == {"door": 999}


def test_a_quiet_stream_gets_a_comment() -> None:
    async def steps() -> bytes | None:
        return await Watcher().viewer.take(0.001)

    assert asyncio.run(steps()) == KEEP_ALIVE
    assert KEEP_ALIVE.startswith(b":")


def test_a_closed_viewer_ends_at_once_also_while_it_waits() -> None:
    async def steps() -> tuple[bytes | None, bytes | None]:
        waiting = asyncio.create_task(watcher.viewer.take(60))
        await asyncio.sleep(0)
        watcher.viewer.close()
        return await waiting, await watcher.viewer.take(60)

    watcher = Watcher()
    assert asyncio.run(steps()) == (None, None)


def test_a_viewer_of_one_camera_looks_at_no_other() -> None:
    async def steps() -> None:
        one, everyone = Watcher("door").viewer, Watcher().viewer
        assert [one.looks_at(name) for name in ("door", "yard", "")] == [True, False, True]
        assert [everyone.looks_at(name) for name in ("door", "yard", "")] == [True, True, True]

    asyncio.run(steps())
