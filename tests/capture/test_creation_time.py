"""The time at which a recording began, from the tags that cameras and phones write."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from ferstream.capture.creation_time import creation_ns
from tests.support.clips import write_clip

TEN = 1_620_122_400 * 10**9
"""2021-05-04T10:00:00Z."""


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"creation_time": "2021-05-04T10:00:00.000000Z"}, TEN),
        ({"creation_time": "2021-05-04T10:00:00.250000Z"}, TEN + 250_000_000),
        ({"creation_time": "2021-05-04T12:00:00+02:00"}, TEN),
        ({"com.apple.quicktime.creationdate": "2021-05-04T12:00:00+0200"}, TEN),
        ({"com.apple.quicktime.creationdate": "2021-05-04T12:00:00+0200", "creation_time": "2021-05-04T10:00:09Z"}, TEN),
        ({"com.apple.quicktime.creationdate": "soon", "creation_time": "2021-05-04T10:00:00Z"}, TEN),
        ({"creation_time": "1904-01-01T00:00:00.000000Z"}, 0),
        ({"creation_time": "1970-01-01T00:00:00.000000Z"}, 0),
        ({"creation_time": "2021-05-04T10:00:00"}, 0),
        ({"creation_time": "9999-12-31T23:59:59Z"}, 0),
        ({"creation_time": ""}, 0),
        ({"date": "2021"}, 0),
        ({}, 0),
    ],
)
def test_the_time_of_the_tags(tags: dict[str, str], expected: int) -> None:
    assert creation_ns(tags) == expected


def test_tags_of_the_stream_count_where_the_container_has_none() -> None:
    stream = {"creation_time": "2021-05-04T10:00:00Z"}
    assert creation_ns({}, stream) == creation_ns({"creation_time": "1904-01-01T00:00:00Z"}, stream) == TEN
    assert creation_ns({"creation_time": "2021-05-04T10:00:01Z"}, stream) == TEN + 10**9


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_libav_gives_the_tag_of_each_container(tmp_path: Path, ending: str) -> None:
    path = write_clip(tmp_path / f"a.{ending}", codec="mpeg4", tags={"creation_time": "2021-05-04T10:00:00Z"})
    with av.open(str(path)) as container:
        assert creation_ns(container.metadata) == TEN
