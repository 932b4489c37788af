"""Where a container says that it ends, against where its bytes end.

Every function takes the bytes of a recording of unknown origin: a declared size may be any number, so nothing is read
but small blocks, and every loop ends after ``_MAX_STEPS``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from ferstream.capture.file_bytes import FileBytes

_MAX_STEPS = 100_000
_TAIL = 65_536
_MS_NS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEnd:
    """What the bytes of a container say about its end.

    Attributes:
        torn: Whether the container goes on behind the last byte.
        absent: Bytes that are missing as a multiple of those that are there; 0 when unknown.
        length_ns: Length of the whole recording in nanoseconds where libav does not read it from the header; 0 when unknown.
        size: Number of bytes that are there; 0 when unknown.
        frames: Number of pictures where libav does not read it from the header; 0 when unknown.
    """

    torn: bool = False
    absent: float = 0.0
    length_ns: int = 0
    size: int = 0
    frames: int = 0


def find_end(data: FileBytes, format_name: str, last_packet: tuple[int, int]) -> ContainerEnd:
    """Compare the end of a container with the end of its bytes.

    Args:
        data: The bytes, read by libav to their end.
        format_name: Names of libav's demuxer, with commas.
        last_packet: Place and size in bytes of the last packet of the video; (-1, 0) when unknown.
    """
    names = format_name.split(",")
    for name, find in _FINDERS.items():
        if name in names:
            return replace(find(data, last_packet), size=data.size)
    return ContainerEnd(size=data.size)


def _of_declared(data: FileBytes, declared: int, *, torn: bool = False, length_ns: int = 0) -> ContainerEnd:
    """Return the end of a container that declares its length in bytes."""
    absent = max(0, declared - data.size) / max(1, data.size)
    return ContainerEnd(torn=torn or absent > 0, absent=absent, length_ns=length_ns)


# -- RIFF, ISO base media, EBML: nested elements with sizes ---------------------------------------------------


def _avi(data: FileBytes, _last: tuple[int, int]) -> ContainerEnd:
    """Follow the RIFF chunks; a recorder that was switched off leaves the size 0."""
    end = 0
    for _ in range(_MAX_STEPS):
        head = data.read_at(end, 8)
        if len(head) < 8 or head[:4] != b"RIFF":
            break
        size = int.from_bytes(head[4:], "little")
        if size in {0, 0xFFFFFFFF}:
            return ContainerEnd()
        end += 8 + size + size % 2
    return _of_declared(data, end - 1 if end == data.size + 1 else end)  # the last padding byte may be left out


def _mov(data: FileBytes, _last: tuple[int, int]) -> ContainerEnd:
    """Follow the boxes of the top level."""
    place = 0
    for _ in range(_MAX_STEPS):
        head = data.read_at(place, 16)
        size = int.from_bytes(head[:4], "big")
        if size == 1 and len(head) == 16:
            size = int.from_bytes(head[8:], "big")
        if len(head) < 8 or size < 8:  # the end, a box to the end of the file, or padding
            break
        place += size
    return _of_declared(data, place, torn=0 < len(head) < 8 and any(head))


_EBML_HEADER, _SEGMENT, _CLUSTER = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
_AFTER_BLOCKS = frozenset(bytes.fromhex(text) for text in ("a3", "a0", "a1", "9b", "fb", "fa", "e7", "ab", "a7", "ec", "bf"))
"""Ids of the elements that may follow a block in its cluster: blocks and what belongs to them, padding."""
_AFTER_CLUSTERS = frozenset((_CLUSTER, b"\x1c\x53\xbb\x6b", b"\x12\x54\xc3\x67"))
"""Ids of the elements that may follow a cluster: clusters, index, tags."""
_BLOCK_HEADER = 4
"""Bytes between the place that libav reports for a packet and its content."""


def _matroska(data: FileBytes, last: tuple[int, int]) -> ContainerEnd:
    """Read the size of the segment; where it has none, follow the elements from the last packet."""
    header_size, used = _ebml_size(data.read_at(4, 8))
    place = 4 + used + (header_size or 0)
    if data.read_at(0, 4) == _EBML_HEADER and data.read_at(place, 4) == _SEGMENT:
        size, used = _ebml_size(data.read_at(place + 4, 8))
        if size:
            return _of_declared(data, place + 4 + used + size)
    return ContainerEnd(torn=last[0] > 0 and _is_torn_ebml(data, last[0] + _BLOCK_HEADER + last[1]))


def _is_torn_ebml(data: FileBytes, place: int) -> bool:
    """Return whether one of the elements from ``place`` goes on behind the last byte; False as soon as an unknown one comes."""
    for _ in range(_MAX_STEPS):
        head = data.read_at(place, 12)
        if not head or not head[0]:
            break
        id_length = 9 - head[0].bit_length()
        size, used = _ebml_size(head[id_length:])
        if not used:
            return place + len(head) >= data.size
        if head[:id_length] not in _AFTER_BLOCKS and head[:4] not in _AFTER_CLUSTERS:
            return False
        place += id_length + used
        if head[:4] != _CLUSTER:
            place += size or 0
    return place > data.size


def _ebml_size(head: bytes) -> tuple[int | None, int]:
    """Return the size that an element declares, None for an unknown one, and the bytes of that number, 0 if it is cut off."""
    if not head or not head[0] or len(head) < 9 - head[0].bit_length():
        return None, 0
    length = 9 - head[0].bit_length()
    mask = (1 << 7 * length) - 1
    size = int.from_bytes(head[:length], "big") & mask
    return (None if size == mask else size), length


# -- other headers --------------------------------------------------------------------------------------------

_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1


def _asf(data: FileBytes, _last: tuple[int, int]) -> ContainerEnd:
    """Read the file properties: size, length and the time before the first picture."""
    head = data.read_at(0, _TAIL)
    start = head.find(_ASF_PROPERTIES)
    fields = head[start + 40 : start + 92]
    if start < 0 or len(fields) < 52:
        return ContainerEnd()
    size, _created, _packets, length, _send, preroll_ms, flags = struct.unpack("<6QI", fields)
    if flags & _ASF_BROADCAST:
        return ContainerEnd()
    return _of_declared(data, size, length_ns=max(0, length * 100 - preroll_ms * _MS_NS))


def _flv(data: FileBytes, _last: tuple[int, int]) -> ContainerEnd:
    """Look whether the last four bytes are the length of the tag before them."""
    length = int.from_bytes(data.read_at(data.size - 4, 4), "big")
    tag = data.read_at(data.size - 4 - length, 4)
    return ContainerEnd(torn=length != 0 and int.from_bytes(tag[1:], "big") + 11 != length)


def _gif(data: FileBytes, _last: tuple[int, int]) -> ContainerEnd:
    """Look for the trailer; zeros may follow it."""
    return ContainerEnd(torn=not data.read_at(max(0, data.size - _TAIL), _TAIL).rstrip(b"\0").endswith(b";"))


def _apng(data: FileBytes, _last: tuple[int, int]) -> ContainerEnd:
    """Read the number of pictures, and look for the last chunk."""
    head = data.read_at(0, _TAIL)
    control = head.find(b"acTL")
    frames = int.from_bytes(head[control + 4 : control + 8], "big") if control > 0 else 0
    return ContainerEnd(torn=b"IEND" not in data.read_at(max(0, data.size - _TAIL), _TAIL), frames=frames)


# -- streams of packets -----------------------------------------------------------------------------------------

_TS_SYNC = 0x47
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))
"""Size of a packet of a transport stream, and place of the sync byte in it."""
_TS_CHECKED = 5


def _mpegts(data: FileBytes, _last: tuple[int, int]) -> ContainerEnd:
    """Look whether the last packet is whole."""
    tail = data.read_at(max(0, data.size - _TAIL), _TAIL)
    for size, sync in _TS_PACKETS:
        for left in range(size):
            starts = range(len(tail) - left - size + sync, -1, -size)
            if len(starts) >= _TS_CHECKED and all(tail[start] == _TS_SYNC for start in starts[:_TS_CHECKED]):
                return ContainerEnd(torn=left > sync and tail[len(tail) - left + sync] == _TS_SYNC)
    return ContainerEnd()


_PACK, _PS_END = b"\0\0\1\xba", b"\0\0\1\xb9"


def _mpeg(data: FileBytes, _last: tuple[int, int]) -> ContainerEnd:
    """Follow the packets of a program stream from a pack header near the end."""
    tail = data.read_at(max(0, data.size - _TAIL), _TAIL)
    place = tail.find(_PACK, max(0, len(tail) - _TAIL // 2))
    place = tail.find(_PACK) if place < 0 else place
    while 0 <= place < len(tail):
        code, rest = tail[place : place + 4], tail[place + 4 : place + 14]
        if code == _PACK and rest:
            place += 14 + (rest[9] & 7) if rest[0] >> 6 == 1 and len(rest) == 10 else 12
        elif code[:3] == b"\0\0\1" and code > _PACK and len(rest) >= 2:
            place += 6 + int.from_bytes(rest[:2], "big")
        else:
            return ContainerEnd(torn=code != _PS_END and b"\0\0\1".startswith(code[:3]) and any(code))
    return ContainerEnd(torn=place > len(tail))


def _fixed_pictures(data: FileBytes, last: tuple[int, int]) -> ContainerEnd:
    """Look for bytes behind the last whole picture, in formats that consist of pictures of one size."""
    return ContainerEnd(torn=last[0] >= 0 and last[0] + last[1] < data.size)


_FINDERS: dict[str, Callable[[FileBytes, tuple[int, int]], ContainerEnd]] = {
    "avi": _avi,
    "mov": _mov,
    "matroska": _matroska,
    "asf": _asf,
    "flv": _flv,
    "gif": _gif,
    "apng": _apng,
    "mpegts": _mpegts,
    "mpeg": _mpeg,
    "yuv4mpegpipe": _fixed_pictures,
    "dv": _fixed_pictures,
}
