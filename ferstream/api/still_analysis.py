"""One call of ``ferstream.analyze``: pictures through networks that calls share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferstream.api.networks import StillKey, still_pool
from ferstream.api.picture_inputs import file_of, to_picture
from ferstream.api.values import Colors, Face, Faces
from ferstream.detection.detector import DetectorLimits
from ferstream.detection.mask import PrivacyMask
from ferstream.stills.analysis import FaceResult, PictureAnalyzer
from ferstream.stills.report import face_json

if TYPE_CHECKING:
    from ferstream.api.values import PictureInput


@dataclass(frozen=True, slots=True, kw_only=True)
class StillOptions:
    """How pictures are analysed.

    Attributes:
        key: The networks.
        limits: Limits of the detector.
        mask: What is filled with grey first.
        max_pixels: Width times height of the largest picture.
        colors: Order of the channels of numpy arrays.
    """

    key: StillKey
    limits: DetectorLimits
    mask: PrivacyMask
    max_pixels: int
    colors: Colors


def analyze_one(image: PictureInput, options: StillOptions) -> Faces:
    """Find the faces of one picture and classify them; any thread.

    Raises:
        SourceError: The picture cannot be read.
        ModelError: A network cannot be loaded, or failed.
    """
    picture = to_picture(image, colors=options.colors, max_pixels=options.max_pixels)
    with still_pool().borrowed(options.key) as networks:
        classifier = networks.classifier
        analyzer = PictureAnalyzer(
            detector=networks.detector(options.limits), classifier=classifier, max_pixels=options.max_pixels, mask=options.mask
        )
        found = analyzer.faces_of(picture)
        model = f"{classifier.name}/{classifier.version}"
    height, width = picture.shape[:2]
    return Faces(faces=tuple(map(face_of, found)), width=width, height=height, file=file_of(image), model=model)


def face_of(result: FaceResult) -> Face:
    """Return a face with the numbers of ``ferstream predict``."""
    values = face_json(result)
    box, landmarks = values["box"], values["landmarks"]
    return Face(
        **{
            **values,
            "box": None if box is None else tuple(box),
            "landmarks": None if landmarks is None else tuple((x, y) for x, y in landmarks),
        }
    )
