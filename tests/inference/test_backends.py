"""The choice of a backend, without importing what was not chosen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ferstream.errors import BundleError
from ferstream.inference import backends
from ferstream.inference.backends import choose_backend, open_classifier
from ferstream.inference.bundle import Bundle, write_bundle
from tests.support.bundles import random_crops, write_tiny_ir


@pytest.fixture
def with_keras(bundle: Bundle, tmp_path: Path) -> Bundle:
    """A bundle that carries all files; the Keras one is never loaded here."""
    (tmp_path / "model.keras").write_bytes(b"not read in these tests")
    files = {name: bundle.file(name) for name in bundle.manifest.files} | {"model.keras": tmp_path / "model.keras"}
    return write_bundle(directory=tmp_path / "both" / "1.0.0", files=files, name="both", version="1.0.0")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(backends, "nvidia_gpu_visible", lambda: True)
    monkeypatch.setattr(backends, "keras_installed", lambda: True)
    return monkeypatch


def test_auto_is_openvino_without_a_gpu(with_keras: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "nvidia_gpu_visible", lambda: False)
    assert choose_backend(with_keras) == "openvino"


def test_auto_is_keras_on_an_nvidia_gpu(with_keras: Bundle, gpu: pytest.MonkeyPatch) -> None:
    assert choose_backend(with_keras) == "keras"


def test_auto_is_openvino_when_keras_is_not_installed(with_keras: Bundle, gpu: pytest.MonkeyPatch) -> None:
    gpu.setattr(backends, "keras_installed", lambda: False)
    assert choose_backend(with_keras) == "openvino"


def test_auto_takes_what_the_bundle_has(bundle: Bundle, with_keras: Bundle, tmp_path: Path, gpu: pytest.MonkeyPatch) -> None:
    assert choose_backend(bundle) == "openvino"
    alone = write_bundle(directory=tmp_path / "k" / "1", files={"model.keras": with_keras.file("model.keras")}, name="k", version="1")
    gpu.setattr(backends, "nvidia_gpu_visible", lambda: False)
    assert choose_backend(alone) == "keras"


def test_what_is_asked_for_is_what_is_taken(with_keras: Bundle, gpu: pytest.MonkeyPatch) -> None:
    assert choose_backend(with_keras, "openvino") == "openvino"


def test_an_unknown_backend_is_named_with_the_known_ones(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="'cuda' is unknown; choose one of auto, openvino, keras"):
        open_classifier(bundle, backend="cuda")


def test_keras_without_keras_says_what_to_install(with_keras: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "keras_installed", lambda: False)
    with pytest.raises(BundleError, match=r"install ferstream\[keras\]"):
        open_classifier(with_keras, backend="keras")


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_gpu_is_not_visible(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert not backends.nvidia_gpu_visible()


def test_the_keras_library_of_the_environment_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "no_such_library")
    assert not backends.keras_installed()


def test_openvino_is_opened_without_importing_keras_or_tensorflow(bundle: Bundle) -> None:
    program = (
        "import sys; from ferstream.inference.bundle import load_bundle; from ferstream.inference.backends import open_classifier;"
        f"c = open_classifier(load_bundle({str(bundle.directory)!r}), backend='openvino'); c.warm_up();"
        "print(sorted({'keras', 'tensorflow', 'torch', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_classifier_tells_its_device(bundle: Bundle) -> None:
    classifier = open_classifier(bundle, backend="openvino", threads=2, max_batch=5)
    assert classifier.backend == "openvino:CPU"
    assert classifier.max_batch == 5
    assert len(classifier.classify(random_crops(3))) == 3


def test_an_unknown_device_is_refused_in_one_line(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="OpenVINO cannot load it on TOASTER") as caught:
        open_classifier(bundle, backend="openvino", device="TOASTER")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("classes", "dtype"), [(5, "u8"), (7, "f32")])
def test_a_network_of_another_signature_is_refused(tmp_path: Path, classes: int, dtype: str) -> None:
    xml = tmp_path / "openvino.xml"
    write_tiny_ir(xml, classes=classes, dtype=dtype)
    odd = write_bundle(
        directory=tmp_path / "odd" / "1", files={"openvino.xml": xml, "openvino.bin": xml.with_suffix(".bin")}, name="odd", version="1"
    )
    with pytest.raises(BundleError, match=r"expected uint8 and \[1, 7\]"):
        open_classifier(odd, backend="openvino")


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    xml = tmp_path / "openvino.xml"
    xml.write_text("<net/>")
    (tmp_path / "openvino.bin").write_bytes(b"")
    bad = write_bundle(
        directory=tmp_path / "bad" / "1", files={"openvino.xml": xml, "openvino.bin": tmp_path / "openvino.bin"}, name="bad", version="1"
    )
    with pytest.raises(BundleError, match=r"openvino\.xml: OpenVINO cannot load it"):
        open_classifier(bad, backend="openvino")
