"""The columns of the tables, in their order: where each value comes from in an event, its type and its unit.

``docs/tables.md`` is made from this list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ferstream.domain.emotion import LABELS, UNKNOWN
from ferstream.events.schemas import FACE, TRACK

Json = Mapping[str, Any]
Value = str | int | float | None


class Kind(StrEnum):
    """Type of a column in a Parquet file."""

    TIMESTAMP = "timestamp[ms, UTC]"
    CATEGORY = "dictionary<string>"
    INTEGER = "int64"
    SECONDS = "float64"
    REAL = "float32"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its name; the unit is part of it where there is one that is not pixels.
        kind: Its type in a Parquet file.
        path: Keys and positions that lead to the value in the JSON of an event.
        meaning: What the value is, for the documentation.
        unit: Unit of the value; empty where it has none.
        missing: Value where the event has none; None leaves the cell empty.
    """

    name: str
    kind: Kind
    path: tuple[str | int, ...]
    meaning: str
    unit: str = ""
    missing: Value = None

    def value(self, event: Json) -> Value:
        """Return the value of this column for an event."""
        found: Any = event
        for step in self.path:
            if found is None or (isinstance(found, Mapping) and step not in found):
                return self.missing
            found = found[step]
        return found  # type: ignore[no-any-return]


_HEAD = (
    Column("camera", Kind.CATEGORY, ("camera",), "Name of the camera."),
    Column("source", Kind.CATEGORY, ("source",), "Name of the recording's file, without its folders; empty for a live camera."),
    Column("seq", Kind.INTEGER, ("seq",), "Number of the event among those of its camera and its table, from 0."),
    Column("captured_at", Kind.TIMESTAMP, ("captured_at",), "When the frame was captured.", "UTC"),
    Column("frame_index", Kind.INTEGER, ("frame", "index"), "Number of the frame in its source, from 0."),
    Column("media_time_s", Kind.SECONDS, ("frame", "media_time_s"), "Media time since the start of the source.", "s"),
    Column("frame_width", Kind.INTEGER, ("frame", "width"), "Width of the picture as displayed, in stored pixels.", "px"),
    Column("frame_height", Kind.INTEGER, ("frame", "height"), "Height of the picture as displayed, in stored pixels.", "px"),
    Column("track_id", Kind.CATEGORY, ("track", "id"), "The track: one face in consecutive frames; never a person."),
    Column("track_state", Kind.CATEGORY, ("track", "state"), "appeared, present or left."),
    Column("track_age_s", Kind.SECONDS, ("track", "age_s"), "Media time since the face appeared.", "s"),
)
_SMOOTHED = "Label over the recent life of the track."
_TAIL = (
    Column("model_name", Kind.CATEGORY, ("model", "name"), "The model."),
    Column("model_version", Kind.CATEGORY, ("model", "version"), "Its version."),
)
_POINTS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")
"""Names of the five landmarks: right and left of the subject."""


def _box() -> Iterator[Column]:
    meanings = {"x": "Left edge", "y": "Top edge", "w": "Width", "h": "Height"}
    for position, (name, meaning) in enumerate(meanings.items()):
        yield Column(f"box_{name}", Kind.REAL, ("face", "box", position), f"{meaning} of the face's box.", "px")


def _landmarks() -> Iterator[Column]:
    for position, name in enumerate(_POINTS):
        for axis, letter in enumerate("xy"):
            meaning = f"{name.replace('_', ' ').capitalize()} of the subject, {letter}."
            yield Column(f"{name}_{letter}", Kind.REAL, ("face", "landmarks", position, axis), meaning, "px")


FACE_COLUMNS: tuple[Column, ...] = (
    *_HEAD,
    *_box(),
    Column("score", Kind.REAL, ("face", "score"), "Confidence of the detector.", "0..1"),
    *_landmarks(),
    Column("label", Kind.CATEGORY, ("emotion", "label"), "Label of this frame alone: an expression, or unknown."),
    Column("confidence", Kind.REAL, ("emotion", "confidence"), "Probability of label; for unknown that of the best class, or 0.", "0..1"),
    Column("smoothed_label", Kind.CATEGORY, ("emotion", "smoothed", "label"), _SMOOTHED),
    Column("smoothed_confidence", Kind.REAL, ("emotion", "smoothed", "confidence"), "Probability of smoothed_label.", "0..1"),
    Column("abstained", Kind.CATEGORY, ("emotion", "abstained"), "Why label is unknown; empty otherwise."),
    *(
        Column(f"p_{name}", Kind.REAL, ("emotion", "probabilities", name), f"Probability of {name}; empty if not classified.", "0..1")
        for name in LABELS
    ),
    *_TAIL,
)
"""A row is one face in one frame; where ``track_state`` is left, the last face of the track repeated."""

TRACK_COLUMNS: tuple[Column, ...] = (
    *_HEAD,
    Column("change", Kind.CATEGORY, ("change",), "appeared, changed (the smoothed label is another one) or left."),
    Column("smoothed_label", Kind.CATEGORY, ("smoothed", "label"), _SMOOTHED + " For left, the last one."),
    Column("smoothed_confidence", Kind.REAL, ("smoothed", "confidence"), "Probability of smoothed_label.", "0..1"),
    Column("previous_label", Kind.CATEGORY, ("previous_label",), "smoothed_label before a change; empty otherwise."),
    Column("dwell_s", Kind.SECONDS, ("dwell_s",), "Media time from the first to the last frame with the face.", "s"),
    *(
        Column(f"share_{name}", Kind.REAL, ("shares", name), f"Share of the track's frames with smoothed_label {name}.", "0..1", 0.0)
        for name in (*LABELS, UNKNOWN)
    ),
    *_TAIL,
)
"""A row is one change of a track."""

COLUMNS: dict[str, tuple[Column, ...]] = {FACE: FACE_COLUMNS, TRACK: TRACK_COLUMNS}
"""The columns of the table of each schema."""


def row(event: Json, columns: tuple[Column, ...]) -> list[Value]:
    """Return the values of one event in the order of the columns."""
    return [column.value(event) for column in columns]
