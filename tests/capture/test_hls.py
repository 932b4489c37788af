"""HLS: which variant is taken, segments of any name, encryption, and where a playlist may lead."""

from __future__ import annotations

import socket
import threading
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from hypothesis import given
from hypothesis import strategies as st

from ferstream.capture.hls import Variant, best_first, is_hls, is_master, other_scheme, variants
from ferstream.capture.options import Connecting, Decoding
from ferstream.capture.source import SourceInfo
from ferstream.capture.stream import StreamSource
from ferstream.errors import SourceAuthError, SourceError, SourceFormatError
from ferstream.runtime.counters import Counters
from tests.support import http_stub
from tests.support.clips import write_clip

Make = Callable[..., StreamSource]
M3U8 = "application/vnd.apple.mpegurl"
TS = "video/mp2t"


@pytest.fixture
def make(counters: Counters) -> Make:
    """Makes a stream of camera ``door``; takes ``max_pixels`` and the fields of ``Connecting``."""

    def make(url: str, *, max_pixels: int = 64_000_000, **options: Any) -> StreamSource:
        connecting = Connecting(**{"connect_timeout_s": 5.0, "read_timeout_s": 2.0, **options})
        return StreamSource(url=url, camera="door", observer=counters, connecting=connecting, decoding=Decoding(max_pixels=max_pixels))

    return make


@pytest.fixture(scope="module")
def segment(clips_dir: Path) -> bytes:
    """Ten pictures as MPEG-TS."""
    return write_clip(clips_dir / "ten.ts", codec="mpeg4", frames=10).read_bytes()


def playlist(*segments: str, head: str = "") -> tuple[str, bytes]:
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-TARGETDURATION:2", head, *(f"#EXTINF:0.4,\n{name}" for name in segments)]
    return M3U8, "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


def master(*lines: str) -> tuple[str, bytes]:
    return M3U8, "\n".join(["#EXTM3U", *lines, ""]).encode()


def read(source: StreamSource) -> tuple[SourceInfo, int]:
    """Read a source to its end; return its format and the number of frames."""
    frames = 0
    info = source.open()
    with pytest.raises(SourceError, match="the server ended the stream"):
        for _ in source.frames():
            frames += 1
    source.close()
    return info, frames


# -- segments -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["seg", "seg?token=abc", "a.php?n=1", "a.jpg", "a.css", "a.ts.bin", "4711", "a%20b", "x/y/z.TS"])
@pytest.mark.parametrize("kind", ["", "application/octet-stream", "text/plain", "image/png"])
def test_segments_may_have_any_name_and_type(make: Make, segment: bytes, name: str, kind: str) -> None:
    site = http_stub.Site({"/live.m3u8": playlist(name), f"/{name}": (kind or TS, segment)})
    with http_stub.serving(site) as port:
        assert read(make(f"http://127.0.0.1:{port}/live.m3u8"))[1] == 10


def test_a_playlist_may_have_any_name_and_type(make: Make, segment: bytes) -> None:
    for kind in ("text/html", "text/plain", "application/octet-stream", "audio/mpegurl"):
        site = http_stub.Site({"/video?id=1": (kind, playlist("/s")[1]), "/s": (TS, segment)})
        with http_stub.serving(site) as port:
            assert read(make(f"http://127.0.0.1:{port}/video?id=1"))[1] == 10


@pytest.mark.parametrize("name", ["init", "init.mp4", "i?x=1"])
def test_fragmented_mp4_is_read_with_its_init_section(make: Make, clips_dir: Path, name: str) -> None:
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    whole = write_clip(clips_dir / "fragments.mp4", frames=20, options={"g": "10", "bf": "0"}, muxing=flags).read_bytes()
    begin = whole.index(b"moof") - 4
    site = http_stub.Site(
        {"/a.m3u8": playlist("part", head=f'#EXT-X-MAP:URI="{name}"'), f"/{name}": ("x/y", whole[:begin]), "/part": ("x/y", whole[begin:])}
    )
    with http_stub.serving(site) as port:
        assert read(make(f"http://127.0.0.1:{port}/a.m3u8"))[1] == 20


