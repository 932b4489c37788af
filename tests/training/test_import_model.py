"""Older projects' models: read, put in order, or refused before any of their code runs."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the Keras extra is not installed")
h5py = pytest.importorskip("h5py")

from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.emotion import LABELS
from ferstream.errors import ModelError
from ferstream.training.import_model import import_network, label_order, read_network
from tests.support.bundles import random_crops

OLD_ORDER = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
TO_OURS = [4, 5, 6, 1, 3, 2, 0]


def old_network(*, size: int = 48, channels: int = 1, outputs: int = 7, scaling: bool = False) -> Any:
    keras.utils.set_random_seed(3)
    layers: list[Any] = [keras.Input((size, size, channels))]
    if scaling:
        layers.append(keras.layers.Rescaling(1 / 255))
    layers += [
        keras.layers.Conv2D(4, 5, strides=4, activation="relu", name="conv2d_1"),
        keras.layers.BatchNormalization(name="batch_normalization_1"),
        keras.layers.Flatten(name="flatten_1"),
        keras.layers.Dense(outputs, activation="softmax", name="dense_1"),
    ]
    return keras.Sequential(layers, name="sequential_1")


def keras2_layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def keras2_json() -> dict[str, Any]:
    """``old_network`` as Keras 2.2 wrote it: no module names, the input shape on the first layer."""
    layers = [
        keras2_layer(
            "Conv2D", "conv2d_1", batch_input_shape=[None, 48, 48, 1], filters=4, kernel_size=[5, 5], strides=[4, 4], activation="relu"
        ),
        keras2_layer("BatchNormalization", "batch_normalization_1", axis=-1, momentum=0.99, epsilon=0.001),
        keras2_layer("Flatten", "flatten_1", data_format="channels_last"),
        keras2_layer("Dense", "dense_1", units=7, activation="softmax", use_bias=True),
    ]
    return {
        "class_name": "Sequential",
        "config": {"name": "sequential_1", "layers": layers},
        "keras_version": "2.2.4",
        "backend": "tensorflow",
    }


def write_keras2_weights(path: Path, network: Any) -> None:
    """The layout of ``save_weights`` in Keras 2: one group a layer, names in attributes."""
    with h5py.File(path, "w", locking=False) as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.2.4"
        for layer in network.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{index}".encode() for index in range(len(layer.get_weights()))]
            group.attrs["weight_names"] = names
            for name, value in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name.decode(), data=value)


@pytest.fixture(scope="module")
def network() -> Any:
    return old_network()


def call(model: Any, values: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(model(values, training=False)))


def expected(network: Any, crops: Any) -> Any:
    return call(network, crops[..., np.newaxis].astype(np.float32) / 255)[:, TO_OURS]


def save(network: Any, folder: Path, form: str) -> dict[str, Any]:
    """Write a network in one of the forms older projects left behind."""
    path = folder / f"model{form if form.startswith('.') else '.json'}"
    if form == "keras 2 json":
        path.write_text(json.dumps(keras2_json()))
        write_keras2_weights(folder / "weights.h5", network)
        return {"path": path, "weights": folder / "weights.h5"}
    if form == "keras 3 json":
        path.write_text(network.to_json())
        network.save_weights(folder / "model.weights.h5")
        return {"path": path, "weights": folder / "model.weights.h5"}
    network.save(path)
    return {"path": path}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["keras 2 json", "keras 3 json", ".h5", ".hdf5", ".keras"])
def test_every_form_gives_the_old_networks_numbers_in_our_order(network: Any, tmp_path: Path, form: str) -> None:
    imported = import_network(**save(network, tmp_path, form), labels=OLD_ORDER)
    crops = random_crops(8)
    assert call(imported.served, crops[..., np.newaxis]) == pytest.approx(expected(network, crops), abs=1e-5)
    assert any("reordered" in note for note in imported.notes)
    assert any("guessed" in note for note in imported.notes)


@pytest.mark.parametrize(("value_range", "scale", "offset"), [("0..1", 1 / 255, 0), ("-1..1", 1 / 127.5, -1), ("0..255", 1, 0)])
def test_the_range_it_was_fed_is_folded_in(network: Any, tmp_path: Path, value_range: str, scale: float, offset: float) -> None:
    imported = import_network(**save(network, tmp_path, ".keras"), value_range=value_range)
    crops = random_crops(5)
    fed = crops[..., np.newaxis].astype(np.float32) * scale + offset
    assert call(imported.served, crops[..., np.newaxis]) == pytest.approx(call(network, fed), abs=1e-5)


def test_a_network_that_scales_inside_is_fed_bytes(tmp_path: Path) -> None:
    imported = import_network(**save(old_network(scaling=True), tmp_path, ".keras"))
    assert imported.notes[0] == "it is fed 0..255"


def test_other_sizes_and_three_channels_are_adapted_inside(tmp_path: Path) -> None:
    imported = import_network(**save(old_network(size=64, channels=3), tmp_path, ".keras"))
    assert imported.served.input_shape == (None, 48, 48, 1)
    assert call(imported.served, random_crops(2)[..., np.newaxis]).shape == (2, 7)
    assert any("64x64" in note for note in imported.notes)
    assert any("three channels" in note for note in imported.notes)


@pytest.mark.parametrize(("shape", "message"), [({"channels": 2}, "1 or 3"), ({"outputs": 8}, "has 8 outputs, ferstream's labels are 7")])
def test_what_cannot_be_adapted_is_refused(tmp_path: Path, shape: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        import_network(**save(old_network(**shape), tmp_path, ".keras"))


class TestLabels:
    @given(order=st.permutations(LABELS))
    def test_any_order_is_undone(self, order: list[str]) -> None:
        assert [order[index] for index in label_order(order)] == list(LABELS)

    def test_synonyms_and_spaces_are_understood(self) -> None:
        assert label_order([" Anger", "DISGUST", "fearful", "Happiness", "sadness ", "surprised", "neutral"]) == list(range(7))

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (["angry", "contempt"], "'contempt' is unknown"),
            ([*LABELS[:6], "angry"], r"missing: neutral"),
            (LABELS[:6], "missing: neutral"),
            ([], "missing: angry"),
        ],
    )
    def test_what_is_no_order_is_refused(self, labels: list[str], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            label_order(labels)


class Trap:
    """Unpickling this would write a file."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, ("open('trapped', 'w').close()",)


