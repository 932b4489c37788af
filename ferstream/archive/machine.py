"""What of a machine decides about the last digits of the results: the units of its CPU, and the versions of the libraries."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from ferstream.inference.model_choice import Cpu

_UNITS = """
fma f16c avx avx2 avx_vnni avx_vnni_int8 avx_ne_convert avx512f avx512dq avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16
amx_tile amx_int8 amx_bf16 amx_fp16 asimd asimdhp asimddp i8mm bf16 sve sve2 svebf16 svei8mm
"""
"""Units for which the libraries have kernels of their own, as /proc/cpuinfo spells them."""
_LIBRARIES = ("openvino", "av", "opencv-python-headless", "numpy", "edgefirst-tracker")
_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "OPENCV_CPU_DISABLE")
"""Variables by which the libraries are told not to use a unit."""


def machine() -> dict[str, str]:
    """Return what decides about digits on this machine; two machines with equal values compute the same."""
    from ferstream.inference.openvino import cpu_precision

    cpu = Cpu.detect()
    found = {"cpu": cpu.architecture, "units": " ".join(sorted(cpu.features.intersection(_UNITS.split()))), "precision": cpu_precision()}
    found |= {name: _version(name) for name in _LIBRARIES}
    return found | {name: os.environ[name] for name in _VARIABLES if os.environ.get(name)}


def difference(planned: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Return what of a machine may make other digits than that which made the plan; empty if nothing does.

    Args:
        planned: The machine of the plan.
        found: Another machine.
    """
    different = [key for key in sorted(planned.keys() | found.keys()) if planned.get(key) != found.get(key)]
    return "; ".join(f"{key} is {found.get(key, 'missing')}, in the plan {planned.get(key, 'missing')}" for key in different)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
