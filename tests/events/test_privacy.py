"""The rule of what may be published about people."""

from __future__ import annotations

import pytest

from ferstream.domain.event import Event, Summary
from ferstream.events.privacy import UNRESTRICTED, PrivacyRules
from ferstream.events.schemas import FACE, STATE, SUMMARY, TRACK
from tests.support.builders import camera_state, face_event, track_event

GROUPS = PrivacyRules(aggregate_only=True, min_group_size=3)
COUNTS = {"happy": 5, "sad": 1}


@pytest.mark.parametrize(
    ("event", "allowed"),
    [(face_event(), False), (track_event(), False), (Summary("door", 0, 10.0, {}, 0), True), (camera_state(), True)],
)
def test_groups_only_allow_no_event_of_a_single_face(event: Event, allowed: bool) -> None:
    assert GROUPS.allows(event) is allowed
    assert UNRESTRICTED.allows(event)


@pytest.mark.parametrize(("schema", "allowed"), [(FACE, False), (TRACK, False), (SUMMARY, True), (STATE, True)])
def test_schemas_are_allowed_as_their_events_are(schema: str, allowed: bool) -> None:
    assert GROUPS.allows_schema(schema) is allowed
    assert GROUPS.allows_stored(schema, stored_group=3) is allowed
    assert UNRESTRICTED.allows_stored(schema, stored_group=0)


def test_a_stored_summary_of_smaller_groups_is_refused() -> None:
    assert not GROUPS.allows_stored(SUMMARY, stored_group=2)
    assert GROUPS.allows_stored(STATE, stored_group=0)


@pytest.mark.parametrize(
    ("seen", "present", "counts", "now"),
    [
        ("ab", "ab", {}, 0),
        ("ab", "abcdef", {}, 0),
        ("abc", "abc", COUNTS, 3),
        ("abc", "abcd", COUNTS, 3),
        ("abcd", "cd", COUNTS, 0),
        ("abcd", "", COUNTS, 0),
    ],
)
def test_numbers_about_fewer_than_the_group_are_zero(seen: str, present: str, counts: dict[str, int], now: int) -> None:
    sums = GROUPS.sums(COUNTS, seen=set(seen), present=set(present))
    assert (sums.counts, sums.faces_now) == (counts, now)


def test_without_the_rule_every_number_is_published() -> None:
    sums = UNRESTRICTED.sums(COUNTS, seen=set("a"), present=set("ab"))
    assert (sums.counts, sums.faces_now) == (COUNTS, 2)
    assert UNRESTRICTED.smallest_group == 0
    assert GROUPS.smallest_group == 3