class TestStrangersCode:
    @pytest.fixture(autouse=True)
    def _in_an_empty_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize("name", ["model.pkl", "model.pickle", "model.joblib", "model.h5", "model.keras"])
    def test_a_pickle_is_refused_by_any_name(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ModelError, match=r"pickled model, and unpickling runs whatever code .* refused.*\.keras"):
            read_network(path)
        assert not Path("trapped").exists()

    def test_a_torch_archive_is_a_pickle_too(self, tmp_path: Path) -> None:
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Trap()))
        with pytest.raises(ModelError, match="pickled"):
            read_network(path)

    def test_pickled_weights_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "model.json").write_text(json.dumps(keras2_json()))
        (tmp_path / "weights.h5").write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ModelError, match=r"weights\.h5: is a pickled model"):
            read_network(tmp_path / "model.json", tmp_path / "weights.h5")

    def test_a_lambda_layer_is_refused(self, tmp_path: Path) -> None:
        given_input = keras.Input((48, 48, 1))
        result = keras.layers.Dense(7)(keras.layers.Flatten()(keras.layers.Lambda(lambda x: x * 2)(given_input)))
        keras.Model(given_input, result).save(tmp_path / "model.keras")
        with pytest.raises(ModelError, match="Lambda layer, whose Python code would run on loading; refused"):
            read_network(tmp_path / "model.keras")

    @pytest.mark.parametrize("kind", ["Lambda", "TorchModuleWrapper"])
    def test_a_layer_with_code_in_json_is_refused(self, tmp_path: Path, kind: str) -> None:
        config = keras2_json()
        config["config"]["layers"].insert(1, keras2_layer(kind, "evil", function=["4wEAAAA=", None, None], function_type="lambda"))
        (tmp_path / "model.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match=f"has a {kind} layer"):
            read_network(tmp_path / "model.json", tmp_path / "model.json")

    @pytest.mark.parametrize("module", ["os", "subprocess", "my_project.layers", "keras_evil"])
    def test_classes_of_other_packages_are_refused(self, network: Any, tmp_path: Path, module: str) -> None:
        config = json.loads(network.to_json())
        config["config"]["layers"][1]["module"] = module
        (tmp_path / "model.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match=f"needs {module}.Conv2D, code that is not part of Keras"):
            read_network(tmp_path / "model.json", tmp_path / "model.json")


class TestDamaged:
    def test_an_architecture_needs_its_weights(self, tmp_path: Path) -> None:
        (tmp_path / "model.json").write_text(json.dumps(keras2_json()))
        with pytest.raises(ModelError, match="give them with --weights"):
            read_network(tmp_path / "model.json")

    @pytest.mark.filterwarnings("ignore")
    def test_weights_alone_need_their_architecture(self, network: Any, tmp_path: Path) -> None:
        write_keras2_weights(tmp_path / "weights.h5", network)
        with pytest.raises(ModelError, match="weights without an architecture"):
            read_network(tmp_path / "weights.h5")

    @pytest.mark.parametrize("name", ["model.json", "model.h5", "model.keras"])
    @pytest.mark.parametrize("data", [b"", b"{", b"not a model", b"[1]", b"{}", b"PK\x03\x04"])
    def test_what_is_no_model_is_refused_in_one_line(self, tmp_path: Path, name: str, data: bytes) -> None:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match="is not ") as caught:
            read_network(tmp_path / name, tmp_path / name)
        assert "\n" not in str(caught.value)

    def test_a_missing_file_and_a_folder_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="does not exist"):
            read_network(tmp_path / "none.h5")
        with pytest.raises(ModelError, match="is a folder"):
            read_network(tmp_path)

    def test_weights_of_another_network_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "model.json").write_text(json.dumps(keras2_json()))
        write_keras2_weights(tmp_path / "other.h5", old_network(outputs=5))
        with pytest.raises(ModelError, match="cannot load it"):
            read_network(tmp_path / "model.json", tmp_path / "other.h5")

    def test_an_unknown_range_lists_the_known(self, network: Any, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"choose one of 0\.\.255, 0\.\.1, -1\.\.1"):
            import_network(**save(network, tmp_path, ".keras"), value_range="0-1")
