"""Reader for folders of images, one folder a class: ``train/<class>/*.png``, a common re-export of FER2013."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferstream.domain.emotion import LABELS
from ferstream.domain.face import FACE_SIZE_PX
from ferstream.errors import DataError
from ferstream.stills.pictures import MAX_PIXELS, picture_size
from ferstream.training.data.dataset import FaceSet

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm"})

_TRAINING = ("train", "training")
_VALIDATION = ("val", "valid", "validation", "publictest")
_TEST = ("test",)
_PRIVATE = ("privatetest",)
_SPELLINGS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}


ReadFace = Callable[[Path], npt.NDArray[np.uint8] | None]
"""From the file of an image to a face (48, 48) uint8, or None when there is none."""


def read_photos(path: Path) -> FaceSet:
    """Read ``<split>/<class>/<photo>``: the largest face of each photo is found and aligned; see ``read_folder``.

    Photos without a face are listed in ``without_face``.

    Raises:
        DataError: As ``read_folder``, or no photo has a face.
        ModelError: The detector cannot be loaded.
    """
    from ferstream.training.data.photos import PhotoReader

    with PhotoReader() as reader:
        faces = read_folder(path, read=reader, what="has a face that can be found")
    without = set(reader.without_face)
    unreadable = tuple(name for name in faces.unreadable if name not in without)
    return replace(faces, unreadable=unreadable, without_face=tuple(reader.without_face))


def read_folder(path: Path, *, read: ReadFace | None = None, what: str = "can be decoded") -> FaceSet:
    """Read ``<split>/<class>/<image>``. Each image is resized to 48x48 grey; no face is searched for in it.

    Folder ``train`` becomes Training. ``val`` (or ``valid``, ``validation``, ``publictest``) becomes PublicTest. ``test``
    becomes PrivateTest where there is such a validation folder, else PublicTest. ``privatetest`` becomes PrivateTest.
    Classes are named as in ``LABELS`` or by a usual synonym. ``rows`` numbers the files in sorted order, from 1.
    Files that cannot be decoded are left out and listed in ``unreadable``.

    Args:
        path: The folder.
        read: Makes the face of a file; None for the whole image.
        what: What is said of no image when ``read`` gave no face at all.

    Raises:
        DataError: There are no class folders, a class is unknown, or no image can be decoded.
    """
    folders = _folders(path)
    usage_of = _usages([folder.name.lower() for folder in folders])
    splits = [(folder, usage) for folder in folders if (usage := usage_of.get(folder.name.lower()))]
    if not splits:
        raise DataError(f"{path}: no split folder; expected {path.name}/train/<class>/*.png and {path.name}/test/<class>/*.png")
    files = [(file, label, usage) for folder, usage in splits for file, label in _labelled(folder)]
    if not files:
        raise DataError(f"{path}: the class folders hold no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
    faces = [(read or read_image)(file) for file, _, _ in files]
    decoded = [index for index, face in enumerate(faces) if face is not None]
    if not decoded:
        raise DataError(f"{path}: none of its {len(files)} images {what}, the first is {files[0][0]}")
    return FaceSet(
        pixels=np.stack([face for face in faces if face is not None]),
        labels=np.array([files[index][1] for index in decoded], np.int64),
        usages=np.array([files[index][2] for index in decoded], np.str_),
        rows=np.array(decoded, np.int64) + 1,
        votes=None,
        source=str(path),
        unreadable=tuple(str(file) for (file, _, _), face in zip(files, faces, strict=True) if face is None),
    )


def read_image(path: Path) -> npt.NDArray[np.uint8] | None:
    """Read an image of up to 64 million pixels as (48, 48) uint8 grey; None when it cannot be decoded."""
    try:
        data = path.read_bytes()
        size_px = picture_size(data)
        if size_px is None or size_px[0] * size_px[1] > MAX_PIXELS:
            return None
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except (OSError, cv2.error):
        return None
    if image is None:
        return None
    size = (FACE_SIZE_PX, FACE_SIZE_PX)
    if image.shape != size:
        shrinks = min(image.shape) >= FACE_SIZE_PX
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(image, np.uint8)


def _usages(names: list[str]) -> dict[str, str]:
    """Return the split of each folder name. A test folder beside a validation folder must not select the best epoch."""
    test = "PrivateTest" if any(name in _VALIDATION for name in names) else "PublicTest"
    return {
        **dict.fromkeys(_TRAINING, "Training"),
        **dict.fromkeys(_VALIDATION, "PublicTest"),
        **dict.fromkeys(_TEST, test),
        **dict.fromkeys(_PRIVATE, "PrivateTest"),
    }


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
        raise DataError(f"{folder}: {folder.name!r} is not a class; expected {', '.join(LABELS)}")
    return LABELS.index(name)


def _images(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
