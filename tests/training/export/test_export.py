"""Exports: each is run in its own runtime and compared with Keras."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

keras = pytest.importorskip("keras", reason="the Keras extra is not installed")
for needed in ("tensorflow", "onnxruntime", "nncf", "tf2onnx"):
    pytest.importorskip(needed, reason="the train extra is not installed")

from ferstream.errors import BundleError, ModelError
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import Bundle, load_bundle
from ferstream.training.export import convert
from ferstream.training.export.export import FORMATS, INT8, WRITERS, Exported, export_bundle
from tests.support.bundles import random_crops, tiny_openvino_bundle

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # deprecation warnings of the converters
    pytest.mark.timeout(400),  # five converters start up once
]


@pytest.fixture(scope="module")
def bundle(full_bundle: Bundle) -> Bundle:
    return full_bundle


@pytest.fixture(scope="module")
def exported(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    out = tmp_path_factory.mktemp("export") / "new"
    done = list(export_bundle(bundle, out=out, formats=FORMATS, faces=random_crops(12), calibration=random_crops(24, seed=5)))
    assert [item.form for item in done] == list(FORMATS)
    return {item.form: item for item in done}


@pytest.mark.parametrize(("form", "most"), [("openvino", 5e-3), (INT8, 0.1), ("onnx", 1e-5), ("litert", 1e-5), ("savedmodel", 1e-6)])
def test_an_export_agrees_with_keras(exported: dict[str, Exported], form: str, most: float) -> None:
    difference = exported[form].largest_difference
    assert difference is not None
    assert difference <= most
    assert exported[form].same_label is not None
    assert exported[form].size_bytes > 500


def test_conversion_works_after_the_import_of_the_openvino_classifier(bundle: Bundle, tmp_path: Path) -> None:
    program = (
        "import sys, ferstream.inference.openvino; from pathlib import Path;"
        "from ferstream.training.keras_import import import_keras; import_keras();"
        "import keras; from ferstream.training.export.convert import to_openvino;"
        f"to_openvino(keras.saving.load_model({str(bundle.file('model.keras'))!r}, compile=False), Path({str(tmp_path / 'm.xml')!r}))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
    assert (tmp_path / "m.xml").is_file()


def test_int8_is_quantised_and_fp16_is_not(exported: dict[str, Exported]) -> None:
    assert "FakeQuantize" in exported[INT8].path.read_text()
    assert "FakeQuantize" not in exported["openvino"].path.read_text()


def test_int8_is_a_bundle_that_records_its_source(exported: dict[str, Exported]) -> None:
    quantised = load_bundle(exported[INT8].path.parent)
    assert quantised.manifest.name == "tiny-full-int8"
    assert quantised.manifest.recipe["quantised_from"] == "tiny-full/1.0.0"
    rows = open_classifier(quantised, backend="openvino").classify(random_crops(3))
    assert rows.shape == (3, 7)


def test_int8_does_not_quantise_before_the_first_convolution(exported: dict[str, Exported]) -> None:
    import openvino

    model = openvino.Core().read_model(exported[INT8].path)
    kinds = [operation.get_type_name() for operation in model.get_ordered_ops()]
    assert "FakeQuantize" not in kinds[: kinds.index("Convolution")]


def test_the_json_rebuilds_the_architecture(exported: dict[str, Exported], bundle: Bundle) -> None:
    text = exported["json"].path.read_text()
    assert json.loads(text)["class_name"] == "Functional"
    rebuilt = keras.models.model_from_json(text)
    rebuilt.set_weights(keras.saving.load_model(bundle.file("model.keras"), compile=False).get_weights())
    assert rebuilt.output_shape == (None, 7)
    assert exported["json"].largest_difference is None


def test_the_picture_is_a_png(exported: dict[str, Exported]) -> None:
    assert exported["picture"].path.read_bytes().startswith(b"\x89PNG")


def test_the_table_has_every_layer_and_the_sum_of_parameters(exported: dict[str, Exported], bundle: Bundle) -> None:
    model = keras.saving.load_model(bundle.file("model.keras"), compile=False)
    text = exported["table"].path.read_text()
    assert "| Conv2D | 15 x 15 x 4 | 100 |" in text
    assert f"{model.count_params():,} parameters" in text


def test_a_conversion_that_changes_the_weights_is_reported_as_a_difference(bundle: Bundle, tmp_path: Path) -> None:
    def write_with_other_weights(served: Any, path: Path) -> Path:
        served.set_weights([value * 3 for value in served.get_weights()])
        return convert.to_onnx(served, path)

    writers = {**WRITERS, "onnx": replace(WRITERS["onnx"], write=write_with_other_weights)}

    (done,) = export_bundle(bundle, out=tmp_path, formats=["onnx"], faces=random_crops(12), writers=writers)

    assert done.largest_difference is not None
    assert done.largest_difference > 0.05


def test_int8_without_real_faces_is_an_error(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="openvino-int8: needs real faces to calibrate on; give --data"):
        list(export_bundle(bundle, out=tmp_path, formats=[INT8], faces=random_crops(2)))


def test_an_unknown_format_is_an_error_that_lists_the_known(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'tensorrt' is unknown; choose among openvino, openvino-int8, onnx"):
        list(export_bundle(bundle, out=tmp_path, formats=["tensorrt"], faces=random_crops(2)))


def test_a_bundle_without_a_keras_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no model\.keras"):
        list(export_bundle(tiny_openvino_bundle(tmp_path), out=tmp_path / "out", formats=["onnx"], faces=random_crops(2)))
