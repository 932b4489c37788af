"""The file of the YuNet weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ferstream.detection.weights import FILE_NAME, find_weights
from ferstream.errors import ExitCode, ModelError


def test_the_packaged_file_is_found() -> None:
    path = find_weights()
    assert path.name == FILE_NAME
    assert path.stat().st_size > 100_000


def test_an_empty_path_means_the_packaged_file() -> None:
    assert find_weights("") == find_weights(None)


def test_a_given_file_wins(tmp_path: Path) -> None:
    given = tmp_path / "mine.onnx"
    given.write_bytes(b"x")
    assert find_weights(str(given)) == given


@pytest.mark.parametrize(("name", "message"), [("missing.onnx", "does not exist"), (".", "is a directory")])
def test_a_path_that_is_not_a_file_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        find_weights(tmp_path / name)
    assert "detection.model" in str(caught.value)
    assert caught.value.exit_code == ExitCode.MODEL


def test_the_package_is_found_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "faces_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / FILE_NAME).write_bytes(b"x")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_weights(package=package.name) == package / FILE_NAME
    assert package.name not in sys.modules


def test_the_message_names_a_missing_package() -> None:
    with pytest.raises(ModelError, match=r"no_such_package.*not installed"):
        find_weights(package="no_such_package")


def test_the_message_names_the_file_that_an_old_package_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old_package").mkdir()
    (tmp_path / "old_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="old_package has no face_detection_yunet"):
        find_weights(package="old_package")
