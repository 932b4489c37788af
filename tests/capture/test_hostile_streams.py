"""Cameras and recordings that send too much: one clear line, and bounded memory."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.capture.options import Decoding
from ferstream.capture.recording import FileSource
from ferstream.errors import SourceFormatError
from ferstream.runtime.counters import Counters
from tests.support import http_stub
from tests.support.clips import write_clip
from tests.support.peak_memory import Measured, measure

MOST_MB = 400.0
READ = """
from ferstream.capture.factory import SourceOptions, open_source
from ferstream.runtime.counters import Counters

def work():
    options = SourceOptions(connect_timeout_s=float(sys.argv[2]), read_timeout_s=10)
    source = open_source(sys.argv[1], camera="door", observer=Counters(), options=options)
    try:
        source.open()
        for frame in source.frames():
            pass
    finally:
        source.close()
"""
MULTIPART = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:t\r\n"
)
NOISE = b"\x55" * 1_000_000


def jpeg(width: int, height: int) -> bytes:
    """A grey JPEG."""
    return cv2.imencode(".jpg", np.full((height, width), 128, np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def huge() -> bytes:
    """A JPEG of 256 million pixels, in 4 MB."""
    return jpeg(16_000, 16_000)


def part(picture: bytes) -> bytes:
    """A picture as a part of a multipart response."""
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(picture), picture)


def endless(begin: bytes, more: bytes = NOISE) -> http_stub.Answer:
    """Send ``begin``, then ``more`` until the client closes."""

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(begin)
        while not stop.is_set():
            connection.sendall(more)

    return answer


def read(answer: http_stub.Answer, scheme: str = "http", path: str = "/a", *, connect_timeout_s: float = 20.0) -> Measured:
    """Read a camera that answers like this."""
    with http_stub.serving(answer) as port:
        return measure(READ, f"{scheme}://127.0.0.1:{port}{path}", connect_timeout_s)


@pytest.mark.parametrize("length", [b"", b"Content-Length: 1500000000\r\n"])
def test_an_endless_part_of_motion_jpeg_is_an_error(length: bytes) -> None:
    begin = MULTIPART + b"--frame\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n" + jpeg(640, 480)[:300]
    done = read(endless(begin))
    assert "no picture in 64 MB of data" in done.error
    assert done.peak_mb < MOST_MB


@pytest.mark.parametrize("before", [0, 3])
def test_a_picture_over_max_pixels_is_an_error(huge: bytes, before: int) -> None:
    done = read(http_stub.says(MULTIPART + part(jpeg(640, 480)) * before + part(huge) * 3))
    assert "max_pixels allows 64,000,000" in done.error
    assert done.peak_mb < MOST_MB


def test_a_picture_under_max_pixels_is_read() -> None:
    done = read(http_stub.says(MULTIPART + part(jpeg(8_000, 7_900)) * 3))
    assert "the server ended the stream" in done.error
    assert done.peak_mb < MOST_MB


def test_a_picture_is_read_with_the_smallest_max_pixels(tmp_path: Path) -> None:
    """In a process of its own: libav's limit of memory is that of the camera with the largest pictures."""
    clip = write_clip(tmp_path / "a.mp4", size=(320, 200), frames=3)
    assert measure(READ.replace("options = SourceOptions(", "options = SourceOptions(max_pixels=65_536, "), clip, 20).error == ""


def test_an_endless_playlist_is_an_error() -> None:
    begin = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n#EXTM3U\n#EXT-X-TARGETDURATION:2\n"
    done = read(endless(begin, b"#EXTINF:1,\na.ts\n" * 50_000), path="/a.m3u8")
    assert "a playlist is longer than 1000 kB" in done.error
    assert done.peak_mb < MOST_MB


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nX: y\r\n" * 2, b""])
def test_endless_headers_are_an_error(begin: bytes) -> None:
    done = read(endless(begin, begin[17:] * 1000 or NOISE))
    assert "is not HTTP that can be read" in done.error
    assert done.peak_mb < MOST_MB


@pytest.mark.parametrize(
    "begin", [b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 1500000000\r\n\r\n", b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nX: "]
)
def test_an_endless_answer_to_rtsp_is_an_error(begin: bytes) -> None:
    done = read(endless(begin), "rtsp")
    assert "no video that can be decoded" in done.error
    assert done.peak_mb < MOST_MB


def endless_access_unit(connection: socket.socket, stop: threading.Event) -> None:
    """Play a video whose first picture has no end."""
    while request := connection.recv(65536).decode():
        number = re.search(r"CSeq: (\d+)", request)
        head = f"RTSP/1.0 200 OK\r\nCSeq: {number.group(1) if number else 0}\r\n"
        method = request.split()[0]
        if method == "DESCRIBE":
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}"
        elif method == "SETUP":
            head += "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
        else:
            head += "Session: 1\r\nPublic: DESCRIBE, SETUP, PLAY\r\n\r\n"
        connection.sendall(head.encode())
        if method == "PLAY":
            for packet in fragments():
                connection.sendall(packet)


def fragments() -> Iterator[bytes]:
    """One NAL unit in endless fragments (RFC 6184, FU-A), interleaved in the RTSP connection."""
    sequence = 0
    while True:
        begins = 0x80 if sequence == 0 else 0
        header = b"\x80\x60" + (sequence & 0xFFFF).to_bytes(2, "big") + (1000).to_bytes(4, "big") + b"abcd"
        packet = header + b"\x7c" + bytes([begins | 5]) + NOISE[:60_000]
        yield b"$\0" + len(packet).to_bytes(2, "big") + packet
        sequence += 1


def test_an_endless_picture_over_rtsp_stays_below_the_limit_of_memory() -> None:
    done = read(endless_access_unit, "rtsp", connect_timeout_s=5)
    assert "SourceTimeoutError" in done.error or "is too large" in done.error
    assert done.peak_mb < MOST_MB


def test_a_recording_with_a_picture_over_max_pixels_is_an_error(huge: bytes, tmp_path: Path) -> None:
    path = tmp_path / "huge.mjpeg"
    path.write_bytes(huge * 2)
    done = measure(READ, path, 20)
    assert "a picture is 16000 x 16000 pixels; max_pixels allows 64,000,000" in done.error
    assert done.peak_mb < MOST_MB


@pytest.mark.parametrize("before", [0, 3])
def test_a_picture_over_max_pixels_is_refused_where_memory_suffices_for_it(tmp_path: Path, before: int) -> None:
    """The container does not tell its size, and a limit of memory would allow it: the decoder refuses it."""
    path = tmp_path / "grows.mjpeg"
    path.write_bytes(jpeg(200, 160) * before + jpeg(640, 480) * 2)
    source = FileSource(path=path, camera="door", observer=Counters(), decoding=Decoding(max_pixels=65_536))
    with closing(source), pytest.raises(SourceFormatError, match=r"a picture is .*; max_pixels allows 65,536"):
        source.open()
        for _ in source.frames():
            pass


def test_a_recording_with_one_endless_picture_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "hole.mjpeg"
    with path.open("wb") as file:
        file.write(jpeg(640, 480)[:300])
        file.truncate(400_000_000)
    done = measure(READ, path, 20)
    assert "no picture in it can be decoded" in done.error
    assert done.peak_mb < MOST_MB
