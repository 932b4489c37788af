"""The choice of a backend; libraries that are not chosen are not imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ferstream.errors import BundleError
from ferstream.inference.backends import Hardware, choose_backend, keras_installed, nvidia_gpu_visible, open_classifier
from ferstream.inference.bundle import Bundle, write_bundle
from tests.support.bundles import random_crops, write_tiny_ir


@pytest.fixture
def with_keras(bundle: Bundle, tmp_path: Path) -> Bundle:
    """A bundle that carries all files; the Keras one is never loaded here."""
    (tmp_path / "model.keras").write_bytes(b"not read in these tests")
    files = {name: bundle.file(name) for name in bundle.manifest.files} | {"model.keras": tmp_path / "model.keras"}
    return write_bundle(directory=tmp_path / "both" / "1.0.0", files=files, name="both", version="1.0.0")


GPU = Hardware(nvidia_gpu=True, keras=True)
CPU = Hardware(nvidia_gpu=False, keras=True)


@pytest.mark.parametrize(("hardware", "backend"), [(GPU, "keras"), (CPU, "openvino"), (Hardware(nvidia_gpu=True, keras=False), "openvino")])
def test_auto_is_keras_only_with_an_nvidia_gpu_and_keras(with_keras: Bundle, hardware: Hardware, backend: str) -> None:
    assert choose_backend(with_keras, "auto", hardware) == backend


def test_auto_depends_on_the_files_of_the_bundle(bundle: Bundle, with_keras: Bundle, tmp_path: Path) -> None:
    assert choose_backend(bundle, "auto", GPU) == "openvino"
    alone = write_bundle(directory=tmp_path / "k" / "1", files={"model.keras": with_keras.file("model.keras")}, name="k", version="1")
    assert choose_backend(alone, "auto", CPU) == "keras"


@pytest.mark.parametrize("backend", ["openvino", "keras"])
def test_a_named_backend_is_chosen_whatever_the_hardware(with_keras: Bundle, backend: str) -> None:
    assert {choose_backend(with_keras, backend, hardware) for hardware in (GPU, CPU)} == {backend}


def test_the_hardware_of_this_machine_is_detected() -> None:
    assert Hardware.detect() == Hardware(nvidia_gpu=nvidia_gpu_visible(), keras=keras_installed())


def test_the_message_names_an_unknown_backend_and_the_known_ones(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="'cuda' is unknown; choose one of auto, openvino, keras"):
        open_classifier(bundle, backend="cuda")


def test_without_keras_the_message_says_what_to_install(with_keras: Bundle) -> None:
    with pytest.raises(BundleError, match=r"install with: .*keras<4,>=3\.12"):
        open_classifier(with_keras, backend="keras", hardware=Hardware(nvidia_gpu=True, keras=False))


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_gpu_is_not_visible(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert not nvidia_gpu_visible()


def test_keras_needs_the_backend_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "no_such_library")
    assert not keras_installed()


def test_openvino_is_opened_without_importing_keras_or_tensorflow(bundle: Bundle) -> None:
    program = (
        "import sys; from ferstream.inference.bundle import load_bundle; from ferstream.inference.backends import open_classifier;"
        f"c = open_classifier(load_bundle({str(bundle.directory)!r}), backend='openvino'); c.warm_up();"
        "print(sorted({'keras', 'tensorflow', 'torch', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_classifier_names_its_device(bundle: Bundle) -> None:
    classifier = open_classifier(bundle, backend="openvino", threads=2, max_batch=5)
    assert classifier.backend == "openvino:CPU"
    assert classifier.max_batch == 5
    assert len(classifier.classify(random_crops(3))) == 3


def test_an_unknown_device_is_an_error_in_one_line(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="OpenVINO cannot load it on TOASTER") as caught:
        open_classifier(bundle, backend="openvino", device="TOASTER")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("classes", "dtype"), [(5, "u8"), (7, "f32")])
def test_a_network_with_another_input_or_output_is_an_error(tmp_path: Path, classes: int, dtype: str) -> None:
    xml = tmp_path / "openvino.xml"
    write_tiny_ir(xml, classes=classes, dtype=dtype)
    odd = write_bundle(
        directory=tmp_path / "odd" / "1", files={"openvino.xml": xml, "openvino.bin": xml.with_suffix(".bin")}, name="odd", version="1"
    )
    with pytest.raises(BundleError, match=r"expected uint8 and \[1, 7\]"):
        open_classifier(odd, backend="openvino")


def test_a_file_that_is_not_a_network_is_an_error(tmp_path: Path) -> None:
    xml = tmp_path / "openvino.xml"
    xml.write_text("<net/>")
    (tmp_path / "openvino.bin").write_bytes(b"")
    bad = write_bundle(
        directory=tmp_path / "bad" / "1", files={"openvino.xml": xml, "openvino.bin": tmp_path / "openvino.bin"}, name="bad", version="1"
    )
    with pytest.raises(BundleError, match=r"openvino\.xml: OpenVINO cannot load it"):
        open_classifier(bad, backend="openvino")
