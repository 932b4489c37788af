"""Keras files are read as what Keras reads them as, and within limits; without Keras."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="the Keras extra is not installed")

from ferstream.errors import ModelError
from ferstream.inference.keras_file import KerasFormat, check_keras_file, check_weights, format_of, read_config
from tests.support.peak_memory import measure

HARMLESS = {"class_name": "Sequential", "config": {"layers": []}}
LAMBDA = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": {}}]}}
CHECK = """
from ferstream.inference.keras_file import check_keras_file
def work():
    check_keras_file(Path(sys.argv[1]))
    assert "keras" not in sys.modules
"""


def write_archive(path: Path, members: dict[str, bytes], *, compress: bool = True) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_hdf5(path: Path, config: Any = HARMLESS) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.create_dataset("model_weights/dense/kernel", data=np.ones((4, 4), np.float32))
    return path


def archive_bytes(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


# -- the kind ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [("m.h5", KerasFormat.HDF5), ("m.hdf5", KerasFormat.HDF5)])
def test_hdf5_is_recognised_by_its_name(tmp_path: Path, name: str, kind: KerasFormat) -> None:
    assert format_of(write_hdf5(tmp_path / name)) is kind


def test_an_hdf5_file_with_an_archive_behind_it_is_read_as_hdf5(tmp_path: Path) -> None:
    """Python's zipfile finds the harmless archive at the end, Keras reads the Lambda layer of the HDF5 file."""
    path = write_hdf5(tmp_path / "m.h5", LAMBDA)
    with path.open("ab") as file:
        file.write(archive_bytes({"config.json": json.dumps(HARMLESS).encode()}))
    assert zipfile.is_zipfile(path)
    with pytest.raises(ModelError, match="has a Lambda layer"):
        check_keras_file(path)


def test_an_archive_behind_other_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(write_hdf5(tmp_path / "m.h5", LAMBDA).read_bytes() + archive_bytes({"config.json": json.dumps(HARMLESS).encode()}))
    with pytest.raises(ModelError, match=r"the content of a \.keras file is a zip archive"):
        check_keras_file(path)


def test_an_archive_under_the_name_of_hdf5_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "m.h5", {"config.json": json.dumps(HARMLESS).encode()})
    with pytest.raises(ModelError, match=r"the content of a \.h5 file is HDF5"):
        check_keras_file(path)


@pytest.mark.parametrize("name", ["m.H5", "m.bin2", "m", "m.zip"])
def test_names_that_keras_does_not_read_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="its name must end in"):
        check_keras_file(write_hdf5(tmp_path / name))


def test_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "m.keras", {"config.json": json.dumps(HARMLESS).encode()})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", json.dumps(LAMBDA))
    with pytest.raises(ModelError, match="2 files with 1 names"):
        check_keras_file(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../x", "assets/../../x"])
def test_members_outside_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    path = write_archive(tmp_path / "m.keras", {"config.json": json.dumps(HARMLESS).encode(), name: b""})
    with pytest.raises(ModelError, match="names a file outside"):
        check_keras_file(path)


@pytest.mark.parametrize("link", ["external", "soft"])
def test_links_to_other_files_are_refused(tmp_path: Path, link: str) -> None:
    path = write_hdf5(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        file["model_weights/stolen"] = h5py.ExternalLink("/etc/passwd", "/") if link == "external" else h5py.SoftLink("/model_weights")
    with pytest.raises(ModelError, match="stolen is a link to something else"):
        check_keras_file(path)


def test_values_in_other_files_are_refused(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        file.create_dataset("model_weights/stolen", (100,), np.uint8, external=[("/etc/passwd", 0, 100)])
    with pytest.raises(ModelError, match="stolen has its values in another file"):
        check_weights(path)


# -- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5", "assets/x"])
def test_a_small_archive_with_large_content_is_refused_before_it_is_read(tmp_path: Path, member: str) -> None:
    members = {"config.json": json.dumps(HARMLESS).encode()}
    path = write_archive(tmp_path / "bomb.keras", {**members, member: bytes(1_000_000_000)})
    assert path.stat().st_size < 2_000_000
    done = measure(CHECK, path)
    assert "ModelError" in done.error
    assert done.peak_mb < 400


def test_weights_that_grow_when_they_are_read_are_refused(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "bomb.h5")
    with h5py.File(path, "a") as file:
        file.create_dataset("model_weights/zeros", (100_000_000,), np.float32, chunks=(1_000_000,), compression="gzip")
    with pytest.raises(ModelError, match=r"holds 400,000,064 bytes; refused"):
        check_keras_file(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 500 + "]" * 500])
@pytest.mark.parametrize("name", ["m.json", "m.keras", "m.h5"])
def test_deep_json_is_an_error(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / name
    if name == "m.json":
        path.write_text(text)
    elif name == "m.keras":
        write_archive(path, {"config.json": text.encode()}, compress=False)
    else:
        with h5py.File(path, "w", track_order=True, libver="latest") as file:
            file.attrs["model_config"] = text
    with pytest.raises(ModelError, match="nested more than 100 levels deep"):
        read_config(path)


def test_a_long_architecture_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps({**HARMLESS, "more": "x" * 4_000_000}))
    with pytest.raises(ModelError, match="larger than 4,000,000 bytes"):
        read_config(path)


def test_a_large_attribute_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "x" * 20_000_000
    with pytest.raises(ModelError, match="has 20 MB beside its weights"):
        read_config(path)


def test_a_large_file_is_an_error_unread(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    with path.open("wb") as file:
        file.truncate(600_000_000)
    with pytest.raises(ModelError, match="is larger than 512 MB"):
        read_config(path)


def test_a_usual_file_passes(tmp_path: Path) -> None:
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.ones((100, 100), np.float32))
    path = write_archive(tmp_path / "m.keras", {"config.json": json.dumps(HARMLESS).encode(), "model.weights.h5": weights.getvalue()})
    check_keras_file(path)
    check_keras_file(write_hdf5(tmp_path / "m.h5"))
