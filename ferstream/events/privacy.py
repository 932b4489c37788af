"""What may be published about people: the one place of the rule that every output follows.

The publishing stage asks here before it hands an event to the sinks and before it counts one by its expression, the summaries
take their numbers from here, and the outbox asks here about events that an earlier process left.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from ferstream.domain.event import CameraState, Event, LabelledFrame, Summary
from ferstream.events.schemas import STATE, SUMMARY


@dataclass(frozen=True, slots=True)
class Sums:
    """Numbers of one interval that may be published.

    Attributes:
        counts: Observations by label.
        faces_now: Faces in view at the end.
    """

    counts: Mapping[str, int]
    faces_now: int


@dataclass(frozen=True, slots=True)
class PrivacyRules:
    """Whether single faces are published, and otherwise how large the groups are whose sums are.

    Attributes:
        aggregate_only: Publish nothing about a single face: summaries and states of cameras only.
        min_group_size: With ``aggregate_only``: numbers about fewer different faces are published as 0.
    """

    aggregate_only: bool = False
    min_group_size: int = 1

    @property
    def smallest_group(self) -> int:
        """Fewest faces that a published number is about; 0 when single faces are published."""
        return self.min_group_size if self.aggregate_only else 0

    def allows(self, event: Event | LabelledFrame) -> bool:
        """Whether the event may be handed to a sink, counted by its expression or shown, and a frame with its faces be shown.

        A new kind of event is refused until it is listed.
        """
        return not self.aggregate_only or isinstance(event, Summary | CameraState)

    def allows_schema(self, schema: str) -> bool:
        """Whether a sink may send messages of this schema."""
        return not self.aggregate_only or schema in (SUMMARY, STATE)

    def allows_stored(self, schema: str, *, stored_group: int) -> bool:
        """Whether a message that an earlier process left may be sent.

        Args:
            schema: Schema of the message.
            stored_group: ``smallest_group`` of the rules under which it was stored.
        """
        return self.allows_schema(schema) and (schema != SUMMARY or stored_group >= self.smallest_group)

    def sums(self, counts: Mapping[str, int], *, seen: Set[str], present: Set[str]) -> Sums:
        """Return what may be published of one interval of one camera.

        Args:
            counts: Observations by label.
            seen: Tracks with an observation in the interval.
            present: Tracks that have not ended; the tracker keeps one for a while after its last observation.
        """
        if not self.aggregate_only:
            return Sums(dict(counts), len(present))
        if len(seen) < self.min_group_size:
            return Sums({}, 0)
        now = len(seen & present)
        return Sums(dict(counts), now if now >= self.min_group_size else 0)


UNRESTRICTED = PrivacyRules()
"""Single faces are published."""
