"""What the ends of connections that follow each other tell."""

from __future__ import annotations

import pytest

from ferstream.sinks.mqtt.losses import EndedConnection, LossHistory

TAKEN_OVER, SHUTS_DOWN = 0x8E, 0x8B
FACE = "a message to ferstream/edge-1/door/face"


@pytest.fixture
def history() -> LossHistory:
    return LossHistory(broker="mqtt://b:1883", client_id="ferstream-edge-1", calm_after_s=120.0)


def contested(history: LossHistory) -> bool:
    """Whether the pause must grow; a function, because the value changes between two looks."""
    return history.contested


def end(lasted_s: float = 1.0, code: int | None = None, after: str | None = None) -> EndedConnection:
    return EndedConnection(lasted_s=lasted_s, code=code, after=after)


def test_a_take_over_that_the_broker_names_is_named_at_once(history: LossHistory) -> None:
    found = history.ended(end(code=TAKEN_OVER))
    assert found is not None
    assert found.detail == 'mqtt://b:1883: another client took over the client id "ferstream-edge-1"'
    assert "two ferstreams with one node name" in found.advice
    assert contested(history)


def test_a_take_over_after_a_long_time_makes_no_pause_longer(history: LossHistory) -> None:
    assert history.ended(end(lasted_s=3600, code=TAKEN_OVER)) is not None
    assert not contested(history)


def test_the_third_silent_loss_soon_after_a_success_looks_like_another_client(history: LossHistory) -> None:
    assert history.ended(end()) is None
    assert history.ended(end()) is None
    found = history.ended(end(lasted_s=29.0))
    assert found is not None
    assert "was lost 3 times soon after it was made" in found.detail
    assert 'client id "ferstream-edge-1"' in found.advice
    assert contested(history)


@pytest.mark.parametrize("calm", [end(lasted_s=500.0), end(code=SHUTS_DOWN)])
def test_a_connection_that_lasted_or_ended_with_a_reason_begins_anew(history: LossHistory, calm: EndedConnection) -> None:
    for _ in range(5):
        history.ended(end())
    assert contested(history)
    assert history.ended(calm) is None
    assert not contested(history)
    assert history.ended(end()) is None


def test_an_outage_says_nothing_about_another_client(history: LossHistory) -> None:
    for _ in range(10):
        assert history.ended(end()) is None
        history.connect_failed()
        assert not contested(history)


def test_the_second_end_after_the_same_message_names_its_topic(history: LossHistory) -> None:
    assert history.ended(end(after=FACE)) is None
    assert history.suspicious
    found = history.ended(end(after=FACE))
    assert found is not None
    assert found.detail == f"mqtt://b:1883 closed the connection 2 times after {FACE}, without a reason"
    assert "rights of this user" in found.advice
    assert not contested(history)


def test_ends_after_different_messages_name_none(history: LossHistory) -> None:
    assert history.ended(end(after=FACE)) is None
    assert history.ended(end(after="a message to ferstream/edge-1/door/track")) is None


def test_an_outage_clears_the_suspicion_of_a_message(history: LossHistory) -> None:
    history.ended(end(after=FACE))
    history.connect_failed()
    assert not history.suspicious