def test_the_playlist_of_the_shared_case_gives_every_frame(make: Make, shared_dir: Path) -> None:
    folder = shared_dir / "cases" / "hls"
    if not folder.is_dir():
        pytest.skip("../shared/cases is not on this machine")
    pages = {f"/{path.name}{'' if path.suffix else '?token=abc'}": ("", path.read_bytes()) for path in folder.iterdir()}
    with http_stub.serving(http_stub.Site({path: ("application/octet-stream", body) for path, (_, body) in pages.items()})) as port:
        info, frames = read(make(f"http://127.0.0.1:{port}/noext.m3u8"))
    assert (info.width, info.height, frames) == (480, 270, 48)


# -- variants -------------------------------------------------------------------------------------

LOW = "#EXT-X-STREAM-INF:BANDWIDTH=400000,RESOLUTION=480x270\nlow.m3u8"
HIGH = '#EXT-X-STREAM-INF:BANDWIDTH=5000000,RESOLUTION=1920x1080,CODECS="avc1.640028,mp4a.40.2",AUDIO="a"\nhigh.m3u8'
SOUND = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",DEFAULT=YES,URI="sound.m3u8"'


def pages_of(segment: bytes, *names: str) -> dict[str, tuple[str, bytes]]:
    pages = {f"/{name}.m3u8": playlist(f"{name}.ts") for name in names}
    return pages | {f"/{name}.ts": (TS, segment) for name in names}


@pytest.mark.parametrize("order", [(LOW, HIGH), (HIGH, LOW)])
def test_the_best_variant_is_taken_and_nothing_else_is_requested(make: Make, segment: bytes, order: tuple[str, ...]) -> None:
    site = http_stub.Site({"/live": master(SOUND, *order), **pages_of(segment, "low", "high", "sound")})
    with http_stub.serving(site) as port:
        info, frames = read(make(f"http://127.0.0.1:{port}/live"))
    assert frames == 10
    assert site.paths == ["/live", "/high.m3u8", "/high.ts"]
    assert info.choice == f"HLS variant {order.index(HIGH) + 1} of 2 (1920 x 1080, 5 Mbit/s)"


def test_a_variant_above_max_pixels_is_not_taken(make: Make, segment: bytes) -> None:
    site = http_stub.Site({"/live": master(LOW, HIGH), **pages_of(segment, "low", "high")})
    with http_stub.serving(site) as port:
        info, _ = read(make(f"http://127.0.0.1:{port}/live", max_pixels=1_000_000))
    assert site.paths == ["/live", "/low.m3u8", "/low.ts"]
    assert info.choice == "HLS variant 1 of 2 (480 x 270, 0.4 Mbit/s)"


def test_the_next_variant_is_taken_where_the_best_is_missing(make: Make, segment: bytes) -> None:
    site = http_stub.Site({"/live": master(LOW, HIGH), **pages_of(segment, "low")})
    with http_stub.serving(site) as port:
        assert read(make(f"http://127.0.0.1:{port}/live"))[1] == 10
    assert site.paths == ["/live", "/high.m3u8", "/low.m3u8", "/low.ts"]


def test_a_master_playlist_may_lead_to_another(make: Make, segment: bytes) -> None:
    site = http_stub.Site({"/a": master("#EXT-X-STREAM-INF:BANDWIDTH=1\nb/c"), "/b/c": master(LOW.replace("low.m3u8", "/low.m3u8"))})
    site.pages |= pages_of(segment, "low")
    with http_stub.serving(site) as port:
        assert read(make(f"http://127.0.0.1:{port}/a"))[1] == 10


def test_master_playlists_that_lead_to_each_other_are_an_error(make: Make) -> None:
    site = http_stub.Site({"/a": master("#EXT-X-STREAM-INF:BANDWIDTH=1\na")})
    with http_stub.serving(site) as port, pytest.raises(SourceError):
        make(f"http://127.0.0.1:{port}/a").open()
    assert len(site.requests) < 10


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (('#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"', "s"), "names no video, only audio"),
        (("#EXT-X-STREAM-INF:RESOLUTION=9000x9000", "s"), "the smallest variant of the playlist is 9000 x 9000 pixels; max_pixels allows"),
        (("#EXT-X-STREAM-INF:BANDWIDTH=1",), "names no video"),
    ],
)
def test_a_master_playlist_without_a_stream_that_can_be_read_is_an_error(make: Make, lines: tuple[str, ...], words: str) -> None:
    with http_stub.serving(http_stub.Site({"/a": master(*lines)})) as port, pytest.raises(SourceFormatError, match=words):
        make(f"http://127.0.0.1:{port}/a").open()


