"""The table of detectors: which loader is called, with which options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ferstream.detection.detector import DetectorModel
from ferstream.detection.factory import DEFAULT_DETECTOR, DETECTORS, DetectorOptions, Loader, load_detector
from ferstream.detection.yunet import YuNetModel
from ferstream.errors import ModelError


class Recorder:
    """A table with two loaders that keep their options and load YuNet."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, DetectorOptions]] = []
        self.table = {name: self._loader(name) for name in (DEFAULT_DETECTOR, "scrfd")}

    def _loader(self, name: str) -> Loader:
        def load(options: DetectorOptions) -> DetectorModel:
            self.calls.append((name, options))
            return DETECTORS[DEFAULT_DETECTOR](DetectorOptions())

        return load


@pytest.mark.parametrize("model", [None, "", "auto"])
def test_the_default_detector_is_yunet_with_its_own_weights(model: str | None) -> None:
    loaded = load_detector(model)
    assert isinstance(loaded, YuNetModel)
    assert loaded.name == "face_detection_yunet_2023mar.onnx"
    loaded.close()


def test_a_name_in_the_table_selects_its_loader() -> None:
    recorder = Recorder()
    load_detector("scrfd", device="GPU", workers=3, detectors=recorder.table)
    assert recorder.calls == [("scrfd", DetectorOptions(weights=None, device="GPU", workers=3))]


def test_another_text_is_a_file_of_weights_of_the_default_detector() -> None:
    recorder = Recorder()
    load_detector("folder/mine.onnx", detectors=recorder.table)
    assert recorder.calls == [(DEFAULT_DETECTOR, DetectorOptions(weights="folder/mine.onnx"))]


def test_a_missing_file_of_weights_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing\.onnx does not exist"):
        load_detector(str(tmp_path / "missing.onnx"))


def test_the_default_is_in_the_table() -> None:
    assert DEFAULT_DETECTOR in DETECTORS


def test_the_table_imports_no_library() -> None:
    code = "import sys, ferstream.detection.factory; print(sorted({'openvino', 'cv2', 'tensorflow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
