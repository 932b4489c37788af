"""Luma and detection image of every pixel format: the same test card gives the same values."""

from __future__ import annotations

import gc
import weakref

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import ColorRange
from hypothesis import given, settings
from hypothesis import strategies as st

from ferstream.capture.planes import LAYOUTS, luma_and_image_maker
from ferstream.domain.frame import Luma, detection_size
from tests.support import clips

PLANAR = [
    *("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuvj420p", "yuvj422p", "yuvj444p", "yuva420p"),
    *("nv12", "nv21", "nv16", "nv24", "nv42", "p010le", "p012le", "p016le", "p210le", "p410le"),
    *("yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "yuv422p12le", "yuv444p12le", "yuv420p16le"),
]
GREY = ["gray", "gray10le", "gray12le", "gray16le"]
PACKED = ["rgb24", "bgr24", "bgra", "0rgb", "rgb8", "bgr8", "rgb565le", "gbrp", "gbrp10le", "yuyv422", "uyvy422", "yuv420p10be", "p010be"]
RGB = clips.card()
GREY_LEVELS = clips.quarters(np.asarray(cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)))
BGR_LEVELS = clips.quarters(RGB[:, :, ::-1])


def luma_and_detection_image(frame: av.VideoFrame, size: tuple[int, int]) -> tuple[Luma, npt.NDArray[np.uint8]]:
    """Make both pictures at once."""
    luma, make_image = luma_and_image_maker(frame, size)
    return luma, make_image()


def levels(luma: Luma) -> npt.NDArray[np.float64]:
    """The quarters of the luma in 0..255."""
    values = clips.quarters(luma.plane) / (1 << (luma.bits - 8))
    return (values - 16) * 255 / 219 if luma.limited else values


@pytest.mark.parametrize("pixel_format", PLANAR + PACKED)
def test_colours_and_greys_are_kept(pixel_format: str) -> None:
    luma, detection_image = luma_and_detection_image(clips.picture(pixel_format), (96, 64))
    assert luma.plane.shape == (64, 96)
    assert detection_image.shape == (64, 96, 3)
    assert detection_image.dtype == np.uint8
    np.testing.assert_allclose(levels(luma), GREY_LEVELS, atol=3)
    np.testing.assert_allclose(clips.quarters(detection_image), BGR_LEVELS, atol=6)


@pytest.mark.parametrize("pixel_format", GREY)
def test_grey_pictures_are_grey(pixel_format: str) -> None:
    luma, detection_image = luma_and_detection_image(clips.picture(pixel_format), (96, 64))
    assert not luma.limited
    np.testing.assert_allclose(levels(luma), GREY_LEVELS, atol=2)
    np.testing.assert_allclose(clips.quarters(detection_image), np.repeat(GREY_LEVELS[:, None], 3, axis=1), atol=2)


@pytest.mark.parametrize("full_range", [True, False])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le", "nv12"])
def test_a_range_tag_is_followed(pixel_format: str, full_range: bool) -> None:
    luma, detection_image = luma_and_detection_image(clips.picture(pixel_format, full_range=full_range), (96, 64))
    assert luma.limited is not full_range
    np.testing.assert_allclose(levels(luma), GREY_LEVELS, atol=3)
    np.testing.assert_allclose(cv2.cvtColor(detection_image, cv2.COLOR_BGR2GRAY).mean(), GREY_LEVELS.mean(), atol=12)


def test_limited_grey_is_expanded() -> None:
    limited = np.round(16 + cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY) * (219 / 255)).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(limited, format="gray")
    frame.color_range = ColorRange.MPEG
    luma, detection_image = luma_and_detection_image(frame, (96, 64))
    assert luma.limited
    np.testing.assert_allclose(levels(luma), GREY_LEVELS, atol=2)
    np.testing.assert_allclose(clips.quarters(detection_image)[:, 0], GREY_LEVELS, atol=2)


def test_every_listed_format_that_libav_knows_is_covered_by_shape() -> None:
    known = [name for name in LAYOUTS if name in av.video.frame.supported_np_pix_fmts]
    for name in known:
        luma, detection_image = luma_and_detection_image(clips.picture(name, (50, 38)), (32, 32))
        assert (luma.plane.shape, detection_image.shape) == ((38, 50), (32, 32, 3)), name


