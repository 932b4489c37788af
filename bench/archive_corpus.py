"""Makes two hours of recordings of mixed containers and codecs, out of a few short clips, for the proofs of archives.

    python bench/archive_corpus.py OUT [--hours 2] [--clips ../shared/videos]

Each recording is a piece of 3 to 30 seconds, encoded once with one thread, that is repeated without encoding it again: the packets are
copied with later timestamps. Where the folder of clips is not there, the pieces show the built-in demo clip. The same clips and the same
version of PyAV give the same bytes. One file is damaged in its middle, one is no video, two have the same name in different folders.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import cycle
from pathlib import Path
from typing import Any

import av
from av.video.stream import VideoStream

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("SVT_LOG", "0")  # the encoder of AV1 talks
sys.path.insert(0, str(ROOT))

from tests.support.clips import ordinary_priority  # noqa: E402 (behind sys.path)

UNEVEN_MS = (40, 33, 50, 27, 41, 39, 120, 40, 17, 73)
"""Times between pictures of recordings of uneven rate, in turns."""
X264 = {"preset": "veryfast", "crf": "26", "threads": "1"}
CLOSED = X264 | {"g": "50", "bf": "3", "x264-params": "open-gop=0:scenecut=0"}
OPEN = X264 | {"g": "48", "bf": "3", "x264-params": "open-gop=1:scenecut=0"}
PLAIN = X264 | {"g": "50", "bf": "0", "x264-params": "scenecut=0"}
X265 = {"preset": "ultrafast", "crf": "28", "x265-params": "log-level=none:pools=none:frame-threads=1:keyint=48:open-gop=1:bframes=3"}
VP9 = {"deadline": "realtime", "cpu-used": "8", "threads": "1", "g": "60", "b": "400k"}
AV1 = {"preset": "12", "crf": "40", "g": "60", "svtav1-params": "lp=1"}
MPEG4 = {"g": "50", "bf": "0", "qscale": "4", "threads": "1"}
FACES = ("sad_to_happy.mp4", "face_then_none.mov", "no_face.mp4")
DESKS = ("help.mkv", "sister.mkv", "yes.mkv")
STREET = ("people_walking_1080p.mp4",)
WIDE, SMALL, DESK = (512, 288), (384, 216), (320, 240)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording of the corpus.

    Attributes:
        name: Its path in the corpus; the ending chooses the container.
        minutes: Its length, for two hours in all.
        clips: Clips whose pictures it shows, one after the other.
        codec: Encoder; empty to copy the packets of the only clip.
        options: Options of the encoder.
        muxing: Options of the container.
        size: (width, height) in pixels.
        fps: Pictures per second; 0 for uneven times.
        piece_s: Length of the piece that is repeated.
        begin_s: Time of the first picture; an edit list in mp4.
        turned: Whether it is to be shown turned by 90 degrees.
        tags: Metadata of the container.
        damaged: Whether bytes in its middle are overwritten.
    """

    name: str
    minutes: float
    clips: tuple[str, ...] = FACES
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: CLOSED)
    muxing: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = SMALL
    fps: int = 25
    piece_s: float = 30.0
    begin_s: float = 0.0
    turned: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    damaged: bool = False


