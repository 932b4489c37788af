"""Parts of recordings: together they give what the whole gives, and what is not as planned is an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import av.logging
import numpy as np
import pytest

from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.capture.span import COMPARED, Span, SpanError, SpanSource
from ferstream.errors import SourceError
from ferstream.runtime.counters import Counters
from tests.support.clips import write_clip
from tests.support.spans import Seen, cut, frames_of, spans

START_NS = 1_700_000_000_000_000_000

Part = Callable[..., SpanSource]


@pytest.fixture
def part(counters: Counters) -> Part:
    """Makes a source of a part of a recording."""
    return lambda path, span, **options: SpanSource(path=path, camera="door", span=span, observer=counters, **options)


@pytest.fixture(scope="module")
def reordered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds with B-frames, a key frame every ten pictures, and pictures before a key frame that need the one behind it."""
    options = {"x264-params": "keyint=10:min-keyint=10:scenecut=0:bframes=3:open-gop=1:b-adapt=0"}
    return write_clip(tmp_path_factory.mktemp("span") / "reordered.mp4", frames=100, options=options)


def own(source: SpanSource, span: Span) -> list[Seen]:
    """Return the frames of a part without those of its overlap."""
    return [frame for frame in frames_of(source) if frame.index < span.first_frame + len(span.pts)]


@pytest.mark.parametrize("fps", [0.0, 3.0, 7.5])
def test_parts_give_the_frames_of_the_whole(reordered: Path, part: Part, counters: Counters, fps: float) -> None:
    options = FrameOptions(analysis_fps=fps)
    whole = frames_of(FileSource(path=reordered, camera="door", observer=counters, options=options))
    parts = [own(part(reordered, span, options=options), span) for span in cut(reordered)]
    assert len(parts) == 10
    assert [frame for frames in parts for frame in frames] == whole


def test_frames_of_the_overlap_are_those_of_the_next_part(reordered: Path, part: Part) -> None:
    first, second, *_ = cut(reordered)
    overlapping = frames_of(part(reordered, first))[len(first.pts) :]
    assert overlapping == frames_of(part(reordered, second))[:3]


def test_digests_of_neighbours_agree(reordered: Path, part: Part) -> None:
    sources = [part(reordered, span) for span in cut(reordered)]
    for source in sources:
        frames_of(source)
    assert [source.tail for source in sources[:-1]] == [source.head for source in sources[1:]]
    assert sources[-1].tail == ()
    assert len(set(sources[0].head)) == len(sources[0].head) == COMPARED


def test_pictures_that_are_not_analysed_have_digests(reordered: Path, part: Part) -> None:
    span = cut(reordered)[1]
    every, few = part(reordered, span), part(reordered, span, options=FrameOptions(analysis_fps=1.0))
    assert len(frames_of(few)) < len(frames_of(every))
    assert (few.head, few.tail) == (every.head, every.tail)


def test_a_part_shorter_than_the_compared_pictures(clip: Path, part: Part) -> None:
    pts = cut(clip)[0].pts.tolist()
    span = spans(pts, [0])[0]
    short = replace(span, pts=span.pts[:1], overlap=span.pts[1:2])
    source = part(clip, short)
    assert [frame.index for frame in frames_of(source)] == [0, 1]
    assert (len(source.head), len(source.tail)) == (1, 1)


def test_the_time_of_the_recording_is_added(long_clip: Path, part: Part) -> None:
    span = cut(long_clip)[2]
    first = frames_of(part(long_clip, span, utc_origin_ns=START_NS))[0]
    assert (first.index, first.media_time_ns, first.captured_at_ns) == (20, 800_000_000, START_NS + 800_000_000)


def test_another_timestamp_is_an_error(long_clip: Path, part: Part) -> None:
    span = cut(long_clip)[1]
    pts = span.pts.copy()
    pts[4] += 1
    with pytest.raises(SpanError, match="picture 14 is not as planned: its timestamp is"):
        frames_of(part(long_clip, replace(span, pts=pts)))