@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12", "yuv420p10le", "yuv422p", "yuv444p", "rgb24"])
@pytest.mark.parametrize("size", [(97, 65), (33, 31), (1, 1), (2, 3), (640, 2)])
def test_odd_sizes(pixel_format: str, size: tuple[int, int]) -> None:
    frame = clips.picture(pixel_format, (97, 65)).reformat(width=size[0], height=size[1])
    luma, detection_image = luma_and_detection_image(frame, detection_size(*size, 64))
    assert luma.plane.shape == (size[1], size[0])
    assert detection_image.shape[:2] == detection_size(*size, 64)[::-1]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le", "nv12", "gray"])
@pytest.mark.parametrize("size", [(1920, 1080), (3840, 2160), (1001, 701)])
def test_large_pictures_are_scaled_without_losing_their_greys(pixel_format: str, size: tuple[int, int]) -> None:
    image_size = detection_size(*size, 320)
    luma, detection_image = luma_and_detection_image(clips.picture(pixel_format, size), image_size)
    expected = cv2.resize(cv2.cvtColor(clips.card(size), cv2.COLOR_RGB2GRAY), image_size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(detection_image, cv2.COLOR_BGR2GRAY).astype(float)
    assert luma.plane.shape == size[::-1]
    assert np.abs(grey - expected).mean() < 3


def test_fine_texture_becomes_grey_without_moire() -> None:
    stripes = np.zeros((720, 1280), np.uint8)
    stripes[:, ::2] = 255
    _, detection_image = luma_and_detection_image(av.VideoFrame.from_ndarray(stripes, format="gray"), (640, 352))
    assert np.abs(detection_image.astype(float) - 127.5).max() < 2


def test_the_luma_is_a_read_only_view() -> None:
    frame = clips.picture("yuv420p")
    luma, detection_image = luma_and_detection_image(frame, (96, 64))
    assert np.shares_memory(luma.plane, np.frombuffer(memoryview(frame.planes[0]), np.uint8))
    assert not luma.plane.flags.writeable
    assert detection_image.flags.writeable
    assert detection_image.flags.c_contiguous


def test_padding_of_the_lines_is_not_in_the_picture() -> None:
    frame = clips.picture("yuv420p", (70, 50))
    assert frame.planes[0].line_size > 70
    luma, _ = luma_and_detection_image(frame, (64, 32))
    np.testing.assert_allclose(levels(luma), clips.quarters(np.asarray(cv2.cvtColor(clips.card((70, 50)), cv2.COLOR_RGB2GRAY))), atol=3)


def test_the_decoded_picture_lives_as_long_as_the_luma_and_no_longer() -> None:
    luma, _ = luma_and_detection_image(clips.picture("yuv420p"), (96, 64))
    before = luma.plane.copy()
    gc.collect()
    np.testing.assert_array_equal(luma.plane, before)
    memory = owner(luma.plane)
    plane = weakref.ref(memory)
    del luma, memory
    gc.collect()
    assert plane() is None


def owner(view: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """The array at the end of the chain of views."""
    while isinstance(view.base, np.ndarray):
        view = view.base
    return view


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 2000))
def test_detection_size_fits_the_detector(width: int, height: int, target: int) -> None:
    image_width, image_height = detection_size(width, height, target)
    assert image_width % 32 == image_height % 32 == 0
    assert min(image_width, image_height) >= 32
    assert max(image_width, image_height) <= max(32, min(target, max(width, height)) + 16)
    assert (image_width >= image_height) == (width >= height) or image_width == image_height


@pytest.mark.parametrize(
    ("size", "target", "expected"),
    [
        ((1920, 1080), 640, (640, 352)),
        ((1080, 1920), 640, (352, 640)),
        ((640, 480), 640, (640, 480)),
        ((320, 240), 640, (320, 256)),
        ((16, 16), 640, (32, 32)),
    ],
)
def test_detection_size_of_common_pictures(size: tuple[int, int], target: int, expected: tuple[int, int]) -> None:
    assert detection_size(*size, target) == expected


@pytest.mark.parametrize("bad", [(0, 10, 640), (10, 0, 640), (10, 10, 0)])
def test_detection_size_refuses_zero(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        detection_size(*bad)
