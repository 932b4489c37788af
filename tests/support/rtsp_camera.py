"""A scripted RTSP camera: plays H.264 over TCP or UDP, with the habits of real cameras that a media server does not have."""

from __future__ import annotations

import re
import socket
import threading
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

import av

from tests.support.digest import accepts

_PAUSE_S = 0.002
"""Time between two pictures."""
_AUDIO = "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=control:audio\r\n"


def access_units(clip: Path) -> list[list[bytes]]:
    """Return the NAL units of each picture of an H.264 recording; the first has the parameter sets."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        packets = [bytes(out) for packet in container.demux(stream) if packet.size for out in to_annex_b.filter(packet)]
    return [[unit for unit in re.split(rb"\x00?\x00\x00\x01", packet) if unit] for packet in packets]


@dataclass
class RtspCamera:
    """Answers every connection of ``http_stub.serving``.

    Attributes:
        pictures: NAL units of each picture, played in a loop; one each 40 ms of the RTP clock.
        transports: Of ``tcp`` and ``udp``, what SETUP accepts.
        challenges: Values of ``WWW-Authenticate``; empty for a camera without a password.
        media: Media in the order of the description, of ``audio`` and ``video``.
        late: Number of pictures that are left out at the beginning, so that the stream begins between two key frames.
        plays: Number of pictures that are sent before the connection is closed; 0 for no end.
        in_description: Whether the description has the parameter sets.
        keys_after: Key frames are left out until this is set; None for a camera that sends them.
        mute: Whether nothing is sent after PLAY.
        requests: Every request so far.
        sent: Packets sent so far.
    """

    pictures: Sequence[Sequence[bytes]]
    _: KW_ONLY
    transports: Sequence[str] = ("tcp", "udp")
    challenges: Sequence[str] = ()
    media: Sequence[str] = ("video",)
    late: int = 0
    plays: int = 0
    in_description: bool = True
    keys_after: threading.Event | None = None
    mute: bool = False
    requests: list[str] = field(default_factory=list)
    sent: int = 0

    def __call__(self, connection: socket.socket, stop: threading.Event) -> None:
        """Serve one connection."""
        target: int | None = None
        while request := connection.recv(65536).decode():
            self.requests.append(request)
            number, method = re.search(r"CSeq: (\d+)", request), request.split()[0]
            status, more, body = self._answer(request, method)
            if method == "SETUP" and status == "200 OK":
                port = re.search(r"client_port=(\d+)", request)
                target = int(port[1]) if port else 0
            head = f"RTSP/1.0 {status}\r\nCSeq: {number[1] if number else 0}\r\n{more}"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            if method == "PLAY" and status == "200 OK":
                self._play(connection, target or 0, stop)
                return

    def _answer(self, request: str, method: str) -> tuple[str, str, str]:
        """Return status, further headers, and body."""
        given = re.search(r"Authorization: (.*?)\r\n", request)
        if self.challenges and method != "OPTIONS" and not (given and accepts(given[1], method, self.challenges)):
            return "401 Unauthorized", "".join(f"WWW-Authenticate: {one}\r\n" for one in self.challenges), ""
        if method == "DESCRIBE":
            return "200 OK", "Content-Type: application/sdp\r\n", self._description()
        if method == "SETUP":
            wanted = "tcp" if "interleaved" in request else "udp"
            if wanted not in self.transports:
                return "461 Unsupported Transport", "", ""
            port = re.search(r"client_port=(\d+)-(\d+)", request)
            where = (
                f"RTP/AVP;unicast;client_port={port[1]}-{port[2]};server_port=6970-6971" if port else "RTP/AVP/TCP;unicast;interleaved=0-1"
            )
            return "200 OK", f"Session: 1\r\nTransport: {where}\r\n", ""
        return "200 OK", "Session: 1\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""

    def _description(self) -> str:
        sets = ",".join(b64encode(unit).decode() for unit in self.pictures[0] if unit[0] & 31 in (7, 8))
        known = f";sprop-parameter-sets={sets}" if self.in_description else ""
        video = f"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1{known}\r\na=control:video\r\n"
        parts = "".join(video if one == "video" else _AUDIO for one in self.media)
        return f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{parts}"

    def _is_held(self, units: Sequence[bytes]) -> bool:
        return self.keys_after is not None and not self.keys_after.is_set() and any(unit[0] & 31 == 5 for unit in units)

    def _play(self, connection: socket.socket, udp_port: int, stop: threading.Event) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            sequence, number = 0, self.late
            while not stop.is_set() and (not self.plays or number < self.late + self.plays):
                units = self.pictures[number % len(self.pictures)]
                if self.mute or self._is_held(units):
                    units = ()
                for unit in units:
                    last = 0x80 if unit is units[-1] else 0
                    packet = (
                        b"\x80" + bytes([96 | last]) + sequence.to_bytes(2, "big") + (number * 3600).to_bytes(4, "big") + b"abcd" + unit
                    )
                    sequence = (sequence + 1) & 0xFFFF
                    self.sent += 1
                    if udp_port:
                        udp.sendto(packet, ("127.0.0.1", udp_port))
                    else:
                        connection.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
                number += 1
                stop.wait(_PAUSE_S)
