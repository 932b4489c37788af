"""Turned, mirrored and anamorphic pictures through capture, masks, detection and alignment together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ferstream.capture.geometry import PictureOptions
from ferstream.capture.options import FrameOptions
from ferstream.capture.recording import FileSource
from ferstream.detection.detector import Detector, DetectorLimits
from ferstream.detection.factory import load_detector
from ferstream.detection.mask import PrivacyMask
from ferstream.detection.prepare import FacePreparer
from ferstream.detection.upright import UprightCheck
from ferstream.domain.emotion import LABELS, Abstained
from ferstream.domain.face import Box, DetectedFrame, Face, Point
from ferstream.domain.frame import Frame
from ferstream.inference.alignment import CANONICAL, align_with_matrix
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import load_bundle
from ferstream.inference.classifier import Classifier
from ferstream.runtime.counters import Counters
from tests.support.shaped_clips import EIGHT, displayed, matrix, stored, write_matrix, write_pictures

Rgb = npt.NDArray[np.uint8]
Find = Callable[[Path, PictureOptions], list[DetectedFrame]]
ASPECTS = [Fraction(1), Fraction(16, 9), Fraction(6, 11)]
AS_IT_IS = PictureOptions()


# -- masks ---------------------------------------------------------------------------------------

SECRET = (0.25, 0.5, 0.5, 0.75)
"""Left, top, right and bottom of a white area in the displayed picture, relative to its size; all else is dark."""


def secret_picture(width: int, height: int) -> Rgb:
    rgb = np.full((height, width, 3), 40, np.uint8)
    left, top, right, bottom = (round(share * side) for share, side in zip(SECRET, (width, height, width, height), strict=True))
    rgb[top:bottom, left:right] = 255
    return rgb


def faces_around(frame: Frame) -> list[Face]:
    """Frontal faces of several sizes and tilts, in square pixels, over and beside the secret."""
    scale_x, scale_y = frame.luma.square_scale
    faces = []
    for share_x, share_y in ((0.2, 0.45), (0.55, 0.5), (0.38, 0.85)):
        for scale, tilt in ((0.7, 0.0), (2.0, 0.5), (4.0, -1.0)):
            turn = scale * complex(np.cos(tilt), np.sin(tilt))
            middle = complex(share_x * frame.info.width * scale_x, share_y * frame.info.height * scale_y)
            points: list[Point] = []
            for x, y in CANONICAL:
                point = middle + complex(x - 23.5, y - 23.5) * turn
                points.append((point.real / scale_x, point.imag / scale_y))
            box = Box(share_x * frame.info.width - 5, share_y * frame.info.height - 5, 10, 10)
            faces.append(Face(box, 0.9, (points[0], points[1], points[2], points[3], points[4])))
    return faces


@pytest.mark.parametrize("aspect", ASPECTS, ids=str)
@pytest.mark.parametrize("rotate", [0, 90])
@pytest.mark.parametrize("name", EIGHT)
def test_a_mask_covers_its_place_in_the_displayed_picture(name: str, rotate: int, aspect: Fraction, tmp_path: Path) -> None:
    shown = secret_picture(192, 128)
    inverse = np.ascontiguousarray(np.rot90(shown, rotate // 90))
    path = write_pictures(tmp_path / "a.mp4", [stored(inverse, EIGHT[name])], aspect=aspect)
    write_matrix(path, matrix(*EIGHT[name]))
    frame = first_frame(path, PictureOptions(rotate=rotate))
    assert (frame.info.width, frame.info.height) == (192, 128)
    left, top, right, bottom = SECRET
    mask = PrivacyMask([[[left, top], [right, top], [right, bottom], [left, bottom]]])
    preparer = FacePreparer(align=align_with_matrix, mask=mask)
    open_eyed = FacePreparer(align=align_with_matrix)
    faces = [face for face in faces_around(frame) if not mask.covers(face.box, 192, 128)]
    bare = [item.crop for item in open_eyed.prepare(frame, faces).faces if item.crop is not None]
    assert sum(int(crop.max()) > 200 for crop in bare) >= 4  # the secret is in the pictures
    preparer.apply_masks(frame)
    assert int(frame.detection_image.max()) < 140
    crops = [item.crop for item in preparer.prepare(frame, faces).faces if item.crop is not None]
    assert len(crops) == len(bare)
    assert max(int(crop.max()) for crop in crops) < 140


# -- faces ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector().new_detector(DetectorLimits(min_face_px=16))


@pytest.fixture
def find(detector: Detector) -> Find:
    def run(path: Path, picture: PictureOptions) -> list[DetectedFrame]:
        return list(_found(path, picture, detector))

    return run


def _found(path: Path, picture: PictureOptions, detector: Detector) -> Iterator[DetectedFrame]:
    source = FileSource(path=path, camera="door", observer=Counters(), options=FrameOptions(picture=picture))
    source.open()
    preparer, check = FacePreparer(align=align_with_matrix), UprightCheck(detector)
    for frame in source.frames():
        faces = detector.detect(frame.detection_image, width=frame.info.width, height=frame.info.height)
        yield preparer.prepare(frame, faces, check.is_upright)
    source.close()


@pytest.fixture(scope="module")
def portrait() -> Rgb:
    from matplotlib.cbook import get_sample_data
    from matplotlib.image import imread

    rgb = np.asarray(imread(get_sample_data("grace_hopper.jpg", asfileobj=False)), np.uint8)
    return np.asarray(cv2.resize(rgb, (288, 320), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize("aspect", ASPECTS, ids=str)
@pytest.mark.parametrize("name", EIGHT)
def test_a_face_is_the_same_however_it_is_stored(name: str, aspect: Fraction, portrait: Rgb, find: Find, tmp_path: Path) -> None:
    (plain,) = find(write_pictures(tmp_path / "plain.mp4", [portrait]), AS_IT_IS)
    inverse = stored(portrait, EIGHT[name])
    wide, high = inverse.shape[1] / max(1, aspect), inverse.shape[0] * min(1, aspect)
    squeezed = np.asarray(cv2.resize(inverse, (round(wide / 2) * 2, round(high / 2) * 2), interpolation=cv2.INTER_AREA), np.uint8)
    path = write_matrix(write_pictures(tmp_path / "a.mp4", [squeezed], aspect=aspect), matrix(*EIGHT[name]))
    (found,) = find(path, AS_IT_IS)
    (one,), (other,) = plain.faces, found.faces
    assert other.abstained is None
    scale = np.array([plain.info.width / found.info.width, plain.info.height / found.info.height])
    expected = np.array(one.face.landmarks) / scale
    np.testing.assert_allclose(other.face.landmarks, expected, atol=6)  # the eyes too: left and right are not exchanged
    there = [((x + 0.5) / scale[0] - 0.5, (y + 0.5) / scale[1] - 0.5) for x, y in one.face.landmarks]
    crop = align_with_matrix(first_frame(path).luma, there)[0]
    assert one.crop is not None
    assert np.abs(one.crop.astype(float) - crop.astype(float)).mean() < 6


def first_frame(path: Path, picture: PictureOptions = AS_IT_IS) -> Frame:
    source = FileSource(path=path, camera="door", observer=Counters(), options=FrameOptions(picture=picture))
    source.open()
    frame = next(iter(source.frames()))
    source.close()
    return frame


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (PictureOptions(rotate=180), "turned 180"),
        (PictureOptions(rotate=90), "turned 270 clockwise"),
        (PictureOptions(rotate=270), "turned 90 clockwise"),
        (PictureOptions(rotate=180, mirror=True), "top and bottom exchanged"),
    ],
)
def test_a_ceiling_mount_is_set_right_by_the_settings(
    options: PictureOptions, name: str, portrait: Rgb, find: Find, tmp_path: Path
) -> None:
    path = write_pictures(tmp_path / "a.mp4", [displayed(portrait, EIGHT[name])] * 2)
    assert [face.abstained for frame in find(path, options) for face in frame.faces] == [None, None]
    as_delivered = [face.abstained for frame in find(path, AS_IT_IS) for face in frame.faces]
    assert None not in as_delivered  # not found, or turned


def test_pixel_aspect_is_for_sources_that_do_not_say(portrait: Rgb, find: Find, tmp_path: Path) -> None:
    squeezed = np.asarray(cv2.resize(portrait, (144, 320), interpolation=cv2.INTER_AREA), np.uint8)
    path = write_pictures(tmp_path / "1080n.mp4", [squeezed])
    (plain,) = find(write_pictures(tmp_path / "plain.mp4", [portrait]), AS_IT_IS)
    (frame,) = find(path, PictureOptions(pixel_aspect=2.0))
    box, expected = frame.faces[0].face.box, plain.faces[0].face.box
    assert (frame.info.width, frame.info.height) == (144, 320)
    assert [box.x, box.w] == pytest.approx([expected.x / 2, expected.w / 2], abs=5)
    assert [box.y, box.h] == pytest.approx([expected.y, expected.h], abs=8)


# -- the cases, and real faces upside down -------------------------------------------------------


@pytest.fixture(scope="module")
def classifier() -> Iterator[Classifier]:
    loaded = open_classifier(load_bundle("emotion-edge"))
    yield loaded
    loaded.close()


def labels(frames: list[DetectedFrame], classifier: Classifier) -> Counter[str]:
    """Labels of single frames; the reason where there is none."""
    found: Counter[str] = Counter()
    for item in (item for frame in frames for item in frame.faces):
        if item.abstained or item.crop is None:
            found[str(item.abstained)] += 1
        else:
            found[LABELS[int(classifier.classify(item.crop[np.newaxis]).argmax())]] += 1
    return found


@pytest.mark.parametrize("name", ["zero_matrix", "mirrored_matrix", "anamorphic_16_9"])
def test_the_shared_cases_have_the_labels_of_their_control(name: str, shared_dir: Path, find: Find, classifier: Classifier) -> None:
    folder = shared_dir / "cases"
    if not folder.is_dir():
        pytest.skip("../shared/cases is not on this machine")
    control, case = find(folder / "upright.mp4", AS_IT_IS), find(folder / f"{name}.mp4", AS_IT_IS)
    squeezed = name.startswith("anamorphic")
    assert {(frame.info.width, frame.info.height) for frame in case} == {(270, 270) if squeezed else (480, 270)}
    assert [len(frame.faces) for frame in case] == [1] * 48
    expected, found = labels(control, classifier), labels(case, classifier)
    assert sum((expected - found).values()) <= 5, (expected, found)
    boxes = np.mean([[f.face.box.x, f.face.box.y, f.face.box.w, f.face.box.h] for frame in case for f in frame.faces], axis=0)
    np.testing.assert_allclose(boxes, [144, 11, 90, 231] if squeezed else [256, 11, 160, 231], atol=3)


@pytest.mark.parametrize("name", ["sad_to_happy.mp4", "face_then_none.mov", "head-pose-face-detection-male.gif"])
def test_real_faces_upside_down_are_turned_and_upright_ones_are_not(
    name: str, videos_dir: Path, find: Find, classifier: Classifier, tmp_path: Path
) -> None:
    with av.open(str(videos_dir / name)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][::12]
    even = [np.asarray(rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2], np.uint8) for rgb in pictures]
    upright = labels(find(write_pictures(tmp_path / "upright.mp4", even), AS_IT_IS), classifier)
    turned = [displayed(rgb, EIGHT["turned 180"]) for rgb in even]
    hanging = labels(find(write_pictures(tmp_path / "hanging.mp4", turned), AS_IT_IS), classifier)
    assert Abstained.TURNED not in upright
    assert hanging[Abstained.TURNED] >= 0.9 * hanging.total()
