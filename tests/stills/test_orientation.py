"""Pictures are turned upright in every format, however their file says it."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ferstream.errors import SourceError
from ferstream.stills.orientation import turned_upright
from ferstream.stills.pictures import Picture, read_picture
from tests.support.cases import case

TAG = 274
STORED: dict[int, Callable[[Picture], Picture]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}
"""How an upright picture is stored with each orientation."""


def scene() -> Picture:
    """Four colours, 96 wide and 64 high: each of the eight orientations looks different."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48], picture[:32, 48:], picture[32:, :48], picture[32:, 48:] = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)
    return picture


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[TAG] = orientation
    return bytes(data.tobytes())


def stored(form: str, orientation: int, **options: object) -> bytes:
    """Return the file of a scene that is stored turned."""
    file = io.BytesIO()
    pixels = np.ascontiguousarray(STORED[orientation](scene())[:, :, ::-1])
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def is_scene(path: Path, data: bytes) -> bool:
    path.write_bytes(data)
    picture = read_picture(path)
    return picture.shape == scene().shape and float(np.abs(picture.astype(int) - scene()).mean()) < 12


def webp_with(chunk: bytes, body: bytes, flag: int, orientation: int) -> bytes:
    """Return a turned WebP with a chunk as it is, which Pillow would clean."""
    data = stored("WEBP", orientation, lossless=True)
    rows, columns = (int(side) for side in STORED[orientation](scene()).shape[:2])
    extended = b"VP8X" + struct.pack("<IB3x", 10, flag) + (columns - 1).to_bytes(3, "little") + (rows - 1).to_bytes(3, "little")
    body = body if len(body) % 2 == 0 else body + b"\0"
    chunks = extended + data[12:] + chunk + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def png_with(kind: bytes, body: bytes, orientation: int, *, behind: bool) -> bytes:
    """Return a turned PNG with a chunk in front of the pixels or behind them."""
    data = stored("PNG", orientation)
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    at = data.rindex(b"IEND") - 4 if behind else data.index(b"IDAT") - 4
    return data[:at] + chunk + data[at:]


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_each_orientation_is_turned_upright_in_each_format(tmp_path: Path, form: str, orientation: int) -> None:
    assert is_scene(tmp_path / "p", stored(form, orientation, exif=exif(orientation)))


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0", b"Exif\0\0Exif\0\0"])
@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
def test_exif_of_a_webp_counts_with_and_without_its_prefix(tmp_path: Path, orientation: int, prefix: bytes) -> None:
    body = prefix + exif(orientation).removeprefix(b"Exif\0\0")
    assert is_scene(tmp_path / "p.webp", webp_with(b"EXIF", body, 0x08, orientation))


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("orientation", [2, 6, 8])
def test_exif_of_a_png_counts_in_front_of_the_pixels_and_behind_them(tmp_path: Path, orientation: int, prefix: bytes, behind: bool) -> None:
    body = prefix + exif(orientation).removeprefix(b"Exif\0\0")
    assert is_scene(tmp_path / "p.png", png_with(b"eXIf", body, orientation, behind=behind))


@pytest.mark.parametrize("little", [False, True])
def test_both_byte_orders_of_exif_are_read(tmp_path: Path, little: bool) -> None:
    mark = "<" if little else ">"
    head = (b"II*\0" if little else b"MM\0*") + struct.pack(f"{mark}I", 8)
    body = head + struct.pack(f"{mark}HHHIHHI", 1, TAG, 3, 1, 6, 0, 0)
    assert is_scene(tmp_path / "p.webp", webp_with(b"EXIF", body, 0x08, 6))


@pytest.mark.parametrize("attribute", [True, False])
def test_xmp_counts_where_there_is_no_exif(tmp_path: Path, attribute: bool) -> None:
    inner = 'tiff:Orientation="6"/>' if attribute else "><tiff:Orientation>6</tiff:Orientation></rdf:Description>"
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {inner}</rdf:RDF></x:xmpmeta>'.encode()
    assert is_scene(tmp_path / "p.webp", webp_with(b"XMP ", xmp, 0x04, 6))


def test_in_avif_only_the_container_counts(tmp_path: Path) -> None:
    done, encoded = cv2.imencodeWithMetadata(".avif", scene(), [cv2.IMAGE_METADATA_EXIF], [np.frombuffer(exif(6), np.uint8)])
    data = bytearray(encoded)
    assert done
    assert not is_scene(tmp_path / "turned.avif", bytes(data))  # the encoder has put the orientation of EXIF into the container
    data[data.index(b"irot") + 4] = 0
    assert is_scene(tmp_path / "p.avif", bytes(data))


def test_damaged_files_are_errors_and_never_anything_else(tmp_path: Path) -> None:
    random = np.random.default_rng(9)
    for form in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP"):
        whole = stored(form, 6, exif=exif(6))
        for _ in range(40):
            data = bytearray(whole[: int(random.integers(1, len(whole) + 1))])
            for at in random.integers(0, len(data), 4):
                data[at] = int(random.integers(0, 256))
            (tmp_path / "p").write_bytes(bytes(data))
            with contextlib.suppress(SourceError):
                read_picture(tmp_path / "p")


@pytest.mark.parametrize("body", [b"", b"Exif", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0" + bytes(40), b"\xff" * 60])
@pytest.mark.parametrize("value", [0, 9, 255, 65535])
def test_damaged_exif_and_impossible_values_leave_a_picture_as_it_is(tmp_path: Path, body: bytes, value: int) -> None:
    impossible = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, TAG, 3, 1, value, 0, 0)
    assert is_scene(tmp_path / "a.png", png_with(b"eXIf", body, 1, behind=False))
    assert is_scene(tmp_path / "b.png", png_with(b"eXIf", impossible, 1, behind=True))
    assert is_scene(tmp_path / "c.webp", webp_with(b"EXIF", impossible, 0x08, 1))


@pytest.mark.parametrize("orientation", STORED)
def test_a_grey_picture_is_turned_too(orientation: int) -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    kept = STORED[orientation](np.dstack([grey] * 3))[:, :, 0]
    assert (turned_upright(np.ascontiguousarray(kept), orientation) == grey).all()


def test_the_case_of_a_webp_with_prefix_is_upright() -> None:
    picture = read_picture(case("exif_prefix.webp"))
    upright = cv2.imread(str(case("upright.jpg")))
    assert picture.shape == (270, 480, 3)
    assert upright is not None
    assert float(np.abs(picture.astype(int) - upright).mean()) < 12
