"""The recorded cost per face: always with its CPU and precision."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from ferstream.errors import ModelError
from ferstream.inference.bundle import Bundle
from ferstream.training.evaluation.timing import cost, cpu_name, measured_on, ms_per_face
from tests.support.bundles import tiny_openvino_bundle


def test_a_cost_is_recorded_with_its_cpu_and_precision(tmp_path: Path) -> None:
    recorded = cost(tiny_openvino_bundle(tmp_path), rounds=1)

    assert recorded["ms_per_face"]["openvino"] >= 0
    assert recorded["ms_per_face_on"]["cpu"] == cpu_name()
    assert recorded["ms_per_face_on"]["precision"]["openvino"] in {"f32", "bf16", "f16"}
    assert measured_on(recorded["ms_per_face_on"]).startswith(cpu_name() + ", openvino in ")


def test_every_backend_with_a_file_is_measured(full_bundle: Bundle) -> None:
    recorded = cost(full_bundle, rounds=1)

    assert set(recorded["ms_per_face"]) == {"openvino", "keras"}
    assert recorded["ms_per_face_on"]["precision"]["keras"] == "f32"


def test_a_bundle_without_a_file_that_can_be_run_is_an_error(tmp_path: Path) -> None:
    bundle = tiny_openvino_bundle(tmp_path)
    without_files = Bundle(directory=bundle.directory, manifest=bundle.manifest.model_copy(update={"files": {}}))

    with pytest.raises(ModelError, match="no backend that is installed here can run it"):
        ms_per_face(without_files)


@pytest.mark.parametrize(("text", "name"), [("x: 1\nmodel name\t: Box 9 @ 3 GHz\nmodel name\t: other\n", "Box 9 @ 3 GHz"), ("x", None)])
def test_the_cpu_name_is_read_from_the_system_or_is_its_architecture(tmp_path: Path, text: str, name: str | None) -> None:
    (tmp_path / "cpuinfo").write_text(text)

    assert cpu_name(tmp_path / "cpuinfo") == (name or platform.machine())
    assert cpu_name(tmp_path / "none") == platform.machine()


@pytest.mark.parametrize("record", [None, 3, "text"])
def test_a_record_without_machine_is_described_as_such(record: object) -> None:
    assert measured_on(record) == "machine and precision not recorded"
