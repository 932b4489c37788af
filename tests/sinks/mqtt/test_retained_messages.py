"""The retained values of cameras that come and go."""

from __future__ import annotations

import pytest

from ferstream.domain.message import Message
from ferstream.events.schemas import STATE, SUMMARY
from ferstream.sinks.mqtt.packets import Outgoing
from ferstream.sinks.mqtt.retained_messages import RetainedMessages
from ferstream.sinks.mqtt.topics import Topics


@pytest.fixture
def board(topics: Topics) -> RetainedMessages:
    return RetainedMessages(topics)


def told(board: RetainedMessages, *, anew: bool = False) -> dict[str, bytes]:
    """What is to be told, by the topic's end: all of it, or what changed."""
    messages = board.everything() if anew else board.changed()
    return {message.topic.removeprefix("ferstream/edge-1/"): message.payload for message in messages}


def put(board: RetainedMessages, payload: bytes, schema: str = STATE, camera: str = "door") -> None:
    board.set(Message(schema, camera, "boot", 0, payload))


def test_the_newest_value_is_told_once_and_again_on_each_connection(board: RetainedMessages) -> None:
    put(board, b"1")
    put(board, b"2")
    assert told(board) == {"door/state": b"2"}
    assert told(board) == {}
    assert told(board, anew=True) == {"door/state": b"2"}


def test_what_comes_late_of_a_forgotten_camera_is_ignored(board: RetainedMessages) -> None:
    put(board, b"1")
    told(board)
    board.forget("door")
    put(board, b"late")
    put(board, b"late", SUMMARY)
    put(board, b"1", camera="hall")
    assert told(board) == {"door/state": b"", "door/summary": b"", "hall/state": b"1"}
    assert told(board, anew=True) == {"door/state": b"", "door/summary": b"", "hall/state": b"1"}


def test_a_value_of_an_earlier_run_is_removed_too(board: RetainedMessages) -> None:
    board.forget("door")
    assert told(board) == {"door/state": b"", "door/summary": b""}


def test_a_removal_is_told_on_every_connection_until_acknowledged(board: RetainedMessages) -> None:
    board.forget("door")
    for removal in board.changed():
        assert removal.qos == 1 and removal.retain
    first, second = board.everything()
    board.acknowledged(first)
    assert board.everything() == [second]
    board.acknowledged(second)
    assert board.everything() == []


def test_a_camera_that_is_back_has_values_again(board: RetainedMessages) -> None:
    board.forget("door")
    stale = board.changed()
    board.remember("door")
    put(board, b"new")
    assert told(board) == {"door/state": b"new"}
    assert told(board, anew=True) == {"door/state": b"new", "door/summary": b""}
    for removal in stale:  # answered only now
        board.acknowledged(removal)
    assert told(board, anew=True) == {"door/state": b"new"}


def announcement(topic: str = "homeassistant/door", payload: bytes = b"{}") -> Outgoing:
    return Outgoing(topic=topic, payload=payload, retain=True)


def test_an_announcement_is_for_each_connection_and_not_for_the_refresh_in_between(board: RetainedMessages) -> None:
    put(board, b"1")
    board.announce(announcement())
    assert [message.topic for message in board.changed()] == ["ferstream/edge-1/door/state", "homeassistant/door"]
    assert [message.topic for message in board.latest()] == ["ferstream/edge-1/door/state"]
    assert [message.topic for message in board.everything()] == ["homeassistant/door", "ferstream/edge-1/door/state"]


def test_an_announcement_that_was_not_sent_yet_is_not_lost_by_a_refresh(board: RetainedMessages) -> None:
    board.announce(announcement())
    assert board.latest() == [announcement()]
    assert board.latest() == []


def test_removals_come_before_announcements(board: RetainedMessages) -> None:
    board.announce(announcement("homeassistant/new"))
    board.remove("homeassistant/old")
    assert [message.topic for message in board.everything()] == ["homeassistant/old", "homeassistant/new"]


def test_who_removed_a_topic_hears_of_the_acknowledgement_once(board: RetainedMessages) -> None:
    removed: list[str] = []
    board.announce(announcement())
    board.remove("homeassistant/door", removed.append)
    (message,) = board.everything()
    assert (message.topic, message.payload) == ("homeassistant/door", b"")
    board.acknowledged(message)
    board.acknowledged(message)
    assert removed == ["homeassistant/door"]
    assert board.everything() == []


def test_what_is_announced_again_is_not_removed(board: RetainedMessages) -> None:
    removed: list[str] = []
    board.remove("homeassistant/door", removed.append)
    (stale,) = board.changed()
    board.announce(announcement())
    board.acknowledged(stale)
    assert removed == []
    assert board.everything() == [announcement()]


def test_a_value_of_no_camera_is_refreshed(board: RetainedMessages) -> None:
    board.set_value(announcement("ferstream/edge-1/node"))
    board.changed()
    assert board.latest() == [announcement("ferstream/edge-1/node")]
