"""With ``privacy.aggregate_only`` nothing that leaves the process depends on the expression of fewer people than a group has."""

from __future__ import annotations

import json
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ferstream.domain.message import Message
from ferstream.events.schemas import FACE, SUMMARY, TRACK
from ferstream.settings import Settings
from tests.support.privacy_scenes import Scene, Step, everything_that_leaves, intervals, scenes, with_other_expressions

GROUP = 3
SINKS = {
    "mqtt": {"url": "mqtt://127.0.0.1:1"},
    "webhook": {"url": "http://127.0.0.1:1/events", "events": ["face", "track", "summary"]},
    "kafka": {"brokers": "127.0.0.1:1"},
}
shifts = st.integers(1, 6)
many = settings(max_examples=150, deadline=None)


def made(*, aggregate_only: bool) -> Settings:
    values: dict[str, Any] = {**SINKS, "privacy": {"aggregate_only": aggregate_only, "min_group_size": GROUP}}
    return Settings.model_validate(values)


def schemas_in(channels: dict[str, object]) -> set[str]:
    """Schemas of the messages that were sent and of those that wait in the queue of a sink."""
    messages = cast("list[Message]", channels["messages"])
    queued = cast("dict[str, list[bytes]]", channels["queued"])
    waiting = {json.loads(payload)["schema"] for payloads in queued.values() for payload in payloads}
    return waiting | {message.schema for message in messages}


def events_counted(channels: dict[str, object]) -> float:
    """The sum of ``ferstream_events_total`` on the metrics page."""
    families = text_string_to_metric_families(str(channels["metrics"]))
    return sum(sample.value for family in families for sample in family.samples if sample.name == "ferstream_events_total")


def names_of_tracks(channels: dict[str, object]) -> bool:
    return "run-" in f"{channels['log']}{channels['terminal']}{channels['live']}"


def frames_shown(channels: dict[str, object]) -> bool:
    return "event: frame" in str(channels["live"])


def test_the_harness_finds_the_events_of_single_faces_where_they_are_published() -> None:
    left = everything_that_leaves((Step(0, {1: 3}), Step(6, {})), made(aggregate_only=False))
    assert schemas_in(left) >= {FACE, TRACK}
    assert events_counted(left) == 1
    assert names_of_tracks(left)
    assert frames_shown(left)


@many
@given(scene=scenes(most_people=GROUP + 2))
def test_no_event_of_a_single_face_leaves_by_any_channel(scene: Scene) -> None:
    left = everything_that_leaves(scene, made(aggregate_only=True))
    assert schemas_in(left) <= {SUMMARY}
    assert events_counted(left) == 0
    assert not names_of_tracks(left)
    assert not frames_shown(left)


def test_the_harness_sees_a_difference_where_single_faces_are_published() -> None:
    happy, sad = (Step(0, {1: label}) for label in (3, 4))
    one, other = (everything_that_leaves((step, Step(6, {})), made(aggregate_only=False)) for step in (happy, sad))
    assert {channel for channel in one if one[channel] != other[channel]} == {"messages", "queued", "metrics", "terminal", "live"}


def test_the_harness_sees_a_difference_between_two_groups() -> None:
    groups = (Step(0, dict.fromkeys((1, 2, 3), label)) for label in (3, 4))
    one, other = (everything_that_leaves((step, Step(6, {})), made(aggregate_only=True)) for step in groups)
    # The outbox counts bytes, and "happy" is longer than "sad".
    assert {channel for channel in one if one[channel] != other[channel]} == {"messages", "queued", "terminal", "metrics", "live"}


@many
@given(scene=scenes(most_people=GROUP - 1), shift=shifts)
def test_no_channel_differs_by_the_expression_of_too_few_people(scene: Scene, shift: int) -> None:
    other = with_other_expressions(scene, range(len(scene)), shift)
    assert everything_that_leaves(scene, made(aggregate_only=True)) == everything_that_leaves(other, made(aggregate_only=True))


@many
@given(scene=scenes(most_people=GROUP + 2), shift=shifts)
def test_no_channel_differs_by_expressions_in_an_interval_with_too_few_people(scene: Scene, shift: int) -> None:
    small = [steps for steps in intervals(scene) if len({who for step in steps for who in scene[step].people}) < GROUP]
    other = with_other_expressions(scene, [step for steps in small for step in steps], shift)
    assert everything_that_leaves(scene, made(aggregate_only=True)) == everything_that_leaves(other, made(aggregate_only=True))
