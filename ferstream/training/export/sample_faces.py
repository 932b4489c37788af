"""Faces to compare and calibrate exports on: labelled faces, or variations of the portrait that matplotlib ships."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ferstream.detection.detector import DetectorLimits
from ferstream.detection.factory import load_detector
from ferstream.domain.face import FACE_SIZE_PX
from ferstream.domain.frame import Luma
from ferstream.errors import DataError
from ferstream.inference.alignment import align
from ferstream.inference.classifier import Crops
from ferstream.stills.multiscale import find_faces
from ferstream.stills.pictures import read_picture
from ferstream.training.data.dataset import FaceSet

_SEED = 2013


def faces_for_export(data: FaceSet | None, *, faces: int, calibration: int) -> tuple[Crops, Crops | None, str]:
    """Return faces to compare on, faces to calibrate on (None without data), and their source in words.

    Args:
        data: Labelled faces. Calibration uses Training rows; comparison uses the other splits where there are any.
        faces: Largest number of faces to compare on.
        calibration: Largest number of faces to calibrate on.

    Raises:
        DataError: No face was found in the sample portrait.
    """
    if data is None:
        return portrait_faces(faces), None, "a sample portrait, varied (give --data for real faces)"
    training = data.usages == "Training"
    compared = data.pixels[~training] if (~training).any() else data.pixels
    calibrating = data.pixels[training] if training.any() else data.pixels
    return _some(compared, faces), _some(calibrating, calibration), data.source


def portrait_faces(count: int) -> Crops:
    """Return (count, 48, 48) uint8: one aligned portrait, shifted, rotated, scaled, mirrored and lit at random, with a fixed seed."""
    face = _portrait()
    random = np.random.default_rng(_SEED)
    return np.stack([_varied(face, random) for _ in range(count)])


def _portrait() -> Crops:
    import matplotlib as mpl

    path = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    picture = read_picture(path)
    found = find_faces(picture, load_detector().new_detector(DetectorLimits()))
    if not found:
        raise DataError(f"{path}: no face was found in the sample portrait; give --data")
    return align(Luma(plane=np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8), limited=False), found[0].landmarks)


def _varied(face: Crops, random: np.random.Generator) -> Crops:
    centre = (FACE_SIZE_PX - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), float(random.uniform(-15, 15)), float(random.uniform(0.85, 1.15)))
    matrix = matrix + np.array([[0, 0, random.uniform(-3, 3)], [0, 0, random.uniform(-3, 3)]])
    turned = cv2.warpAffine(face, matrix, (FACE_SIZE_PX, FACE_SIZE_PX), borderMode=cv2.BORDER_REPLICATE)
    lit = np.clip(turned.astype(np.float32) * random.uniform(0.6, 1.3) + random.uniform(-30, 30), 0, 255).astype(np.uint8)
    return np.asarray(lit[:, ::-1] if random.random() < 0.5 else lit, np.uint8)


def _some(faces: Crops, count: int) -> Crops:
    chosen = np.random.default_rng(_SEED).permutation(len(faces))[:count]
    return np.ascontiguousarray(faces[np.sort(chosen)])
