"""Which video stream of a container is read: the one that ffmpeg would choose."""

from __future__ import annotations

from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from ferstream.errors import SourceFormatError

_DEFAULT_BONUS = 5_000_000
"""Pixels that the flag "default" of a stream is worth, as in ffmpeg."""


def choose_video(container: InputContainer, name: str) -> VideoStream:
    """Return the largest video stream that can be decoded, and let libav discard the packets of all other streams.

    The flag "default" counts as much as 5 million pixels; of equal ones the first is taken. Covers of audio files (attached
    pictures) are no video.

    Args:
        container: The opened container; closed if it has no such stream.
        name: Name of the source for messages.

    Raises:
        SourceFormatError: The container has no video that can be decoded.
    """
    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    # PyAV returns None as the context of codecs unknown to libav, though its types exclude it.
    decodable = [stream for stream in streams if getattr(stream, "codec_context", None) is not None]
    if not decodable:
        error = SourceFormatError(f"{name}: holds {_what_it_holds(container, streams)}")
        container.close()
        raise error
    chosen = max(decodable, key=_score)
    for stream in container.streams:
        if stream.index != chosen.index:
            stream.discard = Discard.all
    return chosen


def is_cover(stream: VideoStream) -> bool:
    """Return whether the stream is one attached picture, such as the cover of an album."""
    return bool(stream.disposition & Disposition.attached_pic)


def describe_choice(container: InputContainer, chosen: VideoStream) -> str:
    """Return which stream is read, for people; empty if there is only one video stream."""
    others = [stream for stream in container.streams.video if stream.index != chosen.index]
    if not others:
        return ""
    context = chosen.codec_context
    covers = sum(is_cover(stream) for stream in others)
    ignored = [_number_of(len(others) - covers, "video stream"), _number_of(covers, "cover picture")]
    return f"reads stream {chosen.index}: {context.name} {context.width} x {context.height}; ignores {' and '.join(filter(None, ignored))}"


def _number_of(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}" if count else ""


def _score(stream: VideoStream) -> int:
    context = stream.codec_context
    return context.width * context.height + _DEFAULT_BONUS * bool(stream.disposition & Disposition.default)


def _what_it_holds(container: InputContainer, streams: list[VideoStream]) -> str:
    if streams:
        return "no video that can be decoded"
    return "no video, only audio and a cover picture" if len(container.streams.video) else "no video, only audio or data"
