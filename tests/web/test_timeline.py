"""The timeline of a recording: spans of the smoothed label, points, and a bound on memory."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.emotion import LABELS
from ferstream.web.timeline import Timeline


def face(at: float, label: str = "happy", *, track: str = "a", state: str = "present", share: float | None = 0.1) -> dict[str, Any]:
    shares = None if share is None else dict.fromkeys(LABELS, share)
    return {
        "frame": {"media_time_s": at},
        "track": {"id": track, "state": state},
        "face": {"box": [1.0, 2.0, 30.0, 40.0]},
        "emotion": {"label": "neutral", "probabilities": shares, "smoothed": {"label": label}},
    }


def made(events: list[dict[str, Any]], **options: int) -> Any:
    timeline = Timeline(**options)
    for event in events:
        timeline.add(event)
    return timeline.as_json(duration_s=3.0, width=640, height=480)


def test_equal_labels_in_a_row_are_one_span() -> None:
    found = made([face(0.0, "sad"), face(0.1, "sad"), face(0.2), face(0.3)])
    assert found["tracks"][0]["spans"] == [{"label": "sad", "from_s": 0.0, "to_s": 0.2}, {"label": "happy", "from_s": 0.2, "to_s": 0.3}]
    assert (found["duration_s"], found["width"], found["height"], found["labels"]) == (3.0, 640, 480, list(LABELS))


def test_a_point_has_time_box_label_and_probabilities() -> None:
    found = made([face(0.5), face(0.6, share=None)])
    assert found["tracks"][0]["points"] == [
        [0.5, 1.0, 2.0, 30.0, 40.0, "neutral", *[0.1] * 7],
        [0.6, 1.0, 2.0, 30.0, 40.0, "neutral", *[None] * 7],
    ]


def test_tracks_are_apart_and_the_event_of_a_track_that_left_is_no_point() -> None:
    found = made([face(0.0), face(0.0, track="b"), face(0.4), face(2.0, track="b", state="left")])
    assert [(track["id"], track["from_s"], track["to_s"], len(track["points"])) for track in found["tracks"]] == [
        ("a", 0.0, 0.4, 2),
        ("b", 0.0, 0.0, 1),
    ]


def test_a_recording_that_does_not_say_its_length_ends_with_its_last_face() -> None:
    timeline = Timeline()
    timeline.add(face(7.25))
    assert timeline.as_json(duration_s=0.0, width=1, height=1)["duration_s"] == 7.25


def test_a_recording_without_faces_has_no_tracks() -> None:
    assert made([])["tracks"] == []


@given(st.lists(st.sampled_from("abc"), max_size=400), st.integers(1, 50))
def test_points_are_bounded_and_thinned_evenly(tracks: list[str], most: int) -> None:
    found = made([face(float(at), track=track) for at, track in enumerate(tracks)], max_points=most)
    assert sum(len(track["points"]) for track in found["tracks"]) <= most + len(found["tracks"])
    for track in found["tracks"]:
        times = [at for at, name in enumerate(tracks) if name == track["id"]]
        kept = [point[0] for point in track["points"]]
        assert kept[0] == times[0]
        steps = {times.index(int(after)) - times.index(int(before)) for before, after in pairwise(kept)}
        assert len(steps) <= 1, "every second, fourth, eighth ... frame"
        assert track["to_s"] == times[-1]
