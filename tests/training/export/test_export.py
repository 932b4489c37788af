"""Exports: each runs in its own runtime and says what Keras says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the Keras extra is not installed")
for needed in ("tensorflow", "onnxruntime", "nncf", "tf2onnx"):
    pytest.importorskip(needed, reason="the train extra is not installed")

from ferstream.errors import BundleError, ModelError
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import Bundle, load_bundle
from ferstream.training.data.readers import read_faces
from ferstream.training.export import convert
from ferstream.training.export.export import FORMATS, INT8, Exported, export_bundle
from ferstream.training.export.layer_table import draw_architecture, layer_rows, write_layer_table
from ferstream.training.export.sample_faces import faces_for_export, portrait_faces
from tests.support.bundles import random_crops, tiny_openvino_bundle

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # converters warn of their own future
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
def test_what_runs_agrees_with_keras(exported: dict[str, Exported], form: str, most: float) -> None:
    difference = exported[form].largest_difference
    assert difference is not None
    assert difference <= most
    assert exported[form].same_label is not None
    assert exported[form].size_bytes > 500


def test_conversion_works_after_the_services_lean_import_of_openvino(bundle: Bundle, tmp_path: Path) -> None:
    program = (
        "import sys, ferstream.inference.openvino; from pathlib import Path;"
        "from ferstream.training.keras_import import import_keras; import_keras();"
        "import keras; from ferstream.training.export.convert import to_openvino;"
        f"to_openvino(keras.saving.load_model({str(bundle.file('model.keras'))!r}, compile=False), Path({str(tmp_path / 'm.xml')!r}))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
    assert (tmp_path / "m.xml").is_file()


def test_int8_is_another_model_than_fp16(exported: dict[str, Exported]) -> None:
    assert "FakeQuantize" in exported[INT8].path.read_text()
    assert "FakeQuantize" not in exported["openvino"].path.read_text()


def test_int8_is_a_bundle_that_loads_and_says_where_it_is_from(exported: dict[str, Exported]) -> None:
    quantised = load_bundle(exported[INT8].path.parent)
    assert quantised.manifest.name == "tiny-full-int8"
    assert quantised.manifest.recipe["quantised_from"] == "tiny-full/1.0.0"
    rows = open_classifier(quantised, backend="openvino").classify(random_crops(3))
    assert rows.shape == (3, 7)


def test_int8_leaves_what_comes_before_the_features_alone(exported: dict[str, Exported]) -> None:
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


def test_the_picture_is_a_picture(exported: dict[str, Exported]) -> None:
    assert exported["picture"].path.read_bytes().startswith(b"\x89PNG")


def test_the_table_has_every_layer_and_the_sum_of_parameters(exported: dict[str, Exported], bundle: Bundle) -> None:
    model = keras.saving.load_model(bundle.file("model.keras"), compile=False)
    text = exported["table"].path.read_text()
    assert "| Conv2D | 15 x 15 x 4 | 100 |" in text
    assert f"{model.count_params():,} parameters" in text


@pytest.mark.filterwarnings("ignore")
def test_a_broken_runner_would_be_noticed(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison compares: a conversion that loses a factor shows up as a large difference."""

    def spoiled(served: Any, path: Path) -> Path:
        weights = [value * 3 for value in served.get_weights()]
        served.set_weights(weights)
        return convert.to_onnx(served, path)

    from ferstream.training.export import export

    rule = export._FORMATS["onnx"]
    monkeypatch.setattr(export, "_FORMATS", {**export._FORMATS, "onnx": export._Format(rule.file_name, spoiled, rule.run)})
    (done,) = export_bundle(bundle, out=tmp_path, formats=["onnx"], faces=random_crops(12))
    assert done.largest_difference is not None
    assert done.largest_difference > 0.05


def test_int8_without_real_faces_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="openvino-int8: needs real faces to calibrate on; give --data"):
        list(export_bundle(bundle, out=tmp_path, formats=[INT8], faces=random_crops(2)))


def test_an_unknown_format_lists_the_known(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'tensorrt' is unknown; choose among openvino, openvino-int8, onnx"):
        list(export_bundle(bundle, out=tmp_path, formats=["tensorrt"], faces=random_crops(2)))


def test_a_bundle_without_keras_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no model\.keras"):
        list(export_bundle(tiny_openvino_bundle(tmp_path), out=tmp_path / "out", formats=["onnx"], faces=random_crops(2)))


class TestLayerTable:
    @pytest.fixture
    def forked(self) -> Any:
        """A network in a network, with a skip connection."""
        inside = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Conv2D(2, 3, padding="same", name="inner")], name="inside")
        given = keras.Input((8, 8, 2), name="given")
        return keras.Model(given, keras.layers.Add(name="join")([inside(given), given]))

    def test_networks_inside_are_laid_open_and_skips_are_known(self, forked: Any) -> None:
        rows = layer_rows(forked)
        assert [row.name for row in rows] == ["given", "inner", "join"]
        assert [row.inputs for row in rows] == [(), (0,), (1, 0)]
        assert rows[1].parameters == 2 * 2 * 9 + 2
        assert rows[1].shape == "8 x 8 x 2"

    def test_it_is_written_and_drawn(self, forked: Any, tmp_path: Path) -> None:
        text = write_layer_table(forked, tmp_path / "layers.md").read_text()
        assert text.splitlines()[-1] == "3 layers, 38 parameters."
        assert draw_architecture(forked, tmp_path / "a.png").stat().st_size > 1000


class TestFaces:
    def test_the_sample_faces_are_faces_of_one_seed(self) -> None:
        faces = portrait_faces(6)
        assert faces.shape == (6, 48, 48)
        assert faces.dtype == np.uint8
        assert (faces == portrait_faces(6)).all()
        assert faces.std(axis=0).mean() > 5

    def test_without_data_there_is_nothing_to_calibrate_on(self) -> None:
        compared, calibrating, source = faces_for_export(None, faces=3, calibration=9)
        assert len(compared) == 3
        assert calibrating is None
        assert "sample portrait" in source

    def test_data_is_split_into_training_rows_and_the_others(self, tmp_path: Path) -> None:
        crops = random_crops(6)
        rows = [f"{i % 7},{' '.join(map(str, crop.ravel()))},{'Training' if i < 4 else 'PublicTest'}" for i, crop in enumerate(crops)]
        path = tmp_path / "fer2013.csv"
        path.write_text("emotion,pixels,Usage\n" + "\n".join(rows) + "\n")
        compared, calibrating, source = faces_for_export(read_faces(path), faces=10, calibration=3)
        assert (compared == crops[4:]).all()
        assert calibrating is not None
        assert len(calibrating) == 3
        assert source == str(path)
