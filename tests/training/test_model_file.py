"""A model file of unknown origin: refused before any of its code runs, or reported as damaged."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

keras = pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.errors import ModelError
from ferstream.training.model_file import check_network, read_network
from tests.support.old_models import keras2_json, keras2_layer, old_network, write_keras2_weights


@pytest.fixture(scope="module")
def network() -> Any:
    return old_network()


class Trap:
    """An object that writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, ("open('trapped', 'w').close()",)


class TestFilesWithCode:
    @pytest.fixture(autouse=True)
    def _in_an_empty_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize("name", ["model.pkl", "model.pickle", "model.joblib", "model.h5", "model.keras"])
    def test_a_pickle_is_refused_under_any_name(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ModelError, match=r"pickled model, and unpickling runs any code .* refused.*\.keras"):
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

    @pytest.mark.parametrize("name", [["x"], {"a": 1}, 7])
    def test_a_class_name_that_is_not_text_is_refused(self, tmp_path: Path, name: Any) -> None:
        (tmp_path / "model.json").write_text(json.dumps({"class_name": name, "config": {}}))
        with pytest.raises(ModelError, match=r"a class_name is .*, not a name"):
            read_network(tmp_path / "model.json", tmp_path / "model.json")

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
        with pytest.raises(ModelError, match=f"needs {module}.Conv2D, which is not part of Keras"):
            read_network(tmp_path / "model.json", tmp_path / "model.json")


class TestDamaged:
    def test_an_architecture_needs_its_weights(self, tmp_path: Path) -> None:
        (tmp_path / "model.json").write_text(json.dumps(keras2_json()))
        with pytest.raises(ModelError, match="give them with --weights"):
            check_network(tmp_path / "model.json")

    @pytest.mark.filterwarnings("ignore")
    def test_weights_alone_need_their_architecture(self, network: Any, tmp_path: Path) -> None:
        write_keras2_weights(tmp_path / "weights.h5", network)
        with pytest.raises(ModelError, match="has weights but no architecture"):
            read_network(tmp_path / "weights.h5")

    @pytest.mark.parametrize("name", ["model.json", "model.h5", "model.keras"])
    @pytest.mark.parametrize("data", [b"", b"{", b"not a model", b"[1]", b"{}", b"PK\x03\x04"])
    def test_a_file_that_is_not_a_model_is_an_error_of_one_line(self, tmp_path: Path, name: str, data: bytes) -> None:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match="is not ") as caught:
            read_network(tmp_path / name, tmp_path / name)
        assert "\n" not in str(caught.value)

    def test_a_missing_file_and_a_folder_are_errors(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="does not exist"):
            read_network(tmp_path / "none.h5")
        with pytest.raises(ModelError, match="is a folder"):
            read_network(tmp_path)

    @pytest.mark.parametrize("name", ["model.h5", "model.keras", "model.json", "model.hdf5"])
    def test_an_empty_file_is_named_as_empty(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        with pytest.raises(ModelError, match=r"is not a model: the file is empty \(0 bytes\); copy it again"):
            read_network(tmp_path / name)

    def test_empty_weights_are_named_as_empty(self, tmp_path: Path) -> None:
        (tmp_path / "model.json").write_text(json.dumps(keras2_json()))
        (tmp_path / "weights.h5").touch()
        with pytest.raises(ModelError, match=r"weights\.h5: is not a model: the file is empty"):
            read_network(tmp_path / "model.json", tmp_path / "weights.h5")

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("name", ["model.h5", "model.keras", "model.json"])
    def test_a_file_that_is_cut_short_is_named_as_such(self, network: Any, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        if name == "model.json":
            path.write_text(json.dumps(keras2_json()))
        else:
            network.save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ModelError, match=r"is not a Keras model: .* cut short.*; copy it again"):
            read_network(path, path)

    def test_a_savedmodel_folder_is_named_with_a_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "saved_model.pb").touch()
        with pytest.raises(ModelError, match=r"is a TensorFlow SavedModel, .*model\.save\('model\.h5'\)"):
            read_network(tmp_path)

    def test_a_device_is_not_a_file(self) -> None:
        with pytest.raises(ModelError, match="is not a file"):
            read_network(Path("/dev/null"))

    def test_weights_of_another_network_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "model.json").write_text(json.dumps(keras2_json()))
        write_keras2_weights(tmp_path / "other.h5", old_network(outputs=5))
        with pytest.raises(ModelError, match="cannot load it"):
            read_network(tmp_path / "model.json", tmp_path / "other.h5")