def test_variants_are_read_as_they_are_written() -> None:
    text = '#EXTM3U\n#EXT-X-STREAM-INF: BANDWIDTH = 5, NAME="a, RESOLUTION=1x1", RESOLUTION=640X360\n\n# a note\nv?x=1,2\nnot one\n'
    assert variants(text) == [Variant("v?x=1,2", 640, 360, 5)]
    assert variants("#EXT-X-STREAM-INF:BANDWIDTH=x,RESOLUTION=9999999x1\nv") == [Variant("v")]


@pytest.mark.parametrize(
    ("found", "first"),
    [
        ([Variant("a", 640, 360, 9), Variant("b", 1280, 720, 1)], "b"),
        ([Variant("a", 640, 360, 1), Variant("b", 640, 360, 2)], "b"),
        ([Variant("a", bandwidth=1), Variant("b", bandwidth=2)], "b"),
        ([Variant("a", 640, 360), Variant("b", 640, 360)], "a"),
        ([Variant("a", bandwidth=9, codecs="mp4a.40.2"), Variant("b", bandwidth=1, codecs="avc1.4d401e,mp4a.40.2")], "b"),
    ],
)
def test_most_pixels_come_first_then_most_bits_then_the_order_of_the_playlist(found: list[Variant], first: str) -> None:
    assert best_first(found, max_pixels=64_000_000, name="cam")[0].uri == first


def test_a_list_of_songs_is_not_hls() -> None:
    assert not is_hls("#EXTM3U\n#EXTINF:1,a\nhttp://a/b.mp3\n")
    assert is_hls("#EXTM3U\n#EXT-X-TARGETDURATION:2\n")
    assert not is_master("#EXTM3U\n#EXT-X-TARGETDURATION:2\n")


WORDS = [
    "#EXTM3U\n",
    "#EXT-X-STREAM-INF:",
    "RESOLUTION=1x1,",
    'CODECS="',
    "BANDWIDTH=",
    "URI=",
    '"',
    ",",
    "\n",
    "a.ts",
    "9" * 30,
    "file:x",
    ":",
]


@given(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), max_size=30).map("".join))
def test_any_playlist_is_read_without_an_error(text: str) -> None:
    for variant in variants(text):
        assert variant.uri
        assert str(variant)
    is_hls(text), other_scheme(text)


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("#EXTM3U\na.ts\nhttp://a/b\nHTTPS://a/b\n/a:b\n//host/a\n?x=a:b", ""),
        ("#EXTM3U\n FILE:///etc/passwd", "file"),
        ('#EXT-X-MAP:BYTERANGE="1@0",URI="data:x"', "data"),
        ("#EXT-X-KEY:METHOD=AES-128, URI = crypto+file:/x", "crypto+file"),
        ("# a note: file:x", ""),
    ],
)
def test_an_address_of_another_protocol_is_found(text: str, scheme: str) -> None:
    assert other_scheme(text) == scheme


# -- where a playlist may lead --------------------------------------------------------------------

ELSEWHERE = [
    "file://{clip}",
    "FILE:{clip}",
    "crypto:file://{clip}",
    "crypto+file://{clip}",
    "data:video/mp2t;base64,{data}",
    "concat:{clip}|{clip}",
    "subfile,,start,0,end,0,,:{clip}",
    "tcp://127.0.0.1:22",
    "rtsp://127.0.0.1/a",
    "ftp://127.0.0.1/a",
    "pipe:0",
    "unix:/run/x",
    "async:file:{clip}",
    "cache:{clip}",
    "tee:/tmp/x",
    "gopher://127.0.0.1/",
]


