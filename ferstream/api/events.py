"""The events that ``replay`` and ``watch`` give: the payloads of ``docs/mqtt.md`` as typed objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, PrivateAttr, field_serializer

from ferstream.errors import DataError, first_line
from ferstream.events.encode import iso_utc
from ferstream.events.payload import FacePayload, StatePayload, SummaryPayload, TrackPayload
from ferstream.events.schemas import FACE, STATE, SUMMARY, TRACK


class _Encoded(BaseModel):
    _text: str | None = PrivateAttr(None)

    def model_post_init(self, context: Any, /) -> None:
        """Keep the JSON that the event was read from."""
        self._text = context if isinstance(context, str) else None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, with other values for some fields; they are not validated."""
        copied = super().model_copy(update=update, deep=deep)
        if update:
            copied.model_post_init(None)
        return copied

    @field_serializer("captured_at", "at", "since", check_fields=False, when_used="json")
    def _as_in_events(self, moment: datetime) -> str:
        return iso_utc(round(moment.timestamp() * 1000) * 1_000_000)

    def to_json(self) -> str:
        """Return the event as one line of JSON: the bytes that ``ferstream replay --events`` writes and that brokers get."""
        if self._text is not None:
            return self._text
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON of the event as plain values."""
        values: dict[str, Any] = json.loads(self.to_json())
        return values


class FaceEvent(_Encoded, FacePayload):
    """One face in one frame.

    The most used values: ``camera``, ``captured_at`` (UTC), ``frame.media_time_s`` (seconds), ``track.id`` and ``track.state``
    (``appeared``, ``present``, ``left``), ``face.box`` (left, top, width, height in pixels), ``face.score`` and ``face.landmarks``,
    ``emotion.label`` and ``emotion.confidence`` of this frame, ``emotion.smoothed.label`` of the track, ``emotion.probabilities.happy``
    and six others, ``emotion.abstained`` (why the label is ``unknown``). ``docs/mqtt.md`` describes all of them.
    """


class TrackEvent(_Encoded, TrackPayload):
    """A face appeared, changed its smoothed label, or left: ``change``, ``smoothed``, ``previous_label``, ``dwell_s``, ``shares``."""


class SummaryEvent(_Encoded, SummaryPayload):
    """Counts of one camera over an interval: ``at``, ``interval_s``, ``counts`` by label, ``faces_now``."""


class StateEvent(_Encoded, StatePayload):
    """The state of a camera changed.

    Its values: ``status`` (``online``, ``reconnecting``, ``offline`` and others), ``reason``, ``since``, ``fps``.
    """


Event = FaceEvent | TrackEvent | SummaryEvent | StateEvent

_CLASSES: dict[str, type[Event]] = {FACE: FaceEvent, TRACK: TrackEvent, SUMMARY: SummaryEvent, STATE: StateEvent}


def event_of(schema: str, text: str) -> Event:
    """Return the event that was encoded as ``text``."""
    return _CLASSES[schema].model_validate_json(text, context=text)


def parse_event(text: str | bytes) -> Event:
    r"""Return the event of one line of JSON: of a file of ``ferstream replay --events``, or of an MQTT message.

    Args:
        text: The JSON, with or without a line end.

    Raises:
        ferstream.errors.DataError: It is not JSON, or not an event of a known schema.

    Example:
        >>> event = parse_event(open("events.jsonl").readline())  # doctest: +SKIP
    """
    try:
        line = (text if isinstance(text, str) else text.decode()).strip()
        value = json.loads(line)
        schema = value.get("schema") if isinstance(value, dict) else None
        if schema not in _CLASSES:
            raise DataError(f"not an event: schema is {schema!r}, expected one of {', '.join(_CLASSES)}")
        return event_of(schema, line)
    except RecursionError:
        raise DataError("not an event: the JSON is nested too deeply") from None
    except ValueError as exc:
        raise DataError(f"not an event: {first_line(exc)}") from exc
