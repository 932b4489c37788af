"""Which model ``auto`` stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferstream.inference.backends import Hardware
from ferstream.inference.model_choice import EDGE, LARGE, SMALL, Cpu, choose_model, open_bundle
from tests.support.bundles import tiny_openvino_bundle

NO_GPU = Hardware(nvidia_gpu=False, keras=True)
GPU = Hardware(nvidia_gpu=True, keras=True)
AVX2 = frozenset({"avx2", "sse4_2"})
AMX = AVX2 | {"avx512f", "amx_tile"}
ARM = frozenset({"asimd", "asimddp"})


@pytest.mark.parametrize(
    ("cpu", "model", "why"),
    [
        (Cpu(2, "x86_64", AMX), EDGE, "a CPU"),
        (Cpu(2, "x86_64", AVX2 | {"avx_vnni"}), EDGE, "a CPU"),
        (Cpu(4, "x86_64", AVX2), EDGE, "a CPU"),
        (Cpu(2, "x86_64", AVX2), SMALL, "2 cores without AVX-512, AVX-VNNI or AMX"),
        (Cpu(8, "x86_64", frozenset({"sse4_2"})), SMALL, "a CPU without AVX2"),
        (Cpu(1, "x86_64", AMX), SMALL, "one core"),
        (Cpu(4, "aarch64", ARM), EDGE, "a CPU"),
        (Cpu(4, "aarch64", frozenset({"asimd"})), SMALL, "a CPU without dot product instructions"),
        (Cpu(2, "aarch64", frozenset()), SMALL, "2 cores"),
        (Cpu(8, "arm64", frozenset()), EDGE, "a CPU"),
        (Cpu(8, "x86_64", frozenset()), EDGE, "a CPU"),
    ],
)
def test_a_weak_cpu_gets_the_small_model(cpu: Cpu, model: str, why: str) -> None:
    choice = choose_model(hardware=NO_GPU, cpu=cpu)
    assert (choice.model, choice.why) == (model, why)


@pytest.mark.parametrize(
    ("backend", "device", "hardware", "model"),
    [
        ("auto", "auto", GPU, LARGE),
        ("keras", "auto", GPU, LARGE),
        ("openvino", "auto", GPU, EDGE),
        ("auto", "auto", Hardware(nvidia_gpu=True, keras=False), EDGE),
        ("keras", "auto", NO_GPU, EDGE),
        ("openvino", "GPU", NO_GPU, LARGE),
        ("auto", "gpu.1", NO_GPU, LARGE),
        ("openvino", "NPU", NO_GPU, EDGE),
        ("openvino", "CPU", GPU, EDGE),
    ],
)
def test_a_gpu_that_is_used_gets_the_large_model(backend: str, device: str, hardware: Hardware, model: str) -> None:
    assert choose_model(backend=backend, device=device, hardware=hardware, cpu=Cpu(8, "x86_64", AVX2)).model == model


def test_the_choice_is_the_same_each_time() -> None:
    assert choose_model() == choose_model()


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("processor: 0\nflags\t\t: fpu avx2\nprocessor: 1\nflags\t\t: fpu\n", {"fpu", "avx2"}),
        ("processor: 0\nFeatures\t: fp asimddp\n", {"fp", "asimddp"}),
        ("no such line\n", set()),
    ],
)
def test_the_features_of_the_first_core_are_read(tmp_path: Path, text: str, features: set[str]) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    found = Cpu.detect(tmp_path / "cpuinfo")
    assert found.features == features
    assert found.cores >= 1


def test_without_cpuinfo_the_features_are_unknown(tmp_path: Path) -> None:
    assert Cpu.detect(tmp_path / "missing").features == frozenset()


def test_auto_opens_the_chosen_model_and_says_why(tmp_path: Path) -> None:
    for name in (EDGE, SMALL):
        tiny_openvino_bundle(tmp_path, name=name)
    bundle, why = open_bundle("auto", hardware=NO_GPU, cpu=Cpu(1, "x86_64", AMX), search=[tmp_path])
    assert (bundle.manifest.name, why) == (SMALL, "one core")


def test_a_chosen_model_that_is_not_installed_is_replaced_by_the_default(tmp_path: Path) -> None:
    tiny_openvino_bundle(tmp_path, name=EDGE)
    bundle, why = open_bundle("auto", hardware=GPU, search=[tmp_path])
    assert bundle.manifest.name == EDGE
    assert why == "an NVIDIA GPU, but emotion-large is not installed"


def test_a_named_model_is_opened_whatever_the_machine(tmp_path: Path) -> None:
    tiny_openvino_bundle(tmp_path, name="mine")
    bundle, why = open_bundle("mine", hardware=GPU, search=[tmp_path])
    assert (bundle.manifest.name, why) == ("mine", "")
