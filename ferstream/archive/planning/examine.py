"""Looks at one recording for a plan: what it is, and whether and where it can be cut. Nothing but its first picture is decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av

from ferstream.archive.plan import Chunk, Timestamps, whole_chunk
from ferstream.archive.planning.cutting import CODECS, CONTAINERS, PacketList, cut, media_times
from ferstream.capture.creation_time import creation_ns
from ferstream.capture.display_name import display_name
from ferstream.capture.libav import VideoInput
from ferstream.capture.options import Decoding
from ferstream.capture.recording_file import RecordingFile
from ferstream.errors import SourceError

_HEAD_BYTES = 1 << 16
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """How recordings are cut.

    Attributes:
        chunk_s: Wanted length of a chunk in seconds.
        fps: Frames to analyse per second of media time; 0 for all.
        bytes_without_index: Without an index, libav reads a recording from its beginning up to each chunk. A chunk then has a second for
            each so many bytes of the file, if that is longer: all chunks together read half of it for each second of video, however
            long the recording is.
    """

    chunk_s: float = 60.0
    fps: float = 0.0
    bytes_without_index: int = 5_000_000


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """By what a file is known again.

    Attributes:
        size: Size in bytes.
        head: SHA-256 of the first 64 KiB.
    """

    size: int
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What is known of one recording.

    Attributes:
        chunks: Its chunks; ``WHOLE`` alone if it is not divided.
        undivided: Why it is not divided; empty if it is.
        frames: Number of pictures; 0 if unknown.
        duration_s: Length in seconds; 0 if unknown.
        utc_origin_ns: UTC of media time 0 in nanoseconds since 1970, as the file says; 0 where it does not.
        origin_pts: Timestamp of the first picture; 0 if it is not divided.
        time_base: Seconds of a tick, as numerator and denominator.
    """

    chunks: tuple[Chunk, ...]
    undivided: str
    frames: int
    duration_s: float
    utc_origin_ns: int
    origin_pts: int = 0
    time_base: tuple[int, int] = (1, 1)


def fingerprint(path: Path) -> Fingerprint:
    """Return by what a file is known again.

    Raises:
        SourceError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return Fingerprint(path.stat().st_size, hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest())
    except OSError as exc:
        raise SourceError(f"{path}: cannot be read ({exc.strerror})") from exc


def examine(path: Path, cutting: Cutting) -> Examined:
    """Look at a recording.

    Args:
        path: The file.
        cutting: How it is cut.

    Raises:
        SourceError: It cannot be read.
    """
    with _opened(path) as (file, video):
        damaged: list[int] = []
        first = next(video.frames(on_decoded=lambda seconds: None, on_damaged=damaged.append, strict=False), None)
        if first is None:
            raise file.no_picture()
        info, first_pts = video.info(first), first.pts
        undivided = Examined(
            chunks=(whole_chunk(),),
            undivided=_unsuitable(video) or ("its first pictures are damaged" if damaged or first_pts is None else ""),
            frames=info.frames or 0,
            duration_s=info.duration_s or 0.0,
            utc_origin_ns=creation_ns(video.metadata, video.stream_metadata),
        )
    return undivided if undivided.undivided or first_pts is None else _divided(path, cutting, undivided, first_pts)


def _divided(path: Path, cutting: Cutting, undivided: Examined, first_pts: int) -> Examined:
    """Return a recording that is divided; one that is not if its packets say that this is not possible."""
    with _opened(path) as (file, video):
        packets = _packets(file, video)
        pts, fault, times = packets.pts, packets.fault, [0]
        if not fault and first_pts != pts[0]:
            fault = "its first pictures cannot be decoded"
        if not fault:
            times, fault = media_times(pts, video.time_ns, longest_gap_ns=max(video.longest_gap_ns, video.step_ns))
        step_ns, time_base = video.step_ns, video.time_base
    if fault:
        return _undivided(undivided, fault)
    chunks = cut(pts, packets.starts, times, chunk_ns=round(cutting.chunk_s * _NS), fps=cutting.fps)
    shortest_s = path.stat().st_size / cutting.bytes_without_index
    if shortest_s > cutting.chunk_s and not _has_index(path, chunks):
        chunks = cut(pts, packets.starts, times, chunk_ns=round(shortest_s * _NS), fps=cutting.fps)
    known = _undivided(undivided, "" if len(chunks) > 1 else _why_one(packets.starts), len(pts), (times[-1] + step_ns) / _NS)
    if len(chunks) == 1:
        return known
    return Examined(
        chunks=chunks,
        undivided="",
        frames=known.frames,
        duration_s=known.duration_s,
        utc_origin_ns=known.utc_origin_ns,
        origin_pts=first_pts,
        time_base=time_base,
    )


def _has_index(path: Path, chunks: Sequence[Chunk]) -> bool:
    """Return whether chunks can be found without reading what is before them; those that are hardly more than one always can."""
    if len(chunks) < 3:
        return True
    with _opened(path) as (_, video):
        try:
            video.seek(int(chunks[1].pts[0]))
        except av.FFmpegError:
            return False
        return video.index_reaches(int(chunks[-2].pts[0]))


def _packets(file: RecordingFile, video: VideoInput) -> PacketList:
    """Read all packets of a recording, or those up to the first that says that it cannot be divided."""
    packets = PacketList()
    for packet in video.packets():
        if packet is None:
            packets.add_fault("it cannot be read everywhere")
        elif packet.size or packet.pts is not None:  # not the end of the input
            packets.add(packet.pts, is_key=packet.is_keyframe, is_corrupt=packet.is_corrupt, is_shown=not packet.is_discard)
        if packets.fault:
            return packets
    with file.content() as data:
        if video.missing_at_end(data):
            packets.add_fault("pictures are missing at its end")
    return packets


def _undivided(known: Examined, reason: str, frames: int = 0, duration_s: float = 0.0) -> Examined:
    return Examined(
        chunks=known.chunks,
        undivided=reason,
        frames=frames or known.frames,
        duration_s=duration_s or known.duration_s,
        utc_origin_ns=known.utc_origin_ns,
    )


def _why_one(starts: Timestamps) -> str:
    return "it has one key frame" if len(starts) < 2 else "it is short"


def _unsuitable(video: VideoInput) -> str:
    """Return why recordings of this kind are not divided; empty if they are."""
    if video.format_name not in CONTAINERS:
        return f"{video.format_name} does not give the same pictures when reading begins in its middle"
    return "" if video.codec_name in CODECS else f"{video.codec_name} is not known to give the same pictures from each key frame"


@contextmanager
def _opened(path: Path) -> Iterator[tuple[RecordingFile, VideoInput]]:
    name, decoding = display_name(str(path)), Decoding()
    file = RecordingFile(path, name=name, max_pixels=decoding.max_pixels)
    video = VideoInput(container=file.open_container(), decoding=decoding, name=name, on_closed=file.release)
    try:
        yield file, video
    finally:
        video.close()
