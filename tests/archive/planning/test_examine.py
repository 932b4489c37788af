"""The heart of the archive: the frames of all chunks are those of the whole recording, or it is not divided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from ferstream.archive.plan import WHOLE
from ferstream.archive.planning.examine import Cutting, Examined, examine, fingerprint
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.capture.span import Span, SpanError, SpanSource
from ferstream.errors import SourceError
from ferstream.runtime.counters import Counters
from tests.support.clips import ordinary_priority, write_clip
from tests.support.spans import Seen, frames_of

GOP = "keyint=10:min-keyint=10:scenecut=0"
FRAMES = 60
UNEVEN_MS = [sum((20, 33, 41, 80, 250)[step % 5] for step in range(number)) for number in range(FRAMES)]


def x264(more: str = "") -> dict[str, str]:
    """Options of an encoder with a key frame every ten pictures."""
    return {"x264-params": f"{GOP}:{more}" if more else GOP}


def remux(source: Path, target: Path, *, shift: int = 0, skip: int = 0, drop: range = range(0), far: int = 0, **muxing: str) -> Path:
    """Copy the packets of a recording into another container.

    Args:
        source: The recording.
        target: The copy; its suffix chooses the container.
        shift: Added to all timestamps.
        skip: Packets that are left out at the beginning.
        drop: Packets that are left out.
        far: Added to the timestamps of the second half.
        muxing: Options of the container.
    """
    with av.open(str(source)) as read, av.open(str(target), "w", options=muxing) as written:
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream)
        packets = [packet for packet in read.demux(stream) if packet.size]
        for number, packet in enumerate(packets):
            assert packet.pts is not None
            assert packet.dts is not None
            if number < skip or number in drop:
                continue
            moved = shift + (far if number >= len(packets) // 2 else 0)
            packet.pts, packet.dts, packet.stream = packet.pts + moved, packet.dts + moved, copy
            written.mux(packet)
    return target


def long_copy(source: Path, target: Path, muxing: dict[str, str]) -> Path:
    """Copy a recording of a second, without reordered pictures, 60 times into one of a minute and some 7 MB: each packet is filled up."""
    filler = bytes([12]) + bytes([255]) * 4500
    with av.open(str(source)) as read, av.open(str(target), "w", options=muxing) as written:
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream)
        packets = [packet for packet in read.demux(stream) if packet.size]
        for number in range(60 * len(packets)):
            packet = packets[number % len(packets)]
            filled = av.Packet(bytes(packet) + len(filler).to_bytes(4, "big") + filler)
            filled.time_base, filled.pts, filled.dts = Fraction(1, len(packets)), number, number
            filled.is_keyframe, filled.stream = packet.is_keyframe, copy
            written.mux(filled)
    return target


@dataclass(frozen=True)
class Read:
    """What the chunks of a recording gave, and what the whole gave."""

    examined: Examined
    chunks: list[list[Seen]]
    whole: list[Seen]
    overlaps: list[list[Seen]]
    heads: list[tuple[str, ...]]
    tails: list[tuple[str, ...]]
    lost: int


def read(path: Path, *, chunk_s: float = 0.4, fps: float = 0.0) -> Read:
    """Plan a recording, and read all of its chunks and the whole."""
    examined, options, counters = examine(path, Cutting(chunk_s=chunk_s, fps=fps)), FrameOptions(analysis_fps=fps), Counters()
    whole = frames_of(FileSource(path=path, camera="door", observer=counters, options=options))
    found = Read(examined, [], whole, [], [], [], counters.snapshot().dropped_frames("door"))
    previous: int | None = None
    for chunk in examined.chunks if not examined.undivided else ():
        pts = chunk.pts.tolist()
        span = Span(
            first_frame=chunk.first_frame, pts=chunk.pts, overlap=chunk.overlap, origin_pts=examined.origin_pts, previous_pts=previous
        )
        source = SpanSource(path=path, camera="door", span=span, observer=Counters(), options=options, utc_origin_ns=examined.utc_origin_ns)
        frames = frames_of(source)
        stop = chunk.first_frame + len(pts)
        found.chunks.append([frame for frame in frames if frame.index < stop])
        found.overlaps.append([frame for frame in frames if frame.index >= stop])
        found.heads.append(source.head)
        found.tails.append(source.tail)
        previous = pts[-1]
    return found


def check_equal(found: Read) -> None:
    """Check that a recording was divided, and that its chunks give what the whole gives."""
    assert found.examined.undivided == ""
    assert len(found.chunks) > 1
    assert [frame for frames in found.chunks for frame in frames] == found.whole
    assert found.examined.frames >= len(found.whole)
    assert found.lost == 0
    for overlap, tail, after, head in zip(found.overlaps, found.tails, found.chunks[1:], found.heads[1:], strict=False):
        assert overlap
        assert overlap == after[: len(overlap)]
        assert tail
        assert tail == head[: len(tail)]


def divided_kinds() -> dict[str, Callable[[Path], Path]]:
    """Recordings that are divided, by name; each is made in a folder."""
    base: dict[str, Any] = {"frames": FRAMES}
    return {
        "mp4": lambda folder: write_clip(folder / "a.mp4", options=x264("bframes=0"), **base),
        "mp4 B-frames": lambda folder: write_clip(folder / "a.mp4", options=x264("bframes=3:b-pyramid=normal"), **base),
        "mp4 open GOP": lambda folder: write_clip(folder / "a.mp4", options=x264("bframes=3:open-gop=1:b-adapt=0"), **base),
        "mp4 uneven": lambda folder: write_clip(folder / "a.mp4", options=x264("bframes=2"), pts_ms=UNEVEN_MS, **base),
        "mp4 fragments": lambda folder: write_clip(
            folder / "a.mp4", options=x264("bframes=2"), muxing={"movflags": "frag_keyframe+empty_moov"}, **base
        ),
        "mp4 faststart": lambda folder: write_clip(folder / "a.mp4", options=x264(), muxing={"movflags": "faststart"}, **base),
        "mp4 edit list": lambda folder: remux(
            write_clip(folder / "a.mp4", options=x264("bframes=2"), **base), folder / "b.mp4", shift=-512 * 14
        ),
        "mp4 later": lambda folder: remux(write_clip(folder / "a.mp4", options=x264("bframes=2"), **base), folder / "b.mp4", shift=9000),
        "mov": lambda folder: write_clip(folder / "a.mov", options=x264("bframes=2"), **base),
        "mkv open GOP": lambda folder: write_clip(folder / "a.mkv", options=x264("bframes=3:open-gop=1:b-adapt=0"), **base),
        "mkv without an index": lambda folder: write_clip(folder / "a.mkv", options=x264("bframes=2"), muxing={"live": "1"}, **base),
        "flv": lambda folder: write_clip(folder / "a.flv", options=x264("bframes=2"), **base),
        "flv uneven": lambda folder: write_clip(folder / "a.flv", options=x264("bframes=2"), pts_ms=UNEVEN_MS, **base),
        "interlaced": lambda folder: write_clip(folder / "a.mkv", options=x264("tff=1:bframes=2"), **base),
        "HEVC mp4": lambda folder: write_clip(
            folder / "a.mp4", codec="libx265", options={"x265-params": f"{GOP}:open-gop=0:log-level=none"}, **base
        ),
        "HEVC mkv open GOP": lambda folder: write_clip(
            folder / "a.mkv", codec="libx265", options={"x265-params": f"{GOP}:open-gop=1:bframes=3:log-level=none"}, **base
        ),
        "VP9 webm": lambda folder: write_clip(
            folder / "a.webm", codec="libvpx-vp9", options={"g": "10", "deadline": "realtime", "cpu-used": "8"}, **base
        ),
        "MPEG-4": lambda folder: write_clip(folder / "a.mp4", codec="mpeg4", options={"g": "10", "bf": "2"}, **base),
        "MJPEG": lambda folder: write_clip(folder / "a.mov", codec="mjpeg", pixel_format="yuvj420p", **base),
    }


@pytest.mark.parametrize("kind", divided_kinds())
@pytest.mark.parametrize("fps", [0.0, 5.0])
def test_chunks_give_the_frames_of_the_whole(kind: str, fps: float, tmp_path: Path) -> None:
    check_equal(read(divided_kinds()[kind](tmp_path), fps=fps))


@pytest.mark.parametrize(("ending", "with_index", "without"), [("mkv", {}, {"live": "1"}), ("flv", {"flvflags": "add_keyframe_index"}, {})])
def test_chunks_of_a_large_recording_without_an_index_are_longer(
    ending: str, with_index: dict[str, str], without: dict[str, str], tmp_path: Path
) -> None:
    second = write_clip(tmp_path / "second.mp4", frames=25, options=x264("bframes=0"))
    indexed, plain = (long_copy(second, tmp_path / f"{number}.{ending}", muxing) for number, muxing in enumerate((with_index, without)))
    assert plain.stat().st_size > 6_000_000  # more than libav reads when it opens a file

    def chunks(path: Path, bytes_without_index: int) -> int:
        return len(examine(path, Cutting(chunk_s=2.0, bytes_without_index=bytes_without_index)).chunks)

    tenth = plain.stat().st_size // 10
    assert chunks(indexed, tenth) == chunks(plain, 100_000_000) > 20
    assert chunks(plain, tenth) == 6
    check_equal(read(plain, chunk_s=10.0))


def test_chunks_shorter_than_the_overlap(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=20, options={"g": "1"})
    found = read(clip, chunk_s=0.001)
    check_equal(found)
    assert {len(frames) for frames in found.chunks} == {3, 2}


def test_few_frames_of_many_are_analysed(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", frames=FRAMES, options=x264("bframes=2"))
    check_equal(read(clip, fps=0.8))


def test_the_largest_of_several_videos_is_read(tmp_path: Path) -> None:
    small, large = (write_clip(tmp_path / f"{size[0]}.mp4", size=size, frames=FRAMES, options=x264()) for size in ((64, 48), (96, 64)))
    both = tmp_path / "both.mkv"
    with av.open(str(small)) as one, av.open(str(large)) as two, av.open(str(both), "w") as written:
        streams = [written.add_stream_from_template(source.streams.video[0]) for source in (one, two)]
        for first, second in zip(one.demux(video=0), two.demux(video=0), strict=True):
            for packet, stream in ((first, streams[0]), (second, streams[1])):
                if packet.size:
                    packet.stream = stream
                    written.mux(packet)
    found = read(both)
    check_equal(found)
    assert found.whole[0].size == (96, 64)


def test_sizes_and_pixels_that_change_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "changing.mkv"
    parts = (((96, 64), "1/1"), ((96, 64), "4/3"), ((64, 48), "1/1"))
    with av.open(str(path), "w") as written:
        stream = written.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number, (size, aspect) in enumerate(parts):
            clip = write_clip(tmp_path / f"{number}.h264", size=size, frames=20, options=x264(f"bframes=0:sar={aspect}"))
            with av.open(str(clip)) as source:
                packets = [packet for packet in source.demux(video=0) if packet.size]
            for place, packet in enumerate(packets):
                packet.pts = packet.dts = 20 * number + place
                packet.time_base, packet.stream = Fraction(1, 25), stream
                written.mux(packet)
    found = read(path)
    check_equal(found)
    assert len({frame.size for frame in found.whole}) >= 2


@pytest.mark.parametrize("ending", ["ts", "avi", "mpg"])
def test_containers_that_lose_pictures_after_a_seek_are_not_divided(ending: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / f"a.{ending}", codec="mpeg4" if ending == "avi" else "mpeg2video", frames=FRAMES, options={"g": "10"})
    examined = examine(clip, Cutting(chunk_s=0.4))
    assert [chunk.number for chunk in examined.chunks] == [WHOLE]
    assert "does not give the same pictures" in examined.undivided


def test_codecs_whose_decoder_does_not_find_damage_are_not_divided(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.webm", codec="libvpx", frames=FRAMES, options={"g": "10", "deadline": "realtime", "cpu-used": "8"})
    assert "vp8 is not known to give" in examine(clip, Cutting(chunk_s=0.4)).undivided


def test_recordings_whose_packets_are_not_clean_are_not_divided(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=FRAMES, options=x264("bframes=2"))
    cases = {
        "key frame": remux(clip, tmp_path / "middle.mkv", skip=4),
        "jump": remux(clip, tmp_path / "jump.mp4", far=12_800 * 700),
        "one key frame": write_clip(tmp_path / "long.mp4", frames=FRAMES, options={"x264-params": "keyint=infinite:scenecut=0"}),
        "is short": write_clip(tmp_path / "short.mp4", frames=4, options={"g": "1"}),
    }
    for reason, path in cases.items():
        examined = examine(path, Cutting(chunk_s=0.4))
        assert reason in examined.undivided
        assert [chunk.number for chunk in examined.chunks] == [WHOLE]


@pytest.mark.parametrize("ending", ["mkv", "flv"])
def test_a_recording_that_was_cut_off_is_not_divided(ending: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / f"a.{ending}", frames=FRAMES, options=x264())
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 3 // 4])
    assert examine(clip, Cutting(chunk_s=0.4)).undivided in {"pictures are missing at its end", "it is damaged"}


def test_one_picture_is_not_divided(tmp_path: Path) -> None:
    examined = examine(write_clip(tmp_path / "one.mkv", frames=1), Cutting())
    assert (examined.frames, examined.undivided) == (1, "it has one key frame")


def test_pictures_that_the_decoder_invents_are_an_error_of_the_chunk(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=FRAMES, options=x264("bframes=3:b-pyramid=normal"))
    errors = 0
    for first in range(30, 37):
        holed = remux(clip, tmp_path / f"holed-{first}.mkv", drop=range(first, first + 2))
        try:
            found = read(holed)
        except SpanError:
            errors += 1
        else:
            assert [frame for frames in found.chunks for frame in frames] == found.whole
    assert errors


def test_intra_refresh_is_an_error_of_the_chunk(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=FRAMES, options=x264("intra-refresh=1:bframes=0"))
    assert examine(clip, Cutting(chunk_s=0.4)).undivided == ""
    with pytest.raises(SpanError, match="is not as planned"):
        read(clip)


def test_av1(tmp_path: Path) -> None:
    with ordinary_priority():
        clip = write_clip(
            tmp_path / "a.mkv", codec="libsvtav1", frames=FRAMES, options={"preset": "12", "g": "10", "svtav1-params": "irefresh-type=2"}
        )
    check_equal(read(clip))


def test_a_file_that_is_no_video_is_an_error(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(SourceError, match="is text"):
        examine(text, Cutting())
    with pytest.raises(SourceError, match="cannot be read"):
        fingerprint(tmp_path / "missing.mp4")