def test_a_part_that_begins_at_no_key_frame_is_read_from_the_key_frame_before(long_clip: Path, part: Part, counters: Counters) -> None:
    pts = np.concatenate([span.pts for span in cut(long_clip)]).tolist()
    span = spans(pts, [0, 13, 30])[1]
    whole = frames_of(FileSource(path=long_clip, camera="door", observer=counters))
    assert own(part(long_clip, span), span) == whole[13:30]


def test_more_pictures_at_the_end_are_an_error(long_clip: Path, part: Part) -> None:
    span = cut(long_clip)[-1]
    with pytest.raises(SpanError, match="picture 49 is not as planned: there is one more"):
        frames_of(part(long_clip, replace(span, pts=span.pts[:-1])))


def test_fewer_pictures_at_the_end_are_an_error(long_clip: Path, part: Part) -> None:
    span = cut(long_clip)[-1]
    longer = np.append(span.pts, span.pts[-1] + 512)
    with pytest.raises(SpanError, match="picture 50 is not as planned: the recording ends before it"):
        frames_of(part(long_clip, replace(span, pts=longer)))


def test_a_part_behind_the_end_is_an_error(long_clip: Path, part: Part) -> None:
    span = cut(long_clip)[-1]
    with pytest.raises(SpanError, match="picture 40 is not as planned"):
        part(long_clip, replace(span, pts=span.pts + 10_000_000)).open()


def test_a_damaged_picture_is_an_error(long_clip: Path, part: Part, tmp_path: Path) -> None:
    data = bytearray(long_clip.read_bytes())
    span = cut(long_clip)[2]
    with av.open(str(long_clip)) as container:
        packet = next(packet for packet in container.demux(video=0) if packet.pts == int(span.pts[3]))
    assert packet.pos is not None
    data[packet.pos + 4 : packet.pos + packet.size] = bytes(packet.size - 4)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    with pytest.raises(SpanError, match=r"picture 2[23] is not as planned"):
        frames_of(part(damaged, span))
    assert len(frames_of(part(damaged, cut(long_clip)[3]))) == 13


def test_an_hevc_picture_that_the_decoder_leaves_undecoded_is_an_error(part: Part, tmp_path: Path) -> None:
    options = {"x265-params": "keyint=10:min-keyint=10:scenecut=0:bframes=0:open-gop=0:log-level=none"}
    clip = write_clip(tmp_path / "a.mkv", codec="libx265", frames=30, options=options)
    span, data, damaged = cut(clip)[1], clip.read_bytes(), tmp_path / "damaged.mkv"
    with av.open(str(clip)) as container:
        content = next(bytes(packet) for packet in container.demux(video=0) if packet.pts == int(span.pts[4]))
    start, messages = data.index(content), list[str]()
    for place in range(start + 10, start + len(content)):  # behind the header of the slice, which libav checks
        for bit in range(8):
            damaged.write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
            try:
                frames_of(part(damaged, span))
            except SpanError as exc:
                messages.append(str(exc))
    assert any("picture 14 is not as planned: the decoder reports: Skipping invalid undecodable" in message for message in messages)


def test_a_missing_file_is_an_ordinary_error(tmp_path: Path, part: Part, long_clip: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        part(tmp_path / "missing.mp4", cut(long_clip)[0]).open()


def test_closing_ends_the_frames(long_clip: Path, part: Part) -> None:
    source = part(long_clip, cut(long_clip)[1])
    source.open()
    frames = source.frames()
    assert next(frames).info.index == 10
    source.close()
    assert list(frames) == []


def test_the_log_of_libav_is_left_as_it_was(long_clip: Path, part: Part) -> None:
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    source = part(long_clip, cut(long_clip)[1])
    source.open()
    next(source.frames())
    assert (av.logging.get_level(), av.logging.get_skip_repeated()) == before
    source.close()
