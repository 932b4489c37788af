"""Faces and expressions of still pictures: the pipeline's detector, alignment and classifier without its threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.detection.decode import ALIGN_PX, suppress
from ferstream.detection.detector import Detector
from ferstream.detection.prepare import FacePreparer
from ferstream.domain.emotion import LABELS, UNKNOWN, Abstained
from ferstream.domain.face import FACE_SIZE_PX, Box, Face
from ferstream.domain.frame import Frame, FrameInfo, Luma
from ferstream.errors import SourceError, SourceFormatError
from ferstream.inference.alignment import ALIGNMENTS
from ferstream.inference.classifier import Classifier

Picture = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 BGR, upright."""

Crop = npt.NDArray[np.uint8]
"""(48, 48) uint8 grey."""

DETECTION_SIDES_PX = (320, 640, 1280)
"""Longer sides at which a still is looked at: faces that fill it are found at the small one, a crowd at the large one."""

_MOST_ENLARGED = 4
_FINER_BONUS = 0.05
_MAX_IOU = 0.3


@dataclass(frozen=True, slots=True)
class FaceReading:
    """A face of a still.

    Attributes:
        crop: (48, 48) uint8 that was classified; None when it is turned so far that no crop was cut.
        probabilities: Seven, in ``LABELS`` order; None likewise.
        face: The detection; None when the picture was taken as the face.
        abstained: Why the daemon would label it ``unknown``, or None.
    """

    crop: Crop | None
    probabilities: tuple[float, ...] | None
    face: Face | None = None
    abstained: Abstained | None = None

    @property
    def best(self) -> str:
        """The label of the largest probability, ``unknown`` when there are none."""
        return UNKNOWN if self.probabilities is None else LABELS[int(np.argmax(self.probabilities))]

    @property
    def label(self) -> str:
        """What the daemon would say: the best label, or ``unknown``."""
        return UNKNOWN if self.abstained else self.best

    @property
    def confidence(self) -> float:
        """The largest probability, 0..1; 0 when there are none."""
        return 0.0 if self.probabilities is None else max(self.probabilities)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is in one still.

    Attributes:
        path: Its file.
        picture: (h, w, 3) uint8 BGR, upright.
        faces: Best score first.
    """

    path: Path
    picture: Picture
    faces: tuple[FaceReading, ...]


def read_picture(path: Path) -> Picture:
    """Read any picture OpenCV knows, turned upright by its EXIF orientation.

    Raises:
        SourceError: There is no such file.
        SourceFormatError: It is no picture.
    """
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; give its pictures, such as {path}/*.jpg")
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except OSError as exc:
        raise SourceError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except cv2.error as exc:
        raise SourceFormatError(f"{path}: cannot be decoded as a picture: {exc.err or exc}") from exc
    if picture is None:
        what = "is empty" if not len(data) else "is not a picture that can be decoded; JPEG, PNG, WebP, BMP, TIFF and GIF can"
        raise SourceFormatError(f"{path}: {what}")
    return np.asarray(picture, np.uint8)


class StillReader:
    """Reads stills with one detector and one classifier."""

    def __init__(self, *, detector: Detector | None, classifier: Classifier) -> None:
        """Take the networks.

        Args:
            detector: Finds faces; None takes each picture as one face crop.
            classifier: Classifies crops.
        """
        self._detector = detector
        self._classifier = classifier
        self._preparer = FacePreparer(align=ALIGNMENTS[classifier.alignment_id])

    def read(self, path: Path) -> Reading:
        """Read one picture.

        Raises:
            SourceError: It cannot be read.
            ModelError: A network failed.
        """
        picture = read_picture(path)
        found = self._whole(picture) if self._detector is None else self._found(picture, self._detector)
        return Reading(path=path, picture=picture, faces=found)

    def _whole(self, picture: Picture) -> tuple[FaceReading, ...]:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        shrinks = min(grey.shape) > FACE_SIZE_PX
        crop = cv2.resize(grey, (FACE_SIZE_PX, FACE_SIZE_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        return self._classified([(None, np.asarray(crop, np.uint8), None)])

    def _found(self, picture: Picture, detector: Detector) -> tuple[FaceReading, ...]:
        frame = _as_frame(picture)
        faces = find_faces(picture, detector)
        prepared = self._preparer.prepare(frame, faces).faces
        return self._classified([(face.face, face.crop, face.abstained) for face in prepared])

    def _classified(self, found: Sequence[tuple[Face | None, Crop | None, Abstained | None]]) -> tuple[FaceReading, ...]:
        crops = [crop for _, crop, _ in found if crop is not None]
        rows = iter(self._classifier.classify(np.stack(crops)).tolist() if crops else [])
        return tuple(
            FaceReading(crop=crop, probabilities=None if crop is None else tuple(next(rows)), face=face, abstained=abstained)
            for face, crop, abstained in found
        )


def find_faces(picture: Picture, detector: Detector) -> tuple[Face, ...]:
    """Find faces of any size: look at several sizes of the picture and keep one of boxes that overlap, best score first.

    The finest look that saw a face gives its landmarks, unless it was much less sure: YuNet's
    landmarks follow a tilted head only when the face is large in its input (docs/adr/0009).
    """
    height, width = picture.shape[:2]
    looks = [detector.detect(small, width=width, height=height) for small in _looks(picture)]
    found = [(face.score + _FINER_BONUS * index, face) for index, faces in enumerate(looks) for face in faces]
    found.sort(key=lambda ranked: -ranked[0])
    if not found:
        return ()
    kept = suppress(np.array([_corners(face.box) for _, face in found], np.float32), _MAX_IOU)
    return tuple(sorted((found[index][1] for index in kept), key=lambda face: -face.score))


def _looks(picture: Picture) -> list[Picture]:
    """Return the picture in several sizes, coarse to fine."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    sides = [side for side in DETECTION_SIDES_PX if side <= longer * _MOST_ENLARGED] or [longer * _MOST_ENLARGED]
    return [_resized(picture, _detection_size(width, height, side)) for side in sides]


def _detection_size(width: int, height: int, side: int) -> tuple[int, int]:
    factor = side / max(width, height)
    return _to_stride(width * factor), _to_stride(height * factor)


def _to_stride(side: float) -> int:
    return max(ALIGN_PX, round(side / ALIGN_PX) * ALIGN_PX)


def _resized(picture: Picture, size: tuple[int, int]) -> Picture:
    shrinks = size[0] < picture.shape[1]
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(small, np.uint8)


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.x + box.w, box.y + box.h


def _as_frame(picture: Picture) -> Frame:
    height, width = picture.shape[:2]
    info = FrameInfo(camera="still", index=0, media_time_ns=0, captured_ns=0, captured_at_ns=0, width=width, height=height, live=False)
    luma = Luma(plane=np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8), limited=False)
    return Frame(info=info, luma=luma, detection_image=picture)
