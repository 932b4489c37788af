"""Which of the shipped models ``inference.model = "auto"`` stands for: by the backend, and by what the CPU can do.

The choice reads the machine and measures nothing, so that one machine always chooses the same model and replays repeat.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ferstream.inference.backends import Hardware
from ferstream.inference.bundle import Bundle, known_models, load_bundle

AUTO = "auto"
SMALL, EDGE, LARGE = "emotion-small", "emotion-edge", "emotion-large"

_FEW_CORES = 4
"""Fewer cores than these are few for a CPU without fast units."""
_X86 = frozenset({"x86_64", "amd64", "i686"})
_FAST_X86 = frozenset({"avx512f", "avx_vnni", "amx_tile"})
"""Units that halve the cost of a face at least, in the spelling of /proc/cpuinfo."""
_FAST_ARM = frozenset({"asimddp", "i8mm", "bf16"})


@dataclass(frozen=True, slots=True)
class Cpu:
    """What the choice needs to know of a CPU.

    Attributes:
        cores: Cores that this process may use.
        architecture: As ``platform.machine()`` names it: ``x86_64``, ``aarch64``.
        features: Names of its instruction sets, as /proc/cpuinfo spells them; empty where they are not known.
    """

    cores: int
    architecture: str
    features: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def detect(cls, cpuinfo: Path = Path("/proc/cpuinfo")) -> Cpu:
        """Look at this machine."""
        return cls(len(os.sched_getaffinity(0)), platform.machine().lower(), _features(cpuinfo))

    def weakness(self) -> str | None:
        """Return why the CPU is too weak for ``emotion-edge`` beside its cameras; None if it is not."""
        if self.cores == 1:
            return "one core"
        if self.architecture in _X86 and self.features and "avx2" not in self.features:
            return "a CPU without AVX2"
        fast = self.features & (_FAST_X86 if self.architecture in _X86 else _FAST_ARM)
        if self.cores < _FEW_CORES and not fast:
            return f"{self.cores} cores without AVX-512, AVX-VNNI or AMX" if self.architecture in _X86 else f"{self.cores} cores"
        if self.architecture not in _X86 and self.features and not fast:
            return "a CPU without dot product instructions"
        return None


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen model.

    Attributes:
        model: Its name.
        why: The reason, for people.
    """

    model: str
    why: str


def choose_model(*, backend: str = AUTO, device: str = AUTO, hardware: Hardware | None = None, cpu: Cpu | None = None) -> Choice:
    """Return which shipped model fits this machine.

    Args:
        backend: ``auto``, ``openvino`` or ``keras``.
        device: OpenVINO's device, or ``auto``.
        hardware: Whether there is an NVIDIA GPU and Keras; None to look.
        cpu: The CPU; None to look.
    """
    if backend != "openvino":
        found = hardware or Hardware.detect()
        if found.nvidia_gpu and found.keras:
            return Choice(LARGE, "an NVIDIA GPU")
    if device.upper().startswith("GPU") and backend != "keras":
        return Choice(LARGE, f"OpenVINO on {device}")
    weakness = (cpu or Cpu.detect()).weakness()
    return Choice(EDGE, "a CPU") if weakness is None else Choice(SMALL, weakness)


def open_bundle(
    model: str,
    *,
    backend: str = AUTO,
    device: str = AUTO,
    hardware: Hardware | None = None,
    cpu: Cpu | None = None,
    search: Sequence[Path] | None = None,
) -> tuple[Bundle, str]:
    """Load a bundle by its name, or the one that ``auto`` stands for here.

    Args:
        model: ``auto``, name, name/version or folder.
        backend: As in ``choose_model``.
        device: As in ``choose_model``.
        hardware: As in ``choose_model``.
        cpu: As in ``choose_model``.
        search: Folders of models; None for the shipped ones.

    Returns:
        The bundle, and why ``auto`` chose it: empty for a named one. Where the chosen model is not installed,
        ``emotion-edge`` takes its place.

    Raises:
        BundleError: The bundle was not found or is damaged.
    """
    if model != AUTO:
        return load_bundle(model, search), ""
    choice = choose_model(backend=backend, device=device, hardware=hardware, cpu=cpu)
    if not any(name.partition("/")[0] == choice.model for name in known_models(search)):
        return load_bundle(EDGE, search), f"{choice.why}, but {choice.model} is not installed"
    return load_bundle(choice.model, search), choice.why


def _features(cpuinfo: Path) -> frozenset[str]:
    """Return the instruction sets of the first core: the line ``flags`` (x86) or ``Features`` (ARM)."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    found = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(found, "").split())