@pytest.mark.parametrize("uri", ELSEWHERE)
@pytest.mark.parametrize("place", ["segment", "map", "key", "variant", "nested"])
def test_no_part_of_a_playlist_leads_to_another_protocol(make: Make, clips_dir: Path, segment: bytes, uri: str, place: str) -> None:
    uri = uri.format(clip=clips_dir / "ten.ts", data=b64encode(segment).decode())
    pages = {
        "segment": playlist(uri),
        "map": playlist("s.ts", head=f'#EXT-X-MAP:URI="{uri}"'),
        "key": playlist("s.ts", head=f'#EXT-X-KEY:METHOD=AES-128,URI="{uri}"'),
        "variant": master(f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{uri}"),
        "nested": master("#EXT-X-STREAM-INF:BANDWIDTH=1\ninner.m3u8"),
    }
    site = http_stub.Site({"/a.m3u8": pages[place], "/inner.m3u8": playlist(uri), "/s.ts": (TS, segment)})
    with http_stub.serving(site) as port, pytest.raises(SourceError):
        make(f"http://127.0.0.1:{port}/a.m3u8").open()


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../../etc/passwd", "..%2f..%2fetc/passwd"])
def test_a_local_path_is_one_of_the_server(make: Make, path: str) -> None:
    site = http_stub.Site({"/a.m3u8": playlist(path)})
    with http_stub.serving(site) as port, pytest.raises(SourceError):
        make(f"http://127.0.0.1:{port}/a.m3u8").open()
    assert site.paths[0] == "/a.m3u8"
    assert all("etc/passwd" in asked for asked in site.paths[1:])


# -- encryption -----------------------------------------------------------------------------------

KEY, IV = bytes(range(16)), bytes(range(100, 116))


def encrypted(plain: bytes, iv: bytes = IV) -> bytes:
    padder, cipher = PKCS7(128).padder(), Cipher(algorithms.AES(KEY), modes.CBC(iv)).encryptor()
    return cipher.update(padder.update(plain) + padder.finalize()) + cipher.finalize()


@pytest.mark.parametrize("stated", [True, False])
def test_an_encrypted_playlist_is_decrypted(make: Make, segment: bytes, stated: bool) -> None:
    vectors = [IV, IV] if stated else [number.to_bytes(16, "big") for number in (7, 8)]
    key = '#EXT-X-KEY:METHOD=AES-128,URI="k?x=1"' + (f",IV=0x{IV.hex()}" if stated else "")
    site = http_stub.Site({"/a.m3u8": playlist("0", "1", head=f"#EXT-X-MEDIA-SEQUENCE:7\n{key}"), "/k?x=1": ("x/y", KEY)})
    site.pages |= {f"/{number}": (TS, encrypted(segment, vector)) for number, vector in enumerate(vectors)}
    with http_stub.serving(site) as port:
        assert read(make(f"http://127.0.0.1:{port}/a.m3u8"))[1] == 20


@pytest.mark.parametrize("key", [b"short", b"<html>log in to see this key</html>"])
def test_a_wrong_key_is_an_error(make: Make, segment: bytes, key: bytes) -> None:
    listed = playlist("0", head='#EXT-X-KEY:METHOD=AES-128,URI="k"')
    site = http_stub.Site({"/a.m3u8": listed, "/k": ("x/y", key), "/0": (TS, encrypted(segment))})
    with http_stub.serving(site) as port, pytest.raises(SourceError):
        make(f"http://127.0.0.1:{port}/a.m3u8").open()


def test_a_key_is_not_fetched_from_further_inside_the_network(make: Make, segment: bytes) -> None:
    asked: list[str] = []

    def never(connection: socket.socket, stop: threading.Event) -> None:
        asked.append(connection.recv(65536).decode())

    with http_stub.serving(never) as inner:
        head = f'#EXT-X-KEY:METHOD=AES-128,URI="https://169.254.169.254:{inner}/k"'
        site = http_stub.Site({"/a.m3u8": playlist("0", head=head), "/0": (TS, encrypted(segment))})
        with http_stub.serving(site) as port, pytest.raises(SourceError):
            make(f"http://127.0.0.1:{port}/a.m3u8", connect_timeout_s=1).open()
    assert asked == []


def test_a_playlist_that_asks_for_a_password_is_named(make: Make) -> None:
    with http_stub.serving(http_stub.challenge()) as port, pytest.raises(SourceAuthError, match="none is set"):
        make(f"http://127.0.0.1:{port}/a.m3u8").open()
