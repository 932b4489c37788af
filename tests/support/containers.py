"""Recordings of unusual make: joined, with covers, with several videos, of two sizes, and in formats that libav cannot write."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from tests.support.clips import card, write_clip

_DHAV_KEY, _DHAV_INTER, _DHAV_H264 = 0xFD, 0xFC, 0x02


def joined(path: Path, *starts_ms: int, frames: int = 10, codec: str = "libx264") -> Path:
    """Write a recording of pieces that begin at the given times, 25 frames/s.

    FLV files cannot be joined by appending one to the other: their pieces are written into one file, as a server does whose
    camera connects again.
    """
    piece = write_clip(path.with_name("piece.mkv"), codec=codec, frames=frames, options={"bf": "0"} if codec == "libx264" else {})
    parts = [starts_ms] if path.suffix == ".flv" else [(start,) for start in starts_ms]
    content = b""
    for starts in parts:
        part = path.with_name(f"part{path.suffix}")
        _copy(piece, part, starts)
        content += part.read_bytes()
    path.write_bytes(content)
    return path


def _copy(piece: Path, path: Path, starts_ms: Iterable[int]) -> None:
    """Write the packets of a piece once for each time at which it begins."""
    with av.open(str(path), "w", options={"mpegts_copyts": "1"} if path.suffix == ".ts" else {}) as out:
        stream = None
        for start in starts_ms:
            with av.open(str(piece)) as container:
                stream = stream or out.add_stream_from_template(container.streams.video[0])
                for packet in container.demux(video=0):
                    if packet.dts is not None and packet.pts is not None:
                        packet.dts, packet.pts, packet.stream = packet.dts + start, packet.pts + start, stream
                        out.mux(packet)


def several_videos(path: Path, streams: Sequence[tuple[tuple[int, int], Disposition]], *, frames: int = 10) -> Path:
    """Write a recording with a video stream for each (width, height) and flag; an attached picture has one frame.

    Args:
        path: The file; its suffix chooses the container.
        streams: Size in pixels and disposition of each stream.
        frames: Number of frames of each video.
    """
    with av.open(str(path), "w") as container:
        made: list[tuple[VideoStream, bool]] = []
        for size, disposition in streams:
            is_cover = bool(int(disposition) & int(Disposition.attached_pic))
            stream = container.add_stream("mjpeg" if is_cover else "mpeg4", rate=25)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if is_cover else "yuv420p"
            stream.disposition = disposition
            made.append((stream, is_cover))
        container.start_encoding()
        for stream, _ in sorted(made, key=lambda item: not item[1]):  # covers first: MP4 writes them into its header
            _encode(container, stream, 1 if dict(made)[stream] else frames)
    return path


def sound_with_cover(path: Path, *, codec: str) -> Path:
    """Write a second of silence with the picture of an album."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream(codec, rate=44100, layout="mono")
        assert isinstance(sound, AudioStream)
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        container.start_encoding()
        _encode(container, cover, 1)
        size = sound.frame_size or 1024
        for number in range(20):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, size), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 44100, number * size
            container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    return path