CORPUS = (
    Recording(name="hall/lobby.mp4", minutes=15, size=WIDE, tags={"creation_time": "2026-05-04T08:00:00Z"}),
    Recording(name="hall/door.mkv", minutes=10, clips=DESKS, options=OPEN, size=DESK, fps=30),
    Recording(name="hall/short.mp4", minutes=0, piece_s=0.12),
    Recording(name="yard/lobby.mp4", minutes=10, codec="libx265", options=X265, piece_s=16),
    Recording(name="yard/fragments.mp4", minutes=8, options=OPEN, muxing={"movflags": "frag_keyframe+empty_moov"}),
    Recording(name="yard/garden.webm", minutes=10, codec="libvpx-vp9", options=VP9, piece_s=15),
    Recording(name="yard/newer.mkv", minutes=5, codec="libsvtav1", options=AV1, piece_s=15),
    Recording(name="yard/train.ts", minutes=8),
    Recording(name="yard/old.avi", minutes=7, codec="mpeg4", options=MPEG4),
    Recording(name="yard/stream.flv", minutes=10, clips=DESKS, options=CLOSED, size=DESK),
    Recording(name="phone/turned.mov", minutes=5, options=OPEN, turned=True),
    Recording(name="phone/uneven.mp4", minutes=8, fps=0, size=WIDE),
    Recording(name="phone/uneven.mkv", minutes=6, clips=DESKS, options=OPEN, size=DESK, fps=0),
    Recording(name="phone/late.mp4", minutes=8, options=OPEN, begin_s=2.5),
    Recording(name="gate/street_1080p.mp4", minutes=2.5, clips=STREET, codec="", size=(1920, 1080)),
    Recording(name="gate/overhead.mp4", minutes=7, clips=("overhead_person.mp4",), codec="", size=(768, 432)),
    Recording(name="gate/corridor.gif", minutes=2, clips=("face-demographics-walking.gif",), codec="", size=(480, 270)),
    Recording(name="gate/damaged.mp4", minutes=5, options=PLAIN, damaged=True),
)
PIECES = {".ts": ".mp4", ".avi": ".mkv", ".mkv": ".mp4", ".flv": ".mp4"}
"""Container of the piece, where that of the recording does not store all timestamps exactly."""
CORRUPT = "gate/broken.mp4"
"""A file that is no video, among the sources."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--clips", type=Path, default=ROOT.parent / "shared/videos")
    options = parser.parse_args()
    rows = make_corpus(options.out, hours=options.hours, clips=options.clips)
    for row in rows:
        print(f"{row['name']:24} {row['seconds']:8.1f} s {row['pictures']:7,} pictures {row['bytes'] / 1e6:7.1f} MB")
    total = sum(row["seconds"] for row in rows)
    print(f"{total / 3600:.2f} hours, {sum(row['pictures'] for row in rows):,} pictures, {sum(row['bytes'] for row in rows) / 1e6:.0f} MB")


def make_corpus(out: Path, *, hours: float = 2.0, clips: Path | None = None) -> list[dict[str, Any]]:
    """Make the corpus in an empty or new folder; say what each recording is.

    Args:
        out: The folder. One that has the same corpus already is kept.
        hours: Length of all recordings together, about.
        clips: Folder of the clips; the built-in demo clip is shown where it is missing.
    """
    about = out / ".corpus.json"
    wanted = {"hours": hours, "clips": bool(clips and clips.is_dir()), "av": av.__version__}
    if about.is_file() and (stored := json.loads(about.read_text())).get("made") == wanted:
        return list(stored["recordings"])
    shutil.rmtree(out, ignore_errors=True)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for recording in CORPUS:
            (out / recording.name).parent.mkdir(parents=True, exist_ok=True)
            rows.append(_make(recording, out, Path(scratch), clips, hours / 2))
    (out / CORRUPT).write_bytes(random.Random(12).randbytes(200_000))
    about.write_text(json.dumps({"made": wanted, "recordings": rows}, indent=1))
    return rows


def _make(recording: Recording, out: Path, scratch: Path, clips: Path | None, share: float) -> dict[str, Any]:
    path = out / recording.name
    piece = scratch / f"piece{PIECES.get(path.suffix, path.suffix)}"
    have_clips = clips is not None and clips.is_dir()
    if not recording.codec and have_clips and clips is not None:
        piece = clips / recording.clips[0]
    else:
        _encode(recording, piece, clips if have_clips else None)
    pictures, seconds = _repeat(recording, piece, path, recording.minutes * 60 * share)
    if recording.turned:
        from tests.support.clips import rotate_tag

        rotate_tag(path, 90)
    if recording.damaged:
        _damage(path)
    return {"name": recording.name, "seconds": round(seconds, 3), "pictures": pictures, "bytes": path.stat().st_size}


def _encode(recording: Recording, piece: Path, clips: Path | None) -> None:
    """Encode the piece that is repeated."""
    is_gif = piece.suffix == ".gif"
    codec = "gif" if is_gif else recording.codec or "libx264"
    options = {} if is_gif else recording.options
    base = Fraction(1, 1000) if not recording.fps else Fraction(1, recording.fps)
    times = _times(recording)
    with ordinary_priority(), av.open(str(piece), "w", options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream(codec, rate=recording.fps or 25, options=dict(options))
        stream.width, stream.height = recording.size
        stream.pix_fmt = "rgb8" if is_gif else "yuv420p"
        stream.codec_context.time_base = base
        stream.codec_context.thread_count = 1
        for pts, picture in zip(times, _pictures(recording, clips), strict=False):
            frame = picture.reformat(width=recording.size[0], height=recording.size[1], format=stream.pix_fmt)
            frame.pts, frame.time_base, frame.pict_type = pts, base, 0
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _times(recording: Recording) -> list[int]:
    """Return the timestamps of the pictures of a piece, in ticks of its rate or milliseconds."""
    if recording.fps:
        return list(range(max(3, round(recording.piece_s * recording.fps))))
    times, intervals = [0], cycle(UNEVEN_MS)
    while times[-1] < recording.piece_s * 1000:
        times.append(times[-1] + next(intervals))
    return times


def _pictures(recording: Recording, clips: Path | None) -> Iterator[av.VideoFrame]:
    """Yield pictures without an end."""
    if clips is None:
        from ferstream.capture.demo_clip import DemoClip, installed_portraits

        demo = DemoClip(portraits=list(installed_portraits()), detection_size=(640, 360))
        for number in range(1 << 30):
            yield av.VideoFrame.from_ndarray(demo.draw(number / 25)[1], format="bgr24")
    for name in cycle(recording.clips):
        with av.open(str(clips / name)) as container:  # type: ignore[operator]
            yield from container.decode(container.streams.video[0])


def _repeat(recording: Recording, piece: Path, path: Path, seconds: float) -> tuple[int, float]:
    """Copy the packets of a piece until a recording is long enough; return its pictures and its length."""
    packets, length = _length(piece)
    copies = max(1, round(seconds / float(length)))
    with av.open(str(path), "w", options={"fflags": "+bitexact", **recording.muxing}) as out:
        out.metadata.update(recording.tags)
        with av.open(str(piece)) as first:
            stream = out.add_stream_from_template(first.streams.video[0], opaque=True)
            assert isinstance(stream, VideoStream)
        for number in range(copies):
            _copy(piece, out, stream, begin=number * length + Fraction(recording.begin_s))
    return copies * packets, float(copies * length)


def _length(piece: Path) -> tuple[int, Fraction]:
    """Return number of pictures and seconds of a piece."""
    with av.open(str(piece)) as container:
        stream = container.streams.video[0]
        base = stream.time_base or Fraction(1, 1000)
        stamps = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
        step = stamps[-1] - stamps[-2] if len(stamps) > 1 else 1
        return len(stamps), (stamps[-1] - stamps[0] + step) * base


def _copy(piece: Path, out: Any, stream: VideoStream, *, begin: Fraction) -> None:
    with av.open(str(piece)) as container:
        source = container.streams.video[0]
        base = source.time_base or Fraction(1, 1000)
        shift = round(begin / base)
        for packet in container.demux(source):
            if packet.dts is None and packet.pts is None:
                continue
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift
            packet.stream = stream
            out.mux(packet)


def _damage(path: Path) -> None:
    """Overwrite a few short stretches in the middle of the pictures of an mp4, and leave its index as it is."""
    content = bytearray(path.read_bytes())
    draw, middle = random.Random(7), len(content) // 2
    for number in range(3):
        start = middle + number * 40_000
        content[start : start + 3000] = draw.randbytes(3000)
    path.write_bytes(content)


if __name__ == "__main__":
    main()
