"""JPEG pictures in a stream of bytes: every cut, and whatever a camera puts around them."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ferstream.capture.jpeg_stream import MAX_BYTES_WITHOUT_JPEG, JpegSplitter, JpegStream
from ferstream.errors import SourceFormatError


def jpeg(number: int = 0, *, quality: int = 90, progressive: bool = False, restart: int = 0) -> bytes:
    """A picture of noise, so that its data has every byte."""
    pixels = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive), cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    return cv2.imencode(".jpg", pixels, flags)[1].tobytes()


def with_thumbnail(picture: bytes) -> bytes:
    """A picture whose header holds another whole JPEG, as EXIF does."""
    inner = jpeg(9, quality=20)
    return picture[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner + picture[2:]


PICTURES = [jpeg(1), jpeg(2, progressive=True), jpeg(3, restart=2), with_thumbnail(jpeg(4)), jpeg(5, quality=5)]
BETWEEN = [b"", b"--frame\r\nContent-Type: image/jpeg\r\n\r\n", b"\n--x\nContent-type: image/jpg\n\n", b"\0" * 100, b"\xff\xff--\xff\xd9"]


def split(*parts: bytes) -> list[bytes]:
    """Feed the parts one after the other, and return all pictures."""
    splitter, found = JpegSplitter(), []
    for part in parts:
        splitter.feed(part)
        while (picture := splitter.next_picture()) is not None:
            found.append(picture)
    return [*found, rest] if (rest := splitter.rest()) else found


@given(
    st.lists(st.tuples(st.sampled_from(BETWEEN), st.sampled_from(PICTURES)), min_size=1, max_size=4),
    st.lists(st.integers(1, 700), min_size=1, max_size=5),
)
def test_pictures_come_out_whole_however_the_stream_is_cut(parts: list[tuple[bytes, bytes]], steps: list[int]) -> None:
    stream = b"".join(between + picture for between, picture in parts)
    pieces: list[bytes] = []
    start = 0
    while start < len(stream):
        step = steps[len(pieces) % len(steps)]
        pieces.append(stream[start : start + step])
        start += step
    assert split(*pieces) == [picture for _, picture in parts]


def test_a_picture_is_returned_with_its_last_byte() -> None:
    splitter = JpegSplitter()
    splitter.feed(PICTURES[0][:-1])
    assert splitter.next_picture() is None
    splitter.feed(PICTURES[0][-1:])
    assert splitter.next_picture() == PICTURES[0]


def test_a_picture_without_an_end_ends_where_the_next_begins() -> None:
    first, second = split(PICTURES[0][:-2], PICTURES[1])
    assert (first, second) == (PICTURES[0][:-2], PICTURES[1])


@given(st.binary(max_size=300), st.integers(4, 600))
def test_damage_costs_no_later_picture_for_long(junk: bytes, place: int) -> None:
    damaged = PICTURES[0][:place] + junk
    found = split(damaged, *[PICTURES[4]] * 200)
    assert found[-1] == PICTURES[4]


@given(st.binary(max_size=2000))
def test_any_bytes_are_split_without_an_error(data: bytes) -> None:
    assert len(b"".join(split(b"\xff\xd8\xff" + data, data))) <= 2 * len(data) + 3


class Bodies:
    """Bodies that follow each other, one a request."""

    def __init__(self, *bodies: bytes) -> None:
        self._bodies, self._now = list(bodies[1:]), io.BytesIO(bodies[0])
        self.waits: list[float] = []
        self.closed = False

    def read(self, size: int) -> bytes:
        """Return the next bytes of the present body."""
        return self._now.read(size)

    def request_again(self, interval_s: float) -> bool:
        """Go on with the next body."""
        self.waits.append(interval_s)
        if not self._bodies:
            return False
        self._now = io.BytesIO(self._bodies.pop(0))
        return True

    def close(self) -> None:
        """Remember it."""
        self.closed = True


def read_all(stream: JpegStream, size: int = 32_768) -> bytes:
    return b"".join(iter(lambda: stream.read(size), b""))


@pytest.mark.parametrize("size", [7, 32_768])
def test_libav_gets_each_picture_as_a_part_with_its_length(size: int) -> None:
    stream = JpegStream(Bodies(b"junk" + PICTURES[0] + b"\n" + PICTURES[1]), name="cam", snapshot_interval_s=None)
    head = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"
    assert read_all(stream, size) == b"".join(head % (len(picture), picture) for picture in PICTURES[:2])


def test_a_body_of_one_picture_is_asked_for_again() -> None:
    bodies = Bodies(PICTURES[0], PICTURES[1], PICTURES[2][:-2])
    found = read_all(JpegStream(bodies, name="cam", snapshot_interval_s=0.5))
    assert [found.count(picture) for picture in (*PICTURES[:2], PICTURES[2][:-2])] == [1, 1, 1]
    assert bodies.waits == [0.5, 0.5, 0.5]


def test_a_body_of_several_pictures_ends_the_stream() -> None:
    bodies = Bodies(PICTURES[0] + PICTURES[1], PICTURES[2])
    read_all(JpegStream(bodies, name="cam", snapshot_interval_s=0.5))
    assert bodies.waits == []


def test_a_snapshot_that_becomes_a_web_page_is_an_error() -> None:
    stream = JpegStream(Bodies(PICTURES[0], b"<html>log in</html>"), name="cam", snapshot_interval_s=0.5)
    with pytest.raises(SourceFormatError, match="cam: the server sends no JPEG pictures"):
        read_all(stream)


def test_a_stream_without_pictures_is_an_error() -> None:
    with pytest.raises(SourceFormatError, match="no JPEG pictures"):
        read_all(JpegStream(Bodies(b"x" * 2 * MAX_BYTES_WITHOUT_JPEG), name="cam", snapshot_interval_s=None))


def test_closing_closes_the_body() -> None:
    bodies = Bodies(b"")
    JpegStream(bodies, name="cam", snapshot_interval_s=None).close()
    assert bodies.closed


def test_the_pictures_of_these_tests_are_pictures() -> None:
    for picture in PICTURES:
        Image.open(io.BytesIO(picture)).load()