def with_sound(path: Path, *, frames: int = 100, sound_s: float = 4.0) -> Path:
    """Write a video of 25 frames/s beside silence of another length, in turn."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mjpeg", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuvj420p"
        sound = container.add_stream("libmp3lame", rate=44100, layout="mono")
        samples, left = 1152, round(sound_s * 44100)
        for number in range(max(frames, round(sound_s * 25))):
            if number < frames:
                _encode_one(container, video, number)
            while left > 0 and round(sound_s * 44100) - left <= number * 44100 // 25:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.float32), format="fltp", layout="mono")
                silence.sample_rate, silence.pts = 44100, round(sound_s * 44100) - left
                container.mux(sound.encode(silence))
                left -= samples
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def two_sizes(path: Path, sizes: Iterable[tuple[int, int]], *, frames: int = 10, codec: str = "libx264") -> Path:
    """Write a raw stream or transport stream whose picture changes its size; each part begins with a key frame."""
    content = b""
    for number, size in enumerate(sizes):
        piece = write_clip(path.with_name(f"size-{number}{path.suffix}"), codec=codec, size=size, frames=frames, options={"bf": "0"})
        content += piece.read_bytes()
    path.write_bytes(content)
    return path


def dahua(path: Path, *, frames: int = 10, fps: int = 10, date: int = 0x6AF6C000) -> Path:
    """Write the container of Dahua's cameras and recorders (.dav) around H.264, from its layout in libav's demuxer."""
    raw = write_clip(path.with_suffix(".mp4"), frames=frames, options={"bf": "0", "g": "10", "x264-params": "annexb=1:repeat-headers=1"})
    with av.open(str(raw)) as container, path.open("wb") as out:
        stream = container.streams.video[0]
        to_bytes = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        packets = (bytes(packet) for made in container.demux(stream) if made.size for packet in to_bytes.filter(made))
        for number, content in enumerate(packets):
            out.write(_dahua_frame(number, content, fps=fps, date=date, size=(stream.width, stream.height)))
    return path


def _dahua_frame(number: int, content: bytes, *, fps: int, date: int, size: tuple[int, int]) -> bytes:
    extra = struct.pack("<B3x2H", 0x82, *size) + bytes((0x81, 0, _DHAV_H264, fps))
    kind = _DHAV_KEY if number % 10 == 0 else _DHAV_INTER
    length = 24 + len(extra) + len(content) + 8
    at_ms = number * 1000 // fps
    header = struct.pack("<4s4BIIIHBB", b"DHAV", kind, 0, 0, 0, number, length, date + at_ms // 1000, at_ms % 1000, len(extra), 0)
    return header + extra + content + struct.pack("<4sI", b"dhav", length)


def amv(path: Path, *, frames: int = 20) -> Path:
    """Write the AVI of small players: AMV pictures and ADPCM sound, in turn."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("amv", rate=18, options={"strict": "-1"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuvj420p"
        sound = container.add_stream("adpcm_ima_amv", rate=22050, layout="mono", options={"block_size": str(22050 // 18)})
        container.start_encoding()
        samples = sound.frame_size
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(card((96, 64), number), format="rgb24").reformat(format="yuvj420p")
            picture.pts, picture.time_base = number, Fraction(1, 18)
            container.mux(video.encode(picture))
            silence = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.int16), format="s16", layout="mono")
            silence.sample_rate, silence.pts = 22050, number * samples
            container.mux(sound.encode(silence))
    return path


def portrait_of_sizes(path: Path, widths: Sequence[int], *, frames: int = 10) -> Path:
    """Write a face that ships with matplotlib, in parts of different width, as a transport stream."""
    from matplotlib.cbook import get_sample_data
    from matplotlib.image import imread

    portrait = np.asarray(imread(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    content = b""
    for number, width in enumerate(widths):
        piece = path.with_name(f"portrait-{number}.ts")
        _write_still(piece, portrait, width=width, frames=frames, start=number * frames)
        content += piece.read_bytes()
    path.write_bytes(content)
    return path


def _write_still(path: Path, rgb: npt.NDArray[np.uint8], *, width: int, frames: int, start: int) -> None:
    height = width * rgb.shape[0] // rgb.shape[1] // 2 * 2
    with av.open(str(path), "w", options={"mpegts_copyts": "1"}) as out:
        stream = out.add_stream("libx264", rate=10, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb[:, :, :3]), format="rgb24")
        for number in range(start, start + frames):
            frame = picture.reformat(width=width, height=height, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _encode(container: OutputContainer, stream: VideoStream, frames: int) -> None:
    for number in range(frames):
        _encode_one(container, stream, number)
    container.mux(stream.encode(None))


def _encode_one(container: OutputContainer, stream: VideoStream, number: int) -> None:
    frame = av.VideoFrame.from_ndarray(card((stream.width, stream.height), number), format="rgb24")
    frame = frame.reformat(format=stream.pix_fmt)
    frame.pts, frame.time_base = number, Fraction(1, 25)
    container.mux(stream.encode(frame))
