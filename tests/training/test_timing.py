"""The record of a model's cost: never without its machine."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from ferstream.training.evaluation import timing
from ferstream.training.evaluation.timing import cost, cpu_name, measured_on
from tests.support.bundles import tiny_openvino_bundle


def test_a_cost_comes_with_cpu_and_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "ms_per_face", lambda _: {"openvino": 0.5, "keras": 1.5})

    recorded = cost(tiny_openvino_bundle(tmp_path))

    assert recorded["ms_per_face"] == {"openvino": 0.5, "keras": 1.5}
    assert recorded["ms_per_face_on"]["cpu"] == cpu_name()
    assert recorded["ms_per_face_on"]["precision"]["keras"] == "f32"
    assert recorded["ms_per_face_on"]["precision"]["openvino"] in {"f32", "bf16", "f16"}
    assert measured_on(recorded["ms_per_face_on"]).startswith(cpu_name() + ", openvino in ")


@pytest.mark.parametrize(("text", "name"), [("x: 1\nmodel name\t: Box 9 @ 3 GHz\nmodel name\t: other\n", "Box 9 @ 3 GHz"), ("x", None)])
def test_the_cpu_is_named_as_far_as_the_system_knows_it(tmp_path: Path, text: str, name: str | None) -> None:
    (tmp_path / "cpuinfo").write_text(text)

    assert cpu_name(tmp_path / "cpuinfo") == (name or platform.machine())
    assert cpu_name(tmp_path / "none") == platform.machine()


@pytest.mark.parametrize("record", [None, 3, "text"])
def test_old_records_do_not_say(record: object) -> None:
    assert measured_on(record) == "machine and precision not recorded"
