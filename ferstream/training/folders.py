"""Folders of images, one folder a class: ``train/<class>/*.png``, the common re-export of FER2013, any size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.dataset import FACE_SIZE_PX, FaceSet

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm"})

_USAGE_OF_FOLDER = {
    "train": "Training",
    "training": "Training",
    "test": "PublicTest",
    "val": "PublicTest",
    "valid": "PublicTest",
    "validation": "PublicTest",
    "publictest": "PublicTest",
    "privatetest": "PrivateTest",
}
_SPELLINGS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}


def read_folder(path: Path) -> FaceSet:
    """Read ``<split>/<class>/<image>``; images of any size become 48x48 grey.

    Splits are train, test (or val, publictest) and privatetest; classes are ``LABELS`` or their
    usual other spellings. ``rows`` number the files in sorted order, from 1.

    Raises:
        DataError: there are no class folders, a class is unknown, or an image cannot be decoded; names it.
    """
    splits = [(folder, usage) for folder in _folders(path) if (usage := _USAGE_OF_FOLDER.get(folder.name.lower()))]
    if not splits:
        raise DataError(f"{path}: no split folder; expected {path.name}/train/<class>/*.png and {path.name}/test/<class>/*.png")
    files = [(file, label, usage) for folder, usage in splits for file, label in _labelled(folder)]
    if not files:
        raise DataError(f"{path}: the class folders hold no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return FaceSet(
        pixels=np.stack([read_image(file) for file, _, _ in files]),
        labels=np.array([label for _, label, _ in files], np.int64),
        usages=np.array([usage for _, _, usage in files], np.str_),
        rows=np.arange(1, len(files) + 1, dtype=np.int64),
        votes=None,
        source=str(path),
    )


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Read an image of any size as a (48, 48) uint8 grey face.

    Raises:
        DataError: it cannot be decoded.
    """
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise DataError(f"{path}: cannot be decoded as an image; remove it or save it again")
    size = (FACE_SIZE_PX, FACE_SIZE_PX)
    if image.shape != size:
        shrinks = min(image.shape) >= FACE_SIZE_PX
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(image, np.uint8)


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir())


def _labelled(split: Path) -> list[tuple[Path, int]]:
    classes = _folders(split)
    if not classes:
        raise DataError(f"{split}: no class folders; expected one of each of {', '.join(LABELS)}")
    return [(file, label) for folder in classes for label in [_label(folder)] for file in _images(folder)]


def _label(folder: Path) -> int:
    name = folder.name.lower()
    name = _SPELLINGS.get(name, name)
    if name not in LABELS:
        raise DataError(f"{folder}: {folder.name!r} is no class; expected {', '.join(LABELS)}")
    return LABELS.index(name)


def _images(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
